#!/usr/bin/env bash
# Measures the size of the programs: the release build of ccrun, and the others.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/size.sh            prints a Markdown table
       scripts/bench/size.sh --smoke    with the debug build
       scripts/bench/size.sh --help
TEXT
}

main() {
  begin "$@"
  find_others
  head_row "the program" size
  size ccrun "$scratch/bin/ccrun"
  ! is_there otelcol-memory || size "otelcol, with a receiver, two exporters and a store" "$otelcol"
  ! is_there rotel || size rotel "$rotel"
}

size() {
  row "$1" "$(wc -c <"$2" | awk '{ printf "%.2f MB", $1 / 1e6 }')"
}

main "$@"

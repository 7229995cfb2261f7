#!/usr/bin/env bash
# Measures the time from the start of a receiver to its first acknowledgement. For ccrun, it is measured from the launch
# of a program that sends at once.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/listening.sh [RUNS]     RUNS of each, by default 20; prints a Markdown table
       scripts/bench/listening.sh --smoke    once
       scripts/bench/listening.sh --help
TEXT
}

main() {
  begin "$@"
  find_others
  local who commands closed command
  closed=$(closed_url)
  commands=("ccrun" "ccrun -p otlp --var endpoint=$closed bench first")
  for who in otelcol-memory otelcol-disk otelcol-fsync rotel; do
    is_there "$who" || continue
    configure_other "$who" "$closed" "$scratch/$who"
    commands+=("$who" "bench first --endpoint $url ${command[*]}")
  done
  export state scratch
  export -f end_collectors until_gone
  bench alternate --runs "${runs:-$(usually 20 1)}" --heading "from the start to the first acknowledgement" \
    --after "bash -c end_collectors" "${commands[@]}" </dev/null
}

main "$@"

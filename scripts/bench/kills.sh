#!/usr/bin/env bash
# Counts what is lost when collectors are killed at random moments, under load: scripts/kill-test.sh, as a table.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/kills.sh [RUNS]     RUNS hundreds of kills, 100 unless told otherwise; prints a Markdown table
       scripts/bench/kills.sh --smoke    twenty kills, with the debug build
       scripts/bench/kills.sh --help
TEXT
}

# It has a home of its own for every session, and cargo needs the one that is there: so nothing here calls `begin`.
main() {
  local kills=10000 build=() said failed=no figures counted
  case ${1-} in
    -h | --help) usage && exit ;;
    --smoke) kills=20 build=(--debug) ;;
    '') ;;
    *[!0-9]* | 0) misuse "\`$1\` is no number of runs" ;;
    *) kills=$(($1 * 100)) ;;
  esac
  progress "kills: $kills"
  said=$("$here/scripts/kill-test.sh" ${build[@]+"${build[@]}"} "$kills" 2>&1) || failed=yes
  figures='[0-9]* records acknowledged, [0-9]* lost, [0-9]* delivered, [0-9]* duplicates; [^ ]* of kills'
  counted=$(grep -o "$figures" <<<"$said") || fail "the kill test failed: $(tail -n 20 <<<"$said")"
  head_row "\`kill -9\` of keepers and workers, under load" "records acknowledged" "and lost" "delivered twice" took
  # shellcheck disable=SC2086 # words are wanted
  set -- $counted
  row "$kills times" "$1" "$4" "$8" "${10}"
  # What is lost stands in the table as well.
  [ "$failed" = no ] || fail "the kill test failed: $(tail -n 20 <<<"$said")"
}

main "$@"

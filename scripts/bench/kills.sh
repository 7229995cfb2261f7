#!/usr/bin/env bash
# Counts lost records when collectors are killed at random moments under load: the results of scripts/kill-test.sh as a
# table.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/kills.sh [RUNS]     RUNS hundreds of kills, by default 100; prints a Markdown table
       scripts/bench/kills.sh --smoke    twenty kills, with the debug build
       scripts/bench/kills.sh --help
TEXT
}

# Does not call `begin`, because every session has its own home and cargo needs the real one.
main() {
  local kills=10000 build=() said failed=no figures counted again
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
  again=$(grep -o '[0-9]* requests came again, of [0-9]*' <<<"$said") || fail "the kill test failed: $(tail -n 20 <<<"$said")"
  head_row "\`kill -9\` of keepers and workers, under load" "records acknowledged" "and lost" \
    "requests that came again" "of as many as may have been cut short" took
  # shellcheck disable=SC2086 # split into words
  set -- $counted
  row "$kills times" "$1" "$4" "${again%% *}" "${again##* }" "${10}"
  # The table also shows lost records.
  [ "$failed" = no ] || fail "the kill test failed: $(tail -n 20 <<<"$said")"
}

main "$@"

#!/usr/bin/env bash
# Measures how long reports take on ledgers of several years, compared with a bare scan by SQLite.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/usage.sh [RUNS] [SIZE]...   RUNS of each, by default 5, on ledgers of these sizes:
                                                 m1 and m10 have a million and ten million requests, k10 has
                                                 ten thousand, team is that of scripts/example.sh; by default all
                                                 four; prints Markdown tables
       scripts/bench/usage.sh --smoke            once, with small ledgers
       scripts/bench/usage.sh --help

Ten million requests take minutes and three gigabytes. The first row of each table is the floor: SQLite alone sums the
costs of all requests.
TEXT
}

# The reports, in the order of the design's table.
reports=(
  "report"
  "report --by day,model"
  "report --by project,branch"
  "report --by team,person"
  "report --by model,person"
  "report --by session --top 20"
  "report --by prompt --top 20"
  "report --by tool"
  "report --by agent"
  "report --by status"
  "report --by day,model --since 7d"
  "report --by prompt --since 7d"
  "report --by tool --since 7d"
  "report week last"
  "report week --month"
)

main() {
  begin "$@"
  local word folded=$scratch/folded
  [ ${#words[@]} -gt 0 ] || words=(team k10 m1 m10)
  [ "$smoke" = no ] || words=(team k10)
  for word in "${words[@]}"; do
    case $word in
      team) measure "a team of twelve over eight weeks" team ;;
      k10) measure "10,000 requests" "$(usually 10000 100)" ;;
      m1) measure "1 M requests" 1000000 ;;
      m10) measure "10 M requests" 10000000 ;;
      *) misuse "there is no size \`$word\`" ;;
    esac
  done
  echo
  head_row "taking facts in" "facts/s" "bytes a fact"
  cat "$folded"
}

measure() {
  local name=$1 of=$scratch/states/$2 report commands made making=(ledger "$scratch/states/$2/ledger-1.db" "$2")
  progress "usage: a ledger of $name"
  mkdir -p "$scratch/states"
  mkdir -m 700 "$of"
  [ "$2" != team ] || making=(team "$of/ledger-1.db")
  made=$(bench "${making[@]}")
  # The input is like `1000 requests, 2800 facts, 40 sums, 200000 facts/s, 80 bytes a fact`.
  # shellcheck disable=SC2046 # two numbers
  row "$name" $(awk '{ for (i = 2; i <= NF; i++) if ($i == "facts/s," || $i == "bytes") print $(i - 1) }' <<<"$made") \
    >>"$folded"
  commands=("a bare scan by SQLite" "bench scan $of/ledger-1.db")
  for report in "${reports[@]}"; do
    commands+=("\`ccrun $report\`" "env CCRUN_STATE_DIR=$of ccrun $report")
  done
  echo
  bench alternate --runs "${runs:-$(usually 5 1)}" --heading "$name" "${commands[@]}" </dev/null
  rm -rf "$of"
}

main "$@"

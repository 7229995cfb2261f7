#!/usr/bin/env bash
# Counts the instructions of a launch and of a thousand batches, and compares them with guard.txt beside this file: what
# takes noticeably more than it did is noticed, on any machine and whatever else that has to do.
#
# The debug build: the tests have it anyway, and work that grows grows there as well. What the optimiser makes of it is
# for the benchmarks that take time. A thousand batches take valgrind a minute or more.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

# Per cent. Another compiler, or another version of a dependency, may well make a tenth.
margin=25

usage() {
  cat <<'TEXT'
Usage: scripts/bench/guard.sh             compares; prints a Markdown table, and fails if something takes much more
       scripts/bench/guard.sh write       takes what is counted now for what is to be compared with
       scripts/bench/guard.sh --help

Needs valgrind.
TEXT
}

main() {
  command -v valgrind >/dev/null || [[ ${1-} = *-h* ]] || skip "valgrind is not installed"
  # Guard.txt knows nothing of other builds.
  unset BENCH_BUILT
  # Counted work needs no second run, and no smaller one.
  begin --smoke "$@"
  baseline=$here/scripts/bench/guard.txt
  local launch batches
  launch=$(count ccrun --wait true)
  progress "guard: a thousand batches"
  batches=$(count bench batches "$scratch/store-1.db" 1000)
  if [ "${words[*]}" = write ]; then
    printf 'launch %s\nthousand-batches %s\n' "$launch" "$batches" >"$baseline"
  fi
  head_row "instructions, debug build" now "when last written" ratio allowed
  compare "a launch, \`ccrun --wait true\`" launch "$launch"
  compare "a thousand batches of 10.8 KB" thousand-batches "$batches"
  [ "${over-}" = '' ] || fail "$over: more than $margin % above what guard.txt says; if it has to be, write it anew"
}

# How many instructions a command takes, the processes it starts not counted.
count() {
  valgrind --tool=callgrind --callgrind-out-file="$scratch/callgrind" "$@" >"$scratch/counted" 2>&1 </dev/null ||
    fail "valgrind failed: $(tail -n 3 "$scratch/counted")"
  ! grep -q 'telemetry is off' "$scratch/counted" || fail "no collector: $(grep 'telemetry is off' "$scratch/counted")"
  sed -n 's/^totals: //p' "$scratch/callgrind"
}

compare() {
  local before
  before=$(sed -n "s/^$2 //p" "$baseline")
  [ -n "$before" ] || fail "guard.txt has no number for $2: \`scripts/bench/guard.sh write\` counts it"
  row "$1" "$3" "$before" "$(awk -v now="$3" -v before="$before" 'BEGIN { printf "%.2f ×", now / before }')" \
    "1.$margin ×"
  [ "$3" -le $((before * (100 + margin) / 100)) ] || over+="${over:+, }$2"
}

main "$@"

#!/usr/bin/env bash
# Counts the instructions of a launch and of a thousand batches, and compares them with guard.txt. This detects a
# noticeable increase on any machine under any load.
#
# Uses the debug build, because the tests have it anyway and an increase shows there as well. The timed benchmarks
# measure the optimised build. A thousand batches take valgrind at least a minute.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

# Per cent. Another compiler or dependency version may change the count by ten per cent.
margin=25

usage() {
  cat <<'TEXT'
Usage: scripts/bench/guard.sh             compare, print a Markdown table, and fail on a large increase
       scripts/bench/guard.sh write       write the current counts to guard.txt
       scripts/bench/guard.sh --help

Needs valgrind.
TEXT
}

main() {
  command -v valgrind >/dev/null || [[ ${1-} = *-h* ]] || skip "valgrind is not installed"
  # The numbers in guard.txt are for this build only.
  unset BENCH_BUILT
  # Counting needs no repetition and no smaller variant.
  begin --smoke "$@"
  baseline=$here/scripts/bench/guard.txt
  local launch batches
  launch=$(count ccrun --wait true)
  progress "guard: a thousand batches"
  batches=$(count bench batches "$scratch/batches" 1000)
  if [ "${words[*]}" = write ]; then
    printf 'launch %s\nthousand-batches %s\n' "$launch" "$batches" >"$baseline"
  fi
  head_row "instructions, debug build" now "when last written" ratio allowed
  compare "a launch, \`ccrun --wait true\`" launch "$launch"
  compare "a thousand batches of 10.8 KB" thousand-batches "$batches"
  [ "${over-}" = '' ] || fail "$over: more than $margin % above guard.txt; if the increase is intended, run \`scripts/bench/guard.sh write\`"
}

# The number of instructions of a command, without those of its child processes.
count() {
  valgrind --tool=callgrind --callgrind-out-file="$scratch/callgrind" "$@" >"$scratch/counted" 2>&1 </dev/null ||
    fail "valgrind failed: $(tail -n 3 "$scratch/counted")"
  ! grep -q 'telemetry is off' "$scratch/counted" || fail "no collector: $(grep 'telemetry is off' "$scratch/counted")"
  sed -n 's/^totals: //p' "$scratch/callgrind"
}

compare() {
  local before
  before=$(sed -n "s/^$2 //p" "$baseline")
  [ -n "$before" ] || fail "guard.txt has no number for $2: run \`scripts/bench/guard.sh write\`"
  row "$1" "$3" "$before" "$(awk -v now="$3" -v before="$before" 'BEGIN { printf "%.2f ×", now / before }')" \
    "1.$margin ×"
  [ "$3" -le $((before * (100 + margin) / 100)) ] || over+="${over:+, }$2"
}

main "$@"

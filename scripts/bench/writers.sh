#!/usr/bin/env bash
# Measures how long each of many processes waits for its commits when all write to one store: with the file lock of the
# collectors, and with SQLite's own waiting. Compare times only within one run.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/writers.sh [COMMITS]    twenty processes with COMMITS each, by default 100; prints a
                                             Markdown table
       scripts/bench/writers.sh --smoke      three processes with two commits
       scripts/bench/writers.sh --help
TEXT
}

main() {
  begin "$@"
  local processes commits how
  processes=$(usually 20 3) commits=${runs:-$(usually 100 2)}
  head_row "$processes processes, $commits commits of 11 KB each" p50 p99 longest "the unluckiest process's mean"
  for how in ccrun busy; do
    race "$how" "$processes" "$commits"
    tell "$how"
  done
}

# Starts all processes at once on an existing store.
race() {
  local how=$1 processes=$2 commits=$3 number
  mkdir -p "$scratch/$how"
  bench writers ccrun "$scratch/$how/store-2.db" 1 </dev/null >/dev/null 2>&1
  mkfifo "$scratch/$how/start" "$scratch/$how/said"
  exec 3<>"$scratch/$how/start"
  exec 4<"$scratch/$how/start" 5<>"$scratch/$how/said"
  for number in $(seq "$processes"); do
    bench writers "$how" "$scratch/$how/store-2.db" "$commits" <&4 >"$scratch/$how/waits-$number" 2>&5 3>&- 4<&- 5>&- &
  done
  head -n "$processes" <&5 >/dev/null
  # Closes the last write end, so that all of them read the end of file.
  exec 3>&- 4<&-
  wait
  exec 5>&-
}

tell() {
  local how=$1 name='queue on the lock'
  [ "$how" = ccrun ] || name="SQLite's busy handler"
  local unluckiest
  unluckiest=$(for file in "$scratch/$how"/waits-*; do
    awk '{ sum += $1 } END { printf "%.1f\n", sum / NR / 1000 }' "$file"
  done | sort -n | tail -n 1)
  sort -n "$scratch/$how"/waits-* | awk -v name="$name" -v unluckiest="$unluckiest" '
    { wait[NR] = $1 / 1000 }
    END {
      printf "| %s | %.1f ms | %.1f ms | %.1f ms | %s ms |\n",
        name, wait[int((NR + 1) / 2)], wait[int(NR * 0.99 + 0.5)], wait[NR], unluckiest
    }'
}

main "$@"

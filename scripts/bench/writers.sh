#!/usr/bin/env bash
# Measures how long each of many processes waits for its commits when all write to one store at once: queueing on the
# file lock as collectors do, and with SQLite's own waiting. The times compare only within one run.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/writers.sh [PROCESSES [COMMITS]]    20 processes with 100 commits each unless told otherwise;
                                                         prints a Markdown table
       scripts/bench/writers.sh --help
TEXT
}

main() {
  local processes=${1:-20} commits=${2:-100} how
  case $processes$commits in
    -h* | --help*) usage && exit ;;
    *[!0-9]*) usage >&2 && exit 2 ;;
  esac
  forget_inherited
  cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --example writers
  built=${CARGO_TARGET_DIR:-$here/target}/release/examples/writers
  scratch=$(cd "$(mktemp -d)" && pwd -P)
  trap 'rm -rf "$scratch"' EXIT
  echo "| $processes processes, $commits commits of 11 KB each | p50 | p99 | longest | the unluckiest process's mean |"
  echo "|---|---|---|---|---|"
  for how in ccrun busy; do
    race "$how" "$processes" "$commits"
    row "$how"
  done
}

# Starts them all at once, on a store that is there.
race() {
  local how=$1 processes=$2 commits=$3 number
  mkdir -p "$scratch/$how"
  "$built" ccrun "$scratch/$how/store-1.db" 1 </dev/null >/dev/null 2>&1
  mkfifo "$scratch/$how/start" "$scratch/$how/said"
  exec 3<>"$scratch/$how/start"
  exec 4<"$scratch/$how/start" 5<>"$scratch/$how/said"
  for number in $(seq "$processes"); do
    "$built" "$how" "$scratch/$how/store-1.db" "$commits" <&4 >"$scratch/$how/waits-$number" 2>&5 3>&- 4<&- 5>&- &
  done
  head -n "$processes" <&5 >/dev/null
  # The last that could write there: all of them read its end.
  exec 3>&- 4<&-
  wait
  exec 5>&-
}

row() {
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

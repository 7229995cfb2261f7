#!/usr/bin/env bash
# Invents eight weeks of a team of twelve, and shows a report of them. The team's usage is in a directory of its own, so
# that nothing is mixed with yours.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/example.sh [--last DAY] [--seed NUMBER] [ARGUMENT]...
           run `ccrun report ARGUMENT...` on the team's usage, `ccrun report week last --by team --seats 14` by default;
           the eight weeks end with the week of DAY, by default the one before this; the same seed makes the same team
       scripts/example.sh --help

Needs Rust and a C compiler. Nothing stays on the machine but the build.
TEXT
}

main() {
  local making=() scratch built
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage && exit ;;
      --last | --seed)
        [ $# -ge 2 ] || { usage >&2 && exit 2; }
        making+=("$1" "$2")
        shift 2
        ;;
      *) break ;;
    esac
  done
  [ $# -gt 0 ] || set -- week last --by team --seats 14
  forget_inherited
  built=${CARGO_TARGET_DIR:-$here/target}/debug
  cargo build --quiet --locked --manifest-path "$here/Cargo.toml" --bin ccrun --example bench </dev/null
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064 # now
  trap "rm -rf '$scratch'" EXIT
  mkdir -m 700 "$scratch/state" "$scratch/home"
  "$built/examples/bench" team "$scratch/state/ledger-1.db" ${making[@]+"${making[@]}"} >&2
  env HOME="$scratch/home" CCRUN_STATE_DIR="$scratch/state" TZ=UTC "$built/ccrun" report "$@"
}

main "$@"

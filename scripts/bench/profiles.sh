#!/usr/bin/env bash
# Measures what reading profiles adds to a launch: `ccrun true` with a profile that stands alone, and with one that is
# laid over twenty others of the same size. The times compare only within one run.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/profiles.sh [RUNS]    RUNS of each, 100 unless told otherwise; prints a Markdown table with ratios
       scripts/bench/profiles.sh --help

Needs hyperfine.
TEXT
}

main() {
  local runs=${1:-100}
  case $runs in
    -h | --help) usage && exit ;;
    *[!0-9]* | 0) usage >&2 && exit 2 ;;
  esac
  command -v hyperfine >/dev/null || skip "hyperfine is not installed"
  forget_inherited
  cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --bin ccrun
  scratch=$(cd "$(mktemp -d)" && pwd -P)
  trap clean_up EXIT
  mkdir -p "$scratch/home/.config/ccrun/profiles" "$scratch/bin"
  # A path of its own tells this run's collectors from any other.
  local built=${CARGO_TARGET_DIR:-$here/target}/release
  ln "$built/ccrun" "$scratch/bin/ccrun" 2>/dev/null || cp "$built/ccrun" "$scratch/bin/ccrun"
  unset "${!XDG_@}"
  export HOME=$scratch/home PATH=$scratch/bin:$PATH
  write
  cd "$scratch/home"
  measure "$runs"
}

# Profiles of a usual size: twenty, one that stands alone, and one over the twenty.
write() {
  local number names=
  for number in $(seq 20); do
    profile "$number" >"$HOME/.config/ccrun/profiles/part-$number.toml"
    names+="${names:+, }\"part-$number\""
  done
  profile 0 >"$HOME/.config/ccrun/profiles/one.toml"
  { echo "extends = [$names]" && profile 0; } >"$HOME/.config/ccrun/profiles/twenty.toml"
}

# Attributes and variables, and no destination: what is sent is no matter of this.
profile() {
  cat <<TEXT
description = "part $1 of a team's profile"
[vars]
region-$1 = "eu"
[team]
id = "platform-$1"
[resource]
"deployment.environment.name" = "laptop"
"part.number.$1" = "\${region-$1} $1"
[signals]
metric_interval = "10s"
[content]
user_prompts = false
[cardinality]
session_id = true
[env]
PART_$1 = "$1"
TEXT
}

measure() {
  # The second pair is without a collector, which ends a while after its program and takes the processor from later runs.
  hyperfine --shell=none --warmup 5 --runs "$1" --export-markdown "$scratch/table.md" \
    --command-name "one profile: true" "ccrun -p one true" \
    --command-name "over twenty: true" "ccrun -p twenty true" \
    --command-name "one profile: read only" "ccrun profile show one --json" \
    --command-name "over twenty: read only" "ccrun profile show twenty --json" >&2 </dev/null
  cat "$scratch/table.md"
}

clean_up() {
  # Collectors of the last runs still look round, and write where this directory is now.
  pgrep -f "^$scratch/bin/ccrun collector$" | xargs -r kill 2>/dev/null || true
  cd / && rm -rf "$scratch"
}

skip() {
  echo "bench: skipped: $1" >&2
  exit 1
}

main "$@"

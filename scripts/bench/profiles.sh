#!/usr/bin/env bash
# Measures what reading profiles adds to a launch: `ccrun true` with a single profile, and with one on top of twenty
# others of the same size. Compare times only within one run.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/profiles.sh [RUNS]     RUNS of each, by default 100; prints a Markdown table with ratios
       scripts/bench/profiles.sh --smoke    once
       scripts/bench/profiles.sh --help
TEXT
}

main() {
  begin "$@"
  write
  export state scratch
  export -f end_collectors until_gone
  # The second pair runs without a collector.
  bench alternate --runs "${runs:-$(usually 100 1)}" --warmup "$(usually 3 0)" --heading "profiles" \
    --after "bash -c end_collectors" \
    "one profile: true" "ccrun -p one true" \
    "over twenty: true" "ccrun -p twenty true" \
    "one profile: read only" "ccrun profile show one --json" \
    "over twenty: read only" "ccrun profile show twenty --json" </dev/null
}

# Profiles of a typical size: twenty, a single one, and one that extends the twenty.
write() {
  local number names=
  for number in $(seq 20); do
    profile "$number" >"$HOME/.config/ccrun/profiles/part-$number.toml"
    names+="${names:+, }\"part-$number\""
  done
  profile 0 >"$HOME/.config/ccrun/profiles/one.toml"
  { echo "extends = [$names]" && profile 0; } >"$HOME/.config/ccrun/profiles/twenty.toml"
}

# Attributes and variables without a destination, because sending is not measured here.
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

main "$@"

#!/usr/bin/env bash
# Fuzzes the parsers of untrusted bytes: profiles, OTLP in JSON and protobuf, request bodies, session logs. Failing
# inputs are kept in fuzz/artifacts. `cargo +nightly fuzz run -s none TARGET FILE` runs one of them again.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

targets=(profile excerpt json rewrite body spool)

usage() {
  cat <<TEXT
Usage: scripts/fuzz.sh [SECONDS [TARGET]...]    by default 60 seconds for each target
       scripts/fuzz.sh --help

Targets: ${targets[*]}

Needs the nightly toolchain and cargo-fuzz (cargo install cargo-fuzz). Without them, the script is skipped.
TEXT
}

main() {
  local seconds=${1:-60} target
  case $seconds in
    -h | --help) usage && exit ;;
    *[!0-9]* | 0) misuse "\`$seconds\` is no number of seconds" ;;
  esac
  [ $# -lt 2 ] || targets=("${@:2}")
  for target in "${targets[@]}"; do
    [ -r "$here/fuzz/fuzz_targets/$target.rs" ] || misuse "there is no target \`$target\`"
  done
  command -v rustup >/dev/null || skip "rustup is not installed"
  rustup run nightly rustc --version >/dev/null 2>&1 || skip "the nightly toolchain is not installed"
  rustup run nightly cargo fuzz --version >/dev/null 2>&1 || skip "cargo-fuzz is not installed"
  cd "$here"
  cp Cargo.lock fuzz/Cargo.lock
  seed
  for target in "${targets[@]}"; do
    echo "fuzz: $target"
    # Without a sanitizer, which would look for errors in unsafe code: there is none here. An input that takes a second
    # or a lot of memory also fails.
    rustup run nightly cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -timeout=1 -max_len=16384 \
      -rss_limit_mb=1024
  done
}

# The seeds: every shipped profile, alone and on top of another one, as the target's first byte chooses; for the other
# targets, fuzz/seeds.
seed() {
  local target file name first
  for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    [ ! -d "fuzz/seeds/$target" ] || cp fuzz/seeds/"$target"/* "fuzz/corpus/$target/"
  done
  mkdir -p fuzz/corpus/profile
  for file in profiles/*.toml; do
    name=$(basename "$file" .toml)
    for first in 0 1 2; do
      { printf '%s' "$first" && cat "$file"; } >"fuzz/corpus/profile/$name-$first"
    done
  done
}

skip() {
  echo "fuzz: skipped: $1" >&2
  exit
}

misuse() {
  printf 'fuzz: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

main "$@"

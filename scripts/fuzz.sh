#!/usr/bin/env bash
# Feeds the reader of profiles what no person would write, for so many seconds. What breaks it is kept in
# fuzz/artifacts, and `cargo +nightly fuzz run profile FILE` tries that again.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<'TEXT'
Usage: scripts/fuzz.sh [SECONDS]    60 unless told otherwise
       scripts/fuzz.sh --help

Needs the nightly toolchain and cargo-fuzz (cargo install cargo-fuzz); without them it says so and does nothing.
TEXT
}

main() {
  local seconds=${1:-60}
  case $seconds in
    -h | --help) usage && exit ;;
    *[!0-9]* | 0) usage >&2 && exit 2 ;;
  esac
  command -v rustup >/dev/null || skip "rustup is not installed"
  rustup run nightly rustc --version >/dev/null 2>&1 || skip "the nightly toolchain is not installed"
  rustup run nightly cargo fuzz --version >/dev/null 2>&1 || skip "cargo-fuzz is not installed"
  cd "$here"
  cp Cargo.lock fuzz/Cargo.lock
  seed
  # A file that takes a second to read is a fault, too.
  rustup run nightly cargo fuzz run profile -- -max_total_time="$seconds" -timeout=1 -max_len=16384
}

# Every shipped profile, over nothing and over some other: what a target's first byte chooses.
seed() {
  local file name first
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

main "$@"

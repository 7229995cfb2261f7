#!/usr/bin/env bash
# Kills collectors at random moments under load and compares acknowledged with delivered records. Runs the long kill
# test alone, with the release build and more kills.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/kill-test.sh [--debug] [KILLS]     10,000 by default, about 15 to 30 a second; --debug uses the debug
                                                  build of the tests
       scripts/kill-test.sh --help

TEST_SEED=NUMBER repeats the same kills, but not at exactly the same moments.
TEXT
}

main() {
  local build=(--release)
  if [ "${1-}" = --debug ]; then
    build=()
    shift
  fi
  case ${1-10000} in
    -h | --help) usage && exit ;;
    *[!0-9]* | '') misuse "\`$1\` is no number of kills" ;;
  esac
  [ $# -le 1 ] || misuse "too many arguments"
  forget_inherited
  cd "$here"
  TEST_KILLS=${1-10000} exec cargo test ${build[@]+"${build[@]}"} --locked --test it -- --ignored --exact --nocapture \
    long::nothing_acknowledged_is_lost_over_random_kills </dev/null
}

misuse() {
  printf 'kill-test: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

main "$@"

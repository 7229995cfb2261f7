#!/usr/bin/env bash
# Runs one session of Claude Code through ccrun and shows what ccrun recorded, on a machine where neither is set up.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"
# shellcheck source=scripts/stand_in.sh
. "$here/scripts/stand_in.sh"

# Seconds.
session_limit=120

usage() {
  cat <<'TEXT'
Usage: scripts/demo.sh            use a stand-in model: needs no account, costs nothing, leaves nothing behind
       scripts/demo.sh --real     use your own account and settings: one short question, which costs a few tokens
       scripts/demo.sh --help

Needs Rust, a C compiler, and Claude Code on PATH, or npm to download a pinned one into the cache.
TEXT
}

main() {
  local real=no
  case ${1-} in
    '') ;;
    --real) real=yes ;;
    -h | --help) usage && exit ;;
    *) misuse "unknown option \`$1\`" ;;
  esac
  [ $# -le 1 ] || misuse "too many arguments"
  forget_inherited
  find_claude
  build
  make_throwaway
  if [ "$real" = yes ]; then
    say "everything is real: this uses your account and settings, and records this one session"
  else
    ! own_credentials || say "your own account is not used (\`scripts/demo.sh --real\` uses it)"
    # shellcheck disable=SC2119 # without arguments
    stand_in
    say "stand-ins: the model (on $ANTHROPIC_BASE_URL), the API key, and the home directory"
    say "real: ccrun, its collector, and Claude Code ($("$claude" --version 2>/dev/null </dev/null || echo 'version unknown'))"
  fi
  show
}

show() {
  set_path
  echo
  echo "\$ ccrun claude -p \"say hi\""
  bounded "$session_limit" ccrun claude -p "say hi" </dev/null 3>&- || fail "the session failed with exit code $?"
  echo
  echo "\$ ccrun report"
  bounded "$session_limit" ccrun report </dev/null 3>&- || fail "the report failed with exit code $?"
}

say() {
  printf 'demo: %s\n' "$1" >&2
}

fail() {
  printf 'demo: %s\n' "$1" >&2
  exit 1
}

misuse() {
  printf 'demo: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

main "$@"

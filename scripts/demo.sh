#!/usr/bin/env bash
# Shows one session of Claude Code through ccrun, and what ccrun recorded of it, on a machine where neither is set up.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

# Seconds.
session_limit=120
start_limit=10
stop_limit=15

usage() {
  cat <<'TEXT'
Usage: scripts/demo.sh            with a stand-in for the model: no account, nothing spent, nothing left behind
       scripts/demo.sh --real     with your own account and settings: one short question is asked, and paid for
       scripts/demo.sh --help

Needs Rust, a C compiler, and Claude Code on PATH; or npm, which then takes a pinned one into the cache.
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
  # Without symbolic links, because its collector is found by the path.
  throwaway=$(cd "$(mktemp -d "${TMPDIR:-/tmp}/ccrun-demo.XXXXXX")" && pwd -P)
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if [ "$real" = yes ]; then
    say "nothing is a stand-in: your account and your settings answer, and this one session is recorded"
  else
    ! own_credentials || say "your own account is not used: that would be \`scripts/demo.sh --real\`"
    stand_in
    say "stand-ins: the model (on $ANTHROPIC_BASE_URL), the API key, and the home directory"
    say "real: ccrun, its collector, and Claude Code ($("$claude" --version 2>/dev/null </dev/null || echo 'version unknown'))"
  fi
  show
}

find_claude() {
  if claude=$(type -P claude); then
    return
  fi
  local reason
  if ! reason=$("$here/scripts/counterparts.sh" claude); then
    fail "there is no \`claude\` on PATH, and none could be had: ${reason#*skipped: }"
  fi
  claude=$("$here/scripts/counterparts.sh" --path claude)
}

own_credentials() {
  [ -n "${ANTHROPIC_API_KEY-}${ANTHROPIC_AUTH_TOKEN-}${CLAUDE_CODE_OAUTH_TOKEN-}" ] ||
    [ -e "${CLAUDE_CONFIG_DIR:-${HOME-}/.claude}/.credentials.json" ]
}

# The dev profile, because the release profile optimises the whole program at once, which takes minutes; and ccrun is
# quick enough without.
build() {
  command -v cargo >/dev/null || fail "cargo is not installed: get Rust with rustup"
  local target=${CARGO_TARGET_DIR:-$here/target}
  say "building ccrun in the dev profile (some minutes at first, then seconds)"
  cargo build --locked --manifest-path "$here/Cargo.toml" --target-dir "$target" \
    --bin ccrun --example stand_in_model || fail "the build failed"
  target=$(cd "$target" && pwd)
  ccrun=$target/debug/ccrun
  model=$target/debug/examples/stand_in_model
}

# Starts the model's stand-in, which ends when its standard input closes: with this script, however that ends. Claude
# Code gets an empty home and an invented key, so that no real setting or credential takes part.
stand_in() {
  local waited=0
  mkfifo "$throwaway/model.in"
  "$model" <"$throwaway/model.in" >"$throwaway/model.url" &
  model_pid=$!
  exec 3>"$throwaway/model.in"
  until [ -s "$throwaway/model.url" ]; do
    kill -0 "$model_pid" 2>/dev/null || fail "the stand-in for the model did not start"
    [ $((waited += 1)) -le $((start_limit * 10)) ] || fail "the stand-in for the model took more than $start_limit s"
    sleep 0.1
  done
  forget_account
  mkdir -p "$throwaway/home" "$throwaway/work" "$throwaway/bin"
  cd "$throwaway/work"
  # A name of its own tells this demo's collector from any other.
  ln "$ccrun" "$throwaway/bin/ccrun" 2>/dev/null || cp "$ccrun" "$throwaway/bin/ccrun"
  ccrun=$throwaway/bin/ccrun
  export HOME=$throwaway/home
  export XDG_CONFIG_HOME=$HOME/.config XDG_STATE_HOME=$HOME/.local/state XDG_CACHE_HOME=$HOME/.cache
  export XDG_DATA_HOME=$HOME/.local/share
  ANTHROPIC_BASE_URL=$(cat "$throwaway/model.url")
  export ANTHROPIC_BASE_URL ANTHROPIC_API_KEY=sk-ant-invented
  export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1
  export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
}

show() {
  PATH=$(dirname "$ccrun"):$PATH
  # The one that was found, although it may not be on PATH.
  [ "$(type -P claude)" = "$claude" ] || PATH=$(dirname "$claude"):$PATH
  export PATH
  echo
  echo "\$ ccrun claude -p \"say hi\""
  bounded "$session_limit" ccrun claude -p "say hi" </dev/null 3>&- || fail "the session failed with $?"
  echo
  echo "\$ ccrun report"
  bounded "$session_limit" ccrun report </dev/null 3>&- || fail "the report failed with $?"
}

# The collector outlives its session by some seconds, and must not write into directories that are being removed.
clean_up() {
  local waited=0
  if [ -n "${model_pid-}" ]; then
    kill "$model_pid" 2>/dev/null || true
    wait "$model_pid" 2>/dev/null || true
    stop_collectors TERM
    while [ -n "$(collectors)" ] && [ $((waited += 1)) -le $((stop_limit * 10)) ]; do
      sleep 0.1
    done
    stop_collectors KILL
  fi
  cd / && rm -rf "$throwaway"
}

stop_collectors() {
  local pid
  for pid in $(collectors); do
    kill -s "$1" "$pid" 2>/dev/null || true
  done
}

# The processes of this demo's own ccrun.
collectors() {
  local process
  if [ ! -e /proc/self/exe ]; then
    pgrep -f "^$throwaway/bin/ccrun " || true
    return
  fi
  for process in /proc/[0-9]*; do
    [[ $(readlink "$process/exe" 2>/dev/null) != "$throwaway/bin/ccrun"* ]] || echo "${process#/proc/}"
  done
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

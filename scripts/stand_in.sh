# shellcheck shell=bash
# Runs the real Claude Code through ccrun with a stand-in model, in a throwaway directory. demo.sh and picture.sh source
# it. They define `here`, `fail` and `say`.

: "${here:?}"

# Seconds.
start_limit=10
stop_limit=15

find_claude() {
  if claude=$(type -P claude); then
    return
  fi
  local reason
  if ! reason=$("$here/scripts/counterparts.sh" claude); then
    fail "\`claude\` is not on PATH and cannot be downloaded: ${reason#*skipped: }"
  fi
  claude=$("$here/scripts/counterparts.sh" --path claude)
}

own_credentials() {
  [ -n "${ANTHROPIC_API_KEY-}${ANTHROPIC_AUTH_TOKEN-}${CLAUDE_CODE_OAUTH_TOKEN-}" ] ||
    [ -e "${CLAUDE_CONFIG_DIR:-${HOME-}/.claude}/.credentials.json" ]
}

# Uses a build of install.sh if it is current. Otherwise builds with the dev profile, because a release build takes
# minutes and ccrun is fast enough without it.
build() {
  local target=${CARGO_TARGET_DIR:-$here/target}
  ccrun=$target/release/ccrun
  if [ -x "$ccrun" ] && [ -z "$(find "$here/src" "$here/profiles" "$here/Cargo.lock" -newer "$ccrun" -print -quit)" ]; then
    ccrun=$(cd "$target" && pwd)/release/ccrun
    return
  fi
  command -v cargo >/dev/null || fail "cargo is not installed: get Rust with rustup"
  say "building ccrun in the dev profile (minutes the first time, then seconds)"
  cargo build --locked --manifest-path "$here/Cargo.toml" --target-dir "$target" --bin ccrun || fail "the build failed"
  ccrun=$(cd "$target" && pwd)/debug/ccrun
}

# Starts the stand-in model. It exits when its standard input closes, at the latest when this script exits. Claude Code
# gets an empty home and an invented key, so that no real setting or credential is used. The arguments are the command
# of the stand-in, by default ccrun's own.
stand_in() {
  local waited=0 model_command=("$@")
  [ $# -gt 0 ] || model_command=("$ccrun" stand-in-model)
  mkfifo "$throwaway/model.in"
  "${model_command[@]}" <"$throwaway/model.in" >"$throwaway/model.url" &
  model_pid=$!
  exec 3>"$throwaway/model.in"
  until [ -s "$throwaway/model.url" ]; do
    kill -0 "$model_pid" 2>/dev/null || fail "the stand-in model did not start"
    [ $((waited += 1)) -le $((start_limit * 10)) ] || fail "the stand-in model took more than $start_limit s"
    sleep 0.1
  done
  forget_account
  mkdir -p "$throwaway/home" "$throwaway/work" "$throwaway/bin"
  cd "$throwaway/work" || fail "cannot enter $throwaway/work"
  # A unique path identifies this demo's collectors.
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

# The processes of this demo's ccrun.
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

# Creates a directory that is removed at the end.
make_throwaway() {
  # Without symbolic links, because the collectors are found by this path.
  throwaway=$(cd "$(mktemp -d "${TMPDIR:-/tmp}/ccrun-demo.XXXXXX")" && pwd -P)
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# Puts ccrun and the first Claude Code that was found on PATH.
set_path() {
  PATH=$(dirname "$ccrun"):$PATH
  # The one that was found may not be on PATH yet.
  [ "$(type -P claude)" = "$claude" ] || PATH=$(dirname "$claude"):$PATH
  export PATH
}

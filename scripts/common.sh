# shellcheck shell=bash
# What the scripts here share; they source it.

# A session that a script is started from must not leak into the ones it starts, and CI makes ccrun wait for them.
# Where the counterparts are is no matter of a session.
forget_inherited() {
  local name
  for name in CI CLAUDECODE "${!CCRUN_@}" "${!OTEL_@}"; do
    [ "$name" = CCRUN_COUNTERPARTS ] || unset "$name"
  done
}

# So that nothing here can spend anyone's money by mistake.
forget_account() {
  local name
  for name in "${!ANTHROPIC_@}" "${!CLAUDE_@}"; do
    unset "$name"
  done
}

# Runs a command for so many seconds at most; 124 says that it took longer. A machine without a usable `timeout` goes
# without. In the foreground, or else Ctrl-C would reach the script and not what it waits for.
bounded() {
  local limit=$1
  shift
  if timeout --foreground 1 true 2>/dev/null; then
    timeout --foreground "$limit" "$@"
  else
    "$@"
  fi
}

# shellcheck shell=bash
# Functions that the scripts here share. They source this file.

# Variables of a session around the script must not leak into the sessions that it starts, and CI would make ccrun wait
# for them. The cache of counterparts is kept, because it does not affect a session.
forget_inherited() {
  local name
  for name in CI CLAUDECODE "${!CCRUN_@}" "${!OTEL_@}"; do
    [ "$name" = CCRUN_COUNTERPARTS ] || unset "$name"
  done
}

# No script can spend money on a real account by mistake.
forget_account() {
  local name
  for name in "${!ANTHROPIC_@}" "${!CLAUDE_@}"; do
    unset "$name"
  done
}

# Runs a command with a time limit in seconds. Returns 124 if it took longer. Without a usable `timeout`, there is no
# limit. The command runs in the foreground. Otherwise Ctrl-C would reach the script but not the command.
bounded() {
  local limit=$1
  shift
  if timeout --foreground 1 true 2>/dev/null; then
    timeout --foreground "$limit" "$@"
  else
    "$@"
  fi
}

# Reads the arguments of a script that checks a Claude Code program. Sets `list` to yes or no, and `client` to the path
# of the program. The script defines `here`, `usage` and `fail`.
# shellcheck disable=SC2034 # the script reads them
client_arguments() {
  list=no
  case ${1-} in
    -h | --help) usage && exit ;;
    --list) list=yes && shift ;;
    -*) usage >&2 && exit 2 ;;
  esac
  [ $# -le 1 ] || { usage >&2 && exit 2; }
  client=${1-$("${here:?}/scripts/counterparts.sh" --path claude)} || fail "Claude Code is not installed: run scripts/counterparts.sh claude"
}

#!/usr/bin/env bash
# Lists the variables of a Claude Code program that concern telemetry, and fails if ccrun does not know one.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/client-variables.sh [CLIENT]   check this program; by default the one of scripts/counterparts.sh
       scripts/client-variables.sh --list [CLIENT]
       scripts/client-variables.sh --help

A variable is known if it is in src/environment/: in mod.rs if ccrun sets it, in names.rs if ccrun removes it or leaves
it unchanged, with the reason.
TEXT
}

# Every variable that can decide whether telemetry is exported, where it goes, whose it is and what is in it.
names='(ANT_)?OTEL_[A-Z0-9_]+|CLAUDE_CODE_[A-Z0-9_]*(OTEL|TELEMETRY|TRACE|TRACING)[A-Z0-9_]*'
names+='|[A-Z0-9_]*BETA_TRACING[A-Z0-9_]*|ENABLE_[A-Z0-9_]*TELEMETRY[A-Z0-9_]*|TRACEPARENT|TRACESTATE'

main() {
  local list client unknown
  client_arguments "$@"
  [ -r "$client" ] || fail "cannot read $client"
  if [ "$list" = yes ]; then
    variables "$client"
    exit
  fi
  unknown=$(comm -23 <(variables "$client") <(known)) || fail "cannot compare"
  [ -z "$unknown" ] || fail "$client reads variables that are missing from src/environment/:"$'\n'"$unknown"
  echo "client-variables: all $(variables "$client" | wc -l | tr -d ' ') are known"
}

# Names in the program as whole words, because a longer name is another variable.
variables() {
  grep -aoE "\b($names)\b" "$1" | LC_ALL=C sort -u
}

# Without the variables in tests.
known() {
  local file
  for file in mod names; do
    sed '/^#\[cfg(test)\]/,$d' "$here/src/environment/$file.rs"
  done | grep -oE '"[A-Z][A-Z0-9_]+"' | tr -d '"' | LC_ALL=C sort -u
}

fail() {
  echo "client-variables: $1" >&2
  exit 1
}

main "$@"

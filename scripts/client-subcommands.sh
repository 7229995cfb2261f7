#!/usr/bin/env bash
# Lists the subcommands of a Claude Code program, and fails if ccrun does not know one.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

# Seconds.
help_limit=30

usage() {
  cat <<'TEXT'
Usage: scripts/client-subcommands.sh [CLIENT]   check this program; by default the one of scripts/counterparts.sh
       scripts/client-subcommands.sh --list [CLIENT]
       scripts/client-subcommands.sh --help

A subcommand is known if src/claude/subcommands.txt says what a launch gives it. The script only runs the program's help,
in an empty home directory.
TEXT
}

main() {
  local list client found unknown
  client_arguments "$@"
  [ -x "$client" ] || fail "cannot run $client"
  forget_inherited
  forget_account
  home=$(mktemp -d)
  trap 'rm -rf "$home"' EXIT
  found=$(subcommands "$client")
  # If the program is built differently, the search finds nothing and would succeed.
  [ "$(grep -cxE 'mcp|doctor|stop|remote-control|edit-hook' <<<"$found")" = 5 ] || fail "cannot find the subcommands of $client"
  if [ "$list" = yes ]; then
    echo "$found"
    exit
  fi
  unknown=$(LC_ALL=C comm -23 <(echo "$found") <(known)) || fail "cannot compare"
  [ -z "$unknown" ] || fail "$client has subcommands that are missing from src/claude/subcommands.txt:"$'\n'"$unknown"
  echo "client-subcommands: all $(wc -l <<<"$found" | tr -d ' ') are known"
}

# The subcommands in its help, and hidden ones: words that its program compares with the first argument or declares, and
# that have their own help.
subcommands() {
  local root word
  root=$(help_of "$1" --help | head -n 1)
  [ -n "$root" ] || fail "$1 prints no help"
  {
    help_of "$1" --help | sed -n '/^Commands:/,$s/^  \([a-z][a-z|-]*\).*/\1/p' | tr '|' '\n'
    candidates "$1" | while IFS= read -r word; do
      if known | grep -qxF -- "$word" || [ "$(help_of "$1" "$word" --help | head -n 1)" != "$root" ]; then
        echo "$word"
      fi
    done
  } | LC_ALL=C sort -u
}

candidates() {
  LC_ALL=C grep -aoE "\.(command|alias)\(\"[a-z][a-z-]+|\b[a-zA-Z]\[0\]===\"[a-z][a-z-]+\"" "$1" |
    sed -E 's/^[^"]*"([a-z-]+).*/\1/' | LC_ALL=C sort -u
}

help_of() {
  local client=$1
  shift
  (cd "$home" && HOME=$home DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
    bounded "$help_limit" "$client" "$@" 2>&1 </dev/null) || true
}

known() {
  sed -n 's/^\([a-z-]*\) [a-z]*$/\1/p' "$here/src/claude/subcommands.txt" | LC_ALL=C sort -u
}

fail() {
  echo "client-subcommands: $1" >&2
  exit 1
}

main "$@"

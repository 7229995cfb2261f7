#!/usr/bin/env bash
# Makes the pictures of the README and of docs/: runs real sessions of Claude Code with a stand-in model, and renders what
# `ccrun report` and `ccrun top` show on a terminal as report.svg and top.svg, in docs/ or another directory.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"
# shellcheck source=scripts/stand_in.sh
. "$here/scripts/stand_in.sh"

# Seconds.
session_limit=120

# Project, branch, model, and number of questions.
sessions=(
  "api main claude-opus-4-5 3"
  "api fix/retries claude-opus-4-5 2"
  "web main claude-sonnet-4-5 3"
  "infra main claude-haiku-4-5 2"
)

# Sessions on a terminal: project, branch, model, what happens to its question: `answered`, `asks` for permission, or
# `works` on the answer.
open=(
  "api fix/retries claude-opus-4-5 answered"
  "web main claude-sonnet-4-5 works"
  "infra main claude-haiku-4-5 asks"
)

main() {
  local target=${1:-$here/docs}
  case $target in
    -*) fail "usage: scripts/picture.sh [DIRECTORY]" ;;
    /*) ;;
    *) target=$PWD/$target ;;
  esac
  command -v python3 >/dev/null || fail "python3 is not installed"
  command -v tmux >/dev/null || fail "tmux is not installed"
  forget_inherited
  find_claude
  build
  make_throwaway
  # This stand-in can set the usage that its answers report.
  cargo build --locked --manifest-path "$here/Cargo.toml" --example stand_in_model || fail "the build failed"
  local program=${CARGO_TARGET_DIR:-$here/target}/debug/examples/stand_in_model
  local answer=(--text "Done." --bash "touch done" --input 2100 --output 640 --cache-read 41000 --cache-creation 3300)
  stand_in "$program" "${answer[@]}"
  set_path
  local session project branch model questions
  for session in "${sessions[@]}"; do
    read -r project branch model questions <<<"$session"
    enter "$project" "$branch"
    while [ "$questions" -gt 0 ]; do
      bounded "$session_limit" ccrun claude -p "Fix the tests" --model "$model" --allowedTools Bash \
        </dev/null >/dev/null 3>&- || fail "a session failed with exit code $?"
      questions=$((questions - 1))
    done
  done
  cd "$HOME"
  python3 "$here/scripts/terminal_svg.py" --columns 92 --title "ccrun report" --output "$target/report.svg" -- \
    ccrun report 3>&- || fail "cannot render the picture"
  say "wrote $target/report.svg"
  show_top "$program" "$target/top.svg"
}

# Opens sessions on terminals of tmux, and renders `ccrun top` beside them.
show_top() {
  local program=$1 target=$2 row project branch name fate options slow
  settle_in
  mkfifo "$throwaway/slow.in"
  "$program" --text "Done." --stall --input 900 --output 210 --cache-read 52000 --cache-creation 1200 \
    <"$throwaway/slow.in" >"$throwaway/slow.url" 3>&- &
  exec 4>"$throwaway/slow.in"
  wait_for "the second stand-in" test -s "$throwaway/slow.url"
  slow=$(cat "$throwaway/slow.url")
  for row in "${open[@]}"; do
    read -r project branch name fate <<<"$row"
    enter "$project" "$branch"
    options=()
    [ "$fate" != answered ] || options=(--allowedTools Bash)
    [ "$fate" != works ] || options=(--settings "{\"env\":{\"ANTHROPIC_BASE_URL\":\"$slow\"}}")
    pane new-session -d -s "$project" -x 120 -y 40 \
      "$(printf '%q ' ccrun claude --model "$name" --permission-mode default "${options[@]}")" 3>&- 4>&-
    wait_for "$project's prompt" shows "$project" '❯'
    pane send-keys -t "$project" -l "Fix the tests"
    wait_for "$project's question" shows "$project" 'Fix the tests'
    pane send-keys -t "$project" Enter
  done
  cd "$HOME"
  pane new-session -d -s view -x 100 -y 13 "ccrun top" 3>&- 4>&-
  wait_for "top" shows view '1 waiting, 1 busy, 1 idle'
  pane capture-pane -e -N -p -t view >"$throwaway/top.txt"
  pane kill-server
  exec 4>&-
  python3 "$here/scripts/terminal_svg.py" --columns 100 --title "ccrun top" --output "$target" --input "$throwaway/top.txt" ||
    fail "cannot render the picture"
  say "wrote $target"
}

pane() {
  tmux -u -L picture -f /dev/null "$@"
}

shows() {
  pane capture-pane -p -t "$1" | grep -q "$2"
}

# Waits until a command succeeds.
wait_for() {
  local what=$1 waited=0
  shift
  until "$@"; do
    [ $((waited += 1)) -le $((session_limit * 10)) ] || fail "waited too long for $what"
    sleep 0.1
  done
}

# Answers what Claude Code asks at its first start on a terminal.
settle_in() {
  local project projects=
  for project in api web infra; do
    projects+="${projects:+, }\"$HOME/work/$project\": {\"hasTrustDialogAccepted\": true}"
  done
  printf '{"hasCompletedOnboarding": true, "customApiKeyResponses": {"approved": ["%s"]}, "projects": {%s}}\n' \
    "$ANTHROPIC_API_KEY" "$projects" >"$HOME/.claude.json"
}

# Changes to a project's checkout of this branch.
enter() {
  local directory=$HOME/work/$1
  if [ ! -d "$directory" ]; then
    git init -q "$directory"
  fi
  cd "$directory"
  git symbolic-ref HEAD "refs/heads/$2"
}

say() {
  printf 'picture: %s\n' "$1" >&2
}

fail() {
  pane kill-server 2>/dev/null || true
  printf 'picture: %s\n' "$1" >&2
  exit 1
}

main "$@"

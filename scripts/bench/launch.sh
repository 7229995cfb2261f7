#!/usr/bin/env bash
# Measures the overhead of launchers: a trivial program alone, through ccrun, and through others.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/launch.sh [RUNS]     RUNS of each, by default 50; prints a Markdown table
       scripts/bench/launch.sh --smoke    once
       scripts/bench/launch.sh --help

Other launchers are measured if they are installed (envdir, direnv) or available from npm (dotenvx, mise) or PyPI
(opentelemetry-instrument).
TEXT
}

main() {
  begin "$@"
  true=$(type -P true)
  mkdir "$HOME/project"
  cd "$HOME/project"
  printf 'ONE=1\nTWO=2\n' >.env
  commands=(
    "the program alone" "$true"
    "env, which only executes" "env ONE=1 $true"
    "ccrun" "ccrun $true"
    "ccrun with a destination" "ccrun -p otlp --var endpoint=http://127.0.0.1:9 $true"
    "ccrun --direct" "ccrun --direct -p otlp --var endpoint=http://127.0.0.1:9 $true"
    "ccrun --dry-run" "ccrun --dry-run $true"
  )
  others
  export state scratch
  export -f end_collectors until_gone
  # A collector exits a moment after its program, and would take processor time from the next command.
  bench alternate --runs "${runs:-$(usually 50 1)}" --warmup "$(usually 3 0)" --heading "a launch" \
    --after "bash -c end_collectors" "${commands[@]}" </dev/null
}

others() {
  local program
  mkdir "$HOME/env"
  echo 1 >"$HOME/env/ONE"
  other "envdir (daemontools)" envdir "$HOME/env"
  if command -v direnv >/dev/null; then
    echo 'export ONE=1' >.envrc
    direnv allow . 2>>"$said"
    other "direnv exec" direnv exec .
  else
    progress "direnv: skipped: it is not installed"
  fi
  ! program=$(counterpart mise) || other "mise x" "$program" x --
  ! program=$(counterpart dotenvx) || other "dotenvx run" "$program" run --quiet --
  ! program=$(counterpart otel-instrument) || other "opentelemetry-instrument" "$program"
}

# Adds a launcher to the measured commands if it is installed and works.
other() {
  local name=$1
  shift
  if ! command -v "$1" >/dev/null; then
    progress "$1: skipped: it is not installed"
  elif ! "$@" "$true" >>"$said" 2>&1 </dev/null; then
    progress "$name: skipped: it does not run $true here"
  else
    commands+=("$name" "$* $true")
  fi
}

main "$@"

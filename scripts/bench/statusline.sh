#!/usr/bin/env bash
# Measures the status line, which Claude Code waits for after each answer: ccrun's, with a large ledger, against those of
# ccusage and ccstatusline, for the same JSON.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/statusline.sh [RUNS]    RUNS of each, 20 unless told otherwise, with a ledger of a million requests;
                                             prints Markdown tables
       scripts/bench/statusline.sh --smoke   once, with little
       scripts/bench/statusline.sh --help

CCUSAGE and CCSTATUSLINE name these programs (npm ccusage@20.0.24 and ccstatusline@2.2.30); without them ccrun is measured
alone. Claude Code runs a status line by a shell, and so does this.
TEXT
}

main() {
  begin "$@"
  local json=$scratch/status.json of=$scratch/states/line commands=() name
  cp "$here/src/claude/status_line/answer.json" "$json"
  progress "statusline: a ledger"
  mkdir -p "$scratch/states"
  mkdir -m 700 "$of"
  bench ledger "$of/ledger-1.db" "$(usually 1000000 100)" >/dev/null
  line floor cat
  line ccrun env "CCRUN_STATE_DIR=$of" ccrun statusline
  commands=("\`cat\`" "sh $scratch/floor" "\`ccrun statusline\`" "sh $scratch/ccrun")
  if [ -n "${CCUSAGE-}" ]; then
    # It reads transcripts: these are of a day and of one project.
    python3 "$here/scripts/bench/transcripts.py" "$HOME/.claude" 20 3 >/dev/null
    line ccusage "$CCUSAGE" statusline --offline
    commands+=("\`ccusage statusline --offline\`" "sh $scratch/ccusage")
  fi
  if [ -n "${CCSTATUSLINE-}" ]; then
    line ccstatusline "$CCSTATUSLINE"
    commands+=("\`ccstatusline\`" "sh $scratch/ccstatusline")
  fi
  bench alternate --runs "${runs:-$(usually 20 1)}" --heading "a status line" "${commands[@]}" </dev/null
  echo
  head_row "" "most memory"
  row "\`ccrun statusline\`" "$(memory ccrun)"
  for name in ccusage ccstatusline; do
    [ ! -e "$scratch/$name" ] || row "\`$name\`" "$(memory "$name")"
  done
}

# A script that runs a command with the JSON.
line() {
  local name=$1
  shift
  printf 'exec %s <"%s"\n' "$(printf '%q ' "$@")" "$scratch/status.json" >"$scratch/$name"
}

# The most memory that a line had, in MiB.
memory() {
  python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print("%.1f MiB" % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))' sh "$scratch/$1"
}

main "$@"

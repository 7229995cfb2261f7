#!/usr/bin/env bash
# Measures reports on past usage: Claude Code's transcripts, imported once and then reported by ccrun, compared with
# ccusage, which reads them every time.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/history.sh [RUNS]    RUNS of each, by default 5, on 2,000 transcripts of 304 MB; prints
                                          Markdown tables
       scripts/bench/history.sh --smoke   once, with few transcripts
       scripts/bench/history.sh --help

CCUSAGE is the path of ccusage (npm ccusage@20.0.24). Without it, only ccrun is measured.
TEXT
}

main() {
  begin "$@"
  local claude=$HOME/.claude commands=() program
  progress "history: writing transcripts"
  # shellcheck disable=SC2046 # two numbers
  python3 "$here/scripts/bench/transcripts.py" "$claude" $(usually "2000 304" "20 3") >"$scratch/requests"
  ccrun import >/dev/null
  commands=("\`ccrun report --by day\`" "ccrun report --by day"
    "\`ccrun import\`, from nothing" "$(fresh ccrun import)"
    "\`ccrun import\`, nothing new" "ccrun import")
  if program=${CCUSAGE-} && [ -n "$program" ]; then
    commands+=("\`ccusage daily --offline\`" "$program daily --offline")
  fi
  bench alternate --runs "${runs:-$(usually 5 1)}" --heading "$(cat "$scratch/requests") requests" "${commands[@]}" </dev/null
  echo
  head_row "" "most memory"
  row "\`ccrun report --by day\`" "$(memory ccrun report --by day)"
  row "\`ccrun import\`, from nothing" "$(memory sh "$scratch/fresh")"
  [ -z "${CCUSAGE-}" ] || row "\`ccusage daily --offline\`" "$(memory "$CCUSAGE" daily --offline)"
  echo
  head_row "" tokens cost
  row ccrun "$(ccrun report --json | field tokens)" "$(ccrun report --json | field cost_usd)"
  [ -z "${CCUSAGE-}" ] || row ccusage "$("$CCUSAGE" daily --offline --json | other totalTokens)" \
    "$("$CCUSAGE" daily --offline --json | other totalCost)"
  row "what Claude Code noted" "" "$(noted "$claude")"
}

# Prints a command that runs another one with an empty ledger.
fresh() {
  printf 'rm -rf "%s"\nCCRUN_STATE_DIR="%s" exec %s\n' "$scratch/fresh-state" "$scratch/fresh-state" "$*" >"$scratch/fresh"
  echo "sh $scratch/fresh"
}

# The peak memory of a program without its children, in MB.
memory() {
  python3 -c '
import os, resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print("%.1f MB" % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6))' "$@"
}

field() {
  python3 -c 'import json, sys; print(json.load(sys.stdin)["total"][sys.argv[1]])' "$1"
}

other() {
  python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"][sys.argv[1]])' "$1"
}

# The total cost in Claude Code's transcripts.
noted() {
  grep -rh --include='*.jsonl' '"type":"cost-state"' "$1" |
    python3 -c 'import json, sys; print("%.6f" % sum(json.loads(line)["totalCostUSD"] for line in sys.stdin))'
}

main "$@"

#!/usr/bin/env bash
# Measures the collector beside others: each of the parts is a script of its own.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/bench/collector.sh [RUNS]     listening.sh, memory.sh, acknowledgement.sh and delivery.sh, one after the
                                             other; prints Markdown tables
       scripts/bench/collector.sh --smoke
       scripts/bench/collector.sh --help
TEXT
}

case ${1-} in
  -h | --help) usage && exit ;;
esac
for part in listening memory acknowledgement delivery; do
  echo
  "$(dirname "$0")/$part.sh" "$@"
done

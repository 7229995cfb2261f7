#!/usr/bin/env bash
# Measures the collector against other receivers. Each part is a separate script.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/bench/collector.sh [RUNS]     run listening.sh, memory.sh, acknowledgement.sh and delivery.sh in
                                             turn; prints Markdown tables
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

#!/usr/bin/env bash
# Measures `ccrun report --from`, with the real engine of ClickHouse: its time beside that of the same aggregate asked of the
# engine directly, for a million and for ten million rows.
set -euo pipefail
# shellcheck source=scripts/bench/common.sh
. "$(dirname "$0")/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/sources.sh [RUNS]    RUNS of each, 3 unless told otherwise, with 1 and 10 million rows; takes a quarter of
                                          an hour; prints a Markdown table
       scripts/bench/sources.sh --smoke   once, with few rows
       scripts/bench/sources.sh --help

The engine is chdb's, which scripts/counterparts.sh installs.
TEXT
}

main() {
  begin "$@"
  local python sizes
  python=$(counterpart chdb) || skip "there is no chdb"
  read -ra sizes <<<"$(usually "1000000 10000000" 1000)"
  progress "sources: ${sizes[*]} rows"
  head_row "rows" "\`report --from --by day,model\`" "the same statement" "ratio" "an aggregate by hand" "most memory of ccrun"
  "$python" "$here/scripts/bench/sources.py" "$here/tests/it/support/chdb/server.py" "$scratch/bin/ccrun" \
    "${runs:-$(usually 3 1)}" "${sizes[@]}"
}

main "$@"

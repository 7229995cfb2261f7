#!/usr/bin/env bash
# Measures the cost of a collector that is idle, after a session's load, and with undeliverable data: memory, processor
# time, wake-ups. For ccrun, keeper and worker are counted together.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/memory.sh [RUNS] [PART]...   RUNS of each, by default 2; prints Markdown tables
       scripts/bench/memory.sh --smoke            once, with a few requests
       scripts/bench/memory.sh --help

Parts: rest, session (ten minutes of a session's load, as fast as possible), ten-minutes (the same in ten minutes),
backlog (512 MiB that cannot be delivered). Default: all except ten-minutes.
TEXT
}

main() {
  begin "$@"
  find_others
  local round part
  [ ${#words[@]} -gt 0 ] || words=(rest session backlog)
  serve 4 backend bench backend --tls "$scratch/authority.pem"
  up=$served
  for part in "${words[@]}"; do
    case $part in
      rest | session | ten-minutes | backlog) ;;
      *) misuse "there is no part \`$part\`" ;;
    esac
    for round in $(seq "${runs:-$(usually 2 1)}"); do
      progress "memory: $part, round $round"
      "measure_${part//-/_}"
    done
    "table_${part//-/_}"
  done
}

# By default, the destination is available and has TLS.
measure_rest() {
  at_rest ccrun-local "ccrun, this machine only" "$(closed_url)"
  at_rest ccrun-tls "ccrun, TLS destination" "$up"
  at_rest ccrun-tls "ccrun, TLS destination that is away" "https://localhost:$(free_port)"
  local who
  for who in otelcol-memory otelcol-disk rotel; do
    ! is_there "$who" || at_rest "$who" "$who" "$up"
  done
}

at_rest() {
  local who=$1 name=$2 seconds used woken
  seconds=$(usually 10 1)
  receive "$who" "$3"
  # One-time work after the start is not part of idling. A first load contacts the destination, and the threads for that
  # exit ten seconds later.
  loaded "$who" --requests 3 --mixed || return 0
  sleep "$(usually 15 0)"
  used=$(processor) woken=$(wakeups)
  sleep "$seconds"
  record "rest cpu" "$name" "$(per_second "$(processor)" "$used" "$seconds")"
  record "rest wakeups" "$name" "$(per_second "$(wakeups)" "$woken" "$seconds")"
  record "rest pss" "$name" "$(memory Pss)"
  record "rest rss" "$name" "$(memory Rss)"
  dismiss "$who"
}

per_second() {
  awk -v after="$1" -v before="$2" -v seconds="$3" 'BEGIN { print (after - before) / seconds }'
}

table_rest() {
  local name
  echo
  head_row "at rest" PSS RSS "processor, ms a second" "wake-ups a second" "PSS, ccrun with TLS against it"
  for name in "ccrun, this machine only" "ccrun, TLS destination" "ccrun, TLS destination that is away" otelcol-memory \
    otelcol-disk rotel; do
    [ "$(median "rest pss" "$name")" != – ] || continue
    row "$name" "$(mebibytes "rest pss" "$name")" "$(mebibytes "rest rss" "$name")" \
      "$(awk -v cpu="$(median "rest cpu" "$name")" 'BEGIN { printf "%.2f", cpu * 1000 }')" \
      "$(show "$(median "rest wakeups" "$name")" 1)" "$(ratio "rest pss" "ccrun, TLS destination" "$name")"
  done
}

# 180 exports of events and metrics: a session's exports in ten minutes.
measure_session() { after_load session 0; }
measure_ten_minutes() { after_load ten-minutes "$(usually 3333 1)"; }

after_load() {
  local part=$1 every=$2 who
  for who in ccrun-tls otelcol-memory otelcol-disk otelcol-fsync rotel; do
    is_there "$who" || continue
    receive "$who" "$up"
    loaded "$who" --requests "$(usually 180 6)" --mixed --every "$every" || continue
    sleep "$(usually 8 0)"
    record "$part pss" "$who" "$(memory Pss)"
    record "$part rss" "$who" "$(memory Rss)"
    dismiss "$who"
  done
}

table_session() { table_after session "after ten minutes' exports, sent at once"; }
table_ten_minutes() { table_after ten-minutes "after ten minutes of a session"; }

table_after() {
  local who
  echo
  head_row "$2" PSS RSS "PSS, ccrun against it"
  for who in ccrun-tls otelcol-memory otelcol-disk otelcol-fsync rotel; do
    is_there "$who" || continue
    row "$who" "$(mebibytes "$1 pss" "$who")" "$(mebibytes "$1 rss" "$who")" "$(ratio "$1 pss" ccrun-tls "$who")"
  done
}

# Just below ccrun's cap.
measure_backlog() {
  local who
  for who in ccrun otelcol-memory otelcol-disk rotel; do
    is_there "$who" || continue
    receive "$who" "$(closed_url)"
    loaded "$who" --requests "$(usually 49900 20)" --connections 8 || continue
    record "backlog rss" "$who" "$(memory Rss)"
    sleep "$(usually 8 0)"
    record "backlog pss" "$who" "$(memory Pss)"
    record "backlog rss later" "$who" "$(memory Rss)"
    dismiss "$who"
  done
}

table_backlog() {
  local who
  echo
  head_row "with 512 MiB that cannot be delivered" "RSS at once" "RSS 8 s later" "PSS 8 s later" "RSS, ccrun against it"
  for who in ccrun otelcol-memory otelcol-disk rotel; do
    is_there "$who" || continue
    row "$who" "$(mebibytes "backlog rss" "$who")" "$(mebibytes "backlog rss later" "$who")" \
      "$(mebibytes "backlog pss" "$who")" "$(ratio "backlog rss" ccrun "$who")"
  done
}

mebibytes() {
  show "$(median "$1" "$2" | awk '{ print $1 == "–" ? $1 : $1 / 1024 }')" 1 MiB
}

main "$@"

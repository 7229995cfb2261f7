#!/usr/bin/env bash
# Measures how fast a collector hands on what it is given, what that costs, and how fast it drains what has waited.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/delivery.sh [RUNS] [PART]...   RUNS of each, 3 unless told otherwise; prints Markdown tables
       scripts/bench/delivery.sh --smoke            once, with a few requests
       scripts/bench/delivery.sh --help

Parts: through (10.8 KB requests on eight connections, until the last is delivered), drain (the same, when they have waited
for a backend that was away). Both, unless one is named.
TEXT
}

main() {
  begin "$@"
  find_otelcol
  local part
  [ ${#words[@]} -gt 0 ] || words=(through drain)
  requests=$(usually 10000 10)
  for part in "${words[@]}"; do
    case $part in
      through) everyone=(ccrun ccrun-plain otelcol-memory otelcol-disk otelcol-plain otelcol-fsync) ;;
      drain) everyone=(ccrun ccrun-plain otelcol-disk otelcol-plain otelcol-fsync) ;;
      *) misuse "there is no part \`$part\`" ;;
    esac
    [ "$smoke" = no ] || everyone=(ccrun otelcol-disk)
    measure "$part"
    "table_$part"
  done
}

measure() {
  local part=$1 round who
  for round in $(seq "${runs:-$(usually 3 1)}"); do
    for who in "${everyone[@]}"; do
      is_there "$who" || continue
      progress "delivery: $part, round $round, $who"
      "$part" "$who"
    done
  done
}

# Sets begun and received: when it began, and how many records it acknowledged.
load() {
  local answer
  begun=$EPOCHREALTIME
  answer=$(bench load "$url" --requests "$requests" --connections 8)
  read -r _ _ received bytes _ <<<"$answer"
}

# With the default settings of both, but for the queues' sizes.
through() {
  local who=$1 used begun received bytes answer
  serve 4 backend bench backend
  receive "$who" "$served"
  used=$(processor)
  load
  answer=$(asked 4 "$received")
  delivered through "$who" "$begun" "$answer"
  record "through cpu" "$who" "$(awk -v after="$(processor)" -v before="$used" -v bytes="$bytes" \
    'BEGIN { print (after - before) / bytes * 1e9 }')"
  dismiss "$who"
  unserve 4
}

# As long as the backend is away; then it comes, and whoever kept the requests is started again.
drain() {
  local who=$1 begun received bytes answer closed
  closed=$(closed_url)
  receive "$who" "$closed"
  load
  keep=yes
  dismiss "$who"
  serve 4 backend bench backend --listen "${closed#http://}"
  begun=$EPOCHREALTIME
  case $who in
    ccrun*) ccrun queue flush --wait 5m >>"$said" 2>&1 || fail "the queue is not flushed" ;;
    *) receive "$who" "$closed" ;;
  esac
  answer=$(asked 4 "$received")
  delivered drain "$who" "$begun" "$answer"
  keep=no
  case $who in
    ccrun*) forget_state ;;
    *) dismiss "$who" ;;
  esac
  unserve 4
}

# Keeps what came of it: `delivered PART WHO BEGUN ANSWER`.
delivered() {
  local records requests bytes now=$EPOCHREALTIME
  read -r records requests bytes _ <<<"$4"
  record "$1 rate" "$2" "$(awk -v records="$records" -v now="$now" -v begun="$3" 'BEGIN { print records / (now - begun) }')"
  record "$1 requests" "$2" "$requests"
  record "$1 bytes" "$2" "$bytes"
}

table_through() {
  local who
  echo
  head_row "received, kept and delivered" records/s "processor, s per GB" "requests to the backend" "MB to it" \
    "records/s, ccrun against it"
  for who in "${everyone[@]}"; do
    is_there "$who" || continue
    row "$who" "$(show "$(median "through rate" "$who")" 0)" "$(show "$(median "through cpu" "$who")" 2)" \
      "$(show "$(median "through requests" "$who")" 0)" "$(megabytes "through bytes" "$who")" \
      "$(ratio "through rate" ccrun "$who")"
  done
}

table_drain() {
  local who
  echo
  head_row "a backlog of 10.8 KB requests, drained" records/s "requests to the backend" "MB to it" \
    "records/s, ccrun against it"
  for who in "${everyone[@]}"; do
    is_there "$who" || continue
    row "$who" "$(show "$(median "drain rate" "$who")" 0)" "$(show "$(median "drain requests" "$who")" 0)" \
      "$(megabytes "drain bytes" "$who")" "$(ratio "drain rate" ccrun "$who")"
  done
}

megabytes() {
  show "$(median "$1" "$2" | awk '{ print $1 == "–" ? $1 : $1 / 1e6 }')" 1
}

main "$@"

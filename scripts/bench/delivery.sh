#!/usr/bin/env bash
# Measures how fast a collector forwards data, what that costs, and how fast it drains a backlog.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/delivery.sh [RUNS] [PART]...   RUNS of each, by default 2; prints Markdown tables
       scripts/bench/delivery.sh --smoke            once, with a few requests
       scripts/bench/delivery.sh --help

Parts: through (10.8 KB requests on eight connections, until the last is delivered), drain (the same after an outage of
the backend). Default: both.
TEXT
}

main() {
  begin "$@"
  find_others
  local part
  [ ${#words[@]} -gt 0 ] || words=(through drain)
  requests=$(usually 10000 10)
  for part in "${words[@]}"; do
    case $part in
      through) everyone=(ccrun ccrun-plain otelcol-memory otelcol-disk otelcol-plain otelcol-fsync rotel rotel-plain) ;;
      # Receivers that keep their queue only in memory lose it in a restart, so they are left out.
      drain) everyone=(ccrun ccrun-plain otelcol-disk otelcol-plain otelcol-fsync) ;;
      *) misuse "there is no part \`$part\`" ;;
    esac
    [ "$smoke" = no ] || everyone=(ccrun otelcol-disk)
    [ "$smoke $part" != "yes through" ] || everyone+=(rotel)
    measure "$part"
    "table_$part"
  done
}

measure() {
  local part=$1 round who
  for round in $(seq "${runs:-$(usually 2 1)}"); do
    for who in "${everyone[@]}"; do
      is_there "$who" || continue
      progress "delivery: $part, round $round, $who"
      "$part" "$who"
    done
  done
}

# Sends the load. Sets begun, received and bytes: the start time, and what was acknowledged.
load() {
  local answer
  begun=$EPOCHREALTIME
  answer=$(bench load "$url" --requests "$requests" --connections 8)
  read -r _ _ received bytes _ <<<"$answer"
}

# With the default settings, except for the queue sizes.
through() {
  local who=$1 used begun received bytes
  serve 4 backend bench backend
  receive "$who" "$served"
  used=$(processor)
  load
  ! arrived through "$who" || record_cost through "$who" "$used"
  dismiss "$who"
  unserve 4
}

# The load arrives while the backend is down. Then the backend starts, and receivers that store their queue restart.
drain() {
  local who=$1 begun received bytes closed
  closed=$(closed_url)
  receive "$who" "$closed"
  load
  keep=yes
  dismiss "$who"
  serve 4 backend bench backend --listen "${closed#http://}"
  begun=$EPOCHREALTIME
  case $who in
    ccrun*) flush ;;
    *) receive "$who" "$closed" ;;
  esac
  # The processor time since the start, including the restart, because that is part of the cost.
  if arrived drain "$who"; then
    case $who in
      ccrun*) record "drain cpu" "$who" "$(awk -v bytes="$bytes" '{ print ($1 + $2) / bytes * 1e9 }' "$scratch/flushed")" ;;
      *) record_cost drain "$who" 0 ;;
    esac
  fi
  keep=no
  case $who in
    ccrun*) forget_state ;;
    *) dismiss "$who" ;;
  esac
  unserve 4
}

# Leaves its processor time in $scratch/flushed.
flush() {
  local TIMEFORMAT='%U %S'
  { time ccrun queue flush --wait 5m >>"$said" 2>&1; } 2>"$scratch/flushed" || fail "the queue is not flushed"
}

# Waits until everything acknowledged has arrived, and records how long that took. If another product's receiver loses
# data, returns false: it must not end the run.
arrived() {
  local answer records requests bytes now
  if ! answer=$(asked 4 "$received"); then
    [[ $2 != ccrun* ]] || fail "$2 has not delivered what it acknowledged"
    progress "$2 has not delivered what it acknowledged"
    kill "$server"
    return 1
  fi
  now=$EPOCHREALTIME
  read -r records requests bytes _ <<<"$answer"
  record "$1 rate" "$2" "$(awk -v records="$records" -v now="$now" -v begun="$begun" 'BEGIN { print records / (now - begun) }')"
  record "$1 requests" "$2" "$requests"
  record "$1 bytes" "$2" "$bytes"
}

# Records the processor time per gigabyte of input: `record_cost PART WHO SECONDS_BEFORE`.
record_cost() {
  record "$1 cpu" "$2" "$(awk -v after="$(processor)" -v before="$3" -v bytes="$bytes" \
    'BEGIN { print (after - before) / bytes * 1e9 }')"
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
  head_row "a backlog of 10.8 KB requests, drained" records/s "processor, s per GB" "requests to the backend" \
    "MB to it" "records/s, ccrun against it"
  for who in "${everyone[@]}"; do
    is_there "$who" || continue
    row "$who" "$(show "$(median "drain rate" "$who")" 0)" "$(show "$(median "drain cpu" "$who")" 2)" \
      "$(show "$(median "drain requests" "$who")" 0)" "$(megabytes "drain bytes" "$who")" \
      "$(ratio "drain rate" ccrun "$who")"
  done
}

megabytes() {
  show "$(median "$1" "$2" | awk '{ print $1 == "–" ? $1 : $1 / 1e6 }')" 1
}

main "$@"

#!/usr/bin/env bash
# Measures how long a client waits for the acknowledgement of a request, how many are acknowledged in a second and what
# that costs, while the destination is away: ccrun, others, and the floor of this machine.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/acknowledgement.sh [RUNS] [WORD]...   RUNS of each, 2 unless told otherwise; prints Markdown tables
       scripts/bench/acknowledgement.sh --smoke            once, with a few requests
       scripts/bench/acknowledgement.sh --help

Words choose formats (protobuf, json, grpc, gzip: protobuf that the client has compressed), sizes (small, usual, large),
connections (one, eight) and receivers (ccrun, otelcol-memory, otelcol-disk, otelcol-fsync, rotel, floor-read, floor-one,
floor-eight, and for protobuf of the usual size insert-one and insert-eight); of what no word chooses, all are measured.
`scripts/bench/acknowledgement.sh 3 protobuf usual ccrun floor-one floor-eight` takes a minute.
TEXT
}

main() {
  begin "$@"
  local round format size connections who
  choose
  find_others
  for round in $(seq "${runs:-$(usually 2 1)}"); do
    for format in "${formats[@]}"; do
      for size in "${sizes[@]}"; do
        for connections in "${counts[@]}"; do
          progress "acknowledgement: round $round, $format, $size, $connections connections"
          for who in "${receivers[@]}"; do
            case $who in
              insert-*) [ "$format $size" != "protobuf usual" ] || insert "$who" "$connections" ;;
              *) ! is_there "$who" || measure "$who" "$format" "$size" "$connections" ;;
            esac
          done
        done
      done
    done
  done
  for format in "${formats[@]}"; do
    for size in "${sizes[@]}"; do
      for connections in "${counts[@]}"; do
        table "$format" "$size" "$connections"
      done
    done
  done
}

choose() {
  local word
  formats=() sizes=() counts=() receivers=()
  for word in "${words[@]}"; do
    case $word in
      protobuf | json | grpc | gzip) formats+=("$word") ;;
      small | usual | large) sizes+=("$word") ;;
      one) counts+=(1) ;;
      eight) counts+=(8) ;;
      ccrun | otelcol-* | rotel | floor-* | insert-*) receivers+=("$word") ;;
      *) misuse "there is no \`$word\` to measure" ;;
    esac
  done
  [ ${#formats[@]} -gt 0 ] || formats=(protobuf json grpc gzip)
  [ ${#sizes[@]} -gt 0 ] || read -r -a sizes <<<"$(usually "small usual large" usual)"
  [ ${#counts[@]} -gt 0 ] || read -r -a counts <<<"$(usually "1 8" 8)"
  [ ${#receivers[@]} -gt 0 ] ||
    receivers=(ccrun otelcol-memory otelcol-disk otelcol-fsync rotel floor-read floor-one floor-eight insert-one
      insert-eight)
}

# Each on a receiver of its own, so that none has to do with what an earlier one has left.
measure() {
  local who=$1 format=$2 size=$3 connections=$4 to requests warmup answer used
  local -a form=(--format "$format")
  receive "$who" "$(closed_url)"
  to=$url
  [ "$format" != grpc ] || to=$grpc_url
  [ "$format" != gzip ] || form=(--gzip)
  requests=$(usually 2000 10) warmup=$(usually 100 2)
  [ "$size" != large ] || requests=$(usually 60 2) warmup=2
  used=$(processor)
  answer=$(bench load "$to" "${form[@]}" --size "$size" --connections "$connections" --requests "$requests" \
    --warmup "$warmup" 2>>"$said") || answer=
  used=$(awk -v after="$(processor)" -v before="$used" 'BEGIN { print after - before }')
  dismiss "$who"
  if [ -z "$answer" ]; then
    # What becomes of another's receiver must not end the run.
    [ "$who" != ccrun ] || fail "ccrun acknowledges nothing"
    progress "$who acknowledges nothing in round $round: $(tail -n 1 "$said")"
    return 0
  fi
  record_answer "$format $size $connections" "$who" "$answer"
  # Those that went first cost as much as those that were timed.
  record "$format $size $connections cpu" "$who" "$(awk -v used="$used" -v all=$((requests + warmup)) \
    '{ print used / ($4 / ($1 + $2) * all) * 1e9 }' <<<"$answer")"
}

# The floor without a receiver: rows that are put on disk by one process, and nothing else.
insert() {
  local group=1
  [ "$1" = insert-one ] || group=8
  record_answer "protobuf usual $2" "$1" "$(bench insert "$scratch/insert.db" "$(usually 2000 16)" --group "$group")"
  rm -f "$scratch"/insert.db*
}

# Keeps what `bench load` has said: `record_answer WHAT WHO ANSWER`.
record_answer() {
  local count refused seconds p50 p99 p999 what=$1 who=$2
  read -r count refused _ _ seconds p50 p99 p999 <<<"$3"
  record "$what rate" "$who" "$(awk -v count="$count" -v seconds="$seconds" 'BEGIN { print count / seconds }')"
  record "$what p50" "$who" "$p50"
  record "$what p99" "$who" "$p99"
  record "$what p999" "$who" "$p999"
  record "$what refused" "$who" "$refused"
}

table() {
  local format=$1 size=$2 connections=$3 who what="$1 $2 $3" name
  case $size in
    small) name='0.7 KB' ;;
    usual) name='10.8 KB' ;;
    large) name='1.2 MB' ;;
  esac
  echo
  head_row "$format, $name, $connections at once" p50 p99 p99.9 requests/s refused "processor, s per GB" \
    "p99, ccrun against it" "requests/s, ccrun against it"
  for who in "${receivers[@]}"; do
    [ "$(median "$what p50" "$who")" != – ] || continue
    row "$who" "$(show "$(median "$what p50" "$who")" 2 ms)" "$(show "$(median "$what p99" "$who")" 2 ms)" \
      "$(show "$(median "$what p999" "$who")" 2 ms)" "$(show "$(median "$what rate" "$who")" 0)" \
      "$(show "$(median "$what refused" "$who")" 0)" "$(show "$(median "$what cpu" "$who")" 1)" \
      "$(ratio "$what p99" ccrun "$who")" "$(ratio "$what rate" ccrun "$who")"
  done
}

main "$@"

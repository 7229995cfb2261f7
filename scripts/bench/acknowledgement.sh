#!/usr/bin/env bash
# Measures how long a client waits for an acknowledgement, the rate of acknowledgements, and their cost, while the
# destination is down: ccrun, others, and the floor of this machine.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/acknowledgement.sh [RUNS] [WORD]...   RUNS of each, by default 2; prints Markdown tables
       scripts/bench/acknowledgement.sh --smoke            once, with a few requests
       scripts/bench/acknowledgement.sh --help

Words choose formats (protobuf, json, grpc, gzip: protobuf compressed by the client), sizes (small, usual, large),
connections (one, eight) and receivers (ccrun, otelcol-memory, otelcol-disk, otelcol-fsync, rotel, floor-read, floor-one,
floor-eight, and for protobuf of the usual size also append-one and append-eight, and insert-one and
insert-eight). By default, all of them are measured.
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
              append-* | insert-*) [ "$format $size" != "protobuf usual" ] || bare "$who" "$connections" ;;
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
      ccrun | otelcol-* | rotel | floor-* | append-* | insert-*) receivers+=("$word") ;;
      *) misuse "there is no \`$word\` to measure" ;;
    esac
  done
  [ ${#formats[@]} -gt 0 ] || formats=(protobuf json grpc gzip)
  [ ${#sizes[@]} -gt 0 ] || read -r -a sizes <<<"$(usually "small usual large" usual)"
  [ ${#counts[@]} -gt 0 ] || read -r -a counts <<<"$(usually "1 8" 8)"
  [ ${#receivers[@]} -gt 0 ] ||
    receivers=(ccrun otelcol-memory otelcol-disk otelcol-fsync rotel floor-read floor-one floor-eight append-one
      append-eight insert-one insert-eight)
}

# Each measurement has a new receiver, so that nothing is left from an earlier one.
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
    # The failure of another receiver must not end the run.
    [ "$who" != ccrun ] || fail "ccrun acknowledges nothing"
    progress "$who acknowledges nothing in round $round: $(tail -n 1 "$said")"
    return 0
  fi
  record_answer "$format $size $connections" "$who" "$answer"
  # Warm-up requests cost as much as timed ones.
  record "$format $size $connections cpu" "$who" "$(awk -v used="$used" -v all=$((requests + warmup)) \
    '{ print used / ($4 / ($1 + $2) * all) * 1e9 }' <<<"$answer")"
}

# The floor without a receiver: one process appends to a file, or inserts into a SQLite file, and does nothing else.
bare() {
  local group=1
  [[ $1 = *-one ]] || group=8
  record_answer "protobuf usual $2" "$1" "$(bench "${1%-*}" "$scratch/bare" "$(usually 2000 16)" --group "$group")"
  rm -f "$scratch"/bare*
}

# Records the output of `bench load`: `record_answer WHAT WHO ANSWER`.
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
    "p50, ccrun against it" "p99, ccrun against it" "requests/s, ccrun against it"
  for who in "${receivers[@]}"; do
    [ "$(median "$what p50" "$who")" != – ] || continue
    row "$who" "$(show "$(median "$what p50" "$who")" 2 ms)" "$(show "$(median "$what p99" "$who")" 2 ms)" \
      "$(show "$(median "$what p999" "$who")" 2 ms)" "$(show "$(median "$what rate" "$who")" 0)" \
      "$(show "$(median "$what refused" "$who")" 0)" "$(show "$(median "$what cpu" "$who")" 1)" \
      "$(ratio "$what p50" ccrun "$who")" "$(ratio "$what p99" ccrun "$who")" "$(ratio "$what rate" ccrun "$who")"
  done
}

main "$@"

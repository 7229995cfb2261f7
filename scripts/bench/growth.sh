#!/usr/bin/env bash
# Measures how costs grow: a launch with the undelivered data, and everything else with the number of sessions.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/growth.sh [RUNS] [PART]...   RUNS of each, by default 3, and 2 of the sessions;
                                                  prints Markdown tables
       scripts/bench/growth.sh --smoke            once, with little data
       scripts/bench/growth.sh --help

Parts: backlog (512 MiB), sessions (1, 20 and 100 at once). Default: both.
TEXT
}

main() {
  begin "$@"
  local part
  [ ${#words[@]} -gt 0 ] || words=(backlog sessions)
  for part in "${words[@]}"; do
    case $part in
      backlog | sessions) "grow_$part" ;;
      *) misuse "there is no part \`$part\`" ;;
    esac
  done
}

grow_backlog() {
  local closed none=$scratch/states/none full=$scratch/states/full
  closed=$(closed_url)
  progress "growth: 512 MiB that wait"
  receive ccrun "$closed"
  bench load "$url" --requests "$(usually 49900 20)" --connections 8 >/dev/null
  end_session
  mkdir -p "$scratch/states"
  mkdir -m 700 "$none"
  mv "$state" "$full"
  local launch="ccrun -p otlp --var endpoint=$closed"
  export state scratch
  export -f end_collectors until_gone
  echo
  bench alternate --runs "${runs:-$(usually 3 1)}" --heading "a launch, and what waits" \
    --after "bash -c end_collectors" \
    "a program, nothing waits" "env CCRUN_STATE_DIR=$none $launch true" \
    "a program, 512 MiB wait" "env CCRUN_STATE_DIR=$full $launch true" \
    "until its first request is acknowledged, nothing waits" "env CCRUN_STATE_DIR=$none $launch bench first" \
    "until its first request is acknowledged, 512 MiB wait" "env CCRUN_STATE_DIR=$full $launch bench first" </dev/null
  rm -rf "$scratch/states"
}

grow_sessions() {
  local count round
  local -a counts
  read -r -a counts <<<"$(usually '1 20 100' '1 3')"
  serve 4 backend bench backend
  for round in $(seq "${runs:-$(usually 2 1)}"); do
    for count in "${counts[@]}"; do
      progress "growth: $count sessions at once, round $round"
      at_once "$count"
    done
  done
  unserve 4
  echo
  head_row "sessions at once" "from the first launch until each has its first acknowledgement" \
    "acknowledgement, 10.8 KB, p50" p99 "PSS of all collectors" "PSS of one" "processor of all, at rest"
  for count in "${counts[@]}"; do
    row "$count" "$(show "$(median ready "$count")" 0 ms)" "$(show "$(median p50 "$count")" 1 ms)" \
      "$(show "$(median p99 "$count")" 1 ms)" "$(show "$(median pss "$count")" 1 MiB)" \
      "$(show "$(median "pss each" "$count")" 1 MiB)" "$(show "$(median cpu "$count")" 1 %)"
  done
}

# Sessions that start together, and then all send at the same time.
at_once() {
  local count=$1 number begun used lock p50 p99
  local -a sessions=()
  forget_state
  rm -rf "$scratch/once"
  mkdir -p "$scratch/once"
  mkfifo "$scratch/once/ready" "$scratch/once/send" "$scratch/once/end"
  # This script holds both ends, so opening never blocks. The reader continues when the last writer has closed its end.
  exec 5<>"$scratch/once/ready" 6<>"$scratch/once/send" 8<>"$scratch/once/end"
  exec 26<"$scratch/once/send" 28<"$scratch/once/end"
  begun=$EPOCHREALTIME
  for number in $(seq "$count"); do
    one_of_many "$number" &
    sessions+=($!)
  done
  for _ in $(seq "$count"); do
    IFS= read -r -t 120 -u 5 || fail "not every session started: $(tail -n 1 "$said")"
  done
  record ready "$count" "$(awk -v now="$EPOCHREALTIME" -v begun="$begun" 'BEGIN { print (now - begun) * 1000 }')"
  exec 6>&- 26<&-
  for _ in $(seq "$count"); do
    read -r -t 300 -u 5 _ _ _ _ _ p50 p99 _ || fail "not every session sent: $(tail -n 1 "$said")"
    record p50 "$count" "$p50"
    record p99 "$count" "$p99"
  done
  pids=()
  for lock in "$state"/locks/*; do
    keeper=$(cat "$lock") worker=$(pgrep -P "$keeper") || continue
    pids+=("$keeper" "$worker")
  done
  [ $((${#pids[@]} / 2)) = "$count" ] || fail "only $((${#pids[@]} / 2)) of $count collectors are running"
  sleep "$(usually 8 0)"
  used=$(processor)
  sleep 1
  record cpu "$count" "$(awk -v after="$(processor)" -v before="$used" 'BEGIN { print (after - before) * 100 }')"
  record pss "$count" "$(awk -v sum="$(memory Pss)" 'BEGIN { print sum / 1024 }')"
  record "pss each" "$count" "$(awk -v sum="$(memory Pss)" -v count="$count" 'BEGIN { print sum / count / 1024 }')"
  exec 5>&- 8>&- 28<&-
  wait "${sessions[@]}" || true
  end_collectors
}

# One session: it reports that it is ready, waits for the signal, sends, and stays until the end.
one_of_many() {
  # Single-digit descriptors, because not every `sh` supports others.
  # shellcheck disable=SC2016 # the session's own variables
  exec ccrun -p otlp --var "endpoint=$served" sh -c '
    bench first && echo ready >&5 && cat <&7
    bench load "$OTEL_EXPORTER_OTLP_ENDPOINT" --requests 30 >&5
    exec 5>&-
    cat <&8' </dev/null 2>>"$said" 7<&26 8<&28 3>&- 4>&- 6>&- 9>&- 23<&- 24<&- 26<&- 28<&-
}

main "$@"

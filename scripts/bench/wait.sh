#!/usr/bin/env bash
# Measures how long a user waits: `claude -p` with telemetry off, with its own exporter, and through ccrun, with
# healthy, slow, silent and unreachable backends. The model is a stand-in. Compare times only within one run.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/wait.sh [RUNS] [WORD]...   RUNS of each, by default 10; prints a Markdown table
       scripts/bench/wait.sh --smoke            once
       scripts/bench/wait.sh --help

Words choose protocols (http, grpc) and backends (healthy, slow, silent, away). By default, all of them are measured.
Needs Claude Code on PATH, or npm.
TEXT
}

main() {
  begin "$@"
  find_claude
  serve 3 model "$model_program"
  local model=$served
  serve 4 healthy bench backend
  local healthy=$served
  serve 5 slow bench backend --delay 200
  local slow=$served
  serve 6 silent bench backend --silent
  local silent=$served closed
  closed=$(closed_url)
  ln -s "$claude" "$scratch/bin/claude"
  export ANTHROPIC_BASE_URL=$model ANTHROPIC_API_KEY=sk-ant-invented
  export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1
  commands=("telemetry off" "claude -p hi" "through ccrun, this machine only" "ccrun claude -p hi")
  local protocol backend
  choose
  for protocol in "${protocols[@]}"; do
    for backend in "${backends[@]}"; do
      case $backend in
        healthy) both "$protocol" "a healthy backend" "$healthy" ;;
        slow) both "$protocol" "a backend 200 ms away" "$slow" ;;
        silent) both "$protocol" "a backend that never answers" "$silent" ;;
        away) both "$protocol" "a backend that is away" "$closed" ;;
      esac
    done
  done
  export state scratch
  export -f leave_nothing end_collectors until_gone
  (close_all bench alternate --runs "${runs:-$(usually 10 1)}" --warmup "$(usually 1 0)" \
    --heading "\`claude -p\`" --after "bash -c leave_nothing" "${commands[@]}") </dev/null
}

choose() {
  local word
  protocols=() backends=()
  for word in "${words[@]}"; do
    case $word in
      http) protocols+=(http/protobuf) ;;
      grpc) protocols+=(grpc) ;;
      healthy | slow | silent | away) backends+=("$word") ;;
      *) misuse "there is no \`$word\` to measure" ;;
    esac
  done
  [ ${#protocols[@]} -gt 0 ] || read -r -a protocols <<<"$(usually "http/protobuf grpc" grpc)"
  [ ${#backends[@]} -gt 0 ] || read -r -a backends <<<"$(usually "healthy slow silent away" healthy)"
}

# A collector runs on after its program, and another session would deliver its data. Both would distort later
# measurements.
leave_nothing() {
  end_collectors
  [ ! -d "$state" ] || ccrun queue purge --all --yes
}

# Claude Code with its own exporter and through ccrun, to the same URL, with the same signals and intervals.
both() {
  local protocol=$1 name=$2 url=$3 direct
  direct="env CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp"
  direct+=" OTEL_LOGS_EXPORT_INTERVAL=1000 OTEL_METRIC_EXPORT_INTERVAL=10000"
  direct+=" OTEL_EXPORTER_OTLP_PROTOCOL=$protocol OTEL_EXPORTER_OTLP_ENDPOINT=$url claude -p hi"
  commands+=("by itself to $name, $protocol" "$direct")
  commands+=("through ccrun to $name, $protocol"
    "ccrun -p otlp --var endpoint=$url --var protocol=$protocol claude -p hi")
}

find_claude() {
  claude=${TEST_CLAUDE:-$(type -P claude)} || claude=$(counterpart claude) || skip "Claude Code is unavailable"
}

main "$@"

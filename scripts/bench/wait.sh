#!/usr/bin/env bash
# Measures what a user waits: `claude -p` with telemetry off, exporting by itself, and through ccrun, with backends that
# are well, slow, silent and away. The model is a stand-in; the times compare only within one run.
set -euo pipefail
# shellcheck source=scripts/bench/receivers.sh
. "$(dirname "$0")/receivers.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/wait.sh [RUNS]     RUNS of each, 10 unless told otherwise; prints a Markdown table
       scripts/bench/wait.sh --smoke    once
       scripts/bench/wait.sh --help

Needs Claude Code, on PATH or by npm.
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
  local protocol
  for protocol in http/protobuf grpc; do
    both "$protocol" "a healthy backend" "$healthy"
    [ "$smoke" = no ] || break
    both "$protocol" "a backend 200 ms away" "$slow"
    both "$protocol" "a backend that never answers" "$silent"
    both "$protocol" "a backend that is away" "$closed"
  done
  (close_all bench alternate --runs "${runs:-$(usually 10 1)}" --warmup "$(usually 1 0)" \
    --heading "\`claude -p\`" "${commands[@]}") </dev/null
}

# Claude Code exporting by itself, and through ccrun, to that URL.
both() {
  local protocol=$1 name=$2 url=$3 direct
  direct="env CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp"
  direct+=" OTEL_EXPORTER_OTLP_PROTOCOL=$protocol OTEL_EXPORTER_OTLP_ENDPOINT=$url claude -p hi"
  commands+=("by itself to $name, $protocol" "$direct")
  commands+=("through ccrun to $name, $protocol"
    "ccrun -p otlp --var endpoint=$url --var protocol=$protocol claude -p hi")
}

find_claude() {
  claude=${TEST_CLAUDE:-$(type -P claude)} || claude=$(counterpart claude) || skip "Claude Code cannot be had"
}

main "$@"

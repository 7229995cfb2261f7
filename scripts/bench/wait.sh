#!/usr/bin/env bash
# Measures what a user waits: `claude -p` with telemetry off, straight to a backend that accepts and never answers, and
# through ccrun to the same. The model is a stand-in; the times compare only within one run.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/bench/wait.sh [RUNS]    RUNS of each, 20 unless told otherwise; prints a Markdown table with ratios
       scripts/bench/wait.sh --help

Needs hyperfine, and Claude Code on PATH or npm.
TEXT
}

main() {
  local runs=${1:-20}
  case $runs in
    -h | --help) usage && exit ;;
    *[!0-9]* | 0) usage >&2 && exit 2 ;;
  esac
  command -v hyperfine >/dev/null || skip "hyperfine is not installed"
  claude=$(type -P claude) || claude=$("$here/scripts/counterparts.sh" --path claude) ||
    claude=$("$here/scripts/counterparts.sh" claude >&2 && "$here/scripts/counterparts.sh" --path claude) ||
    skip "Claude Code cannot be had"
  forget_inherited
  forget_account
  cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --bin ccrun \
    --example stand_in_model --example silent_backend
  built=${CARGO_TARGET_DIR:-$here/target}/release
  scratch=$(cd "$(mktemp -d)" && pwd -P)
  trap clean_up EXIT
  serve 3 model "$built/examples/stand_in_model"
  serve 4 silent "$built/examples/silent_backend"
  mkdir "$scratch/home" "$scratch/bin"
  ln -s "$claude" "$scratch/bin/claude"
  # A path of its own tells this run's collectors from any other.
  ln "$built/ccrun" "$scratch/bin/ccrun" 2>/dev/null || cp "$built/ccrun" "$scratch/bin/ccrun"
  measure "$runs"
}

# Starts a server that ends when its standard input does, and waits for the line that tells its URL.
serve() {
  local descriptor=$1 name=$2 waited=0
  shift 2
  mkfifo "$scratch/$name.in"
  "$@" <"$scratch/$name.in" >"$scratch/$name.url" &
  servers+=($!)
  eval "exec $descriptor>\"\$scratch/\$name.in\""
  until [ -s "$scratch/$name.url" ]; do
    [ $((waited += 1)) -le 100 ] || skip "$name did not start"
    sleep 0.1
  done
}

measure() {
  local silent
  silent=$(cat "$scratch/silent.url")
  export HOME=$scratch/home PATH=$scratch/bin:$PATH
  ANTHROPIC_BASE_URL=$(cat "$scratch/model.url")
  export ANTHROPIC_BASE_URL ANTHROPIC_API_KEY=sk-ant-invented
  export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1
  local direct="env CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp"
  direct+=" OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=$silent"
  cd "$scratch"
  hyperfine --shell=none --warmup 2 --runs "$1" --export-markdown "$scratch/table.md" \
    --command-name "telemetry off" "claude -p hi" \
    --command-name "through ccrun, this machine only" "ccrun claude -p hi" \
    --command-name "through ccrun, a backend that never answers" "ccrun -p otlp --var endpoint=$silent claude -p hi" \
    --command-name "straight to a backend that never answers" "$direct claude -p hi" >&2 </dev/null
  cat "$scratch/table.md"
}

clean_up() {
  kill "${servers[@]}" 2>/dev/null || true
  # Collectors go on for as long as their drain_timeout allows, and write where this directory is now.
  pkill -f "^$scratch/bin/ccrun collector$" 2>/dev/null || true
  cd / && rm -rf "$scratch"
}

skip() {
  echo "bench: skipped: $1" >&2
  exit 1
}

servers=()
main "$@"

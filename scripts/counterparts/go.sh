# shellcheck shell=bash
# Parts that go builds. scripts/counterparts.sh sources this file.

# Seconds. A registry that accepts connections and never answers must not block a test run.
go_limit=900
build_limit=1800

otelcol_version=0.155.0
otelcol_confmap_version=1.61.0
# The version of the Go module of Prometheus 3.15.
prometheus_version=0.315.0
prometheus_tags=netgo,remove_all_sd
# Before 1.142, a metric without a unit got the unit of the one before it into its name.
victoriametrics_version=1.146.0
victorialogs_version=1.52.1
# Jaeger 2.13, which has no module version of its own.
jaeger_version=1.76.0
# The Go SDK's logs have separate versions.
go_sdk_version=1.46.0
go_sdk_logs_version=0.22.0
go_sdk_source=$(cd "$(dirname "$0")/../tests/it/support/go-sdk" && pwd)/main.go
grafana_sdk_version=0.0.22
grafana_sdk_source=$(cd "$(dirname "$0")/../tests/it/support/grafana-sdk" && pwd)/main.go
actionlint_version=1.7.12

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

build_go_sdk() {
  # shellcheck disable=SC2046 # module names have no spaces
  build_source go-sdk "$1" "$2" "$go_sdk_source" "OpenTelemetry's SDK $go_sdk_version" $(go_sdk_modules)
}

# Takes a part's name, directory and log, the source of a program, what it is made with, and the modules that it needs.
build_source() {
  local part=$1 home=$2 log=$3 source=$4 with=$5
  needs go || return 1
  progress "$part" "building a program with $with by go"
  mkdir -p "$home/build"
  cp "$source" "$home/build"
  run 60 "$log" go -C "$home/build" mod init "counterpart/$part" || return 1
  run "$go_limit" "$log" go -C "$home/build" get "${@:6}" || return 1
  run "$go_limit" "$log" go -C "$home/build" build -o "$home/$part" . || return 1
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

build_grafana_sdk() {
  build_source grafana-sdk "$1" "$2" "$grafana_sdk_source" "Grafana's SDK $grafana_sdk_version" \
    "github.com/grafana/grafana-foundation-sdk/go@v$grafana_sdk_version"
}

build_actionlint() {
  needs go || return 1
  progress actionlint "building $actionlint_version by go"
  GOBIN=$1/bin run "$go_limit" "$2" go install "github.com/rhysd/actionlint/cmd/actionlint@v$actionlint_version"
}

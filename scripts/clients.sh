#!/usr/bin/env bash
# Runs the tests for features that depend on the version of Claude Code against several versions, and prints a table of
# the results. Not part of CI: each version takes 400 MB and is deleted afterwards.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

# The oldest version with everything that a report needs, the versions around changes, and the newest known version.
versions=(2.1.128 2.1.152 2.1.208 2.1.240 2.1.329 2.1.332 latest)
# The main features, other settings files beside ccrun's, and background work.
groups=(needs_claude::print needs_claude::settings needs_claude::refused needs_claude::identity needs_claude::background)

# Seconds.
install_limit=600
group_limit=600

usage() {
  cat <<TEXT
Usage: scripts/clients.sh [VERSION]...   test these versions; by default ${versions[*]}
       scripts/clients.sh --help

A version is one of npm's @anthropic-ai/claude-code, or a tag such as \`latest\`. Failed tests are listed on stderr with
their logs. Stdout has the table for docs/compatibility.md.
TEXT
}

main() {
  local version
  case ${1-} in
    -h | --help) usage && exit ;;
    -*) usage >&2 && exit 2 ;;
  esac
  [ $# -gt 0 ] || set -- "${versions[@]}"
  command -v npm >/dev/null || fail "npm is not installed"
  forget_inherited
  forget_account
  cd "$here"
  cargo test --locked --no-run --test it </dev/null
  ignored=$(cargo test --quiet --locked --test it -- --ignored --list --format terse </dev/null | sed -n 's/: test$//p')
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  row version "${groups[@]#needs_claude::}"
  row "$(printf -- '---%.0s' 1)" "${groups[@]/*/---}"
  for version; do
    one "$version"
  done
}

one() {
  local version=$1 home=$work/$1 client cells=() group
  if ! install "$version" "$home"; then
    rm -rf "$home"
    row "$version" "cannot be installed"
    return 0
  fi
  client=$home/claude
  version=$("$client" --version </dev/null | sed 's/ .*//')
  for group in "${groups[@]}"; do
    cells+=("$(tested "$group" "$client" "$version")")
  done
  rm -rf "$home"
  row "$version" "${cells[@]}"
}

install() {
  local version=$1 home=$2 native
  mkdir -p "$home"
  bounded "$install_limit" npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --no-package-lock \
    --loglevel error "@anthropic-ai/claude-code@$version" >"$home/npm.log" 2>&1 </dev/null || {
    tail -n 3 "$home/npm.log" >&2
    return 1
  }
  for native in "$home"/node_modules/@anthropic-ai/claude-code-*/claude; do
    [ -x "$native" ] && ln -s "$native" "$home/claude" && break
  done
  HOME=$home "$home/claude" --version >/dev/null </dev/null
}

# Prints how many of a group's tests pass, and of how many.
tested() {
  local group=$1 client=$2 version=$3 names log=$work/log count
  names=$(grep "^$group::" <<<"$ignored") || fail "$group has no tests"
  count=$(wc -l <<<"$names" | tr -d ' ')
  # shellcheck disable=SC2086 # a test's name has no space
  if TEST_CLAUDE=$client bounded "$group_limit" cargo test --quiet --locked --test it -- --ignored --exact $names \
    >"$log" 2>&1 </dev/null; then
    echo "$count of $count"
  else
    echo "clients: $version: $group:" >&2
    grep -E '^test .* FAILED$|panicked at|^  *(left|right):' "$log" | head -n 40 >&2 || true
    echo "$(grep -oE '[0-9]+ passed' "$log" | tail -n 1 | cut -d ' ' -f 1 || true) of $count"
  fi
}

row() {
  local cell line='|'
  for cell; do line+=" $cell |"; done
  echo "$line"
}

fail() {
  echo "clients: $1" >&2
  exit 1
}

main "$@"

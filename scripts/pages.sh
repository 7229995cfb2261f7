#!/usr/bin/env bash
# Makes the pictures of docs/pages.md: fills a ledger with an invented year, and shows its page in a browser.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

main() {
  [ $# -eq 0 ] || fail "usage: scripts/pages.sh"
  command -v chromium >/dev/null || fail "chromium is not installed"
  forget_inherited
  cd "$here"
  scripts/counterparts.sh axe || fail "what drives the browser is not there"
  TEST_BROWSER=$(scripts/counterparts.sh --path axe) TEST_PAGES=$here/docs \
    cargo test --quiet --locked --test it -- --ignored --exact needs_browser::pictures_are_small </dev/null ||
    fail "the pictures could not be made"
  printf 'pages: wrote docs/page-*.png\n' >&2
}

fail() {
  printf 'pages: %s\n' "$1" >&2
  exit 1
}

main "$@"

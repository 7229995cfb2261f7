#!/usr/bin/env bash
# Makes the pictures of the pages in docs/: fills a ledger with an invented year, and shows its page in a browser, and
# beside it the week of an invented team.
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
  week=$(mktemp -d)/week.html
  trap 'rm -rf "${week%/*}"' EXIT
  scripts/example.sh --last 2026-11-29 week 2026-W48 --by team --seats 14 --format html --output "$week"
  TEST_BROWSER=$(scripts/counterparts.sh --path axe) TEST_PAGES=$here/docs TEST_WEEK=$week \
    cargo test --quiet --locked --test it -- --ignored --exact needs_browser::pictures_are_small </dev/null ||
    fail "the pictures could not be made"
  printf 'pages: wrote docs/page-*.png\n' >&2
}

fail() {
  printf 'pages: %s\n' "$1" >&2
  exit 1
}

main "$@"

#!/usr/bin/env bash
# Writes the state directory of this version to tests/fixtures/, so that later versions prove that they open it.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<'TEXT'
Usage: scripts/upgrade-fixture.sh

Writes tests/fixtures/state-VERSION.tar.gz. Run it before a release, and commit the file: tests/it/upgrade.rs opens it in
each later version. The fixture of a released version never changes.
TEXT
}

case ${1-} in
  '') ;;
  -h | --help) usage && exit ;;
  *) usage >&2 && exit 2 ;;
esac
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
file=$here/tests/fixtures/state-$version.tar.gz
mkdir -p "$here/tests/fixtures"
cd "$here"
TEST_STATE_FIXTURE=$file cargo test --quiet --locked --test it -- --exact upgrade::the_state_of_this_version_is_opened
ls -l "$file"

#!/usr/bin/env bash
# Builds release archives of ccrun with the binary, install.sh, the README and the licences, each with a checksum.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<'TEXT'
Usage: scripts/release.sh [--target TRIPLE]... [--out DIR]

Writes DIR/ccrun-VERSION-TRIPLE.tar.gz and .sha256 for each target. Defaults: this machine's target, and dist/.
`install.sh --from` installs an archive, and each archive contains install.sh.

  x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu    on a machine of that kind, with a C compiler. The program needs
                                                         a glibc at least as new as that machine's: build on an old one
  x86_64-unknown-linux-musl, aarch64-unknown-linux-musl  any Linux: `rustup target add TRIPLE`, and musl-gcc
  x86_64-apple-darwin, aarch64-apple-darwin              on a Mac, with its command line tools: `rustup target add
                                                         TRIPLE`; sign it there with `codesign`, because macOS does not
                                                         run downloaded programs that are not signed
TEXT
}

main() {
  local out=$here/dist targets=() target
  while [ $# -gt 0 ]; do
    case $1 in
      --target) targets+=("${2?--target takes a triple}") && shift ;;
      --out) out=${2?--out takes a directory} && shift ;;
      -h | --help) usage && exit ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift
  done
  [ ${#targets[@]} -gt 0 ] || targets=("$(rustc -vV | sed -n 's/^host: //p')")
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  for target in "${targets[@]}"; do
    pack "$target" "$out"
  done
}

pack() {
  local target=$1 out=$2 name=ccrun-$version-$1 built=${CARGO_TARGET_DIR:-$here/target}
  cargo build --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$built" --bin ccrun --target "$target"
  mkdir -p "$work/$name/bin"
  cp "$built/$target/release/ccrun" "$work/$name/bin/ccrun"
  chmod 755 "$work/$name/bin/ccrun"
  cp "$here"/install.sh "$here"/README.md "$here"/LICENSE* "$work/$name/"
  # With GNU tar, the archive is the same for every user and at any time.
  local same=()
  ! tar --version | grep -q GNU || same=(--sort=name --owner=0 --group=0 --numeric-owner --mtime=@0)
  tar -cf - -C "$work" ${same[@]+"${same[@]}"} "$name" | gzip -n >"$work/$name.tar.gz"
  mv "$work/$name.tar.gz" "$out/$name.tar.gz"
  (cd "$out" && digest "$name.tar.gz" >"$name.tar.gz.sha256")
  echo "$out/$name.tar.gz"
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi
}

main "$@"

#!/usr/bin/env bash
# Builds release archives of ccrun: the program, its man pages and completions, install.sh, licences, and a list of what
# it is made of, each archive with a checksum and, if a key is given, a signature.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

# The oldest glibc that the program runs with: that of RHEL 7, and the oldest that Rust supports.
glibc=2.17
maintainer='The ccrun authors <ccrun@localhost>'

usage() {
  cat <<TEXT
Usage: scripts/release.sh [OPTION]...

Writes DIR/ccrun-VERSION-TRIPLE.tar.gz and .sha256 for each target. Defaults: this machine's target, and dist/.
\`install.sh --from\` installs an archive, and each archive contains install.sh.

  --target TRIPLE  build for this target; may be repeated
  --out DIR        where to write
  --sign KEY       also write .sig: a signature with this SSH key (a private key's file, or the public key's file if
                   ssh-agent has the private one). \`install.sh --from FILE --signers ALLOWED\` checks it
  --deb            also write a Debian package, for *-linux-gnu, with dpkg-deb
  --compare        build everything a second time, from a copy of the sources in another directory, and fail unless all
                   files are the same bytes
  --own-glibc      link to this machine's glibc, without zig: the program needs one at least as new

  x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu    on a machine of that kind. scripts/counterparts.sh installs zig,
                                                         which links to glibc $glibc
  x86_64-unknown-linux-musl, aarch64-unknown-linux-musl  on a Linux machine of that kind: \`rustup target add TRIPLE\`,
                                                         and musl-gcc
  x86_64-apple-darwin, aarch64-apple-darwin              on a Mac, with its command line tools: \`rustup target add
                                                         TRIPLE\`; sign it there with \`codesign\`, because macOS does not
                                                         run downloaded programs that are not signed

.github/workflows/release.yml builds all of them. Needs python3.
TEXT
}

main() {
  local targets=() target
  out=$here/dist key='' deb=no compare=no zig=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --target) targets+=("${2?--target takes a triple}") && shift ;;
      --out) out=${2?--out takes a directory} && shift ;;
      --sign) key=${2?--sign takes the file of an SSH key} && shift ;;
      --deb) deb=yes ;;
      --compare) compare=yes ;;
      --own-glibc) zig=no ;;
      -h | --help) usage && exit ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift
  done
  [ ${#targets[@]} -gt 0 ] || targets=("$(rustc -vV | sed -n 's/^host: //p')")
  command -v python3 >/dev/null || fail "python3 is not installed, which lists the dependencies"
  [ -z "$key" ] || [ -f "$key" ] || fail "$key does not exist: --sign takes the file of an SSH key"
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  CCRUN_COMMIT=$(commit)
  # Read by the build script.
  export CCRUN_COMMIT
  # The time of all files: that of the commit, so that it is the same for everyone.
  time=$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)
  for target in "${targets[@]}"; do
    release "$target"
  done
}

# The commit that the program names. Empty for sources without git, of which the build script may know more.
commit() {
  [ "$(git -C "$here" rev-parse --show-prefix 2>/dev/null || echo none)" = '' ] || return 0
  git -C "$here" rev-parse --short=12 HEAD | tr -d '\n'
  [ -z "$(git -C "$here" status --porcelain)" ] || printf -- -modified
}

release() {
  local target=$1 file tools=(--tool "$(rustc -V)")
  if with_zig "$target"; then
    zigbuild
    tools+=(--tool "zig $("$CARGO_ZIGBUILD_ZIG_PATH" version)")
  fi
  # For an earlier target, other files were made.
  rm -rf "$work/first" "$work/second"
  assemble "$here" "${CARGO_TARGET_DIR:-$here/target}" "$target" "$work/first"
  [ "$compare" = no ] || compare "$target"
  for file in "$work"/first/*.tar.gz "$work"/first/*.deb; do
    [ ! -e "$file" ] || publish "$file"
  done
}

# Builds the sources, and puts the archive and the package into a directory.
assemble() {
  local sources=$1 built=$2 target=$3 into=$4 name=ccrun-$version-$3
  build "$sources" "$built" "$target"
  mkdir -p "$into/$name"
  stage "$sources" "$built/$target/release/ccrun" "$target" "$into/$name"
  # With GNU tar, the archive is the same for every user.
  local same=()
  ! tar --version | grep -q GNU || same=(--sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time")
  tar -cf - -C "$into" ${same[@]+"${same[@]}"} "$name" | gzip -n >"$into/$name.tar.gz"
  [ "$deb" = no ] || debian "$sources" "$target" "$into/$name" "$into"
}

# Takes the sources, the target directory, and the target. What is built does not depend on where these are: paths in
# messages are replaced.
build() {
  local sources=$1 built=$2 target=$3 verb=(cargo build) triple=$3 sysroot hash
  if with_zig "$target"; then
    verb=("$zigbuild" zigbuild)
    triple=$target.$glibc
  fi
  sysroot=$(rustc --print sysroot)
  hash=$(rustc -vV | sed -n 's/^commit-hash: //p')
  local flags=(
    "--remap-path-prefix=$sources=/ccrun"
    "--remap-path-prefix=$built=/ccrun/target"
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rustc/$hash"
  )
  # Cargo and zig search for settings from the working directory upwards.
  (
    cd "$sources"
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf %s "${flags[*]}") CARGO_TARGET_DIR=$built SOURCE_DATE_EPOCH=0 \
      CFLAGS="-ffile-prefix-map=$built=/ccrun/target -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
      "${verb[@]}" --release --locked --bin ccrun --target "$triple"
  )
}

# Whether zig links a target's programs.
with_zig() {
  [ "$zig" = yes ] && [[ $1 == *-linux-gnu ]]
}

# Sets `zigbuild` to the program, and tells it where zig is.
zigbuild() {
  local reason
  reason=$("$here/scripts/counterparts.sh" cargo-zigbuild) || fail "$reason; --own-glibc builds without it"
  zigbuild=$("$here/scripts/counterparts.sh" --path cargo-zigbuild)
  CARGO_ZIGBUILD_ZIG_PATH=${zigbuild%/*}/zig
  export CARGO_ZIGBUILD_ZIG_PATH
}

# Makes everything again from a copy of the sources, with another path to all that is compiled, and for another user's
# permissions and time zone.
compare() {
  local target=$1 other=$work/other file
  mkdir -p "$other/sources" "$other/cargo"
  (cd "$here" && git ls-files -z | tar -c --null -T - | tar -x -C "$other/sources")
  ln -s "${CARGO_HOME:-$HOME/.cargo}/registry" "$other/cargo/registry"
  (
    umask 077
    export CARGO_HOME=$other/cargo TZ=Pacific/Auckland
    assemble "$other/sources" "$other/target" "$target" "$work/second"
  )
  for file in "$work/first/ccrun-$version-$target/bin/ccrun" "$work"/first/*.tar.gz "$work"/first/*.deb; do
    [ -e "$file" ] || continue
    cmp "$file" "$work/second/${file#"$work/first/"}" || fail "two builds differ: ${file##*/}"
    echo "two builds in two directories are the same: $(cd "${file%/*}" && digest "${file##*/}")"
  done
  rm -rf "$other"
}

# Collects what an archive contains.
stage() {
  local sources=$1 program=$2 target=$3 to=$4 share=$4/share shell
  mkdir -p "$to/bin" "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
  cp "$program" "$to/bin/ccrun"
  chmod 755 "$to/bin/ccrun"
  "$to/bin/ccrun" man "$share/man/man1" ||
    fail "the program for $target does not run here: build it on a machine of that kind"
  # It calls itself by name where the PATH leads to it.
  for shell in bash zsh fish; do
    PATH=$to/bin:$PATH ccrun init "$shell" --without-alias >"$work/$shell"
  done
  mv "$work/bash" "$share/bash-completion/completions/ccrun"
  { echo '#compdef ccrun' && cat "$work/zsh"; } >"$share/zsh/site-functions/_ccrun"
  mv "$work/fish" "$share/fish/vendor_completions.d/ccrun.fish"
  cp "$sources"/install.sh "$sources"/README.md "$sources"/LICENSE* "$to/"
  python3 "$sources/scripts/dependencies.py" --target "$target" --licences "$to/THIRD-PARTY.txt" \
    --sbom "$to/ccrun.cdx.json" "${tools[@]}"
  chmod -R u=rwX,go=rX "$to"
}

# Debian's package of what was staged.
debian() {
  local sources=$1 target=$2 staged=$3 into=$4 root=$work/debian doc=$work/debian/usr/share/doc/ccrun architecture
  case $target in
    x86_64-*-linux-gnu) architecture=amd64 ;;
    aarch64-*-linux-gnu) architecture=arm64 ;;
    *) fail "--deb is for *-linux-gnu" ;;
  esac
  command -v dpkg-deb >/dev/null || fail "dpkg-deb is not installed, which makes the package"
  rm -rf "$root"
  mkdir -p "$root/DEBIAN" "$root/etc/ccrun" "$root/usr" "$doc"
  cp -R "$staged/bin" "$staged/share" "$root/usr/"
  mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
  gzip -9n "$root"/usr/share/man/man1/*.1
  cp "$sources/CHANGELOG.md" "$staged/README.md" "$staged/THIRD-PARTY.txt" "$staged/ccrun.cdx.json" "$doc/"
  copyright "$staged" >"$doc/copyright"
  changelog | gzip -9n >"$doc/changelog.gz"
  cp "$sources/scripts/release/config.toml" "$root/etc/ccrun/config.toml"
  echo /etc/ccrun/config.toml >"$root/DEBIAN/conffiles"
  (cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum) >"$root/DEBIAN/md5sums"
  control "$architecture" "$(du -sk --apparent-size "$root/usr" | cut -f 1)" >"$root/DEBIAN/control"
  find "$root" -exec touch -h -d "@$time" {} +
  chmod -R u=rwX,go=rX "$root"
  SOURCE_DATE_EPOCH=$time dpkg-deb --root-owner-group -Zxz --build "$root" "$into/ccrun_${version}_$architecture.deb" \
    >/dev/null
}

# The licences. Each Debian has the text of the Apache License.
copyright() {
  cat "$1/LICENSE" "$1/LICENSE-MIT"
  cat <<'TEXT'

On Debian systems, the Apache License, Version 2.0 is in /usr/share/common-licenses/Apache-2.0. The licences of the crates in
the program are in THIRD-PARTY.txt.
TEXT
}

changelog() {
  cat <<TEXT
ccrun ($version) unstable; urgency=medium

  * CHANGELOG.md lists the changes.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$time")
TEXT
}

control() {
  cat <<TEXT
Package: ccrun
Version: $version
Architecture: $1
Maintainer: $maintainer
Installed-Size: $2
Depends: libc6 (>= $glibc)
Section: utils
Priority: optional
Description: launches Claude Code with its OpenTelemetry switched on and delivered
 ccrun launches Claude Code with its OpenTelemetry on, keeps every acknowledged
 export on disk until the backend has it, and shows what was used and what it
 cost, without sending anything off the machine unless you say where to.
TEXT
}

# Moves a file to where it was asked for, with its checksum and signature.
publish() {
  local name=${1##*/}
  mv "$1" "$out/$name"
  rm -f "$out/$name.sig"
  (cd "$out" && digest "$name" >"$name.sha256")
  [ -z "$key" ] || ssh-keygen -q -Y sign -f "$key" -n ccrun "$out/$name" || fail "$name cannot be signed with $key"
  echo "$out/$name"
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi
}

fail() {
  echo "release: $1" >&2
  exit 1
}

main "$@"

#!/usr/bin/env bash
# Installs what scripts/release.sh made, in an old Debian, and the packed crate. Not part of .ci/run: it takes minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

# The newest glibc that the program may need.
glibc=2.17
# From the oldest one. Mirrors drop releases that are no longer supported.
suites=(stretch buster bullseye bookworm)
# Seconds.
install_limit=600

usage() {
  cat <<'TEXT'
Usage: scripts/release-check.sh [--out DIR] [--mirror URL] debian      the archive and the Debian package in DIR
       scripts/release-check.sh [--out DIR] [--target TRIPLE] session  the archive in DIR, on this machine
       scripts/release-check.sh crate                                  `cargo install` of the packed crate
       scripts/release-check.sh macos                                  compile for macOS as far as it works on Linux

  debian   Takes what `scripts/release.sh --deb` wrote into DIR (dist/) for x86_64-unknown-linux-gnu. Installs each in
           the oldest Debian that the mirror still has, runs the program there, and removes it again. Needs root and
           debootstrap; takes the mirror that apt-get uses here.
  session  Installs the archive below a temporary home directory, runs a session, and uninstalls it. Needs nothing else.
  crate    Packs the crate, and installs it with an empty CARGO_HOME. Needs the network, and some minutes.
  macos    `cargo check` for x86_64-apple-darwin. The standard library is compiled from its sources, with zig as the C
           compiler. Needs the component rust-src of the Rust toolchain, or a RUSTC with its sources.

Prints `skipped` with the reason, and exits with 77, where something is missing.
TEXT
}

main() {
  local out=$here/dist mirror='' target=x86_64-unknown-linux-gnu
  while [ $# -gt 1 ]; do
    case $1 in
      --out) out=$2 ;;
      --mirror) mirror=$2 ;;
      --target) target=$2 ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift 2
  done
  forget_inherited
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  case ${1-} in
    debian) debian "$out" "$mirror" ;;
    session) session "$out/ccrun-$version-$target.tar.gz" "$target" ;;
    crate) crate ;;
    macos) macos ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
  esac
}

debian() {
  local out=$1 mirror=$2 archive package needed
  archive=$out/ccrun-$version-x86_64-unknown-linux-gnu.tar.gz
  package=$out/ccrun_${version}_amd64.deb
  { [ -f "$archive" ] && [ -f "$package" ]; } || fail "run \`scripts/release.sh --deb --out $out\` first"
  [ "$(id -u)" = 0 ] || skip "only root can make a Debian root"
  command -v debootstrap >/dev/null || skip "debootstrap is not installed"
  unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
  tar -xzf "$archive" -C "$work"
  needed=$(grep -aoE 'GLIBC_[0-9.]+' "$work"/ccrun-*/bin/ccrun | sort -uV | tail -n 1)
  [ "$(printf '%s\n' "GLIBC_$glibc" "$needed" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] || fail "it needs $needed"
  echo "needs $needed, and no newer symbol"
  root "$mirror"
  cp "$archive" "$archive.sha256" "$package" "$work/root/tmp/"
  in_root package_inside "${package##*/}"
  in_root archive_inside "${archive##*/}"
}

# Makes a Debian in $work/root, from a copy in the cache of counterparts.
root() {
  local mirror=$1 suite cache=${CCRUN_COUNTERPARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/ccrun-counterparts}
  mirror=${mirror:-$(apt-get indextargets --format "\$(REPO_URI)" | grep -m 1 '/debian/*$' || true)}
  [ -n "$mirror" ] || skip "apt-get uses no Debian mirror here: give one with --mirror"
  for suite in "${suites[@]}"; do
    if [ ! -e "$cache/debian-$suite/.finished" ]; then
      rm -rf "$cache/debian-$suite"
      mkdir -p "$cache"
      echo "debootstrap $suite"
      bounded "$install_limit" debootstrap --variant=minbase "$suite" "$cache/debian-$suite" "$mirror" \
        >"$work/log" 2>&1 || { echo "not available: $suite: $(grep -m 1 '^E:' "$work/log" || tail -n 1 "$work/log")"; rm -rf "$cache/debian-$suite"; continue; }
      touch "$cache/debian-$suite/.finished"
    fi
    cp -a "$cache/debian-$suite" "$work/root"
    echo "in Debian $(cat "$work/root/etc/debian_version") ($suite), $(basename "$(readlink -f "$work"/root/lib/x86_64-linux-gnu/libc.so.6)")"
    return
  done
  fail "no Debian could be installed from $mirror"
}

# Runs one of the functions below in the root. The mounts end with the command.
in_root() {
  local script
  script="set -eu
$(declare -f uses must_not_exist "$1")
$1 $2 $version x86_64-unknown-linux-gnu"
  # shellcheck disable=SC2016 # the inner shell expands them
  unshare -m --propagation private sh -c \
    'mount --bind /proc "$1/proc" && exec chroot "$1" /usr/bin/env -i HOME=/root TERM=dumb \
     PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "$2"' sh "$work/root" "$script" ||
    fail "failed: $1"
}

# Uses a program of this version and target: a session, and what is recorded about it.
uses() {
  local said
  said=$("$1" --version)
  [[ $said == "ccrun $2 ("*"$3)" ]] || { echo "$said" && return 1; }
  # shellcheck disable=SC2016 # the program expands it
  said=$("$1" -p local --wait sh -c 'echo "$OTEL_EXPORTER_OTLP_ENDPOINT"')
  [[ $said == http://127.0.0.1:* ]] || { echo "$said" && return 1; }
  "$1" sessions | grep -q local
  "$1" doctor >/dev/null || true
}

must_not_exist() {
  local path
  for path; do
    [ ! -e "$path" ] || { echo "$path was left" && return 1; }
  done
}

package_inside() {
  local files
  dpkg -i "/tmp/$1"
  files=$(dpkg -L ccrun)
  for file in bin/ccrun share/man/man1/ccrun.1.gz share/man/man1/ccrun-report.1.gz share/doc/ccrun/copyright \
    share/bash-completion/completions/ccrun share/zsh/vendor-completions/_ccrun share/fish/vendor_completions.d/ccrun.fish; do
    grep -qx "/usr/$file" <<<"$files" || { echo "there is no /usr/$file" && return 1; }
  done
  uses /usr/bin/ccrun "$2" "$3"
  # The administrator's own file stays until the package is purged.
  echo '# mine' >>/etc/ccrun/config.toml
  dpkg -r ccrun
  must_not_exist /usr/bin/ccrun /usr/share/man/man1/ccrun.1.gz /usr/share/doc/ccrun
  grep -q '# mine' /etc/ccrun/config.toml
  dpkg -P ccrun
  must_not_exist /etc/ccrun
  rm -rf /root/.local /root/.config
  echo "the package was installed, used, removed and purged"
}

archive_inside() {
  tar -xzf "/tmp/$1" -C /tmp
  cp "/tmp/${1%.tar.gz}/install.sh" /tmp/install.sh
  bash /tmp/install.sh --from "/tmp/$1"
  uses /root/.local/bin/ccrun "$2" "$3"
  bash /tmp/install.sh --uninstall --purge
  must_not_exist /root/.local/bin/ccrun /root/.local/share/man/man1/ccrun.1 /root/.local/state/ccrun /root/.config/ccrun
  echo "the archive was installed, used and removed"
}

session() {
  [ -f "$1" ] || fail "$1 does not exist: run \`scripts/release.sh\` first"
  mkdir "$work/home"
  export HOME=$work/home
  unset XDG_CONFIG_HOME XDG_STATE_HOME
  sh "$here/install.sh" --from "$1"
  uses "$HOME/.local/bin/ccrun" "$version" "$2"
  sh "$here/install.sh" --uninstall --purge
  must_not_exist "$HOME/.local/bin/ccrun" "$HOME/.local/state/ccrun" "$HOME/Library/Application Support/ccrun"
  echo "the archive was installed, used and removed"
}

# Without optimisation, because only whether it compiles and installs matters.
crate() {
  local target=${CARGO_TARGET_DIR:-$here/target}
  (cd "$here" && cargo package --quiet --locked --no-verify)
  tar -xzf "$target/package/ccrun-$version.crate" -C "$work"
  mkdir "$work/cargo"
  (cd "$work" && CARGO_HOME=$work/cargo cargo install --locked --debug --path "$work/ccrun-$version" --root "$work/installed" \
    --target-dir "$work/target")
  "$work/installed/bin/ccrun" --version
  "$work/installed/bin/ccrun" man "$work/man"
}

# Only checks types and lifetimes: linking needs Apple's frameworks.
macos() {
  local sources reason zigbuild
  sources=$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/src/rust/library
  [ -f "$sources/Cargo.lock" ] || skip "the standard library's sources are not installed: \`rustup component add rust-src\`"
  reason=$("$here/scripts/counterparts.sh" cargo-zigbuild) || skip "$reason"
  zigbuild=$("$here/scripts/counterparts.sh" --path cargo-zigbuild)
  cd "$here"
  # `-Zbuild-std` is for nightly compilers, unless this is set.
  RUSTC_BOOTSTRAP=1 CARGO_ZIGBUILD_ZIG_PATH=${zigbuild%/*}/zig \
    "$zigbuild" check -Zbuild-std --target x86_64-apple-darwin --locked --lib --bins
}

skip() {
  echo "release-check: skipped: $1"
  exit 77
}

fail() {
  echo "release-check: $1" >&2
  exit 1
}

main "$@"

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
       scripts/release-check.sh [--out DIR] [--target TRIPLE] [--signers FILE] session
                                                                       the archive in DIR, on this machine
       scripts/release-check.sh crate                                  `cargo install` of the packed crate
       scripts/release-check.sh [--target TRIPLE] macos                check the types for macOS, on Linux

  debian   Takes what `scripts/release.sh --deb` wrote into DIR (dist/) for x86_64-unknown-linux-gnu. Reads which glibc
           the program needs. Installs the archive and the package in the oldest Debian that the mirror still has, runs
           the program there, also without the system calls that Linux 3.10 lacks, upgrades the package under a running
           session, and removes everything again. Needs root, debootstrap and python3; takes the mirror that apt-get
           uses here.
  session  Installs the archive below a temporary home directory, runs a session, and uninstalls it. With --signers, also
           checks its signature (see `install.sh --help`). Needs nothing else.
  crate    Packs the crate, installs it with an empty CARGO_HOME, and runs a session. Needs the network, and some minutes.
  macos    `cargo check` for both kinds of Mac, or the given one, where warnings are errors. The standard library is
           compiled from its sources, with zig as the C compiler. Takes the sources of rustup's component rust-src, or of
           the RUSTC in the environment, or those that scripts/counterparts.sh installs.

Prints `skipped` with the reason, and exits with 77, where something is missing.
TEXT
}

main() {
  local out=$here/dist mirror='' target='' signers=''
  while [ $# -gt 1 ]; do
    case $1 in
      --out) out=$2 ;;
      --mirror) mirror=$2 ;;
      --target) target=$2 ;;
      --signers) signers=$2 ;;
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
    session)
      target=${target:-x86_64-unknown-linux-gnu}
      session "$out/ccrun-$version-$target.tar.gz" "$target" "$signers"
      ;;
    crate) crate ;;
    macos) macos "$target" ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
  esac
}

debian() {
  local out=$1 mirror=$2 archive package
  archive=$out/ccrun-$version-x86_64-unknown-linux-gnu.tar.gz
  package=$out/ccrun_${version}_amd64.deb
  { [ -f "$archive" ] && [ -f "$package" ]; } || fail "run \`scripts/release.sh --deb --out $out\` first"
  [ "$(id -u)" = 0 ] || skip "only root can make a Debian root"
  command -v debootstrap >/dev/null || skip "debootstrap is not installed"
  unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
  tar -xzf "$archive" -C "$work"
  needs "$work/ccrun-$version-x86_64-unknown-linux-gnu/bin/ccrun"
  lint "$package"
  root "$mirror"
  cp "$archive" "$archive.sha256" "$package" "$work/root/tmp/"
  newer "$package" "$work/root/tmp/newer.deb"
  in_root package_inside "${package##*/}"
  in_root archive_inside "${archive##*/}"
  with_old_kernel=$here/scripts/release/old_kernel.py in_root archive_inside "${archive##*/}"
  echo "and once more without the system calls that Linux 3.10 lacks"
}

# Fails if a program needs a newer glibc, or another library. A mirror has no Debian with a glibc as old as that, but the
# dynamic linker checks nothing else of a program than what is read here.
needs() {
  local needed libraries
  needed=$(readelf --version-info --wide "$1" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
  [ "$(printf '%s\n' "GLIBC_$glibc" "$needed" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] || fail "it needs $needed"
  libraries=$(readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  ! grep -vE '^(lib(c|m|dl|rt|pthread|util)\.so\.[0-9]|ld-linux-x86-64\.so\.2)$' <<<"$libraries" ||
    fail "it needs another library"
  echo "needs $needed and no newer symbol, of ${libraries//$'\n'/, }"
}

# Takes Debian's rules where their checker is installed. There is no address to write to yet.
lint() {
  if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "$1" || fail "failed: lintian"
    echo "lintian finds no error"
  else
    echo "not checked by lintian, which is not installed"
  fi
}

# A package of a later version with the same files.
newer() {
  rm -rf "$work/package"
  dpkg-deb -R "$1" "$work/package"
  sed -i "s/^Version: .*/Version: $version+newer/" "$work/package/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$work/package" "$2" >/dev/null
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
$(declare -f uses posts upgrades must_not_exist "$1")
$1 $2 $version x86_64-unknown-linux-gnu"
  # shellcheck disable=SC2016 # the inner shell expands them
  unshare -m --propagation private ${with_old_kernel:+"$with_old_kernel"} sh -c \
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

# Sends an empty export to the collector of the session around it.
posts() {
  local address=${OTEL_EXPORTER_OTLP_ENDPOINT#http://} path answer
  path=/${address#*/}/v1/logs
  address=${address%%/*}
  exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
  printf 'POST %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}' \
    "$path" "$address" "${OTEL_EXPORTER_OTLP_HEADERS%%=*}" "${OTEL_EXPORTER_OTLP_HEADERS#*=}" >&3
  IFS= read -r -t 10 answer <&3
  [[ $answer == "HTTP/1.1 200"* ]] || { echo "the collector answers: $answer" && return 1; }
}

# Installs a package of a later version while a session of the installed one runs.
upgrades() {
  export -f posts
  # shellcheck disable=SC2016 # the inner shell expands them
  ccrun --wait bash -c 'posts && dpkg -i "$1" && posts' bash "$1"
  dpkg -s ccrun | grep -q '^Version: .*newer$'
  ccrun sessions --all --json | grep -q '"own"'
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
  gzip -dc /usr/share/man/man1/ccrun.1.gz | grep -q 'Launch Claude Code'
  bash -c '. /usr/share/bash-completion/completions/ccrun && complete -p ccrun' >/dev/null
  grep -qx ' /etc/ccrun/config.toml [0-9a-f]*' <(dpkg-query -W -f '${Conffiles}\n' ccrun)
  uses /usr/bin/ccrun "$2" "$3"
  # The administrator's own file is used, and stays until the package is purged.
  mkdir /etc/ccrun/profiles
  printf '[resource]\nowner = "administrator"\n' >/etc/ccrun/profiles/own.toml
  echo 'profile = "own"' >>/etc/ccrun/config.toml
  upgrades /tmp/newer.deb
  grep -q 'profile = "own"' /etc/ccrun/config.toml
  dpkg -r ccrun
  must_not_exist /usr/bin/ccrun /usr/share/man/man1/ccrun.1.gz /usr/share/doc/ccrun
  grep -q 'profile = "own"' /etc/ccrun/config.toml
  rm -r /etc/ccrun/profiles
  dpkg -P ccrun
  must_not_exist /etc/ccrun
  rm -rf /root/.local /root/.config
  echo "the package was installed, used, upgraded under a session, removed and purged"
}

archive_inside() {
  tar -xzf "/tmp/$1" -C /tmp
  cp "/tmp/${1%.tar.gz}/install.sh" /tmp/install.sh
  bash /tmp/install.sh --from "/tmp/$1" >/dev/null
  uses /root/.local/bin/ccrun "$2" "$3"
  bash /tmp/install.sh --uninstall --purge >/dev/null
  must_not_exist /root/.local/bin/ccrun /root/.local/share/man/man1/ccrun.1 /root/.local/state/ccrun /root/.config/ccrun
  echo "the archive was installed, used and removed"
}

session() {
  [ -f "$1" ] || fail "$1 does not exist: run \`scripts/release.sh\` first"
  own_home
  sh "$here/install.sh" --from "$1" ${3:+--signers "$3"}
  uses "$HOME/.local/bin/ccrun" "$version" "$2"
  sh "$here/install.sh" --uninstall --purge >/dev/null
  must_not_exist "$HOME/.local/bin/ccrun" "$HOME/.local/state/ccrun" "$HOME/Library/Application Support/ccrun"
  echo "the archive was installed, used and removed"
}

# From here on, nothing touches this user's files.
own_home() {
  mkdir "$work/home"
  export HOME=$work/home
  unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR
}

# Without optimisation, because only whether it compiles and installs matters.
crate() {
  local target=${CARGO_TARGET_DIR:-$here/target} host
  (cd "$here" && cargo package --quiet --locked --no-verify)
  tar -xzf "$target/package/ccrun-$version.crate" -C "$work"
  mkdir "$work/cargo"
  (cd "$work" && CARGO_HOME=$work/cargo cargo install --locked --debug --config 'profile.dev.package."*".opt-level=0' \
    --path "$work/ccrun-$version" --root "$work/installed" --target-dir "$work/target")
  # rustup looks for the compiler below HOME.
  host=$(rustc -vV | sed -n 's/^host: //p')
  own_home
  uses "$work/installed/bin/ccrun" "$version" "$host"
  "$work/installed/bin/ccrun" man "$work/man"
  [ -f "$work/man/ccrun-report.1" ] || fail "there are no man pages"
  echo "the packed crate was installed and used: $("$work/installed/bin/ccrun" --version)"
}

# Only checks types and lifetimes: linking needs Apple's frameworks.
macos() {
  local compiler reason zigbuild target targets=(aarch64-apple-darwin x86_64-apple-darwin)
  [ -z "$1" ] || targets=("$1")
  compiler=${RUSTC:-rustc}
  if ! has_sources "$compiler"; then
    reason=$("$here/scripts/counterparts.sh" rust-src) || skip "$reason"
    compiler=$("$here/scripts/counterparts.sh" --path rust-src)
    has_sources "$compiler" || skip "$compiler has no sources of the standard library"
  fi
  reason=$("$here/scripts/counterparts.sh" cargo-zigbuild) || skip "$reason"
  zigbuild=$("$here/scripts/counterparts.sh" --path cargo-zigbuild)
  "$compiler" --version
  cd "$here"
  for target in "${targets[@]}"; do
    # `-Zbuild-std` is for nightly compilers, unless this is set.
    RUSTC=$compiler RUSTC_BOOTSTRAP=1 CARGO_ZIGBUILD_ZIG_PATH=${zigbuild%/*}/zig \
      "$zigbuild" check -Zbuild-std --target "$target" --target-dir "${CARGO_TARGET_DIR:-target}/macos" --locked --lib --bins \
      2>&1 | tee "$work/log" >&2
    # Other crates may have their warnings.
    ! grep -qE '^ +--> (src|build)/' "$work/log" || fail "there are warnings for $target"
    echo "it compiles for $target, without linking"
  done
}

has_sources() {
  [ -f "$("$1" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]
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

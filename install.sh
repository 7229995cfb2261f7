#!/bin/sh
# Builds ccrun and installs it for this user.
set -eu

usage() {
  cat <<'TEXT'
Usage: ./install.sh [--prefix DIR]               build ccrun and install it as DIR/bin/ccrun
       ./install.sh --uninstall [--prefix DIR]   remove DIR/bin/ccrun, and keep what it has recorded
       ./install.sh --help

DIR is ~/.local unless told otherwise. Running sessions keep the program they started with. No shell's rc file is
changed, and Claude Code's own ~/.local/bin/claude is left alone.
TEXT
}

main() {
  action=install
  prefix=
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix)
        [ -n "${2-}" ] || misuse "--prefix takes a directory"
        prefix=$2
        shift
        ;;
      --prefix=?*) prefix=${1#--prefix=} ;;
      --uninstall) action=uninstall ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) misuse "unknown option \`$1\`" ;;
    esac
    shift
  done
  if [ -z "$prefix" ]; then
    [ -n "${HOME-}" ] || fail "HOME is not set: say where to with --prefix DIR"
    prefix=$HOME/.local
  fi
  case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
  esac
  bin=$prefix/bin
  target=$bin/ccrun
  # Replacing or removing these would undo what someone else has set up.
  [ ! -L "$target" ] || fail "$target is a symbolic link, which this script never makes: it is left alone"
  [ ! -d "$target" ] || fail "$target is a directory: it is left alone"
  "$action"
}

install() {
  check_directory
  command -v cargo >/dev/null || fail "cargo is not installed: get Rust with rustup, then run this again"
  here=$(cd "$(dirname "$0")" && pwd)
  built=${CARGO_TARGET_DIR:-$here/target}
  echo "building ccrun (the release build takes some minutes)"
  cargo build --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$built" --bin ccrun ||
    fail "the build failed: nothing has been installed"
  if cmp -s "$built/release/ccrun" "$target"; then
    echo "$target is already up to date"
  else
    put "$built/release/ccrun"
  fi
  mention_path
}

# Before the build, which is long: the nearest directory that exists is where writing would fail.
check_directory() {
  nearest=$bin
  while [ ! -e "$nearest" ] && [ ! -L "$nearest" ]; do
    nearest=$(dirname "$nearest")
  done
  [ -d "$nearest" ] || fail "$nearest is not a directory"
  if ! [ -w "$nearest" ] || ! [ -x "$nearest" ]; then
    fail "$nearest is not writable: choose another with --prefix DIR"
  fi
}

# A copy beside the target, renamed over it: whoever starts ccrun meanwhile finds the old one or the new one whole,
# and what runs keeps the old one.
put() {
  verb=installed
  [ ! -e "$target" ] || verb=updated
  mkdir -p "$bin" || fail "cannot make $bin"
  temporary=$(mktemp "$bin/.ccrun.XXXXXX") || fail "cannot write to $bin"
  trap 'rm -f "$temporary"' EXIT
  trap 'exit 1' HUP INT TERM
  if ! { cp "$1" "$temporary" && chmod 755 "$temporary" && mv -f "$temporary" "$target"; }; then
    fail "cannot write to $bin"
  fi
  echo "$verb $target"
}

mention_path() {
  case :${PATH-}: in
    *":$bin:"*) ;;
    *)
      echo "$bin is not on your PATH: add it, or call ccrun by its path"
      return
      ;;
  esac
  first=$(command -v ccrun || true)
  [ "$first" = "$target" ] || echo "but \`ccrun\` means $first here, which comes earlier on your PATH"
}

uninstall() {
  if [ -e "$target" ]; then
    rm -f "$target" || fail "cannot remove $target"
    echo "removed $target"
  else
    echo "$target is not there: nothing to remove"
  fi
  state=$(state_directory)
  [ ! -d "$state" ] || echo "kept what ccrun has recorded, and what it has not delivered yet: $state"
  config=${XDG_CONFIG_HOME:-${HOME-}/.config}/ccrun
  [ ! -d "$config" ] || echo "kept your profiles: $config"
}

state_directory() {
  if [ -n "${CCRUN_STATE_DIR-}" ]; then
    echo "$CCRUN_STATE_DIR"
  elif [ "$(uname)" = Darwin ]; then
    echo "${HOME-}/Library/Application Support/ccrun"
  else
    echo "${XDG_STATE_HOME:-${HOME-}/.local/state}/ccrun"
  fi
}

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

misuse() {
  printf 'install.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

main "$@"

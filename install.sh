#!/bin/sh
# Installs ccrun for this user, built here or from an archive that was built elsewhere; and takes it out again.
set -eu

# What marks the line of ours in a shell's rc file.
mark='# ccrun'

usage() {
  cat <<'TEXT'
Usage: ./install.sh [OPTION]...                 install ccrun, its man pages and completions
       ./install.sh --uninstall [OPTION]...     remove them, and keep what ccrun has recorded

  --prefix DIR    below which directory [default: ~/.local]
  --from FILE     install an archive of scripts/release.sh instead of building; FILE.sha256 must be beside it
  --with-alias    add a line to your shell's rc file, so that `claude` is `ccrun claude` (bash, zsh, fish)
  --purge         with --uninstall: remove profiles, records and what is not delivered yet, too
  --dry-run       say what would be done, and do nothing

Running sessions keep the program they started with. Without --with-alias no rc file is changed; Claude Code's own
~/.local/bin/claude is never touched.
TEXT
}

main() {
  action=install prefix='' archive='' with_alias=no purge=no dry=no
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix | --from)
        [ -n "${2-}" ] || misuse "$1 takes a value"
        if [ "$1" = --prefix ]; then prefix=$2; else archive=$2; fi
        shift
        ;;
      --prefix=?*) prefix=${1#--prefix=} ;;
      --from=?*) archive=${1#--from=} ;;
      --with-alias) with_alias=yes ;;
      --uninstall) action=uninstall ;;
      --purge) purge=yes ;;
      --dry-run) dry=yes ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) misuse "unknown option \`$1\`" ;;
    esac
    shift
  done
  [ "$purge" = no ] || [ "$action" = uninstall ] || misuse "--purge goes with --uninstall"
  if [ -z "$prefix" ]; then
    [ -n "${HOME-}" ] || fail "HOME is not set: say where to with --prefix DIR"
    prefix=$HOME/.local
  fi
  case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
  esac
  here=$(cd "$(dirname "$0")" && pwd)
  target=$prefix/bin/ccrun
  man=$prefix/share/man/man1
  bash_completion=$prefix/share/bash-completion/completions/ccrun
  zsh_completion=$prefix/share/zsh/site-functions/_ccrun
  fish_completion=$prefix/share/fish/vendor_completions.d/ccrun.fish
  # Replacing or removing these would undo what someone else has set up.
  [ ! -L "$target" ] || fail "$target is a symbolic link, which this script never makes: it is left alone"
  [ ! -d "$target" ] || fail "$target is a directory: it is left alone"
  temporary=
  trap 'clean' EXIT
  trap 'exit 1' HUP INT TERM
  "$action"
}

clean() {
  [ -z "$temporary" ] || rm -rf "$temporary"
}

install() {
  check_directory
  [ "$with_alias" = no ] || rc_file
  if [ "$dry" = yes ]; then
    echo "would ${archive:+check and }install ${archive:-what cargo builds here} as $target,"
    echo "with man pages in $man and completions for bash, zsh and fish below $prefix/share"
    [ "$with_alias" = no ] || would_add_alias
    return
  fi
  temporary=$(mktemp -d) || fail "cannot make a temporary directory"
  if [ -n "$archive" ]; then
    unpack
  elif [ -x "$here/bin/ccrun" ] && [ ! -e "$here/Cargo.toml" ]; then
    # This is the archive, unpacked.
    program=$here/bin/ccrun
  else
    build
  fi
  "$program" man "$temporary/man" || fail "$program does not run here: nothing has been installed"
  "$program" init bash --without-alias >"$temporary/bash"
  "$program" init zsh --without-alias >"$temporary/zsh"
  "$program" init fish --without-alias >"$temporary/fish"
  if cmp -s "$program" "$target"; then
    echo "$target is already up to date"
  else
    verb=installed
    [ ! -e "$target" ] || verb=updated
    put "$program" "$target" 755
    echo "$verb $target"
  fi
  for page in "$temporary/man"/*.1; do
    put "$page" "$man/${page##*/}" 644
  done
  put "$temporary/bash" "$bash_completion" 644
  { echo '#compdef ccrun'; cat "$temporary/zsh"; } >"$temporary/_ccrun"
  put "$temporary/_ccrun" "$zsh_completion" 644
  put "$temporary/fish" "$fish_completion" 644
  [ "$with_alias" = no ] || add_alias
  mention_path
}

build() {
  command -v cargo >/dev/null || fail "cargo is not installed: get Rust with rustup, then run this again, or use --from"
  built=${CARGO_TARGET_DIR:-$here/target}
  echo "building ccrun (the release build takes some minutes)"
  # Named, because cargo looks for it from the working directory up.
  cargo build --release --locked --config "$here/.cargo/config.toml" --manifest-path "$here/Cargo.toml" \
    --target-dir "$built" --bin ccrun ||
    fail "the build failed: nothing has been installed"
  program=$built/release/ccrun
}

# An archive is believed only with its checksum beside it.
unpack() {
  [ -f "$archive" ] || fail "$archive is not there"
  [ -f "$archive.sha256" ] || fail "$archive.sha256 is not there: without it the archive cannot be checked"
  wanted=$(cut -d ' ' -f 1 "$archive.sha256")
  found=$(digest "$archive") || fail "neither sha256sum nor shasum is installed: the archive cannot be checked"
  [ "$found" = "$wanted" ] || fail "$archive is not what its checksum says (has $found, should have $wanted)"
  tar -xzf "$archive" -C "$temporary" || fail "$archive cannot be unpacked: nothing has been installed"
  for program in "$temporary"/*/bin/ccrun; do
    [ -f "$program" ] || fail "$archive holds no ccrun: nothing has been installed"
  done
}

digest() {
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -d ' ' -f 1
  else
    command -v shasum >/dev/null && shasum -a 256 <"$1" | cut -d ' ' -f 1
  fi
}

# Before the build, which is long: the nearest directory that exists is where writing would fail.
check_directory() {
  nearest=$prefix/bin
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
  directory=$(dirname "$2")
  mkdir -p "$directory" || fail "cannot make $directory"
  new=$directory/.ccrun.$$
  if ! { cp "$1" "$new" && chmod "$3" "$new" && mv -f "$new" "$2"; }; then
    rm -f "$new"
    fail "cannot write to $directory"
  fi
}

mention_path() {
  case :${PATH-}: in
    *":$prefix/bin:"*) ;;
    *)
      echo "$prefix/bin is not on your PATH: add it, or call ccrun by its path"
      return
      ;;
  esac
  first=$(command -v ccrun || true)
  [ "$first" = "$target" ] || echo "but \`ccrun\` means $first here, which comes earlier on your PATH"
}

# Sets `rc` and the line that belongs there, for the user's shell.
rc_file() {
  [ -n "${HOME-}" ] || fail "HOME is not set: there is no rc file to add an alias to"
  quoted=$(printf %s "$target" | sed "s/'/'\\\\''/g")
  case ${SHELL-} in
    */bash) rc=$HOME/.bashrc line="eval \"\$('$quoted' init bash)\"  $mark" ;;
    */zsh) rc=${ZDOTDIR:-$HOME}/.zshrc line="eval \"\$('$quoted' init zsh)\"  $mark" ;;
    */fish) rc=${XDG_CONFIG_HOME:-$HOME/.config}/fish/config.fish line="'$quoted' init fish | source  $mark" ;;
    *) fail "--with-alias knows bash, zsh and fish, and SHELL is \`${SHELL-}\`: add an alias by hand" ;;
  esac
}

would_add_alias() {
  echo "would add to $rc:"
  echo "  $line"
}

add_alias() {
  if [ -f "$rc" ] && grep -Fqx "$line" "$rc"; then
    echo "$rc has the alias already"
    return
  fi
  mkdir -p "$(dirname "$rc")" || fail "cannot make $(dirname "$rc")"
  # A last line without an end would swallow ours.
  if [ -s "$rc" ] && [ -n "$(tail -c 1 "$rc")" ]; then echo >>"$rc"; fi
  echo "$line" >>"$rc" || fail "cannot write to $rc"
  echo "added to $rc, for shells that start from now on: $line"
}

uninstall() {
  state=$(state_directory)
  config=$(config_directory)
  for record in "$state"/wired/*.record; do
    [ ! -e "$record" ] ||
      fail "settings of Claude Code's or of an editor's still name ccrun: run \`ccrun unwire claude\` and \`ccrun unwire code\` first"
  done
  if [ ! -e "$target" ]; then
    echo "$target is not there: nothing to remove"
  fi
  for file in "$target" "$man"/ccrun.1 "$man"/ccrun-*.1 "$bash_completion" "$zsh_completion" "$fish_completion"; do
    remove "$file"
  done
  remove_alias
  for directory in "$state" "$config"; do
    [ -d "$directory" ] || continue
    if [ "$purge" = no ]; then
      echo "kept what ccrun has recorded, and your profiles: $directory"
    elif [ "$dry" = yes ]; then
      echo "would remove $directory with all that is in it"
    else
      rm -rf "$directory" || fail "cannot remove $directory"
      echo "removed $directory"
    fi
  done
  [ "$purge" = no ] || echo "what is in the keyring stays there: its entries are those of the service \`ccrun\`"
}

remove() {
  [ -e "$1" ] || return 0
  if [ "$dry" = yes ]; then
    echo "would remove $1"
    return
  fi
  rm -f "$1" || fail "cannot remove $1"
  echo "removed $1"
}

# The very line that --with-alias adds; whatever else names ccrun is the user's own.
remove_alias() {
  [ -n "${HOME-}" ] || return 0
  for shell in bash zsh fish; do
    SHELL=/bin/$shell
    rc_file
    if ! [ -f "$rc" ] || ! grep -Fqx "$line" "$rc"; then continue; fi
    if [ "$dry" = yes ]; then
      echo "would remove from $rc: $line"
      continue
    fi
    # Written back into the same file, which may be a link.
    rest=$(mktemp) || fail "cannot make a temporary file"
    grep -Fvx "$line" "$rc" >"$rest" || true
    cat "$rest" >"$rc" || fail "cannot write to $rc"
    rm -f "$rest"
    echo "removed from $rc: $line"
  done
}

config_directory() {
  if [ "$(uname)" = Darwin ]; then
    echo "${HOME-}/Library/Application Support/ccrun"
  else
    echo "${XDG_CONFIG_HOME:-${HOME-}/.config}/ccrun"
  fi
}

state_directory() {
  if [ -n "${CCRUN_STATE_DIR-}" ]; then
    echo "$CCRUN_STATE_DIR"
  elif [ "$(uname)" = Darwin ]; then
    config_directory
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

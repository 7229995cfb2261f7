#!/bin/sh
# Installs ccrun for this user, built here or from an archive, and uninstalls it.
set -eu

# Marks the line that this script adds to a shell's rc file.
mark='# ccrun'

usage() {
  cat <<'TEXT'
Usage: ./install.sh [OPTION]...                 install ccrun, its man pages and completions
       ./install.sh --uninstall [OPTION]...     remove them, and keep what ccrun has recorded

  --prefix DIR    install below this directory [default: ~/.local]
  --from FILE     install an archive of scripts/release.sh instead of building; needs FILE.sha256 beside it
  --signers FILE  with --from: install only what one of these keys has signed, in FILE.sig beside the archive. One key a
                  line, like `releases@example.com ssh-ed25519 AAAA...`: an "allowed signers" file of ssh-keygen(1)
  --with-alias    add a line to your shell's rc file, so that `claude` is `ccrun claude` (bash, zsh, fish)
  --purge         with --uninstall: also remove profiles, records and undelivered telemetry
  --dry-run       show what would be done, without doing it

Running sessions keep the program they started with. Without --with-alias, no rc file is changed. Claude Code's own
~/.local/bin/claude is never changed.
TEXT
}

main() {
  action=install prefix='' archive='' signers='' with_alias=no purge=no dry=no
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix | --from | --signers)
        [ -n "${2-}" ] || misuse "$1 takes a value"
        case $1 in
          --prefix) prefix=$2 ;;
          --from) archive=$2 ;;
          --signers) signers=$2 ;;
        esac
        shift
        ;;
      --prefix=?*) prefix=${1#--prefix=} ;;
      --from=?*) archive=${1#--from=} ;;
      --signers=?*) signers=${1#--signers=} ;;
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
  [ -z "$signers" ] || [ -n "$archive" ] || misuse "--signers goes with --from"
  if [ -z "$prefix" ]; then
    [ -n "${HOME-}" ] || fail "HOME is not set: choose a directory with --prefix DIR"
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
  # Replacing or removing these would undo something that this script has not set up.
  [ ! -L "$target" ] || fail "$target is a symbolic link, which this script does not create: it is left unchanged"
  [ ! -d "$target" ] || fail "$target is a directory: it is left unchanged"
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
    echo "would ${archive:+check and }install ${archive:-a build of these sources} as $target,"
    echo "with man pages in $man and completions for bash, zsh and fish below $prefix/share"
    [ "$with_alias" = no ] || would_add_alias
    return
  fi
  temporary=$(mktemp -d) || fail "cannot create a temporary directory"
  if [ -n "$archive" ]; then
    unpack
  elif [ -x "$here/bin/ccrun" ] && [ ! -e "$here/Cargo.toml" ]; then
    # This script is in an unpacked archive.
    program=$here/bin/ccrun
  else
    build
  fi
  "$program" man "$temporary/man" || fail "$program does not run on this machine: nothing has been installed"
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
  # They call the program by name or path, so they come from where it now is.
  "$target" init bash --without-alias >"$temporary/bash"
  "$target" init zsh --without-alias >"$temporary/zsh"
  "$target" init fish --without-alias >"$temporary/fish"
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
  # The path is given because cargo searches for its configuration from the working directory upwards.
  cargo build --release --locked --config "$here/.cargo/config.toml" --manifest-path "$here/Cargo.toml" \
    --target-dir "$built" --bin ccrun ||
    fail "the build failed: nothing has been installed"
  program=$built/release/ccrun
}

# An archive is trusted only with its checksum beside it.
unpack() {
  [ -f "$archive" ] || fail "$archive does not exist"
  [ -f "$archive.sha256" ] || fail "$archive.sha256 does not exist, so the archive cannot be checked"
  wanted=$(cut -d ' ' -f 1 "$archive.sha256")
  found=$(digest "$archive") || fail "neither sha256sum nor shasum is installed: the archive cannot be checked"
  [ "$found" = "$wanted" ] || fail "$archive does not match its checksum (expected $wanted, found $found)"
  if [ -n "$signers" ]; then
    check_signature
  elif [ -f "$archive.sig" ]; then
    echo "note: the signature $archive.sig is not checked: give --signers FILE with the keys that you trust"
  fi
  tar -xzf "$archive" -C "$temporary" || fail "$archive cannot be unpacked: nothing has been installed"
  for program in "$temporary"/*/bin/ccrun; do
    [ -f "$program" ] || fail "$archive does not contain ccrun: nothing has been installed"
  done
}

# Fails unless one of the given keys has signed the archive.
check_signature() {
  [ -f "$signers" ] || fail "$signers does not exist: --signers takes a file of keys"
  [ -f "$archive.sig" ] || fail "$archive.sig does not exist, so the archive is not signed: nothing has been installed"
  command -v ssh-keygen >/dev/null || fail "ssh-keygen is not installed: the signature cannot be checked"
  signer=$(ssh-keygen -Y find-principals -f "$signers" -s "$archive.sig" 2>/dev/null | head -n 1)
  [ -n "$signer" ] || fail "no key in $signers made the signature $archive.sig: nothing has been installed"
  ssh-keygen -Y verify -f "$signers" -I "$signer" -n ccrun -s "$archive.sig" <"$archive" >/dev/null ||
    fail "$archive.sig is not the signature of $archive: nothing has been installed"
  echo "$archive is signed by $signer"
}

digest() {
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -d ' ' -f 1
  else
    command -v shasum >/dev/null && shasum -a 256 <"$1" | cut -d ' ' -f 1
  fi
}

# Checked before the long build. The nearest existing directory is the one where writing would fail.
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

# Copies beside the target and renames, so that a ccrun starting meanwhile is either the old or the new one. Running
# processes keep the old one.
put() {
  directory=$(dirname "$2")
  mkdir -p "$directory" || fail "cannot create $directory"
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
      echo "$prefix/bin is not on your PATH. To add it, run this line, and put it into your shell's rc file:"
      echo "  $(path_line)"
      return
      ;;
  esac
  first=$(command -v ccrun || true)
  [ "$first" = "$target" ] || echo "note: \`ccrun\` currently runs $first, which comes earlier on your PATH"
}

# The command that puts the directory first on PATH, in the syntax of the user's shell.
path_line() {
  case $prefix in
    "${HOME-/}"/*[!A-Za-z0-9/._-]*) quoted=yes ;;
    "${HOME-/}"/*) quoted=no shown="\$HOME/${prefix#"$HOME"/}/bin" ;;
    *) quoted=yes ;;
  esac
  [ "$quoted" = no ] || shown=$(printf %s "$prefix/bin" | sed "s/'/'\\\\''/g; s/^/'/; s/\$/'/")
  case ${SHELL-}/$quoted in
    */fish/*) echo "fish_add_path $shown" ;;
    */yes) echo "export PATH=$shown:\"\$PATH\"" ;;
    *) echo "export PATH=\"$shown:\$PATH\"" ;;
  esac
}

# Sets `rc` and the line for the user's shell.
rc_file() {
  [ -n "${HOME-}" ] || fail "HOME is not set: there is no rc file to add an alias to"
  quoted=$(printf %s "$target" | sed "s/'/'\\\\''/g")
  case ${SHELL-} in
    */bash) rc=$HOME/.bashrc line="eval \"\$('$quoted' init bash)\"  $mark" ;;
    */zsh) rc=${ZDOTDIR:-$HOME}/.zshrc line="eval \"\$('$quoted' init zsh)\"  $mark" ;;
    */fish) rc=${XDG_CONFIG_HOME:-$HOME/.config}/fish/config.fish line="'$quoted' init fish | source  $mark" ;;
    *) fail "--with-alias supports bash, zsh and fish, but SHELL is \`${SHELL-}\`: add the alias yourself" ;;
  esac
}

would_add_alias() {
  echo "would add to $rc:"
  echo "  $line"
}

add_alias() {
  if [ -f "$rc" ] && grep -Fqx "$line" "$rc"; then
    echo "$rc already has the alias"
    return
  fi
  mkdir -p "$(dirname "$rc")" || fail "cannot create $(dirname "$rc")"
  # If the last line has no newline, the new line would be appended to it.
  if [ -s "$rc" ] && [ -n "$(tail -c 1 "$rc")" ]; then echo >>"$rc"; fi
  echo "$line" >>"$rc" || fail "cannot write to $rc"
  echo "added to $rc (new shells use it): $line"
}

uninstall() {
  config=$(config_directory)
  each_state refuse_wired
  if [ ! -e "$target" ]; then
    echo "$target does not exist: nothing to remove"
  fi
  for file in "$target" "$man"/ccrun.1 "$man"/ccrun-*.1 "$bash_completion" "$zsh_completion" "$fish_completion"; do
    remove "$file"
  done
  remove_alias
  each_state purge_or_keep
  # On macOS both are one directory.
  [ "$config" = "$(default_state)" ] || purge_or_keep "$config"
  [ "$purge" = no ] || echo "the keyring stays unchanged: its entries for the service \`ccrun\` are kept"
}

# Calls $1 with each directory in which ccrun keeps its records, or kept them under another setting.
each_state() {
  default=$(default_state)
  configured=$(configured_state)
  "$1" "$default"
  [ -z "$configured" ] || [ "$configured" = "$default" ] || "$1" "$configured"
  case ${CCRUN_STATE_DIR-} in
    "$default" | "$configured") ;;
    # ccrun accepts only absolute paths.
    /*) "$1" "$CCRUN_STATE_DIR" ;;
  esac
  # The alternatives for a home directory on another machine.
  for moved in "/var/tmp/ccrun-$(id -u)" "${XDG_RUNTIME_DIR:-/nonexistent}/ccrun"; do
    # Other users may write to /var/tmp.
    [ -L "$moved" ] || [ -z "$(find "$moved" -prune -user "$(id -u)" 2>/dev/null)" ] || "$1" "$moved"
  done
}

refuse_wired() {
  for record in "$1"/wired/*.record; do
    [ ! -e "$record" ] ||
      fail "settings of Claude Code or of an editor still use ccrun: run \`ccrun unwire claude\` and \`ccrun unwire code\` first"
  done
}

purge_or_keep() {
  [ -d "$1" ] || return 0
  if [ "$purge" = no ]; then
    echo "kept your profiles and what ccrun has recorded: $1"
  elif [ "$dry" = yes ]; then
    echo "would remove ccrun's files in $1"
  else
    purge "$1"
  fi
}

# Removes only files that ccrun creates, by name: a configured directory may also contain the user's own files.
purge() {
  rm -f "$1"/store-[0-9].* "$1"/ledger-[0-9].* "$1"/key "$1"/clock "$1"/notice "$1"/notice.[0-9]* "$1"/inherited "$1"/moved \
    "$1"/wired/settings-*.record "$1"/wired/settings-*.before "$1"/wired/lock "$1"/wired/ccrun-wrap || cannot_remove "$1"
  for made in locks totals trust credentials silent unkept hooks metrics; do remove_made "$1/$made" ''; done
  remove_made "$1/settings" .json
  remove_made "$1/logs" .log
  rm -f "$1"/budgets/lift-* "$1"/budgets/20??-??-??-????????????????-* || cannot_remove "$1"
  remove_made "$1/budgets" ''
  for log in "$1"/spool/*; do
    is_made "${log##*/}" || continue
    rm -f "$log"/lock "$log"/[0-9]*-[0-9]* || cannot_remove "$log"
    remove_empty "$log"
  done
  remove_empty "$1/spool"
  remove_empty "$1/wired"
  if [ "$1" = "$config" ]; then
    rm -f "$1"/config.toml "$1"/profiles/*.toml || cannot_remove "$1"
    remove_empty "$1/profiles"
  fi
  remove_empty "$1"
  if [ -d "$1" ]; then
    echo "removed ccrun's files in $1, and kept the others"
  else
    echo "removed $1"
  fi
}

# Removes the files in directory $1 that ccrun has named and that end in $2, and unfinished temporary files.
remove_made() {
  for file in "$1"/*"$2"; do
    name=${file##*/}
    is_made "${name%"$2"}" || continue
    rm -f "$file" || cannot_remove "$file"
  done
  rm -f "$1"/.tmp?????? || cannot_remove "$1"
  remove_empty "$1"
}

# Whether a name is one that ccrun generates: at least 16 hexadecimal digits.
is_made() {
  case $1 in
    *[!0-9a-f]*) return 1 ;;
    ????????????????*) return 0 ;;
    *) return 1 ;;
  esac
}

# Links are kept, because ccrun does not create them.
remove_empty() {
  [ -L "$1" ] || rmdir "$1" 2>/dev/null || true
}

cannot_remove() {
  fail "cannot remove $1"
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

# Exactly the line that --with-alias adds. Other lines that mention ccrun are the user's.
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
    # Written into the same file, which may be a link.
    rest=$(mktemp) || fail "cannot create a temporary file"
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

default_state() {
  if [ "$(uname)" = Darwin ]; then
    config_directory
  else
    echo "${XDG_STATE_HOME:-${HOME-}/.local/state}/ccrun"
  fi
}

# The `state_dir` in the user's config.toml, or in the system's; empty if neither has one.
configured_state() {
  system=/etc/ccrun
  [ "$(uname)" != Darwin ] || system='/Library/Application Support/ccrun'
  for file in "$(config_directory)/config.toml" "$system/config.toml"; do
    [ -f "$file" ] || continue
    # Keys in tables are ignored.
    found=$(sed -n -e '/^[[:space:]]*\[/q' \
      -e "s/^[[:space:]]*state_dir[[:space:]]*=[[:space:]]*\([\"']\)\(.*\)\1[[:space:]]*\(#.*\)\{0,1\}\$/\2/p" "$file")
    case $found in
      '') ;;
      *\\*) fail "cannot read \`state_dir\` in $file: write it without backslashes" ;;
      /*) echo "$found" && return ;;
      *) echo "$(config_directory)/$found" && return ;;
    esac
  done
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

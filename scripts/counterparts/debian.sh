# shellcheck shell=bash
# Parts from Debian's packages, unpacked without installing them. scripts/counterparts.sh sources this file.

# Seconds. A registry that accepts connections and never answers must not block a test run.
apt_limit=600

# Debian has a second, newer compiler, with which it builds web browsers. Rustup's component rust-src has the sources as
# well, where it can be downloaded.
build_rust_src() {
  local home=$1 log=$2 packages=() package
  needs apt-get || return 1
  needs dpkg-deb || return 1
  progress rust-src "unpacking rustc-web and rust-web-src from apt-get"
  mkdir -p "$home/build"
  mapfile -t packages < <(rust_packages)
  if [ ${#packages[@]} -eq 0 ] && [ "$(id -u)" = 0 ]; then
    run "$apt_limit" "$log" apt-get update -qq || return 1
    mapfile -t packages < <(rust_packages)
  fi
  # shellcheck disable=SC2034 # the script that sources this file prints it
  [ ${#packages[@]} -gt 0 ] || { reason="apt-get has no package rustc-web"; return 1; }
  run "$apt_limit" "$log" env -C "$home/build" apt-get download -qq rust-web-src "${packages[@]}" || return 1
  for package in "$home"/build/*.deb; do
    case $package in
      # Of the compiler's own sources, nothing is needed.
      */rust-web-src_*)
        dpkg-deb --fsys-tarfile "$package" |
          tar -x -C "$home" --wildcards './usr/lib/*' './usr/src/*/library/*' || return 1
        ;;
      *) run "$apt_limit" "$log" dpkg-deb -x "$package" "$home" || return 1 ;;
    esac
  done
  rm -rf "$home/build"
  mkdir -p "$home/bin"
  printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$(dirname "$home"/usr/lib/*/librustc_driver-*.so)" \
    "$home/usr/bin/rustc" >"$home/bin/rustc"
  chmod +x "$home/bin/rustc"
  run 60 "$log" "$home/bin/rustc" --version
}

# The compiler and the libraries that only it needs.
rust_packages() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    rustc-web 2>/dev/null | grep -xE 'rustc-web|libstd-rust-web-[a-z0-9.]+|libllvm[0-9]+' | sort -u || true
}

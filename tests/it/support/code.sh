#!/usr/bin/env bash
# A stand-in for the desktop's `code`. Each user data directory has one instance. A second launch passes its arguments
# and environment to that instance and returns. A new folder opens a window whose extension host has {...first,
# ...this}. A folder that is already open keeps its window and environment. The instance exits with its last window.
#
#   code [--user-data-dir DIR] [--wait] FOLDER
#   code --close FOLDER | --reload FOLDER      what a user does in the window, for tests
set -euo pipefail

# Opens a window: an extension host with the environment of the instance's first launch, overridden by that of this
# launch. A restart of the host is a reload of the window.
start_host() {
  local host=$1
  (
    # shellcheck source=/dev/null
    . "$host/launch"
    env -0 >"$host/new"
    mv "$host/new" "$host/environment"
    exec -a extensionHost sleep infinity
  ) &
  echo $! >"$host/pid"
}

end_host() {
  kill "$(cat "$1/pid")"
  wait "$(cat "$1/pid")" 2>/dev/null || true
}

# The instance. It handles requests until its last window is closed.
instance() {
  local data=$1 windows=0 verb host marker
  # Opened for writing as well, so that reading does not end between two requests.
  exec 3<>"$data/requests"
  while read -r verb host marker <&3; do
    case $verb in
      open)
        if [ ! -e "$host/pid" ]; then
          mv "$host/next" "$host/launch"
          start_host "$host"
          windows=$((windows + 1))
        fi
        [ "$marker" = - ] || echo "$marker" >>"$host/markers"
        echo "$verb" >>"$host/done"
        ;;
      reload)
        end_host "$host"
        sleep 1.2
        start_host "$host"
        echo "$verb" >>"$host/done"
        ;;
      close)
        end_host "$host"
        windows=$((windows - 1))
        [ "$windows" -gt 0 ] || rm "$data/code.lock"
        [ ! -e "$host/markers" ] || xargs rm <"$host/markers"
        rm -f "$host/pid" "$host/environment" "$host/markers"
        echo "$verb" >>"$host/done"
        [ "$windows" -gt 0 ] || exit 0
        ;;
    esac
  done
}

main() {
  local data=${XDG_CONFIG_HOME:-$HOME/.config}/Code verb=open wait=no folder='' marker=- host
  if [ "${1-}" = --instance ]; then
    instance "$2"
    exit
  fi
  while [ $# -gt 0 ]; do
    case $1 in
      --user-data-dir) data=$2 && shift ;;
      --user-data-dir=*) data=${1#*=} ;;
      --wait) wait=yes ;;
      --close | --reload) verb=${1#--} ;;
      *) folder=$(realpath "$1") ;;
    esac
    shift
  done
  mkdir -p "$data"
  data=$(realpath "$data")
  host=$data/windows/${folder//\//%}
  mkdir -p "$host"
  if [ "$verb" = open ]; then
    export -p >"$host/next"
    if [ ! -e "$data/code.lock" ] || ! kill -0 "$(cat "$data/code.lock")" 2>/dev/null; then
      [ -p "$data/requests" ] || mkfifo "$data/requests"
      (exec -a "/usr/share/${0##*/}" bash "$0" --instance "$data") </dev/null >/dev/null 2>&1 &
      echo $! >"$data/code.lock"
    fi
  fi
  if [ "$wait" = yes ]; then
    marker=$(mktemp)
  fi
  echo "$verb $host $marker" >"$data/requests"
  while [ -e "$marker" ]; do sleep 0.05; done
}

main "$@"

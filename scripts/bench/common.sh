# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file use these variables
# Functions that the benchmarks share. They source this file, define `usage`, and call `begin "$@"`.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/common.sh
. "$here/scripts/common.sh"

# Reads the arguments, builds what is needed and creates a home. Sets runs, smoke, words, scratch, state, said and HOME,
# and puts `ccrun` and `bench` on the PATH. BENCH_BUILT is a directory with other builds to measure.
begin() {
  local built argument profile=(--release)
  runs='' smoke=no words=()
  for argument; do
    case $argument in
      -h | --help) usage && exit ;;
      --smoke) smoke=yes ;;
      [a-z]*) words+=("$argument") ;;
      *[!0-9]* | 0 | '') misuse "\`$argument\` is no number of runs" ;;
      *) runs=$argument ;;
    esac
  done
  [ -r /proc/self/smaps_rollup ] || skip "there is no /proc here"
  forget_inherited
  forget_account
  unset RUST_BACKTRACE
  # A smoke run only checks that everything runs, and the tests have built that profile already.
  [ "$smoke" = no ] || profile=()
  built=${CARGO_TARGET_DIR:-$here/target}/${profile[0]+release}
  [ "$smoke" = no ] || built+=debug
  if [ -n "${BENCH_BUILT-}" ]; then
    built=$BENCH_BUILT
  else
    cargo build --quiet "${profile[@]}" --locked --manifest-path "$here/Cargo.toml" --bin ccrun \
      --example bench --example stand_in_model </dev/null
  fi
  scratch=$(cd "$(mktemp -d)" && pwd -P)
  trap clean_up EXIT
  model_program=$built/examples/stand_in_model
  mkdir -p "$scratch/home/.config/ccrun/profiles" "$scratch/bin"
  # A unique path identifies this run's collectors.
  ln "$built/ccrun" "$scratch/bin/ccrun" 2>/dev/null || cp "$built/ccrun" "$scratch/bin/ccrun"
  ln "$built/examples/bench" "$scratch/bin/bench" 2>/dev/null || cp "$built/examples/bench" "$scratch/bin/bench"
  CCRUN_COUNTERPARTS=${CCRUN_COUNTERPARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/ccrun-counterparts}
  home_before=$HOME
  unset "${!XDG_@}"
  export CCRUN_COUNTERPARTS HOME=$scratch/home PATH=$scratch/bin:$PATH
  state=$HOME/.local/state/ccrun
  said=$scratch/said
  cd "$HOME" || fail "cannot enter $HOME"
}

# Prints the path of another program, or the reason on stderr if it is unavailable. A smoke run uses only what is
# installed.
counterpart() {
  local reason
  reason=$([ "$smoke" = yes ] && echo "skipped: not installed yet" ||
    HOME=$home_before "$here/scripts/counterparts.sh" "$1") || true
  "$here/scripts/counterparts.sh" --path "$1" || {
    progress "$1: ${reason#*: }"
    return 1
  }
}

# The first of two numbers, or the second in a smoke run.
usually() {
  if [ "$smoke" = yes ]; then echo "$2"; else echo "$1"; fi
}

# Starts a server that prints its URL and exits when its standard input closes. This script holds that input as the
# given descriptor. Sets served to the URL, and server to the pid. No other process may keep the descriptor open.
serve() {
  local descriptor=$1 name=$2
  shift 2
  rm -f "$scratch/$name.in" "$scratch/$name.out"
  mkfifo "$scratch/$name.in" "$scratch/$name.out"
  close_all "$@" <"$scratch/$name.in" >"$scratch/$name.out" 2>>"$said" &
  server=$!
  eval "exec $descriptor>\"\$scratch/\$name.in\""
  # Kept open for the server's later lines, which `asked` reads.
  eval "exec $((descriptor + 20))<\"\$scratch/\$name.out\""
  IFS= read -r -t 60 -u "$((descriptor + 20))" served || fail "$name did not start"
}

# Stops the server whose standard input is this descriptor.
unserve() {
  eval "exec $1>&- $(($1 + 20))<&-"
}

# Sends a line to the server, and prints the answer.
asked() {
  local answer
  echo "$2" >&"$1"
  IFS= read -r -t "${3-120}" -u "$(($1 + 20))" answer || fail "the backend did not receive $2 records"
  echo "$answer"
}

# Starts a session with these options of ccrun that runs until `end_session`. Sets url, session, keeper and worker.
start_session() {
  local waited=0
  rm -f "$scratch/session.in" "$scratch/session.out"
  mkfifo "$scratch/session.in" "$scratch/session.out"
  # shellcheck disable=SC2016 # the session's own variables
  close_all ccrun "$@" sh -c 'echo "$OTEL_EXPORTER_OTLP_ENDPOINT $CCRUN_SESSION"; cat' \
    <"$scratch/session.in" >"$scratch/session.out" 2>>"$said" &
  program=$!
  exec 9>"$scratch/session.in"
  IFS=' ' read -r -t 60 url session <"$scratch/session.out" || fail "no session started: $(tail -n 1 "$said")"
  [ -n "$url" ] || fail "the session has no collector: $(tail -n 1 "$said")"
  until keeper=$(cat "$state/locks/$session" 2>/dev/null) && worker=$(pgrep -P "$keeper"); do
    [ $((waited += 1)) -le 600 ] || fail "the session has no worker"
    sleep 0.05
  done
}

# Executes a command without the descriptors of `serve` and `start_session`. They must close when they are closed here.
close_all() {
  exec "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- 23<&- 24<&- 25<&- 26<&- 27<&- 28<&-
}

# Ends the program and kills its collector, which would run on for a while. Its undelivered data stays.
end_session() {
  exec 9>&-
  wait "$program" || true
  end_collectors
}

# Kills the collectors of this run and no others. Keepers are identified by the files that they hold.
end_collectors() {
  local lock pid child
  for lock in "$state"/locks/* "$scratch"/states/*/locks/*; do
    pid=$(cat "$lock" 2>/dev/null) || continue
    [ "$(readlink "/proc/$pid/exe")" = "$scratch/bin/ccrun" ] || continue
    child=$(pgrep -P "$pid") || true
    # The keeper first, because it would replace its worker.
    kill -KILL "$pid" 2>/dev/null || true
    [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
    until_gone "$pid"
    [ -z "$child" ] || until_gone "$child"
  done
}

until_gone() {
  while [ -e "/proc/$1/exe" ] && [ "$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null)" != Z ]; do sleep 0.01; done
}

# Resets the home: no session, no stored data.
forget_state() {
  end_collectors
  rm -rf "$state"
}

# Records a measured number: `record WHAT WHO NUMBER`.
record() {
  printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$scratch/measured"
}

# The median of the recorded numbers, or `–` if there are none.
median() {
  awk -F '\t' -v what="$1" -v who="$2" '$1 == what && $2 == who { print $3 }' "$scratch/measured" 2>/dev/null |
    sort -g | awk '
      { value[NR] = $1 }
      END {
        if (NR == 0) print "–"
        else if (NR % 2) print value[(NR + 1) / 2]
        else print (value[NR / 2] + value[NR / 2 + 1]) / 2
      }'
}

# The ratio of two medians, or `–` if one is missing: `ratio WHAT OURS THEIRS`.
ratio() {
  awk -v a="$(median "$1" "$2")" -v b="$(median "$1" "$3")" 'BEGIN {
    if (a == "–" || b == "–" || b == 0) print "–"; else printf "%.2f ×\n", a / b
  }'
}

# A number with this number of decimals, and its unit: `show NUMBER DECIMALS UNIT`.
show() {
  if [ "$1" = – ]; then echo –; else printf "%.${2}f%s\n" "$1" "${3:+ $3}"; fi
}

# A row of a Markdown table.
row() {
  local cell line='|'
  for cell; do line+=" $cell |"; done
  echo "$line"
}

# The head of a Markdown table.
head_row() {
  row "$@"
  printf '|%s\n' "$(printf -- '---|%.0s' "$@")"
}

clean_up() {
  local code=$? pid
  exec 9>&-
  for pid in $(jobs -pr); do kill "$pid" 2>/dev/null || true; done
  [ ! -d "${state-}" ] || end_collectors
  cd /
  [ $code = 0 ] || [ ! -s "${said-}" ] || tail -n 200 "$said" >&2
  rm -rf "$scratch"
}

progress() {
  echo "bench: $1" >&2
}

# A benchmark that cannot run here is not a failure. The table shows the reason.
skip() {
  echo "skipped: $1"
  echo "bench: skipped: $1" >&2
  exit 0
}

fail() {
  echo "bench: $1" >&2
  exit 1
}

misuse() {
  printf 'bench: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

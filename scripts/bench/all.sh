#!/usr/bin/env bash
# Runs every benchmark and writes docs/benchmarks.md: what was measured, where, and with which versions. What stands in
# that file below its last marker is written by hand and stays.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: scripts/bench/all.sh            everything, into docs/benchmarks.md; takes an hour or more
       scripts/bench/all.sh RUNS       RUNS of each instead of what each finds right
       scripts/bench/all.sh --smoke    everything once, with as little as possible; prints it, and writes nothing
       scripts/bench/all.sh --help

Each benchmark is a script of its own beside this one, and prints the same tables.
TEXT
}

marker='<!-- scripts/bench/all.sh writes everything above this line -->'

main() {
  case ${1-} in
    -h | --help) usage && exit ;;
    '' | --smoke) ;;
    *[!0-9]*) usage >&2 && exit 2 ;;
  esac
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  measure "$@" >"$scratch/new.md"
  if [ "${1-}" = --smoke ]; then
    cat "$scratch/new.md"
    return
  fi
  local file=$here/docs/benchmarks.md
  mkdir -p "$here/docs"
  {
    cat "$scratch/new.md"
    echo
    echo "$marker"
    # The first time there is none yet.
    [ ! -e "$file" ] || awk -v marker="$marker" 'below; $0 == marker { below = 1 }' "$file"
  } >"$scratch/whole.md"
  # Only a run that came to its end replaces what was there.
  mv "$scratch/whole.md" "$file"
}

measure() {
  heading
  section "Launch" launch "$@"
  section "What a user waits for" wait "$@"
  section "From start to first acknowledgement" listening "$@"
  section "Memory, processor time and wake-ups" memory "$@"
  section "Acknowledgements, with the destination away" acknowledgement "$@"
  section "Delivery" delivery "$@"
  section "Growth" growth "$@"
  section "Many writers to one store" writers "$@"
  section "Profiles" profiles "$@"
  section "Instructions" guard
}

# A benchmark that cannot be run says so in its place; one that fails ends the run.
section() {
  local title=$1 name=$2
  shift 2
  printf '\n## %s\n\n' "$title"
  echo "\`scripts/bench/$name.sh\`"
  echo
  echo "bench: $name" >&2
  "$here/scripts/bench/$name.sh" "$@" | cat -s
}

heading() {
  cat <<MARKDOWN
# Benchmarks

Written by \`scripts/bench/all.sh\`, which anyone can run; each section names the script that writes it alone. In each
table everything was measured side by side, taking turns, so that the ratios mean something even where the machine
had other things to do; times compare within one table only. A figure is the median of its runs.

| what | which |
|---|---|
| day | $(date -u +%F) |
| ccrun | $(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1), $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo "no repository") |
| processors | $(nproc) × $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1) |
| memory | $(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo 2>/dev/null) |
| system | $(uname -s) $(uname -r | cut -d - -f 1) |
| disk | $(df --output=fstype "${TMPDIR:-/tmp}" 2>/dev/null | tail -n 1) |
| other work on it | load of $(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null) when this began |
| Rust | $(rustc --version | cut -d ' ' -f 2) |
| Claude Code, otelcol, rotel, launchers | $("$here/scripts/counterparts.sh" --help | sed -n 's/^  \(claude\|otelcol\|rotel\|dotenvx\|mise\|otel-instrument\)  *\(.* \)\([0-9][^ ,]*\),.*/\1 \3/p' | paste -sd , | sed 's/,/, /g') |
MARKDOWN
}

main "$@"

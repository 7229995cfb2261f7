#!/usr/bin/env bash
# Runs every benchmark and writes docs/benchmarks.md: what was measured, where, and with which versions. What stands in
# that file below its last marker is written by hand and stays.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: scripts/bench/all.sh            everything, into docs/benchmarks.md; takes most of an hour
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
  declare -A titles=()
  failed=()
  # First, for it says how busy the machine was before.
  heading >"$scratch/heading.md"
  measure "$@" >"$scratch/sections.md"
  { cat "$scratch/heading.md" && summary && cat "$scratch/sections.md"; } >"$scratch/new.md"
  if [ "${1-}" = --smoke ]; then cat "$scratch/new.md"; else replace; fi
  say "done"
  [ ${#failed[@]} = 0 ] || {
    echo "bench: failed: ${failed[*]}" >&2
    exit 1
  }
}

# What is written by hand stays.
replace() {
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
  section "Launch" launch "$@"
  section "What a user waits for" wait "$@"
  section "From start to first acknowledgement" listening "$@"
  section "Memory, processor time and wake-ups" memory "$@"
  section "Acknowledgements, with the destination away" acknowledgement "$@"
  section "Delivery" delivery "$@"
  section "Kills" kills "$@"
  section "Growth" growth "$@"
  section "Many writers to one store" writers "$@"
  section "Profiles" profiles "$@"
  section "Size" size "$@"
  section "Instructions" guard
}

# A benchmark that cannot be run says so in its place; one that fails does so, too, and the others are measured all the
# same.
section() {
  local title=$1 name=$2
  shift 2
  titles[$name]=$title
  say "$name"
  # shellcheck disable=SC2016 # Markdown
  printf '\n## %s\n\n`scripts/bench/%s.sh`\n\n' "$title" "$name"
  "$here/scripts/bench/$name.sh" "$@" >"$scratch/$name.md" || {
    failed+=("$name")
    printf '**It failed**, and not all of it was measured.\n\n'
  }
  cat -s "$scratch/$name.md"
}

# The figures of the design, out of the tables below: what, the limit, what to put it in, and where it stands.
# shellcheck disable=SC2016 # Markdown
summary() {
  printf '\n| what | wanted | reached | | section |\n|---|---|---|---|---|\n'
  local launch='a launch' wait='`claude -p`' rest='at rest' one='protobuf, 10.8 KB, 1 at once'
  local eight='protobuf, 10.8 KB, 8 at once' kills='`kill -9` of keepers and workers, under load'
  local silent='through ccrun to a backend that never answers' slower='p99, ccrun against it' rate='requests/s, ccrun against it'
  figure "added to a launch, collector and all" "≤ 10 ms" launch "$launch" "ccrun with a destination" added
  figure "added to a launch, \`--direct\`" "≤ 3 ms" launch "$launch" "ccrun --direct" added
  figure "\`claude -p\`, a backend that hangs, http" "≤ 1.1 ×" wait "$wait" "$silent, http/protobuf" ratio
  figure "\`claude -p\`, a backend that hangs, grpc" "≤ 1.1 ×" wait "$wait" "$silent, grpc" ratio
  figure "PSS at rest, keeper and worker, TLS" "≤ 8 MiB" memory "$rest" "ccrun, TLS destination" PSS
  figure "the same against otelcol" "≤ 0.333 ×" memory "$rest" otelcol-memory "PSS, ccrun with TLS against it"
  figure "wake-ups a second at rest" "≤ 0" memory "$rest" "ccrun, TLS destination" "wake-ups a second"
  figure "RSS with 512 MiB undelivered" "≤ 24 MiB" memory "with 512 MiB that cannot be delivered" ccrun "RSS at once"
  figure "acknowledgement, p99, against a receiver that only commits" "≤ 1.5 ×" acknowledgement "$one" floor-one "$slower"
  figure "the same against a bare insert" "≤ 1.5 ×" acknowledgement "$one" insert-one "$slower"
  figure "the same against otelcol with fsync" "≤ 0.333 ×" acknowledgement "$one" otelcol-fsync "$slower"
  figure "requests/s against otelcol with fsync" "≥ 10 ×" acknowledgement "$eight" otelcol-fsync "$rate"
  figure "the same against a receiver that only commits, by eight" "≥ 0.65 ×" acknowledgement "$eight" floor-eight "$rate"
  figure "the same against bare inserts by eight" "≥ 0.65 ×" acknowledgement "$eight" insert-eight "$rate"
  figure "acknowledged and lost over 10,000 kills" "≤ 0" kills "$kills" "10000 times" "and lost"
  figure "the release binary" "≤ 10 MB" size "the program" ccrun size
}

# One row of it: `figure WHAT WANTED SECTION TABLE ROW COLUMN`.
figure() {
  local reached verdict
  reached=$(cell "$4" "$5" "$6" "$scratch/$3.md")
  case $reached in
    '' | –) reached=– verdict='not measured' ;;
    *) verdict=$(awk -v reached="$reached" -v wanted="${2#* }" -v which="${2%% *}" 'BEGIN {
      print (which == "≤" ? reached + 0 <= wanted + 0 : reached + 0 >= wanted + 0) ? "yes" : "**no**"
    }') ;;
  esac
  printf '| %s | %s | %s | %s | %s |\n' "$1" "$2" "${reached#+}" "$verdict" "${titles[$3]}"
}

# A cell of a Markdown table in a file, which is called what its first column is: `cell TABLE ROW COLUMN FILE`.
cell() {
  awk -F ' *[|] *' -v table="$1" -v row="$2" -v column="$3" '
    !/^[|]/ { at = 0 }
    $2 == table { for (i = 3; i < NF; i++) if ($i == column) at = i }
    at && $2 == row { print $at; exit }
  ' "$4"
}

# Progress, with the time.
say() {
  echo "bench: $(date +%T): $1" >&2
}

heading() {
  cat <<MARKDOWN
# Benchmarks

Written by \`scripts/bench/all.sh\`, which anyone can run; each section names the script that writes it alone. In each
table everything was measured side by side, taking turns, so that the ratios mean something even where the machine
had other things to do; times compare within one table only. A figure is the median of its runs. The second table has
what the design wants, as the tables below it have it.

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

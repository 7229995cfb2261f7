#!/usr/bin/env bash
# Runs every benchmark. All tables go to target/benchmarks.md, and the important ones to docs/benchmarks.md, with the
# machine and the versions that were measured. The text below the marker there is written by hand and kept.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: scripts/bench/all.sh            everything, into docs/benchmarks.md and target/benchmarks.md; takes most of an hour
       scripts/bench/all.sh RUNS       RUNS of each instead of its default
       scripts/bench/all.sh --smoke    run everything once with little data, print the tables, and write no files
       scripts/bench/all.sh --help

Each benchmark is a separate script in this directory, and prints the same tables.
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
  # First, because it reports how busy the machine is before the benchmarks.
  heading >"$scratch/heading.md"
  measure "$@" >"$scratch/sections.md"
  { cat "$scratch/heading.md" && summary; } >"$scratch/top.md"
  if [ "${1-}" = --smoke ]; then cat "$scratch/top.md" "$scratch/sections.md"; else replace; fi
  say "done"
  [ ${#failed[@]} = 0 ] || {
    echo "bench: failed: ${failed[*]}" >&2
    exit 1
  }
}

# Keeps the text written by hand.
replace() {
  local file=$here/docs/benchmarks.md
  mkdir -p "$here/target"
  cat "$scratch/top.md" "$scratch/sections.md" >"$here/target/benchmarks.md"
  {
    cat "$scratch/top.md"
    excerpt "Launch" launch "a launch"
    excerpt "Acknowledgements, with the destination away" acknowledgement "protobuf, 10.8 KB, 1 at once" \
      "protobuf, 10.8 KB, 8 at once"
    excerpt "Delivery" delivery "received, kept and delivered"
    echo
    echo "$marker"
    # The first time there is none yet.
    [ ! -e "$file" ] || awk -v marker="$marker" 'below; $0 == marker { below = 1 }' "$file"
  } >"$scratch/whole.md"
  # Only a complete run replaces the file.
  mv "$scratch/whole.md" "$file"
}

# Tables of one benchmark, identified by the title of their first column: `excerpt TITLE NAME TABLE...`.
excerpt() {
  local title=$1 name=$2 table
  shift 2
  # shellcheck disable=SC2016 # Markdown
  printf '\n## %s\n\n`scripts/bench/%s.sh`\n' "$title" "$name"
  for table; do
    echo
    awk -F ' *[|] *' -v table="$table" '!/^[|]/ { on = 0 } $2 == table { on = 1 } on' "$scratch/$name.md"
  done
}

measure() {
  section "Launch" launch "$@"
  section "What a user waits for" wait "$@"
  section "From start to first acknowledgement" listening "$@"
  section "Memory, processor time and wake-ups" memory "$@"
  section "Acknowledgements, with the destination away" acknowledgement "$@"
  section "Delivery" delivery "$@"
  section "Kills" kills "$@"
  section "Usage" usage "$@"
  section "History" history "$@"
  section "Status line" statusline "$@"
  section "A team's store" sources "$@"
  section "Growth" growth "$@"
  section "Many writers to one store" writers "$@"
  section "Profiles" profiles "$@"
  section "Size" size "$@"
  section "Instructions" guard
}

# Runs a benchmark. If it is skipped or fails, the page says so, and the other benchmarks still run.
section() {
  local title=$1 name=$2
  shift 2
  titles[$name]=$title
  say "$name"
  # shellcheck disable=SC2016 # Markdown
  printf '\n## %s\n\n`scripts/bench/%s.sh`\n\n' "$title" "$name"
  "$here/scripts/bench/$name.sh" "$@" >"$scratch/$name.md" || {
    failed+=("$name")
    printf '**Failed** before everything was measured.\n\n'
  }
  cat -s "$scratch/$name.md"
}

# The design's targets, compared with the tables below: subject, target, section, table, row and column.
# shellcheck disable=SC2016 # Markdown
summary() {
  printf '\n| what | wanted | reached | | section |\n|---|---|---|---|---|\n'
  local launch='a launch' wait='`claude -p`' rest='at rest' one='protobuf, 10.8 KB, 1 at once'
  local eight='protobuf, 10.8 KB, 8 at once' kills='`kill -9` of keepers and workers, under load'
  local silent='through ccrun to a backend that never answers' slower='p99, ccrun against it' half='p50, ccrun against it'
  local rate='requests/s, ccrun against it' cost='processor, s per GB' through='received, kept and delivered'
  figure "added to a launch, collector and all" "≤ 6 ms" launch "$launch" "ccrun with a destination" added
  figure "added to a launch, \`--direct\`" "≤ 3 ms" launch "$launch" "ccrun --direct" added
  figure "\`claude -p\`, a backend that hangs, http" "≤ 1.1 ×" wait "$wait" "$silent, http/protobuf" ratio
  figure "\`claude -p\`, a backend that hangs, grpc" "≤ 1.1 ×" wait "$wait" "$silent, grpc" ratio
  figure "PSS at rest, keeper and worker, TLS" "≤ 6 MiB" memory "$rest" "ccrun, TLS destination" PSS
  figure "the same against otelcol" "≤ 0.25 ×" memory "$rest" otelcol-memory "PSS, ccrun with TLS against it"
  figure "wake-ups a second at rest" "≤ 0" memory "$rest" "ccrun, TLS destination" "wake-ups a second"
  figure "RSS with 512 MiB undelivered" "≤ 12 MiB" memory "with 512 MiB that cannot be delivered" ccrun "RSS at once"
  figure "acknowledgement, p50, against a bare append" "≤ 2 ×" acknowledgement "$one" append-one "$half"
  figure "the same, p99" "≤ 3 ×" acknowledgement "$one" append-one "$slower"
  verdict "p50 against otelcol's in memory and a bare append" "≤ 1 ×" acknowledgement \
    "$(over "$(p50_of "$one" ccrun)" "$(p50_of "$one" otelcol-memory)" "$(p50_of "$one" append-one)")"
  verdict "p99 over gRPC against that over HTTP" "≤ 1.25 ×" acknowledgement \
    "$(over "$(p99_of "grpc, ${one#*, }" ccrun)" "$(p99_of "$one" ccrun)")"
  figure "requests/s against otelcol with fsync" "≥ 10 ×" acknowledgement "$eight" otelcol-fsync "$rate"
  figure "requests/s against rotel, which keeps nothing" "≥ 1 ×" acknowledgement "$eight" rotel "$rate"
  figure "the longest wait at 8 connections, p99.9" "≤ 15 ms" acknowledgement "$eight" ccrun p99.9
  figure "processor, 1 connection, ledger and all" "≤ 15 s/GB" acknowledgement "$one" ccrun "$cost"
  figure "processor, 8 connections, ledger and all" "≤ 15 s/GB" acknowledgement "$eight" ccrun "$cost"
  figure "20 sessions at once, acknowledgement p50" "≤ 2 ms" growth "sessions at once" 20 "acknowledgement, 10.8 KB, p50"
  figure "records/s received, kept and delivered" "≥ 60000" delivery "$through" ccrun records/s
  local million="1 M requests" ten="10 M requests" name
  for name in "$million" "$ten"; do
    figure "\`ccrun report\`, $name" "≤ $([ "$name" = "$million" ] && echo 30 || echo 60) ms" usage "$name" \
      "\`ccrun report\`" median
    figure "\`--by day,model\`, $name" "≤ $([ "$name" = "$million" ] && echo 100 || echo 500) ms" usage "$name" \
      "\`ccrun report --by day,model\`" median
    figure "\`--by prompt\`, $name" "≤ $([ "$name" = "$million" ] && echo 100 || echo 3000) ms" usage "$name" \
      "\`ccrun report --by prompt --top 20\`" median
    figure "\`--by prompt --since 7d\`, $name" "≤ $([ "$name" = "$million" ] && echo 20 || echo 40) ms" usage "$name" \
      "\`ccrun report --by prompt --since 7d\`" median
  done
  figure "facts taken in, $million" "≥ 200000 facts/s" usage "taking facts in" "$million" "facts/s"
  figure "bytes a fact, $million" "≤ 120 bytes" usage "taking facts in" "$million" "bytes a fact"
  figure "the status line, 1 M requests" "≤ 5 ms" statusline "a status line" "\`ccrun statusline\`" median
  figure "acknowledged and lost over 10,000 kills" "≤ 0" kills "$kills" "10000 times" "and lost"
  figure "the release binary" "≤ 10 MB" size "the program" ccrun size
}

p50_of() {
  cell "$1" "$2" p50 "$scratch/acknowledgement.md"
}

p99_of() {
  cell "$1" "$2" p99 "$scratch/acknowledgement.md"
}

# The ratio of the first time to the sum of the others. Prints nothing if one is missing.
over() {
  local time
  for time; do [[ $time = [0-9]* ]] || return 0; done
  awk '{ for (i = 3; i <= NF; i += 2) sum += $i; printf "%.2f ×", $1 / sum }' <<<"$*"
}

# A row of the summary: `figure WHAT WANTED SECTION TABLE ROW COLUMN`.
figure() {
  verdict "$1" "$2" "$3" "$(cell "$4" "$5" "$6" "$scratch/$3.md")"
}

# A row of the summary with a given result: `verdict WHAT WANTED SECTION REACHED`.
verdict() {
  local reached=$4 verdict
  case $reached in
    '' | –) reached=– verdict='not measured' ;;
    *) verdict=$(awk -v reached="$reached" -v wanted="${2#* }" -v which="${2%% *}" 'BEGIN {
      print (which == "≤" ? reached + 0 <= wanted + 0 : reached + 0 >= wanted + 0) ? "yes" : "**no**"
    }') ;;
  esac
  printf '| %s | %s | %s | %s | %s |\n' "$1" "$2" "${reached#+}" "$verdict" "${titles[$3]}"
}

# A cell of a Markdown table in a file. The table is identified by the title of its first column: `cell TABLE ROW COLUMN
# FILE`.
cell() {
  awk -F ' *[|] *' -v table="$1" -v row="$2" -v column="$3" '
    !/^[|]/ { at = 0 }
    $2 == table { for (i = 3; i < NF; i++) if ($i == column) at = i }
    at && $2 == row { print $at; exit }
  ' "$4"
}

# Prints progress with the time.
say() {
  echo "bench: $(date +%T): $1" >&2
}

heading() {
  cat <<MARKDOWN
# Benchmarks

\`scripts/bench/all.sh\` writes the tables on this page, and all others to \`target/benchmarks.md\`. Each section names the
script that measures it alone. What stands in one table was measured side by side, taking turns: its ratios hold on a busy
machine, too. A time compares within its table only. A figure is the median of its runs.

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

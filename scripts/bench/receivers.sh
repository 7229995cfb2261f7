# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file use these variables
# The receivers that are compared. All of them accept OTLP/HTTP and gRPC. The scripts that measure them source this
# file.
#
#   ccrun           a session
#   ccrun-local     a session without a destination
#   ccrun-tls       a session whose destination has TLS, with the authority in $scratch/authority.pem
#   ccrun-plain     a session that does not compress
#   otelcol-memory  an OpenTelemetry Collector with its queue in memory
#   otelcol-disk    the same with `file_storage` in its default configuration
#   otelcol-plain   the same without compression
#   otelcol-fsync   the same with `file_storage` that syncs; as with ccrun, only this survives a power loss
#   rotel           a forwarder in Rust with its queue in memory only
#   rotel-plain     the same without compression
#   floor-read      acknowledges what it has read
#   floor-one       acknowledges after a SQLite commit is on disk (WAL, synchronous=FULL)
#   floor-eight     the same with up to eight requests in a commit

# shellcheck source=scripts/bench/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Sets otelcol and rotel, or leaves them empty if they are unavailable.
find_others() {
  otelcol=${TEST_OTELCOL:-$(counterpart otelcol)} || true
  rotel=$(counterpart rotel) || true
}

is_there() {
  case $1 in
    otelcol-*) [ -n "$otelcol" ] ;;
    rotel*) [ -n "$rotel" ] ;;
  esac
}

# Starts a receiver with a destination at this URL. Sets url, grpc_url and pids.
receive() {
  local who=$1 destination=$2
  case $who in
    ccrun*)
      [ "${keep-no}" = yes ] || forget_state
      start_ccrun "$who" "$destination"
      ;;
    otelcol-* | rotel*) start_other "$who" "$destination" ;;
    floor-*) start_floor "${who#floor-}" ;;
  esac
}

# Stops what `receive` has started.
dismiss() {
  case $1 in
    ccrun*) end_session ;;
    otelcol-* | rotel*)
      kill -KILL "${pids[0]}"
      wait "${pids[0]}" 2>/dev/null || true
      [ "${keep-no}" = yes ] || rm -rf "$scratch/other"
      ;;
    floor-*)
      kill "${pids[0]}" 2>/dev/null || true
      unserve 7
      wait "${pids[0]}" 2>/dev/null || true
      rm -f "$scratch"/floor.db*
      ;;
  esac
}

# Sends a load to the receiver that `receive` has started, with these options of `bench load`. If another product's
# receiver fails, stops it and returns false: it must not end the run.
loaded() {
  local who=$1
  shift
  ! bounded 600 bench load "$url" "$@" >/dev/null 2>>"$said" || return 0
  [[ $who != ccrun* ]] || fail "$who did not accept its load: $(tail -n 1 "$said")"
  progress "$who did not take its load: $(tail -n 1 "$said")"
  dismiss "$who"
  return 1
}

start_ccrun() {
  local profiles=$HOME/.config/ccrun/profiles
  printf '[destination.otlp]\ncompression = "none"\n' >"$profiles/plain.toml"
  printf '[destination.otlp.tls]\nca = "%s"\n' "$scratch/authority.pem" >"$profiles/tls.toml"
  case $1 in
    ccrun) start_session -p otlp --var "endpoint=$2" ;;
    ccrun-local) start_session -p local ;;
    ccrun-tls) start_session -p otlp -p tls --var "endpoint=$2" ;;
    ccrun-plain) start_session -p otlp -p plain --var "endpoint=$2" ;;
  esac
  grpc_url=$url
  pids=("$keeper" "$worker")
}

start_floor() {
  case $1 in
    read) serve 7 floor bench floor ;;
    one) serve 7 floor bench floor --store "$scratch/floor.db" ;;
    eight) serve 7 floor bench floor --store "$scratch/floor.db" --group 8 ;;
  esac
  url=$served grpc_url=$served pids=("$server")
}

start_other() {
  local attempt command
  for attempt in 1 2 3 4 5; do
    configure_other "$1" "$2" "$scratch/other"
    close_all "${command[@]}" </dev/null >>"$said" 2>&1 &
    pids=($!)
    if bench first --endpoint "$url" 2>>"$said"; then
      until_it_takes "$1"
      return
    fi
    # Another program may have taken the port in the meantime.
    wait "${pids[0]}" 2>/dev/null || progress "$1 did not start (attempt $attempt)"
  done
  fail "$1 does not start: $(tail -n 1 "$said")"
}

# otelcol listens a moment before all of its queues are ready. A request that needs one of them fails.
until_it_takes() {
  local waited=0
  until bench load "$url" --size small --requests 3 --mixed >/dev/null 2>&1; do
    [ $((waited += 1)) -le 100 ] || fail "$1 accepts nothing: $(tail -n 1 "$said")"
    sleep 0.05
  done
}

# Sets command, url and grpc_url for another product's receiver that stores in this directory.
configure_other() {
  local who=$1 destination=$2 directory=$3 http grpc
  http=127.0.0.1:$(free_port) grpc=127.0.0.1:$(free_port)
  url=http://$http grpc_url=http://$grpc
  mkdir -p "$directory"
  case $who in
    otelcol-*)
      otelcol_configuration "${who#otelcol-}" "$destination" "$http" "$grpc" "$directory" >"$directory.yaml"
      command=("$otelcol" "--config=$directory.yaml")
      ;;
    rotel*) command=("$rotel" start) && rotel_options "$who" "$destination" "$http" "$grpc" ;;
  esac
}

# A port that is free at the moment.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 2>/dev/null && : <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# The same settings as ccrun's: gzip, a timeout of ten seconds, unlimited retries, and a queue without loss.
otelcol_configuration() {
  local kind=$1 destination=$2 http=$3 grpc=$4 storage='' extensions='' fsync=false compression=gzip tls=''
  [[ $destination != https:* ]] || tls="tls: {ca_file: '$scratch/authority.pem'}"
  [ "$kind" != fsync ] || fsync=true
  [ "$kind" != plain ] || compression=none
  if [ "$kind" != memory ]; then
    storage=', storage: file_storage'
    extensions="extensions: {file_storage: {directory: '$5', fsync: $fsync}}"
  fi
  cat <<YAML
$extensions
receivers:
  otlp:
    protocols:
      http: {endpoint: '$http'}
      grpc: {endpoint: '$grpc'}
exporters:
  otlp_http:
    endpoint: '$destination'
    compression: $compression
    $tls
    timeout: 10s
    retry_on_failure: {max_elapsed_time: 0}
    sending_queue: {queue_size: 1000000$storage}
service:
  ${storage:+extensions: [file_storage]}
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines:
    logs: {receivers: [otlp], exporters: [otlp_http]}
    metrics: {receivers: [otlp], exporters: [otlp_http]}
YAML
}

# The same settings: gzip, a timeout of ten seconds, unlimited retries. The queue size cannot be configured. It accepts
# an authority only with a client certificate, so it does not verify the server.
rotel_options() {
  local compression=gzip
  [ "$1" != rotel-plain ] || compression=none
  [[ $2 != https:* ]] || command+=(--otlp-exporter-tls-skip-verify)
  command+=(
    --otlp-http-endpoint "$3" --otlp-grpc-endpoint "$4"
    --exporter otlp --otlp-exporter-protocol http --otlp-exporter-endpoint "$2"
    --otlp-exporter-compression "$compression"
    --otlp-exporter-request-timeout 10s --otlp-exporter-retry-max-elapsed-time 1000000s
  )
}

# A URL where no server listens.
closed_url() {
  echo "http://127.0.0.1:$(free_port)"
}

# The memory of the receiver in kilobytes. `Pss` counts shared pages once, `Rss` counts them for each process.
memory() {
  local pid
  for pid in "${pids[@]}"; do cat "/proc/$pid/smaps_rollup"; done |
    awk -v field="$1:" '$1 == field { sum += $2 } END { print sum + 0 }'
}

# The processor time in seconds of all its threads. For running threads, it is exact to the nanosecond.
processor() {
  local pid
  # A thread may exit in the meantime.
  for pid in "${pids[@]}"; do cat "/proc/$pid"/task/*/schedstat 2>/dev/null || true; done |
    awk '{ sum += $1 } END { printf "%.6f\n", sum / 1e9 }'
}

# How often its threads have gone to sleep. This equals the number of wake-ups.
wakeups() {
  local pid
  for pid in "${pids[@]}"; do cat "/proc/$pid"/task/*/status 2>/dev/null || true; done |
    awk '$1 == "voluntary_ctxt_switches:" { sum += $2 } END { print sum + 0 }'
}

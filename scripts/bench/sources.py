"""Fills ClickHouse's engine with invented events, and compares a report with the same aggregate asked of the engine.

Usage: sources.py SERVER CCRUN RUNS ROWS...

SERVER is the tests' server.py, which this starts with the Python that runs it. CCRUN is the program to measure. Prints the
rows of a Markdown table: for each number of ROWS the medians of RUNS.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

USER, PASSWORD = "reader", "a password: 100% of it"
STEP = 500_000
# As someone would write it who asks the engine: tokens, cost, requests and sessions, of requests alone and without looking for
# what was delivered twice.
PLAIN = """
SELECT toDate(Timestamp, 'UTC') AS day, LogAttributes['model'] AS model, count(), uniqExact(LogAttributes['session.id']),
  sum(toFloat64OrZero(LogAttributes['input_tokens'])), sum(toFloat64OrZero(LogAttributes['output_tokens'])),
  sum(toFloat64OrZero(LogAttributes['cache_read_tokens'])), sum(toFloat64OrZero(LogAttributes['cache_creation_tokens'])),
  sum(toFloat64OrZero(LogAttributes['cost_usd']))
FROM otel.otel_logs WHERE Body = 'claude_code.api_request' GROUP BY day, model ORDER BY day, model
"""
# Sixty days of three hundred people: of ten events three are requests, two are runs of tools and one is a prompt.
ROWS = """
INSERT INTO otel.otel_logs (Timestamp, ServiceName, Body, ResourceAttributes, ScopeName, LogAttributes)
WITH number AS i, intDiv(i, 200) AS session,
  ['api_request', 'tool_result', 'tool_decision', 'user_prompt', 'api_request', 'assistant_response', 'api_request',
   'tool_result', 'hook_execution_complete', 'api_error'][i % 10 + 1] AS event
SELECT toDateTime64('2026-10-01 00:00:00', 9, 'UTC') + toIntervalMillisecond(toUInt64(i * (5184000000 / {total}))),
  'claude-code', concat('claude_code.', event),
  map('service.name', 'claude-code', 'service.version', '2.1.332', 'os.type', 'linux', 'ccrun.profile', 'team',
    'ccrun.session', hex(session), 'team.id', concat('team-', toString(session % 7))),
  'com.anthropic.claude_code.events',
  mapConcat(map('session.id', concat('7a64b203-14d5-4c4c-9d3a-', leftPad(hex(session), 12, '0')), 'user.id',
      hex(session % 300), 'user.email', concat('dev', toString(session % 300), '@example.com'), 'organization.id', 'org',
      'terminal.type', 'vscode', 'event.name', event, 'event.sequence', toString(i % 200), 'prompt.id',
      hex(cityHash64(intDiv(i, 20)))),
    multiIf(event = 'api_request', map('model', ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-5'][
        cityHash64(i) % 3 + 1], 'cost_usd', toString((cityHash64(i, 1) % 100000) / 1e6), 'duration_ms',
        toString(cityHash64(i, 2) % 20000), 'ttft_ms', toString(cityHash64(i, 3) % 2000), 'input_tokens',
        toString(cityHash64(i, 4) % 1000), 'output_tokens', toString(cityHash64(i, 5) % 2000), 'cache_read_tokens',
        toString(cityHash64(i, 6) % 100000), 'cache_creation_tokens', toString(cityHash64(i, 7) % 5000), 'query_source',
        'repl_main_thread', 'request_id', hex(sipHash128(i))),
      event IN ('tool_result', 'tool_decision'), map('tool_name', ['Bash', 'Edit', 'Read'][i % 3 + 1], 'success',
        if(i % 11 = 0, 'false', 'true'), 'decision', 'accept', 'source', 'user_temporary', 'duration_ms', toString(i % 500),
        'tool_use_id', hex(cityHash64(i, 8))),
      map('prompt_length', '12', 'status_code', '529')))
FROM numbers({start}, {count})
"""


def main(server, ccrun, runs, *sizes):
    for size in map(int, sizes):
        with tempfile.TemporaryDirectory() as folder, serving(server, folder) as address:
            for start in range(0, size, STEP):
                ask(address, ROWS.format(total=size, start=start, count=min(STEP, size - start)))
            measure(address, ccrun, folder, int(runs), size)


class serving:
    def __init__(self, server, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [sys.executable, server, self.address, folder, "contrib"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __enter__(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://{self.address}/ping", timeout=5).read()
                return self.address
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the engine does not answer")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def ask(address, statement):
    headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
    request = urllib.request.Request(f"http://{address}/", statement.encode(), headers)
    return urllib.request.urlopen(request, timeout=1800).read()


def measure(address, ccrun, folder, runs, size):
    config = Path(folder) / "home/.config/ccrun"
    config.mkdir(parents=True)
    config.joinpath("config.toml").write_text(
        f'[source.team]\nurl = "clickhouse://{address}/otel"\nuser = "{USER}"\npassword = "{PASSWORD}"\ntimeout = "30m"\n',
        encoding="utf-8")
    environment = {"HOME": str(Path(folder) / "home"), "PATH": os.environ["PATH"], "TZ": "UTC"}
    words = [ccrun, "report", "--from", "team", "--by", "day,model", "--json"]
    memory = []

    def report():
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("the report failed")
        memory.append(used.ru_maxrss / 1024)

    report()
    asked = urllib.request.urlopen(f"http://{address}/asked").read().decode().splitlines()
    statement = json.loads(asked[-1])["statement"]
    times = {name: [] for name in ("report", "same", "plain")}
    for _ in range(runs):
        # In turn, so that what else the machine does affects all alike.
        for name, act in (("report", report), ("same", lambda: ask(address, statement)),
                          ("plain", lambda: ask(address, PLAIN))):
            began = time.monotonic()
            act()
            times[name].append(time.monotonic() - began)
    medians = {name: statistics.median(of) for name, of in times.items()}
    ratio = medians["report"] / medians["same"]
    print(f"| {size:,} | {medians['report']:.2f} s | {medians['same']:.2f} s | {ratio:.2f} × | {medians['plain']:.2f} s | "
          f"{max(memory):.1f} MiB |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

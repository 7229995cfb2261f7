"""Serves a real ClickHouse engine, in this process, by ClickHouse's HTTP interface.

Usage: server.py ADDRESS:PORT FOLDER SCHEMA...

Each SCHEMA is the name of a file of statements beside this one. `POST /otlp/v1/...` takes OTLP in JSON from a collector
and fills its tables. `GET /asked` returns the statements so far, one JSON object a line.

Two users may ask, both with the same password: `reader`, and `locked`, whose own settings allow reading only.
"""

import base64
import gzip
import json
import re
import select
import socket
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

sys.dont_write_bytecode = True

from chdb.state.sqlitelike import Connection

import fill

PASSWORD = "a password: 100% of it"
USERS = ("reader", "locked")
# Parameters of a request that are no settings.
OWN = {"query", "database", "default_format", "query_id", "session_id", "session_timeout", "user", "password", "compress",
       "decompress", "buffer_size", "wait_end_of_query", "role", "quota_key", "client_protocol_version"}
# The statuses that a server gives to codes of errors. All others are 500.
STATUSES = {
    401: [194], 403: [192, 193, 516, 512, 497], 404: [60, 46, 47, 50, 56, 81, 115, 63, 73, 511],
    400: [36, 62, 6, 25, 26, 38, 41, 27, 72, 427, 15, 44, 10, 16, 117, 53, 69], 408: [159], 413: [230], 501: [48],
}
# Seconds between looks whether the client is still there.
LOOK = 0.02


def status(code):
    return next((status for status, codes in STATUSES.items() if code in codes), 500)


class Failure(Exception):
    """An error with its code, as a server words it."""

    def __init__(self, code, words):
        super().__init__(f"Code: {code}. DB::Exception: {words}")
        self.code = code

    @classmethod
    def of(cls, error):
        found = re.search(r"Code: (\d+)\. DB::Exception: (.*)", str(error), re.DOTALL)
        return cls(int(found[1]), found[2]) if found else cls(1001, str(error))


class Engine:
    def __init__(self, folder, schemas):
        self.path = str(Path(folder) / "engine")
        # The engine ends with its last connection.
        self.kept = Connection(self.path)
        self.version = str(self.kept.query("SELECT version()", "TSV")).strip()
        self.fillings = [fill.SCHEMAS[schema] for schema in schemas]
        self.asked = []
        for schema in schemas:
            statements = Path(__file__).with_name(f"{schema}.sql").read_text(encoding="utf-8")
            lines = [line for line in statements.splitlines() if not line.startswith("--")]
            for statement in "\n".join(lines).split(";\n"):
                if statement.strip():
                    self.kept.query(statement)

    def run(self, statement, form, database, settings, parameters, mark):
        """The result of a statement as bytes."""
        connection = Connection(self.path)
        try:
            if database:
                connection.query(f"USE `{database}`")
            for name, value in [("log_comment", mark), *settings]:
                if not re.fullmatch(r"\w+", name):
                    raise Failure(115, f"Unknown setting '{name}'")
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                connection.query(f"SET {name} = '{quoted}'")
            return connection.query(statement, form, params=parameters).bytes()
        except Exception as error:
            raise error if isinstance(error, Failure) else Failure.of(error) from None
        finally:
            connection.close()

    def cancel(self, mark):
        connection = Connection(self.path)
        try:
            connection.query(f"KILL QUERY WHERE Settings['log_comment'] = '{mark}' ASYNC")
        finally:
            connection.close()

    def fill(self, request):
        connection = Connection(self.path)
        try:
            for filling in self.fillings:
                for table, rows in filling(request).items():
                    if rows:
                        lines = "\n".join(json.dumps(row) for row in rows)
                        connection.query(f"INSERT INTO {table} FORMAT JSONEachRow {lines}")
        finally:
            connection.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one segment. Otherwise the body waits for an acknowledgement of the head.
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_GET(self):
        target = urlsplit(self.path)
        if target.path in ("/", "/ping") and not target.query:
            self.answer(200, b"Ok.\n")
        elif target.path == "/asked":
            lines = [json.dumps(one) for one in self.server.engine.asked]
            self.answer(200, "\n".join(lines).encode())
        else:
            self.ask(target, b"", read_only=True)

    def do_POST(self):
        body = self.body()
        target = urlsplit(self.path)
        if target.path.startswith("/otlp/v1/"):
            self.server.engine.fill(json.loads(body))
            self.answer(200, b"{}", {"Content-Type": "application/json"})
        else:
            self.ask(target, body, read_only=False)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def ask(self, target, body, read_only):
        pairs = parse_qsl(target.query, keep_blank_values=True)
        given = dict(pairs)
        try:
            if target.path != "/":
                self.answer(404, f"There is no handle {self.path}\n\nUse / or /ping for health checks.\n".encode())
                return
            user = self.authenticate(given)
            statement = "\n".join(part for part in (given.get("query", ""), body.decode()) if part)
            if not statement.strip():
                raise Failure(62, "Syntax error: failed at position 1 (end of query): Empty query. (SYNTAX_ERROR)")
            settings = [(name, one) for name, one in pairs if name not in OWN and not name.startswith("param_")]
            parameters = {name[6:]: one for name, one in pairs if name.startswith("param_")}
            # A server applies all settings at once, so none of them is in the way of another.
            settings.sort(key=lambda setting: setting[0] == "readonly")
            if read_only and "readonly" not in dict(settings):
                settings.append(("readonly", "2"))
            if user == "locked":
                settings.insert(0, ("readonly", "1"))
            form = given.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
            database = given.get("database") or self.headers.get("X-ClickHouse-Database")
            asked = {"statement": statement, "settings": dict(settings), "user": user, "database": database}
            self.server.engine.asked.append(asked)
            self.run(statement, form, database, settings, parameters, given)
        except Failure as failure:
            words = f"{failure} (version {self.server.engine.version})\n"
            more = {"X-ClickHouse-Exception-Code": str(failure.code)}
            if failure.code in (194, 516) and "Authorization" in self.headers:
                more["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
            self.answer(status(failure.code), words.encode(), more)

    def authenticate(self, given):
        """The user, as headers, a basic authorization or parameters say."""
        user, password = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")
        basic = self.headers.get("Authorization", "")
        if user is None and basic.startswith("Basic "):
            user, _, password = base64.b64decode(basic[6:]).decode().partition(":")
        if user is None:
            user, password = given.get("user"), given.get("password")
        user = user or "default"
        if user not in USERS or password != PASSWORD:
            raise Failure(516, f"{user}: Authentication failed: password is incorrect, or there is no user with such name. "
                               "(AUTHENTICATION_FAILED)")
        return user

    def run(self, statement, form, database, settings, parameters, given):
        """Runs a statement, and ends it when its client has gone and had asked for that."""
        mark, result = uuid.uuid4().hex, {}

        def work():
            try:
                result["bytes"] = self.server.engine.run(statement, form, database, settings, parameters, mark)
            except Failure as failure:
                result["failure"] = failure

        thread = threading.Thread(target=work)
        thread.start()
        cancels = dict(settings).get("cancel_http_readonly_queries_on_client_close", "0") in ("1", "true")
        while thread.is_alive():
            thread.join(LOOK)
            if cancels and thread.is_alive() and self.has_gone():
                self.server.engine.cancel(mark)
                thread.join()
                self.close_connection = True
                return
        if "failure" in result:
            raise result["failure"]
        query_id = given.get("query_id") or str(uuid.uuid4())
        self.answer(200, result["bytes"], {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": "UTC"})

    def has_gone(self):
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def answer(self, status, body, headers=None):
        """Answers in chunks, as a server does."""
        is_chunked = self.request_version != "HTTP/1.0"
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not is_chunked:
            self.wfile.write(body)
            return
        for start in range(0, len(body), 1 << 20):
            chunk = body[start:start + (1 << 20)]
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main(address, folder, *schemas):
    host, port = address.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    server.engine = Engine(folder, schemas)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""SigNoz's board, in ClickHouse's SQL over its table of logs: what Claude Code's events know."""

import uuid

WIDTH = 12
SPACE = uuid.UUID("2d1a7c0e-6f9b-4c55-9d1e-6a4b5f0e8c21")
TABLE = "signoz_logs.distributed_logs_v2"
WHEN = (
    "timestamp >= $start_timestamp_nano AND timestamp <= $end_timestamp_nano"
    " AND ts_bucket_start >= $start_timestamp - 1800 AND ts_bucket_start <= $end_timestamp"
)
HOUR = "toStartOfInterval(fromUnixTimestamp64Nano(timestamp), INTERVAL 1 HOUR) AS ts"
ASKED = "startsWith(attributes_string['source'], 'user_')"
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")

def either(*names, absent):
    """The first of these attributes that is there, on the event or else on its resource."""
    held = ", ".join(f"nullIf({map}['{name}'], '')" for name in names for map in ("attributes_string", "resources_string"))
    return f"coalesce({held}, '{absent}')"


# The strongest first.
PERSON = either("enduser.id", "user.email", "user.account_uuid", "user.id", absent="unknown")
TEAM = either("team.id", absent="none")
# Claude Code puts the name of the remote repository on its events. On the resource is the name of the directory.
PROJECT = either("vcs.repository.name", absent="none")


def number(name):
    """An attribute that some versions send as a number, and some as text."""
    return f"if(mapContains(attributes_number, '{name}'), attributes_number['{name}'], " \
           f"toFloat64OrZero(attributes_string['{name}']))"


def text(name):
    return f"attributes_string['{name}']"


def select(what, events, also="", rest=""):
    names = ", ".join(f"'{name}'" for name in events)
    where = f"resources_string['service.name'] = 'claude-code' AND {text('event.name')} IN ({names}) AND {WHEN}"
    return " ".join(part for part in (f"SELECT {what} FROM {TABLE} WHERE {where}", also, rest) if part)


REQUEST = ("api_request",)
COST = f"sum({number('cost_usd')})"
SENT = " + ".join(f"sum({number(name)})" for name in TOKENS if name != "output_tokens")


def over_time(value, label, events=REQUEST, also=""):
    return select(f"{HOUR}, {label} AS label, {value} AS value", events, also, "GROUP BY ts, label ORDER BY ts")


def by_day(value):
    return select(f"toStartOfDay(fromUnixTimestamp64Nano(timestamp)) AS ts, {value} AS value", REQUEST, "",
                  "GROUP BY ts ORDER BY ts")


# Kind, width, height, title, unit, description, query.
PANELS = [
    ("value", 2, 2, "Spend", "currencyUSD", "What the requests cost, by Claude Code's estimate.",
     select(f"{COST} AS value", REQUEST)),
    ("value", 2, 2, "Tokens", "short", "Tokens in and out, with those read from and written to the cache.",
     select(" + ".join(f"sum({number(name)})" for name in TOKENS) + " AS value", REQUEST)),
    ("value", 2, 2, "Sessions", "short", "Distinct sessions with a request.",
     select(f"toFloat64(uniqExact({text('session.id')})) AS value", REQUEST)),
    ("value", 2, 2, "Active people", "short", "Distinct persons with a request.",
     select(f"toFloat64(uniqExact({PERSON})) AS value", REQUEST)),
    ("value", 2, 2, "Cache reuse", "percentunit", "Tokens read from the cache ÷ all tokens sent.",
     select(f"sum({number('cache_read_tokens')}) / ({SENT}) AS value", REQUEST)),
    ("value", 2, 2, "Failed requests", "percentunit", "Requests that failed for good ÷ all requests.",
     select(f"countIf({text('event.name')} = 'api_error') / count() AS value", ("api_request", "api_error"))),
    ("graph", 6, 6, "Spend by model", "currencyUSD", "What the requests cost in each hour.",
     over_time(COST, text("model"))),
    ("graph", 6, 6, "Spend by team", "currencyUSD", "The team is `[team] id` in the profile.",
     over_time(COST, TEAM)),
    ("graph", 6, 6, "Spend by person", "currencyUSD", "A person is `enduser.id`, else the e-mail address, the account "
     "or the installation.", over_time(COST, PERSON)),
    ("graph", 6, 6, "Spend by project", "currencyUSD", "By repository. Needs `[cardinality] repository = true`.",
     over_time(COST, PROJECT)),
    ("graph", 6, 6, "Output tokens by model", "short", "Tokens that the models wrote.",
     over_time(f"sum({number('output_tokens')})", text("model"))),
    ("graph", 6, 6, "Output tokens by person", "short", "Tokens that the models wrote.",
     over_time(f"sum({number('output_tokens')})", PERSON)),
    ("graph", 6, 6, "Active people by day", "short", "Distinct persons with a request on each day.",
     by_day(f"toFloat64(uniqExact({PERSON}))")),
    ("graph", 6, 6, "Errors", "short", "Requests that failed for good, were refused, or ran out of attempts.",
     over_time("toFloat64(count())", text("event.name"), ("api_error", "api_refusal", "api_retries_exhausted"))),
    ("graph", 6, 6, "Tool calls", "short", "Calls by tool.",
     over_time("toFloat64(count())", text("tool_name"), ("tool_result",))),
    ("graph", 6, 6, "Failed tool calls", "short", "Calls that failed, by tool.",
     over_time("toFloat64(count())", text("tool_name"), ("tool_result",),
               "AND (attributes_string['success'] = 'false' OR (mapContains(attributes_bool, 'success')"
               " AND NOT attributes_bool['success']))")),
    ("value", 3, 2, "Asked share", "percentunit", "Tool decisions that a person made ÷ all decisions.",
     select(f"countIf({ASKED}) / count() AS value", ("tool_decision",))),
    ("value", 3, 2, "Accepted when asked", "percentunit", "Of the decisions that a person made, those that accepted.",
     select(f"countIf({text('decision')} = 'accept') / count() AS value", ("tool_decision",), f"AND {ASKED}")),
    ("value", 3, 2, "Sessions through ccrun", "percentunit", "Sessions with ccrun's attributes ÷ all sessions.",
     select(f"uniqExactIf({text('session.id')}, resources_string['ccrun.session'] != '')"
            f" / uniqExact({text('session.id')}) AS value", REQUEST)),
    ("value", 3, 2, "Time to first token", "ms", "Half of the answers began sooner.",
     select(f"quantileExact(0.5)({number('ttft_ms')}) AS value", REQUEST)),
    ("table", 12, 7, "Top sessions", "short", "The twenty sessions with the largest spend.",
     select(f"{text('session.id')} AS session, any({PERSON}) AS person,"
            f" any({PROJECT}) AS project, round({COST}, 4) AS cost,"
            " toFloat64(count()) AS requests", REQUEST, "",
            "GROUP BY session ORDER BY cost DESC LIMIT 20")),
]


def identity(name):
    """The same for each run."""
    return str(uuid.uuid5(SPACE, name))


def widget(kind, title, unit, description, query):
    sql = [{"name": "A", "query": query, "legend": "{{label}}" if kind == "graph" else "", "disabled": False}]
    empty = [{"name": "A", "query": "", "legend": "", "disabled": False}]
    return {
        "id": identity(title), "title": title, "description": description, "panelTypes": kind, "yAxisUnit": unit,
        "timePreferance": "GLOBAL_TIME", "nullZeroValues": "zero", "opacity": "1", "isStacked": kind == "graph",
        "stackedBarChart": kind == "graph", "fillSpans": False, "thresholds": [], "softMin": 0, "softMax": 0,
        "columnUnits": {"cost": "currencyUSD"} if kind == "table" else {}, "bucketCount": 30, "bucketWidth": 0,
        "selectedLogFields": [], "selectedTracesFields": [], "legendPosition": "bottom", "mergeAllActiveQueries": False,
        "query": {
            "id": identity(f"{title}: query"), "queryType": "clickhouse_sql", "clickhouse_sql": sql, "promql": empty,
            "builder": {"queryData": [], "queryFormulas": []},
        },
    }


def board():
    layout, widgets, x, y, tallest = [], [], 0, 0, 0
    for kind, width, height, title, unit, description, query in PANELS:
        if x + width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        place = {"i": identity(title), "x": x, "y": y, "w": width, "h": height, "moved": False, "static": False}
        layout.append(place)
        widgets.append(widget(kind, title, unit, description, query))
        x, tallest = x + width, max(tallest, height)
    return {
        "title": "Claude Code", "description": "What Claude Code costs and does, from its events.",
        "tags": ["claude-code", "ccrun"], "version": "v5", "uploadedGrafana": False, "variables": {}, "panelMap": {},
        "layout": layout, "widgets": widgets,
    }

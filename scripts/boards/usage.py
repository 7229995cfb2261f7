"""The board of metrics, in PromQL, for Prometheus and VictoriaMetrics."""

from grafana import BARS, CHART, CHART_OPTIONS, GAUGE_OPTIONS, LINES, STAT, STAT_OPTIONS, Board

COST = "claude_code_cost_usage_USD_total"
TOKENS = "claude_code_token_usage_tokens_total"
SESSIONS = "claude_code_session_count_total"
ACTIVE = "claude_code_active_time_seconds_total"
EDITS = "claude_code_code_edit_tool_decision_total"
LINES_OF_CODE = "claude_code_lines_of_code_count_total"
COMMITS = "claude_code_commit_count_total"
PULL_REQUESTS = "claude_code_pull_request_count_total"
EXPORT = "ccrun_export_{}_total"

TEAM = 'team_id=~"$team"'
MODEL = 'model=~"$model"'
ASKED = 'source=~"user_.+"'
RANGE, STEP = "$__range", "$__interval"

# The attributes that name a person, the strongest last, as in `ccrun report`.
PERSON = ["user_id", "user_account_uuid", "user_email", "enduser_id"]

# The label of each dimension, and where the label comes from.
DIMENSIONS = [
    ("model", "model", ""),
    ("team", "team_id", " The team is `[team] id` in the profile."),
    ("person", "person", " A person is `enduser.id`, else the e-mail address, the account or the installation."),
    ("project", "vcs_repository_name", " Needs `[cardinality] repository = true` and, in Prometheus, "
     "`promote_resource_attributes`."),
]


def used(metric, window, *filters):
    """What a counter counted in a window: exact, over gaps and single short sessions.

    `increase()` extrapolates from the distance of the samples, which is wrong for short sessions. It is right where a
    counter started again, because there it only adds up.
    """
    series = f"{metric}{{{', '.join(filters)}}}[{window}]" if filters else f"{metric}[{window}]"
    return f"max_over_time({series}) - min_over_time({series}) unless resets({series}) > 0 or increase({series})"


def ratio(part, whole):
    """No result instead of a division by zero."""
    return f"{part} / ({whole} > 0)"


def spent(window):
    return used(COST, window, TEAM, MODEL)


def tokens(window, *filters):
    return used(TOKENS, window, TEAM, MODEL, *filters)


def team(metric, window, *filters):
    return used(metric, window, TEAM, *filters)


def with_person(vector):
    for label in PERSON:
        vector = f'label_replace({vector}, "person", "$1", "{label}", "(.+)")'
    return vector


def by(label, vector):
    return f"sum by ({label}) ({with_person(vector) if label == 'person' else vector})"


def active(window):
    return f"count({by('person', team(TOKENS, window))} > 0)"


def reuse(window, label=""):
    """Of the tokens sent, the share that was read from the cache."""
    total = f"sum by ({label}) " if label else "sum"
    read, sent = tokens(window, 'type="cacheRead"'), tokens(window, 'type=~"input|cacheRead|cacheCreation"')
    return ratio(f"{total}({read})", f"{total}({sent})")


def share(metric, window, part, *whole):
    # A counter that never counted has no series.
    return ratio(f"(sum({team(metric, window, *part)}) or vector(0))", f"sum({team(metric, window, *whole)})")


def installations(window):
    # VictoriaMetrics calls the instance by its OpenTelemetry name.
    return f"count(count by (instance, service_instance_id) (last_over_time({SESSIONS}{{{TEAM}}}[{window}])))"


def exported(what, window):
    # A counter that never counted has no series.
    return f"(sum({used(EXPORT.format(what), window)}) or vector(0))"


def stat(board, title, unit, description, expression):
    targets = [{"expr": expression, "instant": True, "range": False}]
    board.panel("stat", STAT, title, unit, description, targets, options=STAT_OPTIONS)


def chart(board, title, unit, description, *targets, interval="1h", custom=BARS):
    """A chart over time. A target is an expression and its legend."""
    targets = [{"expr": expr, "legendFormat": legend, "instant": False, "range": True} for expr, legend in targets]
    board.panel("timeseries", CHART, title, unit, description, targets, interval=interval, custom=custom,
                options=CHART_OPTIONS)


def gauge(board, title, unit, description, expression, legend):
    targets = [{"expr": expression, "legendFormat": legend, "instant": True, "range": False}]
    board.panel("bargauge", CHART, title, unit, description, targets, options=GAUGE_OPTIONS)


def board():
    variables = [
        ("team", "Team", f"label_values({SESSIONS}, team_id)"),
        ("model", "Model", f"label_values({COST}, model)"),
    ]
    board = Board("ccrun-usage", "Claude Code: usage", "What Claude Code costs and does, from its metrics. Costs are "
                  "Claude Code's own estimate. Needs totals (`temporality = \"cumulative\"`).", "prometheus", variables)
    for part in (at_a_glance, measures, people, cache, code, delivery):
        part(board)
    return board.done()


def at_a_glance(board):
    board.row("At a glance")
    stat(board, "Spend", "currencyUSD", "What the requests cost in the chosen time.", f"sum({spent(RANGE)})")
    stat(board, "Tokens", "short", "Tokens in and out, with those read from and written to the cache.",
         f"sum({tokens(RANGE)})")
    stat(board, "Sessions", "short", "Sessions that were started or resumed. `/clear` starts one that is not counted.",
         f"sum({team(SESSIONS, RANGE)})")
    stat(board, "Active people", "short", "Persons with at least one request.", active(RANGE))
    stat(board, "Spend per active person", "currencyUSD", "Spend ÷ active people.",
         ratio(f"sum({team(COST, RANGE)})", active(RANGE)))
    stat(board, "Cache reuse", "percentunit", "Tokens read from the cache ÷ all tokens sent.", reuse(RANGE))


def measures(board):
    for name, unit, of in (("Spend", "currencyUSD", spent), ("Tokens", "short", tokens)):
        board.row(name)
        for dimension, label, note in DIMENSIONS:
            chart(board, f"{name} by {dimension}", unit, f"{name} in each bar's time, the ten largest of each.{note}",
                  (f"topk(10, {by(label, of(STEP))})", f"{{{{{label}}}}}"))
    chart(board, "Tokens by kind", "short", "Input, output, read from the cache, written to the cache.",
          (by("type", tokens(STEP)), "{{type}}"))


def people(board):
    board.row("People")
    chart(board, "Active people by day", "short", "Persons with at least one request on each day.",
          (active("1d"), "active people"), interval="1d")
    chart(board, "Active time", "s", "`user` is typing and reading, `cli` is Claude Code at work.",
          (by("type", team(ACTIVE, STEP)), "{{type}}"))
    chart(board, "Sessions by start", "short", "How sessions began: fresh, resumed or continued.",
          (by("start_type", team(SESSIONS, STEP)), "{{start_type}}"))
    gauge(board, "Top spenders", "currencyUSD", "The ten persons with the largest spend in the chosen time.",
          f"topk(10, {by('person', spent(RANGE))})", "{{person}}")


def cache(board):
    board.row("Cache")
    chart(board, "Cache reuse over time", "percentunit", "Tokens read from the cache ÷ all tokens sent.",
          (reuse(STEP), "reuse"), custom=LINES)
    gauge(board, "Cache reuse by model", "percentunit", "Tokens read from the cache ÷ all tokens sent.",
          reuse(RANGE, "model"), "{{model}}")


def code(board):
    board.row("Code")
    stat(board, "Edits accepted when asked", "percentunit", "Edits that a person accepted ÷ edits that a person "
         "decided. Says little below twenty.", share(EDITS, RANGE, (ASKED, 'decision="accept"'), ASKED))
    stat(board, "Asked share of edits", "percentunit", "Edits that a person decided ÷ all edits. The permission mode "
         "decided the rest.", share(EDITS, RANGE, (ASKED,)))
    stat(board, "Pull requests", "short", "Pull and merge requests opened, not merged.",
         f"sum({team(PULL_REQUESTS, RANGE)})")
    stat(board, "Spend per pull request", "currencyUSD", "All spend ÷ pull requests opened.",
         ratio(f"sum({team(COST, RANGE)})", f"sum({team(PULL_REQUESTS, RANGE)})"))
    stat(board, "Commits", "short", "Commands that committed. One command with two commits counts once.",
         f"sum({team(COMMITS, RANGE)})")
    stat(board, "Lines changed", "short", "Lines that Claude Code added and removed.",
         f"sum({team(LINES_OF_CODE, RANGE)})")
    chart(board, "Edit tools", "short", "Decisions about edits, by tool and outcome.",
          (by("tool_name, decision", team(EDITS, STEP)), "{{tool_name}} {{decision}}"))
    chart(board, "Who decided about edits", "short", "`config` and `hook` ask no person. `user_…` does.",
          (by("source", team(EDITS, STEP)), "{{source}}"))
    chart(board, "Lines of code", "short", "Lines added and removed.",
          (by("type", team(LINES_OF_CODE, STEP)), "{{type}}"))
    chart(board, "Commits and pull requests", "short", "Commands that committed, and pull requests opened.",
          (f"sum({team(COMMITS, STEP)})", "commits"), (f"sum({team(PULL_REQUESTS, STEP)})", "pull requests"))


def delivery(board):
    board.row("Coverage")
    stat(board, "Installations", "short", "Machines and users that sent anything in the chosen time.",
         installations(RANGE))
    stat(board, "Seen in the last day", "percentunit", "Installations that sent in the last day ÷ those in the chosen "
         "time.", ratio(installations("1d"), installations(RANGE)))
    stat(board, "Delivered", "percentunit", "Records that this destination accepted ÷ records meant for it. The rest "
         "is on the way, or was dropped.", ratio(exported("delivered", RANGE), exported("received", RANGE)))
    stat(board, "Dropped records", "short", "Records that the destination rejected, or that exceeded the cap.",
         exported("dropped", RANGE))
    chart(board, "Records for this destination", "short", "Records received and delivered by ccrun, held after a "
          "failed attempt, and dropped.",
          *((exported(what, STEP), what) for what in ("received", "delivered", "held", "dropped")), custom=LINES)

"""The board of events, in LogsQL, for VictoriaLogs: what only events know."""

from grafana import BARS, CELLS, CHART, CHART_OPTIONS, LINES, LIST, STAT, STAT_OPTIONS, TABLE_OPTIONS, Board

PERSON = (
    ' | format "<user.id>" as person | format if (user.email:*) "<user.email>" as person'
    ' | format if (enduser.id:*) "<enduser.id>" as person'
)
ASKED = "source:in(user_temporary, user_permanent, user_reject, user_abort)"
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")


def event(*names):
    return f'service.name:="claude-code" event.name:in({", ".join(names)})'


def stat(board, title, unit, description, query):
    board.panel("stat", STAT, title, unit, description, [{"expr": query, "queryType": "stats"}], options=STAT_OPTIONS)


def chart(board, title, unit, description, query, legend="", custom=BARS):
    targets = [{"expr": query, "queryType": "statsRange", "legendFormat": legend}]
    board.panel("timeseries", CHART, title, unit, description, targets, interval="1h", custom=custom,
                options=CHART_OPTIONS)


def table(board, title, unit, description, query):
    board.panel("table", LIST, title, unit, description, [{"expr": query, "queryType": "instant"}],
                custom=CELLS, options=TABLE_OPTIONS, transformations=[{"id": "extractFields", "options": {"source": "labels"}}])


def board():
    board = Board("ccrun-events", "Claude Code: events", "What Claude Code did, request by request, from its events. "
                  "Needs the plugin `victoriametrics-logs-datasource`.", "victoriametrics-logs-datasource", [])
    for part in (at_a_glance, spend, errors, tools, coverage):
        part(board)
    return board.done()


def at_a_glance(board):
    board.row("At a glance")
    stat(board, "Spend", "currencyUSD", "What the requests cost, by Claude Code's estimate.",
         f"{event('api_request')} | stats sum(cost_usd) cost")
    stat(board, "Requests", "short", "Requests that the model answered.",
         f"{event('api_request')} | stats count() requests")
    stat(board, "Prompts", "short", "Prompts, without built-in commands.",
         f"{event('user_prompt')} command_source:!=builtin | stats count() prompts")
    stat(board, "Sessions", "short", "Distinct sessions with a request.",
         f"{event('api_request')} | stats count_uniq(session.id) sessions")
    stat(board, "Active people", "short", "Distinct persons with a request: `enduser.id`, else the e-mail address or "
         "the installation.", f"{event('api_request')}{PERSON} | stats count_uniq(person) people")
    stat(board, "Failed requests", "percentunit", "Requests that failed for good ÷ all requests.",
         f"{event('api_request', 'api_error')} | stats count() if (event.name:=api_error) failed, count() total"
         " | math failed / total as share | fields share")


def spend(board):
    board.row("Spend")
    chart(board, "Spend by model", "currencyUSD", "What the requests cost in each bar's time.",
          f"{event('api_request')} | stats by (model) sum(cost_usd) cost", "{{model}}")
    chart(board, "Spend by project", "currencyUSD", "By repository, as its directory is called. Needs "
          "`[cardinality] repository = true`.",
          f"{event('api_request')} | stats by (vcs.repository.name) sum(cost_usd) cost", "{{vcs.repository.name}}")
    chart(board, "Spend by agent", "currencyUSD", "By the origin of the request: the conversation, a subagent, a title.",
          f"{event('api_request')} | stats by (query_source) sum(cost_usd) cost", "{{query_source}}")
    chart(board, "Tokens", "short", "Tokens in and out, read from and written to the cache.",
          f"{event('api_request')} | stats " + ", ".join(f"sum({name}) {name}" for name in TOKENS))
    table(board, "Top sessions", "short", "The twenty sessions with the largest spend. `claude --resume` takes the id.",
          f"{event('api_request')}{PERSON} | stats by (session.id, person, vcs.repository.name)"
          " sum(cost_usd) cost, count() requests, sum(output_tokens) output_tokens | sort by (cost desc) limit 20")
    table(board, "Top prompts", "short", "The twenty prompts with the largest spend.",
          f"{event('api_request')} | stats by (prompt.id, session.id) sum(cost_usd) cost, count() requests"
          " | sort by (cost desc) limit 20")


def errors(board):
    board.row("Errors and speed")
    chart(board, "Errors", "short", "Requests that failed for good, were refused, or ran out of attempts. One that a "
          "retry healed leaves no event.",
          f"{event('api_error', 'api_refusal', 'api_retries_exhausted')}"
          " | stats by (event.name, status_code) count() errors",
          "{{event.name}} {{status_code}}")
    chart(board, "Duration of requests", "ms", "Half took less than p50, and one in twenty more than p95.",
          f"{event('api_request')} | stats quantile(0.5, duration_ms) p50, quantile(0.95, duration_ms) p95",
          custom=LINES)


def tools(board):
    board.row("Tools")
    table(board, "Tools", "short", "Calls of each tool, how many failed, and half of them took less than p50.",
          f"{event('tool_result')} | stats by (tool_name) count() calls, count() if (success:=false) failed,"
          " quantile(0.5, duration_ms) p50_ms | sort by (calls desc) limit 50")
    chart(board, "Tool calls", "short", "Calls by tool.",
          f"{event('tool_result')} | stats by (tool_name) count() calls",
          "{{tool_name}}")
    chart(board, "Failed tool calls", "short", "Calls that failed, by tool.",
          f"{event('tool_result')} success:=false | stats by (tool_name) count() failed", "{{tool_name}}")
    stat(board, "Asked share", "percentunit", "Tool decisions that a person made ÷ all decisions. The permission mode "
         "makes the others.",
         f"{event('tool_decision')} | stats count() if ({ASKED}) asked, count() total | math asked / total as share"
         " | fields share")
    stat(board, "Accepted when asked", "percentunit", "Of the decisions that a person made, those that accepted.",
         f"{event('tool_decision')} {ASKED} | stats count() if (decision:=accept) accepted, count() total"
         " | math accepted / total as share | fields share")


def coverage(board):
    board.row("Coverage")
    stat(board, "Sessions through ccrun", "percentunit", "Sessions with ccrun's attributes ÷ all sessions.",
         f"{event('api_request')} | stats count_uniq(session.id) if (ccrun.session:*) ours, count_uniq(session.id) total"
         " | math ours / total as share | fields share")
    chart(board, "Sessions by profile", "short", "Distinct sessions by the profile that launched them.",
          f"{event('api_request')} | stats by (ccrun.profile) count_uniq(session.id) sessions", "{{ccrun.profile}}")
    table(board, "Versions", "short", "Sessions by version of Claude Code and ccrun, and the last request of each.",
          f"{event('api_request')} | stats by (service.version, ccrun.version) count_uniq(session.id) sessions,"
          " max(_time) last_request | sort by (sessions desc) limit 20")

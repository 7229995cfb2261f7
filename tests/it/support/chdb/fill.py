"""Rows of the three schemas from what a collector delivered, as requests of OTLP in JSON."""

import hashlib
import json
from decimal import Decimal

HOUR_MS = 3_600_000
# Seconds of a bucket of logs in SigNoz.
BUCKET = 1_800
TEMPORALITIES = {1: "Delta", 2: "Cumulative"}


def value(any_value):
    """What an attribute holds: text, number, truth or something composed."""
    for kind, held in any_value.items():
        if kind == "intValue":
            return int(held)
        if kind == "doubleValue":
            return float(held)
        if kind == "arrayValue":
            return [value(one) for one in held.get("values", [])]
        if kind == "kvlistValue":
            return attributes(held.get("values", []))
        return held
    return ""


def attributes(pairs):
    return {pair["key"]: value(pair.get("value", {})) for pair in pairs or []}


def text(held):
    """As the collector's exporters write an attribute into a map of strings."""
    if isinstance(held, str):
        return held
    if isinstance(held, bool):
        return "true" if held else "false"
    if isinstance(held, float) and 1e-6 <= abs(held) < 1e21:
        written = format(Decimal(repr(held)), "f")
        return written.removesuffix(".0")
    return json.dumps(held, separators=(",", ":"))


def texts(held):
    return {name: text(one) for name, one in held.items()}


def seconds(nanoseconds):
    """A time for a DateTime64(9)."""
    whole, rest = divmod(int(nanoseconds), 1_000_000_000)
    return f"{whole}.{rest:09}"


def fingerprint(held):
    return hashlib.blake2b(json.dumps(held, sort_keys=True).encode(), digest_size=8)


def logs(request):
    """The records of a request, each with its resource and its scope."""
    for resource_logs in request.get("resourceLogs", []):
        resource = attributes(resource_logs.get("resource", {}).get("attributes"))
        for scope_logs in resource_logs.get("scopeLogs", []):
            for record in scope_logs.get("logRecords", []):
                yield resource, scope_logs.get("scope", {}), record


def points(request):
    """The points of sums and gauges in a request."""
    for resource_metrics in request.get("resourceMetrics", []):
        resource = attributes(resource_metrics.get("resource", {}).get("attributes"))
        for scope_metrics in resource_metrics.get("scopeMetrics", []):
            for metric in scope_metrics.get("metrics", []):
                for kind in ("sum", "gauge"):
                    for point in metric.get(kind, {}).get("dataPoints", []):
                        yield resource, scope_metrics.get("scope", {}), metric, kind, point


def otel_log(resource, scope, record):
    """A row of the contrib collector's exporter, and of ClickStack."""
    return {
        "Timestamp": seconds(record.get("timeUnixNano") or record.get("observedTimeUnixNano", 0)),
        "TraceId": record.get("traceId", ""), "SpanId": record.get("spanId", ""),
        "TraceFlags": record.get("flags", 0) & 0xFF, "SeverityText": record.get("severityText", ""),
        "SeverityNumber": record.get("severityNumber", 0), "ServiceName": text(resource.get("service.name", "")),
        "Body": text(value(record.get("body", {}))), "ResourceAttributes": texts(resource),
        "ScopeName": scope.get("name", ""), "ScopeVersion": scope.get("version", ""),
        "ScopeAttributes": texts(attributes(scope.get("attributes"))),
        "LogAttributes": texts(attributes(record.get("attributes"))),
    }


def number(point):
    return float(point["asDouble"]) if "asDouble" in point else int(point.get("asInt", 0))


def otel_point(resource, scope, metric, kind, point, time):
    row = {
        "ResourceAttributes": texts(resource), "ServiceName": text(resource.get("service.name", "")),
        "MetricName": metric["name"], "Attributes": texts(attributes(point.get("attributes"))),
        "StartTimeUnix": time(point.get("startTimeUnixNano", 0)), "TimeUnix": time(point.get("timeUnixNano", 0)),
        "Value": number(point),
    }
    if kind == "sum":
        row |= {
            "ScopeName": scope.get("name", ""), "ScopeVersion": scope.get("version", ""),
            "MetricDescription": metric.get("description", ""), "MetricUnit": metric.get("unit", ""),
            "Flags": point.get("flags", 0), "AggregationTemporality": metric["sum"].get("aggregationTemporality", 0),
            "IsMonotonic": metric["sum"].get("isMonotonic", False),
        }
    return row


def otel(database, time):
    """The rows of a request by table, for a database with the tables of the contrib collector's exporter."""
    def rows(request, event_name):
        found = {"otel_logs": [], "otel_metrics_sum": [], "otel_metrics_gauge": []}
        for resource, scope, record in logs(request):
            event = {"EventName": record.get("eventName", "")} if event_name else {}
            found["otel_logs"].append(otel_log(resource, scope, record) | event)
        for resource, scope, metric, kind, point in points(request):
            found[f"otel_metrics_{kind}"].append(otel_point(resource, scope, metric, kind, point, time))
        return {f"{database}.{table}": some for table, some in found.items()}
    return rows


def contrib(request):
    return otel("otel", seconds)(request, True)


def clickstack(request):
    return otel("default", lambda nanoseconds: int(nanoseconds) // 1_000_000_000)(request, False)


def signoz(request):
    records, samples, series = [], [], {}
    for resource, scope, record in logs(request):
        records.append(signoz_log(resource, scope, record, len(records)))
    for resource, scope, metric, kind, point in points(request):
        sample, described = signoz_point(resource, scope, metric, kind, point)
        samples.append(sample)
        series[sample["fingerprint"], described["unix_milli"]] = described
    return {
        "signoz_logs.logs_v2": records, "signoz_metrics.samples_v4": samples,
        "signoz_metrics.time_series_v4": list(series.values()),
    }


def signoz_log(resource, scope, record, index):
    held = attributes(record.get("attributes"))
    time = int(record.get("timeUnixNano") or record.get("observedTimeUnixNano", 0))
    is_number = lambda one: isinstance(one, (int, float)) and not isinstance(one, bool)
    return {
        "ts_bucket_start": time // 1_000_000_000 // BUCKET * BUCKET,
        "resource_fingerprint": fingerprint(resource).hexdigest(),
        "timestamp": time, "observed_timestamp": int(record.get("observedTimeUnixNano", 0)),
        "id": f"{time:020}{index:07}", "trace_id": record.get("traceId", ""), "span_id": record.get("spanId", ""),
        "severity_text": record.get("severityText", ""), "severity_number": record.get("severityNumber", 0),
        "body": text(value(record.get("body", {}))),
        "attributes_bool": {name: one for name, one in held.items() if isinstance(one, bool)},
        "attributes_number": {name: one for name, one in held.items() if is_number(one)},
        "attributes_string": {name: text(one) for name, one in held.items()
                              if not isinstance(one, bool) and not is_number(one)},
        "resources_string": texts(resource),
        "scope_name": scope.get("name", ""), "scope_version": scope.get("version", ""),
        "scope_string": texts(attributes(scope.get("attributes"))),
    }


def signoz_point(resource, scope, metric, kind, point):
    temporality = TEMPORALITIES.get(metric[kind].get("aggregationTemporality", 0), "Unspecified")
    held = texts(attributes(point.get("attributes")))
    labels = texts(resource) | held | {"__name__": metric["name"], "__temporality__": temporality}
    identity = int.from_bytes(fingerprint(labels).digest(), "big")
    time = int(point.get("timeUnixNano", 0)) // 1_000_000
    shared = {"env": labels.get("deployment.environment", "default"), "temporality": temporality,
              "metric_name": metric["name"], "fingerprint": identity}
    sample = shared | {"unix_milli": time, "value": number(point), "flags": point.get("flags", 0)}
    described = shared | {
        "description": metric.get("description", ""), "unit": metric.get("unit", ""), "type": kind.capitalize(),
        "is_monotonic": metric[kind].get("isMonotonic", False), "unix_milli": time // HOUR_MS * HOUR_MS,
        "labels": json.dumps(labels, separators=(",", ":")), "attrs": held,
        "scope_attrs": texts(attributes(scope.get("attributes"))), "resource_attrs": texts(resource),
        "__normalized": False,
    }
    return sample, described


SCHEMAS = {"contrib": contrib, "clickstack": clickstack, "signoz": signoz}

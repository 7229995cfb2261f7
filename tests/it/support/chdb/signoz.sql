-- What this project reads of SigNoz' tables, with the names and types of columns that its documentation of queries lists.
-- A server with one shard needs no more for its distributed tables than another name.
CREATE DATABASE IF NOT EXISTS signoz_logs;
CREATE DATABASE IF NOT EXISTS signoz_metrics;

CREATE TABLE signoz_logs.logs_v2 (
    ts_bucket_start UInt64,
    resource_fingerprint String,
    timestamp UInt64,
    observed_timestamp UInt64,
    id String,
    trace_id String,
    span_id String,
    trace_flags UInt32,
    severity_text LowCardinality(String),
    severity_number UInt8,
    body String,
    attributes_string Map(LowCardinality(String), String),
    attributes_number Map(LowCardinality(String), Float64),
    attributes_bool Map(LowCardinality(String), Bool),
    resources_string Map(LowCardinality(String), String),
    scope_name String,
    scope_version String,
    scope_string Map(LowCardinality(String), String)
) ENGINE = MergeTree
PARTITION BY toDate(timestamp / 1000000000)
ORDER BY (ts_bucket_start, resource_fingerprint, severity_text, timestamp, id);

CREATE TABLE signoz_logs.distributed_logs_v2 AS signoz_logs.logs_v2 ENGINE = Merge('signoz_logs', '^logs_v2$');

CREATE TABLE signoz_metrics.samples_v4 (
    env LowCardinality(String) DEFAULT 'default',
    temporality LowCardinality(String) DEFAULT 'Unspecified',
    metric_name LowCardinality(String),
    fingerprint UInt64,
    unix_milli Int64,
    value Float64,
    flags UInt32
) ENGINE = MergeTree
PARTITION BY toDate(unix_milli / 1000)
ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);

CREATE TABLE signoz_metrics.distributed_samples_v4 AS signoz_metrics.samples_v4
ENGINE = Merge('signoz_metrics', '^samples_v4$');

CREATE TABLE signoz_metrics.time_series_v4 (
    env LowCardinality(String) DEFAULT 'default',
    temporality LowCardinality(String) DEFAULT 'Unspecified',
    metric_name LowCardinality(String),
    description LowCardinality(String),
    unit LowCardinality(String),
    type LowCardinality(String),
    is_monotonic Bool,
    fingerprint UInt64,
    unix_milli Int64,
    labels String,
    attrs Map(LowCardinality(String), String),
    scope_attrs Map(LowCardinality(String), String),
    resource_attrs Map(LowCardinality(String), String),
    __normalized Bool DEFAULT true
) ENGINE = ReplacingMergeTree
PARTITION BY toDate(unix_milli / 1000)
ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);

CREATE TABLE signoz_metrics.distributed_time_series_v4 AS signoz_metrics.time_series_v4
ENGINE = Merge('signoz_metrics', '^time_series_v4$');

//! All integration tests in one binary: one module for each scenario, and `support`. Tests that need more than Rust are
//! ignored. Their module says what it needs, and `scripts/test.sh` runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test finds its counterparts and its time by itself")]
#![allow(dead_code, unreachable_pub, reason = "what supports tests is written for all of them, and none uses it all")]

mod aftermath;
mod boards;
mod budget;
mod certificates;
mod constraints;
mod credentials;
mod credentials_interactive;
mod credentials_oauth;
mod crowd;
mod damage;
mod delivery;
mod direct;
mod doctor;
mod doctor_destination;
mod doctor_live;
mod doctor_store;
mod dry_run;
mod durability;
mod editors;
mod env;
mod finding;
mod from_prometheus;
mod help;
mod hooks;
mod hygiene;
mod import;
mod inherited;
mod install;
mod language;
mod launch;
mod layout;
mod limits;
mod long;
mod machines;
mod managed_settings;
mod metrics;
mod needs_browser;
mod needs_chdb;
mod needs_claude;
mod needs_go;
mod needs_grafana;
mod needs_jaeger;
#[cfg(target_os = "linux")]
mod needs_keyring;
#[cfg(target_os = "linux")]
mod needs_keyutils;
mod needs_node;
mod needs_otelcol;
mod needs_prometheus;
mod needs_python;
mod needs_root;
mod needs_shells;
mod needs_victorialogs;
mod needs_victoriametrics;
mod needs_vscode;
mod odd_usage;
mod parent;
mod pass_through;
mod platforms;
mod privacy;
mod profiles;
mod proxies;
mod queue;
mod readme;
mod receiving;
mod receiving_grpc;
mod receiving_json;
mod releases;
mod removed;
mod report;
mod secret;
mod sending;
mod sessions;
mod setup;
mod sources;
mod sources_tls;
mod statusline;
mod subcommands;
mod support;
mod tail;
mod top;
mod totals;
mod transport;
mod transport_failures;
mod trust;
mod upgrade;
mod version;
mod week;
mod wire;
mod wrap;

//! The one integration binary: scenarios as modules, and what supports them beside. What needs more than Rust is
//! ignored, in a module that says what it needs, and `scripts/test.sh` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]
#![allow(dead_code, unreachable_pub, reason = "what supports tests is written for all of them, and none uses it all")]

#[path = "it/aftermath.rs"]
mod aftermath;
#[path = "it/certificates.rs"]
mod certificates;
#[path = "it/credentials.rs"]
mod credentials;
#[path = "it/credentials_interactive.rs"]
mod credentials_interactive;
#[path = "it/credentials_oauth.rs"]
mod credentials_oauth;
#[path = "it/delivery.rs"]
mod delivery;
#[path = "it/direct.rs"]
mod direct;
#[path = "it/doctor.rs"]
mod doctor;
#[path = "it/doctor_destination.rs"]
mod doctor_destination;
#[path = "it/doctor_live.rs"]
mod doctor_live;
#[path = "it/doctor_store.rs"]
mod doctor_store;
#[path = "it/dry_run.rs"]
mod dry_run;
#[path = "it/durability.rs"]
mod durability;
#[path = "it/editors.rs"]
mod editors;
#[path = "it/env.rs"]
mod env;
#[path = "it/finding.rs"]
mod finding;
#[path = "it/hygiene.rs"]
mod hygiene;
#[path = "it/inherited.rs"]
mod inherited;
#[path = "it/install.rs"]
mod install;
#[path = "it/launch.rs"]
mod launch;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/long.rs"]
mod long;
#[path = "it/managed_settings.rs"]
mod managed_settings;
#[path = "it/needs_claude.rs"]
mod needs_claude;
#[path = "it/needs_go.rs"]
mod needs_go;
#[cfg(target_os = "linux")]
#[path = "it/needs_keyring.rs"]
mod needs_keyring;
#[cfg(target_os = "linux")]
#[path = "it/needs_keyutils.rs"]
mod needs_keyutils;
#[path = "it/needs_node.rs"]
mod needs_node;
#[path = "it/needs_otelcol.rs"]
mod needs_otelcol;
#[path = "it/needs_prometheus.rs"]
mod needs_prometheus;
#[path = "it/needs_python.rs"]
mod needs_python;
#[path = "it/needs_root.rs"]
mod needs_root;
#[path = "it/needs_shells.rs"]
mod needs_shells;
#[path = "it/needs_victoriametrics.rs"]
mod needs_victoriametrics;
#[path = "it/needs_vscode.rs"]
mod needs_vscode;
#[path = "it/parent.rs"]
mod parent;
#[path = "it/pass_through.rs"]
mod pass_through;
#[path = "it/privacy.rs"]
mod privacy;
#[path = "it/profiles.rs"]
mod profiles;
#[path = "it/proxies.rs"]
mod proxies;
#[path = "it/queue.rs"]
mod queue;
#[path = "it/readme.rs"]
mod readme;
#[path = "it/receiving.rs"]
mod receiving;
#[path = "it/receiving_grpc.rs"]
mod receiving_grpc;
#[path = "it/receiving_json.rs"]
mod receiving_json;
#[path = "it/secret.rs"]
mod secret;
#[path = "it/sending.rs"]
mod sending;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/setup.rs"]
mod setup;
#[path = "support/mod.rs"]
mod support;
#[path = "it/totals.rs"]
mod totals;
#[path = "it/transport.rs"]
mod transport;
#[path = "it/transport_failures.rs"]
mod transport_failures;
#[path = "it/trust.rs"]
mod trust;
#[path = "it/wire.rs"]
mod wire;
#[path = "it/wrap.rs"]
mod wrap;

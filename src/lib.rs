//! `ccrun` launches Claude Code with its OpenTelemetry switched on and delivered.
//!
//! # Layout
//!
//! The modules follow the data. Each module uses only those below it; `tests/it/layout.rs` checks that.
//!
//! 1. [`cli`] defines what can be asked for. [`commands`] does it, one verb a file, and prints. [`doctor`] explains why
//!    something does not work.
//! 2. [`launch`] finds the program, decides what the launch means, starts the collector and becomes the program.
//!    [`editor`] knows editors as programs.
//! 3. [`collector`] is a keeper that holds the port and a worker that receives, rewrites, stores and forwards.
//! 4. [`forward`] delivers to one destination. [`credential`] keeps that destination's headers fresh.
//! 5. [`budget`] compares usage with what it may cost. [`notify`] sends messages about that. [`report`] shows usage.
//! 6. [`workspace`] decides which profile applies here, safely: configuration, project files, trust, repository.
//!    [`claude`] knows Claude Code's own files. [`environment`] turns a profile into variables. [`wiring`] puts entries
//!    into other programs' settings and takes them out.
//! 7. [`ledger`] keeps what was used. [`store`] keeps sessions, how far each destination is with their logs, what left the
//!    order of these, and totals. [`spool`] holds the logs themselves: what was received and acknowledged.
//! 8. [`profile`] turns files into meaning. [`secret`] fetches one value.
//! 9. [`state`] holds paths, locks, session logs, notices and back-off.
//! 10. [`totals`] makes cumulative sums of deltas, [`usage`] finds in OTLP what was used, [`client`] sends HTTP requests,
//!     and [`otlp`] reads and rewrites requests as they are on the wire.
//! 11. [`terminal`] makes text safe to print, asks questions and has the screen of a live view. [`system`] asks the
//!     operating system for one thing at a time.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests create their own environment"))]

pub mod budget;
pub mod claude;
pub mod cli;
pub mod client;
pub mod collector;
pub mod commands;
pub mod credential;
pub mod doctor;
pub mod editor;
pub mod environment;
pub mod forward;
pub mod launch;
pub mod ledger;
pub mod notify;
pub mod otlp;
pub mod profile;
pub mod report;
pub mod secret;
pub mod spool;
pub mod state;
pub mod store;
pub mod system;
pub mod terminal;
pub mod totals;
pub mod usage;
pub mod wiring;
pub mod workspace;

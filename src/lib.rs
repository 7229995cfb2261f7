//! `ccrun` launches Claude Code with its OpenTelemetry switched on and delivered.
//!
//! # The way of the data
//!
//! A launch begins in [`cli`], which only says what can be asked for, and [`commands`], which does it, one verb a file.
//!
//! 1. [`surroundings`]: the environment and the places, read once; [`setting`] is what of them decides what a profile
//!    means.
//! 2. [`profile`]: which files say what, and what they mean together. A [`credential`] is where a header's value comes
//!    from. [`trust`]: what of a cloned repository may take part in that.
//! 3. [`environment`]: what profile and endpoint make of the program's environment; [`claude`]: what Claude Code reads
//!    besides; [`background`]: who of its background service was given that. [`explanation`]: where each variable comes
//!    from, and what it overrides; [`quoting`]: variables for a shell to evaluate.
//! 4. [`launch`]: binds a port, starts the collector on it, and becomes the program. A [`sentinel`] tells a program that
//!    runs `ccrun` again.
//! 5. [`collector`]: a keeper that holds the port, and a worker that receives, rewrites, stores and forwards.
//! 6. [`otlp`]: requests as they stand on the wire, and what a profile's rules make of them. [`usage`]: what they say was used.
//!    [`totals`]: what becomes of deltas for a destination that wants cumulative sums.
//! 7. [`store`]: batches, what each destination still has to be given of them, totals, and the ledger, in one file.
//! 8. [`forward`]: each destination's own way through what waits for it, by a [`client`] of its server; [`backlog`]: what
//!    is left.
//! 9. [`usage::report`]: what the ledger knows.
//! 10. [`doctor`]: why something of all that does not work.
//!
//! Beside that way stand [`process`], [`state`], [`git`], [`helper`], [`editor`], [`network`], [`bounded`],
//! [`mod@digest`], [`mod@installation`] and [`random`], which each do or ask the system for one thing, [`log`] and
//! [`notice`], by which a session tells of itself afterwards, [`wire`], which puts us into settings of others,
//! [`completion`], which tells shells what may be typed, [`hidden`], which keeps secrets out of what is printed for
//! developers, and [`printable`], which everything
//! foreign passes before it reaches a terminal.

pub mod background;
pub mod backlog;
pub mod bounded;
pub mod claude;
pub mod cli;
pub mod client;
pub mod collector;
pub mod commands;
pub mod completion;
pub mod credential;
pub mod digest;
pub mod doctor;
pub mod editor;
pub mod environment;
pub mod explanation;
pub mod forward;
pub mod git;
pub mod helper;
pub mod hidden;
pub mod installation;
pub mod launch;
pub mod log;
pub mod network;
pub mod notice;
pub mod otlp;
pub mod printable;
pub mod process;
pub mod profile;
pub mod quoting;
pub mod random;
pub mod sentinel;
pub mod setting;
pub mod state;
pub mod store;
pub mod surroundings;
pub mod totals;
pub mod trust;
pub mod usage;
pub mod wire;

//! A real Prometheus 3 shows what was used, by the queries that people's boards ask.

#[path = "needs_prometheus/claude.rs"]
mod claude;
#[path = "needs_prometheus/crashes.rs"]
mod crashes;
#[path = "needs_prometheus/points.rs"]
pub(crate) mod points;
#[path = "needs_prometheus/programs.rs"]
mod programs;

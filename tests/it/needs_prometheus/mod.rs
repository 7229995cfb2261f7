//! A real Prometheus 3 shows the usage in the queries of typical dashboards.

pub(crate) mod claude;
mod crashes;
pub(crate) mod points;
mod programs;
mod rules;
mod scraped;

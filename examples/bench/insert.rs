//! The floor without a network: the cost of bare inserts.

use std::path::PathBuf;
use std::time::Instant;

use super::bodies::{Format, Size, Template};
use super::{floor, load};

/// Insert requests of 10.8 KB into an `SQLite` file, and print the same numbers as `load`: each request waits for its
/// commit
#[derive(clap::Args)]
pub(crate) struct Options {
    store: PathBuf,
    requests: usize,
    /// Number of requests in one commit
    #[arg(long, default_value_t = 1)]
    group: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let connection = floor::open(&options.store)?;
    let template = Template::events(Size::Usual, Format::Protobuf)?;
    let bodies =
        (0..).take(options.requests).map(|number| template.number(number)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut seen = load::Seen::default();
    let begun = Instant::now();
    for group in bodies.chunks(options.group.max(1)) {
        let begun = Instant::now();
        floor::insert(&connection, group)?;
        seen.waits.extend(std::iter::repeat_n(begun.elapsed(), group.len()));
    }
    let took = begun.elapsed();
    seen.records = template.records * bodies.len();
    seen.bytes = template.len() * bodies.len();
    load::report(vec![seen], took)
}

//! The floor without a network: the cost of bare appends to a file that is filled with zeros.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Instant;

use super::bodies::{Format, Size, Template};
use super::load;

/// Append requests of 10.8 KB to a file that was filled with zeros, and print the same numbers as `load`: each request
/// waits for its `fdatasync`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// File to create; it is not removed
    file: PathBuf,
    requests: usize,
    /// Number of requests in one write and one sync
    #[arg(long, default_value_t = 1)]
    group: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let template = Template::events(Size::Usual, Format::Protobuf)?;
    let bodies =
        (0..).take(options.requests).map(|number| template.number(number)).collect::<anyhow::Result<Vec<_>>>()?;
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&options.file)?;
    let length: usize = bodies.iter().map(Vec::len).sum();
    file.write_all_at(&vec![0; length], 0)?;
    file.sync_all()?;
    let mut seen = load::Seen::default();
    let (begun, mut offset) = (Instant::now(), 0);
    for group in bodies.chunks(options.group.max(1)) {
        let begun = Instant::now();
        let bytes = group.concat();
        file.write_all_at(&bytes, offset)?;
        file.sync_data()?;
        offset += bytes.len() as u64;
        seen.waits.extend(std::iter::repeat_n(begun.elapsed(), group.len()));
    }
    let took = begun.elapsed();
    seen.records = template.records * bodies.len();
    seen.bytes = template.len() * bodies.len();
    load::report(vec![seen], took)
}

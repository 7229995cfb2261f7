//! Times commands in turn. Each round runs every command once, so that other load on the machine affects all of them
//! equally. Each round starts with another command, so that no command always follows the same one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// Run commands in turn and print a Markdown table: the median and the minimum of each, the overhead compared with the
/// first (the median of the differences in each round), and the ratio of the medians
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of runs of each command
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Number of untimed runs of each command before
    #[arg(long, default_value_t = 1)]
    warmup: usize,
    /// Command to run after each run, untimed
    #[arg(long, value_name = "COMMAND")]
    after: Option<String>,
    /// Title of the table's first column
    #[arg(long, default_value = "")]
    heading: String,
    /// Pairs of a name and a command; its words are separated by spaces and not passed to a shell
    #[arg(required = true, value_names = ["NAME", "COMMAND"], num_args = 2..)]
    commands: Vec<String>,
}

struct Timed<'a> {
    name: &'a str,
    command: &'a str,
    times: Vec<Duration>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let (pairs, rest) = options.commands.as_chunks();
    ensure!(rest.is_empty() && options.runs > 0, "pairs of a name and a command are wanted, and a run at least");
    let mut all: Vec<_> = pairs.iter().map(|[name, command]| Timed { name, command, times: Vec::new() }).collect();
    for round in 0..options.warmup + options.runs {
        let first = round % all.len();
        let (before, after) = all.split_at_mut(first);
        for timed in after.iter_mut().chain(before) {
            let took = time(timed.command)?;
            if round >= options.warmup {
                timed.times.push(took);
            }
            if let Some(after) = &options.after {
                time(after)?;
            }
        }
    }
    print(&options.heading, &all)
}

fn time(words: &str) -> anyhow::Result<Duration> {
    let mut words = words.split_whitespace();
    let program = words.next().context("a command is empty")?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("cannot run `{program}`"))?;
    let took = begun.elapsed();
    ensure!(status.success(), "`{program}` failed: {status}");
    Ok(took)
}

fn print(heading: &str, all: &[Timed<'_>]) -> anyhow::Result<()> {
    let base = &all.first().context("nothing was timed")?.times;
    super::say(format_args!("| {heading} | median | fastest | added | ratio |\n|---|---|---|---|---|"))?;
    for Timed { name, times, .. } in all {
        let added = times.iter().zip(base).map(|(time, base)| milliseconds(*time) - milliseconds(*base));
        let (median, of_base) =
            (median(times.iter().copied().map(milliseconds)), base.iter().copied().map(milliseconds));
        let fastest = times.iter().min().copied().map(milliseconds).unwrap_or_default();
        let (added, ratio) = (self::median(added), median / self::median(of_base));
        super::say(format_args!("| {name} | {median:.1} ms | {fastest:.1} ms | {added:+.1} ms | {ratio:.2} × |"))?;
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

//! A collector's work for each request without the network, so that a script can count its instructions.

use std::path::PathBuf;

use ccrun::ledger::{self, LEDGER};
use ccrun::otlp::{count, rewrite, validate};
use ccrun::spool::{Disk, Entry, Source, Writer};
use ccrun::store::Store;
use jiff::Timestamp;

use super::bodies::{Format, Size, Template};
use super::rules;

/// Rewrite requests of 10.8 KB, append them to a log one by one, and read the log into a ledger
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Directory to create
    state: PathBuf,
    requests: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let (session, spool) = ("0123456789abcdef", options.state.join("spool"));
    let mut writer = Writer::new(Disk::new(&spool), session, 1, Vec::new());
    let template = Template::events(Size::Usual, Format::Protobuf)?;
    let (rules, signal) = (rules::usual(), template.signal);
    for number in 0..options.requests {
        let body = rewrite(signal, &template.number(number)?, &rules)?.body;
        validate(signal, &body)?;
        let records = u32::try_from(count(signal, &body)?)?;
        let time = Timestamp::now().as_millisecond();
        let entry = Entry { signal, time, records, refused: 0, ledger: b"main", body: &body };
        for appended in writer.append(&[entry]) {
            appended?;
        }
    }
    writer.end();
    let ledger = Store::start(&options.state.join("ledger-1.db"), LEDGER, |_| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let source = Source::ended(&spool);
    let fold = move |ledger: Store| async move {
        loop {
            let source = source.clone();
            if ledger.commit(move |connection| ledger::fold(connection, &source, session)).await? {
                return Ok::<_, anyhow::Error>(());
            }
        }
    };
    runtime.block_on(fold(ledger))?;
    super::say(format_args!("{}", options.requests))
}

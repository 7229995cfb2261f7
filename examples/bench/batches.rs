//! What a collector does with each request, without the network: for whoever counts its work.

use std::path::PathBuf;

use ccrun::otlp::rewrite;
use ccrun::store::batches::{self, Recipient};
use ccrun::store::{Store, ledger};
use ccrun::usage::extract;
use jiff::Timestamp;

use super::bodies::{Format, Size, Template};
use super::rules;

/// Rewrites requests of 10.8 KB, reads what they say was used, and commits both, one after the other
#[derive(clap::Args)]
pub(crate) struct Options {
    store: PathBuf,
    requests: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let store = Store::start(&options.store, |_| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let template = Template::events(Size::Usual, Format::Protobuf)?;
    let rules = rules::usual();
    let session = "0123456789abcdef";
    let to = vec![Recipient { session: session.to_owned(), destination: "d".to_owned(), fingerprint: vec![1] }];
    for number in 0..options.requests {
        let (now, to) = (Timestamp::now(), to.clone());
        let body = rewrite(template.signal, &template.number(number)?, &rules)?.body;
        let found = extract(template.signal, &body, now)?;
        let signal = template.signal;
        runtime.block_on(store.commit(move |connection| {
            ledger::insert(connection, session, &found.usage)?;
            batches::insert(connection, signal, &body, now.as_millisecond(), &to)
        }))?;
    }
    super::say(format_args!("{}", options.requests))
}

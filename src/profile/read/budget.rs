//! `[budget]`: its limits, and who is told.

use std::collections::BTreeSet;

use super::destination::headers;
use super::source::{command, sources};
use super::url::{check_url, in_the_clear};
use super::{text, truth};
use crate::profile::diagnostic::Diagnostic;
use crate::profile::model::{Budget, Notify, Period, Scope};
use crate::profile::schema;
use crate::profile::tree::{Node, Value};

/// The percentages at which to warn by default.
const WARN: [u16; 4] = [50, 75, 90, 100];

/// The budgets of a `[budget]` table, one for each of its limits, shortest period first.
pub(crate) fn budgets(table: &Node, faults: &mut Vec<Diagnostic>) -> Vec<Budget> {
    if table.entries().is_none() {
        return Vec::new();
    }
    let limits = Period::ALL.into_iter().filter_map(|period| Some((period, table.get(period.name())?)));
    let limits: Vec<_> = limits.collect();
    // A misspelt or invalid limit is reported separately.
    if limits.is_empty() && faults.is_empty() {
        let fault = Diagnostic::at(&table.key, "`budget` has no limit");
        faults.push(fault.help("write, for example, daily = 20; weekly and monthly are allowed as well"));
    }
    let per = text(Some(table), "per").and_then(scope).unwrap_or(Scope::Person);
    let warn = table.get("warn").map_or_else(|| WARN.into(), percentages);
    let stop = truth(Some(table), "stop", false);
    let notify = notify(table.get("notify"), faults);
    let budget = |(period, limit): (Period, &Node)| {
        let (warn, notify, origin) = (warn.clone(), notify.clone(), limit.origin.to_string());
        Some(Budget { period, limit: schema::amount(&limit.value)?, per, warn, stop, notify, origin })
    };
    limits.into_iter().filter_map(budget).collect()
}

fn scope(name: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.name() == name)
}

fn percentages(list: &Node) -> BTreeSet<u16> {
    let items = if let Value::List(items) = &list.value { items.as_slice() } else { &[] };
    items.iter().filter_map(|item| schema::percentage(&item.value)).collect()
}

fn notify(list: Option<&Node>, faults: &mut Vec<Diagnostic>) -> Vec<Notify> {
    let Some(Value::List(items)) = list.map(|list| &list.value) else { return Vec::new() };
    items.iter().filter_map(|item| receiver(item, faults)).collect()
}

fn receiver(item: &Node, faults: &mut Vec<Diagnostic>) -> Option<Notify> {
    if item.get("command").is_some() {
        return Some(Notify::Command(command(item)));
    }
    let webhook = item.get("webhook")?;
    check_webhook(webhook, faults);
    Some(Notify::Webhook { url: sources(webhook, faults), headers: headers(item, faults) })
}

/// Checks a URL that is written out. Messages do not show it, since it may contain a key.
fn check_webhook(webhook: &Node, faults: &mut Vec<Diagnostic>) {
    let Some(url) = webhook.text().filter(|url| !url.contains("${")) else { return };
    let reason = match check_url(url) {
        Err(reason) => reason,
        Ok(_) if url.contains('#') => "it must not have a fragment",
        Ok(_) if in_the_clear(url) => "it would be sent in plain text to another host",
        Ok(_) => return,
    };
    let fault = Diagnostic::at(&webhook.origin, format!("bad webhook: {reason}")).secret();
    faults.push(fault.help("write, for example, \"https://hooks.example.com/path\""));
}

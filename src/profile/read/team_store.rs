//! `[source.NAME]`: a team's store that reports are read from.

use super::destination::{headers, tls};
use super::source::sources;
use super::{duration, text, truth};
use crate::profile::diagnostic::Diagnostic;
use crate::profile::team_store::{StoreAddress, TeamStore};
use crate::profile::tree::Node;
use crate::profile::{check_name, schema};
use crate::secret::Source;

/// An example for messages.
const EXAMPLE: &str = "write, for example, url = \"clickhouse://clickhouse.example.com:8443/otel?secure=1\"";

/// The stores of a profile or of `config.toml`.
pub(crate) fn team_stores(root: &Node, faults: &mut Vec<Diagnostic>) -> Vec<TeamStore> {
    let table = root.get("source").and_then(Node::entries).into_iter().flatten();
    table.filter_map(|(name, node)| team_store(name, node, faults)).collect()
}

fn team_store(name: &str, node: &Node, faults: &mut Vec<Diagnostic>) -> Option<TeamStore> {
    if let Err(reason) = check_name(name) {
        faults.push(Diagnostic::at(&node.key, format!("`{name}` is not a valid source name: {reason}")));
    }
    let Some(url) = node.get("url") else {
        // A misspelt key is reported separately.
        if !node.entries()?.keys().any(|key| schema::guess(key, &["url"]).is_some()) {
            faults.push(Diagnostic::at(&node.key, format!("source `{name}` has no `url`")).help(EXAMPLE));
        }
        return None;
    };
    let written = url.text()?;
    let address = match written.parse::<StoreAddress>() {
        Ok(address) => address,
        // An undefined variable is reported separately.
        Err(_) if written.contains("${") && !faults.is_empty() => return None,
        Err(reason) => {
            let fault = Diagnostic::at(&url.origin, format!("bad url: {reason}")).help(EXAMPLE);
            // User information may contain a password, and so may a parameter.
            faults.push(if written.contains(['@', '?']) { fault.secret() } else { fault });
            return None;
        }
    };
    let user = text(Some(node), "user").map(str::to_owned);
    let password = node.get("password").map(|node| sources(node, faults)).unwrap_or_default();
    if let Some(password) = node.get("password").filter(|_| user.is_none()) {
        let fault = Diagnostic::at(&password.key, format!("source `{name}` has a `password` and no `user`")).secret();
        faults.push(fault.help("name the user; ClickHouse's own is `default`"));
    }
    let headers = headers(node, faults);
    let is_secret = !password.is_empty() || headers.values().flatten().any(|one| !matches!(one, Source::Literal(_)));
    if is_secret && address.is_in_the_clear() && !truth(node.get("tls"), "insecure", false) {
        let fault = Diagnostic::at(&url.origin, "a secret would be sent in plain text to another host");
        faults.push(fault.help("add ?secure=1 to the URL, or set `tls.insecure = true` in the source"));
    }
    Some(TeamStore {
        name: name.to_owned(),
        address,
        user,
        password,
        timeout: duration(Some(node), "timeout", TeamStore::TIMEOUT),
        headers,
        tls: tls(node.get("tls"), faults),
        origin: url.origin.to_string(),
    })
}

//! Keeps programs from sending their telemetry, with the session's token, to a proxy.

use std::collections::BTreeMap;

use super::Changes;

/// Variables that name a proxy.
const PROXIES: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Variables that list hosts to reach without a proxy. Programs read one or the other.
pub const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// This machine, as programs look for it in the list.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// Adds this machine to the list of hosts to reach without a proxy, if a proxy is set.
pub fn reach_loopback(changes: &mut Changes, inherited: &BTreeMap<String, String>) {
    let value = |name: &str| {
        let inherited = || inherited.get(name).filter(|_| !changes.removed.contains(name));
        changes.set.get(name).or_else(inherited).filter(|value| !value.trim().is_empty())
    };
    if PROXIES.iter().all(|name| value(name).is_none()) {
        return;
    }
    let exceptions = exceptions(|name| value(name).cloned());
    changes.set.extend(exceptions);
}

/// The lists of hosts to reach without a proxy, with this machine in them. `value` is a variable's value before.
pub fn exceptions(value: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let given = EXCEPTIONS.map(|name| value(name).filter(|list| !list.trim().is_empty()));
    let lists = EXCEPTIONS.into_iter().zip(&given).map(|(name, own)| {
        // If one is missing, it takes the value of the other.
        let list = own.as_ref().or_else(|| given.iter().flatten().next()).map(String::as_str).unwrap_or_default();
        (name.to_owned(), with_loopback(list))
    });
    lists.collect()
}

/// Whether programs that read this list reach this machine by its address without a proxy.
pub fn spares_loopback(list: &str) -> bool {
    names(list).any(|name| name == "*" || name == LOOPBACK[0])
}

/// The variable that keeps the user's own list in settings that replace it.
pub fn own_exceptions(name: &str) -> String {
    format!("CCRUN_OWN_{name}")
}

/// The entries of a list.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty())
}

fn with_loopback(list: &str) -> String {
    let named: Vec<_> = names(list).collect();
    if named.contains(&"*") {
        return list.to_owned();
    }
    let missing = LOOPBACK.into_iter().filter(|name| !named.contains(name));
    named.iter().copied().chain(missing).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions(inherited: &[(&str, &str)]) -> [Option<String>; 2] {
        let inherited: BTreeMap<_, _> =
            inherited.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut changes = Changes::default();
        reach_loopback(&mut changes, &inherited);
        EXCEPTIONS.map(|name| changes.set.remove(name))
    }

    #[test]
    fn no_proxy_is_used_for_loopback() {
        assert_eq!(exceptions(&[]), [None, None]);
        assert_eq!(exceptions(&[("http_proxy", ""), ("NO_PROXY", "corp")]), [None, None]);
        let both = |list: &str| [Some(list.to_owned()), Some(list.to_owned())];
        assert_eq!(exceptions(&[("http_proxy", "http://p")]), both("127.0.0.1,localhost,::1"));
        let corp = [("ALL_PROXY", "socks5://p"), ("NO_PROXY", "corp, localhost")];
        assert_eq!(exceptions(&corp), both("corp,localhost,127.0.0.1,::1"));
        assert_eq!(exceptions(&[("HTTPS_PROXY", "http://p"), ("no_proxy", "*")]), both("*"));
        let two = exceptions(&[("HTTP_PROXY", "http://p"), ("no_proxy", "a"), ("NO_PROXY", "b,::1")]);
        assert_eq!(two, [Some("a,127.0.0.1,localhost,::1".to_owned()), Some("b,::1,127.0.0.1,localhost".to_owned())]);
    }

    #[test]
    fn a_proxy_from_the_profile_applies() {
        let mut changes = Changes::default();
        changes.set.insert("https_proxy".to_owned(), "http://p".to_owned());
        reach_loopback(&mut changes, &BTreeMap::new());
        assert_eq!(changes.set["NO_PROXY"], "127.0.0.1,localhost,::1");
    }
}

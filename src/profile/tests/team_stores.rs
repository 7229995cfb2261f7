//! `[source.NAME]`.

use std::time::Duration;

use super::{complaint, profile};
use crate::profile::Engine;

#[test]
fn a_source_is_read() {
    let text = "[source.team]\nurl = \"clickhouse://ch.corp:8443/otel?secure=1\"\nuser = \"reader\"\n\
                password = { keyring = \"clickhouse/reader\" }\nheaders = { X-Org = \"a\" }\ntimeout = \"2m\"\n\
                [source.prom]\nurl = \"prometheus://127.0.0.1\"\n";
    let stores = profile(&[("p", text)], &["p"]).unwrap().team_stores;
    let [prom, team] = stores.as_slice() else { panic!("{stores:?}") };
    assert_eq!((prom.address.engine, prom.address.server.as_str()), (Engine::Prometheus, "http://127.0.0.1:9090"));
    assert_eq!((team.name.as_str(), team.address.server.as_str()), ("team", "https://ch.corp:8443"));
    assert_eq!((team.address.database.as_deref(), team.user.as_deref()), (Some("otel"), Some("reader")));
    assert_eq!(team.timeout, Duration::from_mins(2));
    assert!(team.headers.contains_key("x-org") && team.password[0].to_string() == "the keyring's clickhouse/reader");
}

#[test]
fn faults_name_the_place_and_show_no_secret() {
    let faults = [
        ("user = \"u\"", "source `s` has no `url`"),
        ("urll = \"clickhouse://h\"", "unknown key `urll` in `source.s`"),
        ("url = \"https://h\"", "bad url: it must begin with clickhouse:// or prometheus://"),
        ("url = \"clickhouse://u:s3cr3t@h\"", "bad url: it must not contain a user or a password"),
        ("url = \"clickhouse://h?password=s3cr3t\"", "bad url: its only parameter is secure=1"),
        ("url = \"clickhouse://127.0.0.1\"\npassword = \"s3cr3t\"", "has a `password` and no `user`"),
        ("url = \"clickhouse://h\"\nuser = \"u\"\npassword = \"s3cr3t\"", "a secret would be sent in plain text"),
        ("url = \"clickhouse://h\"\nheaders.x = { env = \"S\" }", "a secret would be sent in plain text"),
        ("url = \"clickhouse://h?secure=1\"\nheaders.Host = \"x\"", "`host` frames the message"),
        ("url = \"clickhouse://h?secure=1\"\ntls.cert = \"c\"", "`tls.cert` without `tls.key`"),
        ("url = \"clickhouse://${h}\"", "variable `h` is not defined"),
    ];
    for (table, words) in faults {
        let said = complaint(&[("p", &format!("[source.s]\n{table}\n"))], &["p"]);
        assert!(said.contains(words) && !said.contains("s3cr3t"), "{table}: {said}");
        assert!(said.contains("p.toml:"), "{said}");
    }
    let clear = "[source.s]\nurl = \"clickhouse://h\"\nuser = \"u\"\npassword = \"p\"\ntls.insecure = true\n";
    assert!(profile(&[("p", clear)], &["p"]).is_ok());
}

#[test]
fn variables_name_the_host_of_a_source() {
    let text = "[vars]\nregion = \"eu\"\n[source.s]\nurl = \"clickhouse://${region}.corp/otel?secure=1\"\n";
    let stores = profile(&[("p", text)], &["p"]).unwrap().team_stores;
    assert_eq!(stores[0].address.server, "https://eu.corp:8443");
    let bad = text.replace("\"eu\"", "\"evil.example/\"");
    assert!(complaint(&[("p", &bad)], &["p"]).contains("is part of a host name"));
}

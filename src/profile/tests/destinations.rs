//! Checks of certificates and secrets that need no connection.

use super::profile;

#[test]
fn certificates_are_checked_without_a_connection() {
    let complaint = |tls: &str| {
        let text = format!("[destination.d]\nendpoint = \"https://h\"\n[destination.d.tls]\n{tls}\n");
        profile(&[("p", &text)], &["p"]).err().map(|faults| faults.0[0].message.clone())
    };
    assert_eq!(complaint("ca = \"a\"\ncert = \"b\"\nkey = \"c\"\nserver_name = \"otel.corp\""), None);
    assert_eq!(complaint("server_name = \"10.0.0.1\""), None);
    assert_eq!(complaint("cert = \"b\"").unwrap(), "`tls.cert` without `tls.key`");
    assert_eq!(complaint("key = \"b\"").unwrap(), "`tls.key` without `tls.cert`");
    let fault = complaint("server_name = \"https://otel.corp\"").unwrap();
    assert_eq!(fault, "`https://otel.corp` is not a valid server name");
}

#[test]
fn tokens_are_requested_only_over_tls() {
    let complaint = |url: &str| {
        let source =
            format!("{{ oauth2 = {{ token_url = {url:?}, client_id = \"i\", client_secret = {{ env = \"S\" }} }} }}");
        let text = format!("[destination.d]\nendpoint = \"https://h\"\nheaders.x = {source}\n");
        profile(&[("p", &text)], &["p"]).err().map(|faults| faults.0[0].message.clone())
    };
    for url in ["https://idp.example/token?tenant=a", "http://127.0.0.1:8080/token", "http://localhost/t"] {
        assert_eq!(complaint(url), None, "{url}");
    }
    let clear = "the client secret would be sent in plain text to another host";
    assert_eq!(complaint("http://idp.example/token").unwrap(), clear);
    let bad = [
        ("idp.example/token", "it is not a URL"),
        ("https://id:secret@idp.example/", "a URL must not contain user information"),
        ("https://idp.example/t#f", "it must not have a fragment"),
        ("https://idp.example:0/t", "its port is not a number from 1 to 65535"),
    ];
    for (url, reason) in bad {
        assert_eq!(complaint(url).unwrap(), format!("bad token_url: {reason}"));
    }
    let missing = "[destination.d]\nendpoint = \"https://h\"\nheaders.x = { oauth2 = { token_url = \"https://t\", client_id = \"i\" } }\n";
    let faults = profile(&[("p", missing)], &["p"]).unwrap_err();
    assert!(faults.0[0].message.starts_with("the source is incomplete"), "{faults}");
}

#[test]
fn secrets_are_not_sent_in_plain_text_to_another_host() {
    let complains = |endpoint: &str, more: &str| {
        let text = format!("[destination.d]\nendpoint = {endpoint:?}\n{more}\n");
        let faults = profile(&[("p", &text)], &["p"]).err();
        faults.is_some_and(|faults| faults.0.iter().any(|fault| fault.message.contains("in plain text")))
    };
    let secrets = [
        "headers.x = { env = \"SET\" }",
        "headers.x = { basic = { user = \"u\", password = \"p\" } }",
        "headers.x = { oauth2 = { token_url = \"https://t\", client_id = \"i\", client_secret = \"s\" } }",
        "headers.x = [\"literal\", { file = \"f\" }]",
        "headers_helper = { command = [\"h\"] }",
    ];
    for secret in secrets {
        assert!(complains("http://h", secret), "{secret}");
        assert!(!complains("http://h", &format!("{secret}\ntls.insecure = true")), "{secret}");
        assert!(!complains("https://h", secret) && !complains("http://localhost:4318", secret), "{secret}");
    }
    assert!(!complains("http://h", "headers.x = \"platform\""));
}

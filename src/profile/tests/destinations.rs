//! What a destination says of certificates and secrets, before anybody is asked.

use super::profile;

#[test]
fn certificates_are_checked_as_far_as_that_can_be_done_here() {
    let complaint = |tls: &str| {
        let text = format!("[destination.d]\nendpoint = \"https://h\"\n[destination.d.tls]\n{tls}\n");
        profile(&[("p", &text)], &["p"]).err().map(|faults| faults.0[0].message.clone())
    };
    assert_eq!(complaint("ca = \"a\"\ncert = \"b\"\nkey = \"c\"\nserver_name = \"otel.corp\""), None);
    assert_eq!(complaint("server_name = \"10.0.0.1\""), None);
    assert_eq!(complaint("cert = \"b\"").unwrap(), "`tls.cert` without `tls.key`");
    assert_eq!(complaint("key = \"b\"").unwrap(), "`tls.key` without `tls.cert`");
    let fault = complaint("server_name = \"https://otel.corp\"").unwrap();
    assert_eq!(fault, "`https://otel.corp` is no name that a certificate could be for");
}

#[test]
fn secrets_do_not_go_over_plain_text_to_another_host() {
    let complains = |endpoint: &str, more: &str| {
        let text = format!("[destination.d]\nendpoint = {endpoint:?}\n{more}\n");
        let faults = profile(&[("p", &text)], &["p"]).err();
        faults.is_some_and(|faults| faults.0.iter().any(|fault| fault.message.contains("over plain text")))
    };
    let secrets = [
        "headers.x = { env = \"SET\" }",
        "headers.x = { basic = { user = \"u\", password = \"p\" } }",
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

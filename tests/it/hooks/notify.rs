//! Webhooks and programs that are notified of budgets.

use std::io::BufReader;
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::*;

/// A server that answers each request with the next of these statuses, then with 200. A status of zero means never.
/// Returns its port and what it received.
fn webhook(statuses: &[u16]) -> (u16, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    let statuses = statuses.to_vec();
    thread::spawn(move || {
        let mut held = Vec::new();
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            drop(sender.send(read_message(&mut stream)));
            match statuses.get(number).copied().unwrap_or(200) {
                0 => held.push(stream),
                status => {
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    drop(stream.get_mut().write_all(answer.as_bytes()));
                }
            }
        }
    });
    (port, receiver)
}

#[test]
fn a_webhook_and_a_program_are_notified_once() {
    let (port, received) = webhook(&[500]);
    let sandbox = sandbox(&format!(
        "[budget]\ndaily = 10\nwarn = [50]\nnotify = [\n  {{ webhook = \"http://127.0.0.1:{port}/topic\", headers = \
         {{ Authorization = {{ env = \"HOOK_KEY\" }} }} }},\n  {{ command = [\"sh\", \"-c\", \"cat >> $HOME/told\"] }},\n]\n"
    ));
    let mut command = sandbox.ccrun(["-p", "team", "claude"]);
    command.env("HOOK_KEY", "Bearer secret-of-the-webhook");
    let session = Session::start_by(command);
    spend(&session, 1, "6");
    // The first attempt is answered with 500.
    for _ in 0..2 {
        let (head, body) = received.recv_timeout(DEADLINE).unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /topic http/1.1\r\n"), "{head}");
        for header in ["authorization: bearer secret-of-the-webhook", "x-template: yes", "x-message: {{.text}}"] {
            assert!(head.contains(header), "{header}: {head}");
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        assert!(body["text"].as_str().unwrap().starts_with("ccrun: 50 % of the daily budget"), "{body}");
    }
    let told = sandbox.home().join("told");
    wait_until("the program", || std::fs::read_to_string(&told).is_ok_and(|told| told.ends_with('\n')));
    spend(&session, 2, "1");
    session.end();
    sandbox.wait_for_end();
    let told = std::fs::read_to_string(&told).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    let message: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&message["tier"], &message["limit_usd"], &message["period"]),
        (&json!(50), &json!(10.0), &json!("daily"))
    );
    assert!(received.try_recv().is_err());
    let found = found(&sandbox.home(), &[b"secret-of-the-webhook"]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_webhook_that_hangs_is_reported_once_and_delays_no_prompt() {
    let (port, received) = webhook(&[0; 100]);
    let sandbox = sandbox(&format!(
        "[budget]\ndaily = 10\nwarn = [50, 90]\nnotify = [{{ webhook = \"http://127.0.0.1:{port}/secret-topic\" }}]\n"
    ));
    let session = start(&sandbox);
    let token = token(&sandbox);
    spend(&session, 1, "6");
    received.recv_timeout(DEADLINE).unwrap();
    answered(&session, &token, "UserPromptSubmit", MESSAGE);
    let log = sandbox.state().join("logs").join(format!("{}.log", session.id));
    let reports = || std::fs::read_to_string(&log).unwrap_or_default().matches("was not delivered").count();
    wait_until("the report", || reports() == 1);
    spend(&session, 2, "3.5");
    received.recv_timeout(DEADLINE).unwrap();
    session.end();
    sandbox.wait_for_end();
    assert_eq!(reports(), 1);
    let said = text(&sandbox.run(["-p", "team", "claude", "true"]).stderr);
    assert_eq!(said.matches("was not delivered").count(), 1, "{said}");
    assert!(!said.contains("secret-topic"), "{said}");
}

//! Answers in place of a worker after the keeper has given up. While the program lives, the port must not become free:
//! another user's program could take it, and would be sent prompts by hooks. Exports are refused, and hooks get an answer
//! that changes nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::plan::SessionPlan;
use crate::claude::hooks;

/// How often to check whether the program lives, in milliseconds.
const LOOK: u16 = 1000;

/// How long a client may take. They are served one after the other.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much of a request is read to know what it is, in bytes.
const MAXIMUM_HEAD: usize = 16 << 10;

/// The pause after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Holds the port until the launched program has ended.
pub(super) fn hold(listener: &TcpListener, plan: &SessionPlan) {
    // A connection that is gone again must not block.
    if listener.set_nonblocking(true).is_err() {
        return;
    }
    while plan.launched.lives() {
        // An interrupted wait is a wait.
        let _waited = poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::from(LOOK));
        match listener.accept() {
            // A client that does not listen gets no answer.
            Ok((stream, _)) => drop(answer(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => thread::sleep(AFTER_FAILURE),
        }
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let deadline = Instant::now() + PATIENCE;
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAXIMUM_HEAD {
        let length = read(&mut stream, &mut piece, deadline)?;
        if length == 0 {
            return Ok(());
        }
        head.extend_from_slice(piece.get(..length).unwrap_or_default());
    }
    stream.write_all(response(&head).as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // A client may read nothing until it has written everything.
    while read(&mut stream, &mut piece, deadline)? > 0 {}
    Ok(())
}

fn read(stream: &mut TcpStream, piece: &mut [u8], deadline: Instant) -> std::io::Result<usize> {
    let left = deadline.saturating_duration_since(Instant::now());
    // Zero would mean no limit.
    stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
    if left.is_zero() { Ok(0) } else { stream.read(piece) }
}

/// An answer that a client does not repeat its request after.
fn response(head: &[u8]) -> String {
    let (status, body) = if head.starts_with(format!("POST {} ", hooks::PATH).as_bytes()) {
        ("200 OK", "{}")
    } else {
        ("500 Internal Server Error", "")
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        answer(listener.accept().unwrap().0).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn hooks_get_an_empty_answer_and_exports_none() {
        let hook = answered("POST /hook HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}");
        assert!(hook.starts_with("HTTP/1.1 200 ") && hook.ends_with("\r\n\r\n{}"), "{hook}");
        assert!(answered("POST /token/v1/logs HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 500 "));
        assert_eq!(answered("PRI"), "");
    }
}

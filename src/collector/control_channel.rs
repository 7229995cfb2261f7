//! The messages of a launcher that stays as the parent: which process is the program, and that it has exited.
//!
//! Messages are only peeked and never consumed, so that a replacement worker finds all of them.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::sync::watch;

use crate::system::process::Process;

/// The last message: the program has exited, and the session is over.
const OVER: &str = "over";

/// The maximum length of all messages, in bytes.
const MAXIMUM: usize = 256;

/// The messages so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ControlChannel {
    /// The program's process.
    pub(super) program: Option<Process>,
    /// Whether the session is over.
    pub(super) over: bool,
    /// Whether the launcher has exited and will not send more.
    pub(super) gone: bool,
}

impl ControlChannel {
    fn parse(text: &str) -> Self {
        let mut control_channel = Self::default();
        // An incomplete line is still being written.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            match line.split_once(' ') {
                Some((pid, started)) => {
                    control_channel.program =
                        pid.parse().ok().map(|pid| Process { pid, started: started.parse().ok() });
                }
                None => control_channel.over |= line == OVER,
            }
        }
        control_channel
    }
}

/// The message that names the program's process.
pub(super) fn program(process: Process) -> String {
    let started = process.started.map(|started| started.to_string());
    format!("{} {}\n", process.pid, started.unwrap_or_default())
}

/// The message that the session is over.
pub(super) fn over() -> String {
    format!("{OVER}\n")
}

/// Reads the launcher's messages while the runtime runs.
pub(super) fn hear(launcher: UnixStream) -> watch::Receiver<ControlChannel> {
    let (sender, receiver) = watch::channel(ControlChannel::default());
    tokio::spawn(async move {
        // A channel that cannot be read counts as closed.
        drop(follow(launcher, &sender).await);
        sender.send_modify(|control_channel| control_channel.gone = true);
        // Keep the sender alive, so that receivers see the last message instead of a closed channel.
        sender.closed().await;
    });
    receiver
}

async fn follow(launcher: UnixStream, sender: &watch::Sender<ControlChannel>) -> io::Result<()> {
    launcher.set_nonblocking(true)?;
    let launcher = tokio::net::UnixStream::from_std(launcher)?;
    loop {
        let ready = launcher.ready(Interest::READABLE).await?;
        let heard = launcher.try_io(Interest::READABLE, || {
            let mut bytes = [0; MAXIMUM];
            let length = recv(launcher.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK)?;
            let control_channel = ControlChannel::parse(&String::from_utf8_lossy(&bytes[..length]));
            sender.send_replace(control_channel);
            // Wait for more data.
            if control_channel.over { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
        });
        match heard {
            Err(error) if error.kind() == ErrorKind::WouldBlock && !ready.is_read_closed() => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const PROGRAM: Process = Process { pid: 7, started: Some(11) };

    #[test]
    fn only_complete_lines_are_read() {
        let said = program(PROGRAM) + &over();
        assert_eq!(ControlChannel::parse(&said), ControlChannel { program: Some(PROGRAM), over: true, gone: false });
        assert_eq!(
            ControlChannel::parse(&said[..said.len() - 1]),
            ControlChannel { program: Some(PROGRAM), over: false, gone: false }
        );
        assert_eq!(ControlChannel::parse(&said[..3]), ControlChannel::default());
        let unknown = Process { started: None, ..PROGRAM };
        assert_eq!(ControlChannel::parse(&program(unknown)).program, Some(unknown));
    }

    #[tokio::test]
    async fn a_replacement_worker_reads_the_same_messages() {
        let (mut launcher, collector) = UnixStream::pair().unwrap();
        let mut first = hear(collector.try_clone().unwrap());
        launcher.write_all(program(PROGRAM).as_bytes()).unwrap();
        first.wait_for(|control_channel| control_channel.program == Some(PROGRAM)).await.unwrap();
        launcher.write_all(over().as_bytes()).unwrap();
        first.wait_for(|control_channel| control_channel.over).await.unwrap();
        drop(launcher);
        let mut second = hear(collector);
        second
            .wait_for(|control_channel| control_channel.program == Some(PROGRAM) && control_channel.over)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_silent_exit_of_a_launcher_is_noticed() {
        let (launcher, collector) = UnixStream::pair().unwrap();
        let mut control_channel = hear(collector);
        drop(launcher);
        control_channel.wait_for(|control_channel| control_channel.gone && !control_channel.over).await.unwrap();
    }
}

//! What a launcher that stays as the parent tells its collector: which process is the program, and that it has ended.
//!
//! Nobody takes anything out of the socket, so that a worker that takes another's place finds all of it there.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::sync::watch;

use crate::process::Process;

/// The last word: the program has ended, and so has the session.
const OVER: &str = "over";

/// More than is ever said, in bytes.
const MAXIMUM: usize = 256;

/// What the launcher has said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The program's process.
    pub(super) program: Option<Process>,
    /// Whether the session is over.
    pub(super) over: bool,
    /// Whether the launcher has gone, and says nothing any more.
    pub(super) gone: bool,
}

impl News {
    fn parse(text: &str) -> Self {
        let mut news = Self::default();
        // What has no line break yet is still being written.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            match line.split_once(' ') {
                Some((pid, started)) => {
                    news.program = pid.parse().ok().map(|pid| Process { pid, started: started.parse().ok() });
                }
                None => news.over |= line == OVER,
            }
        }
        news
    }
}

/// The line that says which process is the program.
pub(super) fn program(process: Process) -> String {
    let started = process.started.map(|started| started.to_string());
    format!("{} {}\n", process.pid, started.unwrap_or_default())
}

/// The line that says that the session is over.
pub(super) fn over() -> String {
    format!("{OVER}\n")
}

/// Hears what the launcher says, for as long as the runtime runs.
pub(super) fn hear(launcher: UnixStream) -> watch::Receiver<News> {
    let (sender, receiver) = watch::channel(News::default());
    tokio::spawn(async move {
        // One that cannot be heard has as good as gone.
        drop(follow(launcher, &sender).await);
        sender.send_modify(|news| news.gone = true);
        // The receivers are to find the last word, not a closed channel.
        sender.closed().await;
    });
    receiver
}

async fn follow(launcher: UnixStream, sender: &watch::Sender<News>) -> io::Result<()> {
    launcher.set_nonblocking(true)?;
    let launcher = tokio::net::UnixStream::from_std(launcher)?;
    loop {
        let ready = launcher.ready(Interest::READABLE).await?;
        let heard = launcher.try_io(Interest::READABLE, || {
            let mut bytes = [0; MAXIMUM];
            let length = recv(launcher.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK)?;
            let news = News::parse(&String::from_utf8_lossy(&bytes[..length]));
            sender.send_replace(news);
            // Until there is more nothing is worth another look.
            if news.over { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
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
    fn what_is_said_is_heard_whole_lines_at_a_time() {
        let said = program(PROGRAM) + &over();
        assert_eq!(News::parse(&said), News { program: Some(PROGRAM), over: true, gone: false });
        assert_eq!(News::parse(&said[..said.len() - 1]), News { program: Some(PROGRAM), over: false, gone: false });
        assert_eq!(News::parse(&said[..3]), News::default());
        let unknown = Process { started: None, ..PROGRAM };
        assert_eq!(News::parse(&program(unknown)).program, Some(unknown));
    }

    #[tokio::test]
    async fn another_worker_hears_the_same() {
        let (mut launcher, collector) = UnixStream::pair().unwrap();
        let mut first = hear(collector.try_clone().unwrap());
        launcher.write_all(program(PROGRAM).as_bytes()).unwrap();
        first.wait_for(|news| news.program == Some(PROGRAM)).await.unwrap();
        launcher.write_all(over().as_bytes()).unwrap();
        first.wait_for(|news| news.over).await.unwrap();
        drop(launcher);
        let mut second = hear(collector);
        second.wait_for(|news| news.program == Some(PROGRAM) && news.over).await.unwrap();
    }

    #[tokio::test]
    async fn a_launcher_that_goes_without_a_word_is_gone() {
        let (launcher, collector) = UnixStream::pair().unwrap();
        let mut news = hear(collector);
        drop(launcher);
        news.wait_for(|news| news.gone && !news.over).await.unwrap();
    }
}

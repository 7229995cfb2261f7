//! A backend that accepts every connection and never answers, until standard input closes. Prints its URL as the first
//! line. It is what a client's patience is measured against.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};

/// How many connections are kept open; further ones wait in the backlog, where nobody answers them either.
const MOST_CONNECTIONS: usize = 1000;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    std::thread::spawn(move || {
        let silent: Vec<_> = listener.incoming().take(MOST_CONNECTIONS).collect();
        std::thread::park();
        drop(silent);
    });
    io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink())?;
    Ok(())
}

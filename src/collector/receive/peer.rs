//! Whose a connection is: a token in a path can leak, the owner of a socket cannot be made up.

use std::net::SocketAddr;

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// The two ends of a connection, and whose the other one is, looked up once.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Ours, and theirs.
    addresses: Option<(SocketAddr, SocketAddr)>,
    is_foreign: OnceCell<bool>,
}

impl Peer {
    /// The other end of a connection.
    pub(super) fn of(stream: &tokio::net::TcpStream) -> Self {
        let addresses = stream.local_addr().and_then(|ours| Ok((ours, stream.peer_addr()?)));
        Self { addresses: addresses.ok(), is_foreign: OnceCell::new() }
    }

    /// Whether it is positively another user's. A look-up without an answer says no, and so it does of root, who can
    /// read our memory in any case, and whom the kernel names where a socket has no process any longer.
    pub(super) async fn is_foreign(&self) -> bool {
        let Some((ours, theirs)) = self.addresses else { return false };
        let look_up = || async move {
            // Thousands of sockets take milliseconds, in which others would have to wait.
            let owner = spawn_blocking(move || system::owner(ours, theirs)).await.ok().flatten();
            owner.is_some_and(|owner| owner != 0 && owner != nix::unistd::geteuid().as_raw())
        };
        *self.is_foreign.get_or_init(look_up).await
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::net::{Ipv4Addr, SocketAddr};

    /// How much of a table of sockets is read, in bytes: it has 150 for each.
    const MAXIMUM_TABLE: u64 = 4 << 20;

    /// The user who owns the socket at the other end of a connection over IPv4.
    pub(super) fn owner(ours: SocketAddr, theirs: SocketAddr) -> Option<u32> {
        let (SocketAddr::V4(ours), SocketAddr::V4(theirs)) = (ours, theirs) else { return None };
        let written =
            |prefix: &str| [theirs, ours].map(|end| format!("{prefix}{}:{:04X}", hexadecimal(*end.ip()), end.port()));
        // A socket of IPv6's may be at the other end of a connection over IPv4: `::ffff:a.b.c.d`.
        let mapped = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0xff, 0xff]].map(|word| hexadecimal(word.into())).concat();
        ["tcp", "tcp6"].into_iter().zip([written(""), written(&mapped)]).find_map(|(table, ends)| {
            // Of this thread's network namespace, as the connection is.
            let table = File::open(format!("/proc/thread-self/net/{table}")).ok()?;
            find(BufReader::with_capacity(1 << 15, table.take(MAXIMUM_TABLE)), &ends)
        })
    }

    /// As the kernel prints them: four bytes in the network's order taken for a number of this machine's.
    fn hexadecimal(word: Ipv4Addr) -> String {
        format!("{:08X}", u32::from_ne_bytes(word.octets()))
    }

    /// The owner of the socket with these ends (proc(5), `/proc/net/tcp`), unless no process has it any longer.
    fn find(mut table: impl BufRead, [local, remote]: &[String; 2]) -> Option<u32> {
        let mut line = String::new();
        while {
            line.clear();
            table.read_line(&mut line).ok()?
        } > 0
        {
            let mut fields = line.split_ascii_whitespace().skip(1);
            if fields.next() != Some(local) || fields.next() != Some(remote) {
                continue;
            }
            // Behind state, queues, timer and retransmissions; the inode stands behind the timeout.
            let mut fields = fields.skip(4);
            let owner = fields.next()?.parse().ok();
            return owner.filter(|_| fields.nth(1).is_some_and(|inode| inode != "0"));
        }
        None
    }

    #[cfg(test)]
    mod tests {
        use std::net::{TcpListener, TcpStream};

        use super::*;

        #[test]
        fn the_other_end_of_a_connection_is_ours() {
            for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let client = TcpStream::connect((host, listener.local_addr().unwrap().port())).unwrap();
                let (stream, theirs) = listener.accept().unwrap();
                let ours = stream.local_addr().unwrap();
                assert_eq!(owner(ours, theirs), Some(nix::unistd::geteuid().as_raw()), "{host}");
                drop((client, stream));
            }
        }

        #[test]
        fn a_table_is_read_as_the_kernel_writes_it() {
            let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                0: 0100007F:1234 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1 0 100 0 0 10 0\n\
                1: 0100007F:A001 0100007F:1234 01 00000000:00000000 00:00000000 00000000 1000 0 12 1 0 20 4 30 10 -1\n\
                2: 0100007F:A002 0100007F:1234 06 00000000:00000000 03:00000000 00000000 0 0 0 3 0\n\
                3: 0100007F:A003 0100007F:1234 01 gone\n";
            let owner = |port: &str| find(table.as_bytes(), &[format!("0100007F:{port}"), "0100007F:1234".to_owned()]);
            assert_eq!(owner("A001"), Some(1000));
            assert_eq!(owner("A002"), None, "nobody has it any longer");
            assert_eq!(owner("A003"), None);
            assert_eq!(owner("A004"), None);
        }
    }
}

/// Not to be had without unsafe code elsewhere: nobody is refused.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::net::SocketAddr;

    pub(super) fn owner(_ours: SocketAddr, _theirs: SocketAddr) -> Option<u32> {
        None
    }
}

//! The user of a connection: a token in a path can leak, but the owner of a socket cannot be forged.

use std::net::SocketAddr;

use tokio::sync::{OnceCell, Semaphore};
use tokio::task::spawn_blocking;

/// The two ends of a connection, and the owner of the other end, looked up once.
#[derive(Debug)]
pub(super) struct Peer {
    /// Our end and theirs, or `None` if the other end was closed before it could be identified.
    addresses: Option<(SocketAddr, SocketAddr)>,
    is_foreign: OnceCell<bool>,
}

/// What the kernel reports about the other end of a connection.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "unused elsewhere"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A process of this user owns it.
    User(u32),
    /// No process owns it any longer.
    Gone,
    /// The kernel does not show even our own end, so it shows no connections here.
    Untold,
}

/// How many look-ups may run at a time, so that unauthenticated connections do not use up all threads.
static LOOK_UPS: Semaphore = Semaphore::const_new(2);

impl Peer {
    /// The other end of a connection.
    pub(super) fn of(stream: &tokio::net::TcpStream) -> Self {
        let addresses = stream.local_addr().and_then(|ours| Ok((ours, stream.peer_addr()?)));
        Self { addresses: addresses.ok(), is_foreign: OnceCell::new() }
    }

    /// A peer with a known owner.
    #[cfg(test)]
    pub(super) fn known(is_foreign: bool) -> Self {
        Self { addresses: None, is_foreign: OnceCell::new_with(Some(is_foreign)) }
    }

    /// Whether it belongs to another user, or no longer to any process: a closed end could have belonged to anyone, so
    /// this is checked as soon as the connection arrives. Root, which can read our memory anyway, is not foreign.
    pub(super) async fn is_foreign(&self) -> bool {
        let Some((ours, theirs)) = self.addresses else { return *self.is_foreign.get_or_init(|| async { true }).await };
        let look_up = || async move {
            // Never closed, so acquiring cannot fail.
            let _permit = LOOK_UPS.acquire().await;
            // With thousands of sockets this takes milliseconds, in which others would have to wait.
            let owner = spawn_blocking(move || system::owner(ours, theirs)).await.unwrap_or(Owner::Gone);
            match owner {
                Owner::User(user) => user != 0 && user != nix::unistd::geteuid().as_raw(),
                Owner::Gone => true,
                Owner::Untold => false,
            }
        };
        *self.is_foreign.get_or_init(look_up).await
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::net::{Ipv4Addr, SocketAddr};

    use super::Owner;

    /// How much of a socket table is read, in bytes: a line has 150, and there are never more than half a million
    /// connections to one address.
    const MAXIMUM_TABLE: u64 = 128 << 20;

    /// How often to search for the other end while our own is there: changes while a table is read can hide a line.
    const LOOKS: usize = 3;

    /// The owner of the socket at the other end of an IPv4 connection.
    pub(super) fn owner(ours: SocketAddr, theirs: SocketAddr) -> Owner {
        let (SocketAddr::V4(ours), SocketAddr::V4(theirs)) = (ours, theirs) else { return Owner::Gone };
        let written =
            |prefix: &str| [theirs, ours].map(|end| format!("{prefix}{}:{:04X}", hexadecimal(*end.ip()), end.port()));
        // The other end may be an IPv6 socket with an IPv4 address: `::ffff:a.b.c.d`.
        let mapped = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0xff, 0xff]].map(|word| hexadecimal(word.into())).concat();
        let tables = [("tcp", written("")), ("tcp6", written(&mapped))];
        let mut owner = Owner::Untold;
        for _ in 0..LOOKS {
            for (table, ends) in &tables {
                // Those of this thread's network namespace, as for the connection.
                let Ok(table) = File::open(format!("/proc/thread-self/net/{table}")) else { continue };
                let found = find(BufReader::with_capacity(1 << 15, table.take(MAXIMUM_TABLE)), ends);
                match found {
                    Found::Owner(user) => return Owner::User(user),
                    Found::Orphan => return Owner::Gone,
                    Found::OurEnd => owner = Owner::Gone,
                    Found::Nothing => {}
                }
            }
        }
        owner
    }

    /// As printed by the kernel: four bytes in network order, read as a number in this machine's order.
    fn hexadecimal(word: Ipv4Addr) -> String {
        format!("{:08X}", u32::from_ne_bytes(word.octets()))
    }

    /// What a table contains of a connection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Found {
        /// The other end, owned by a process of this user.
        Owner(u32),
        /// The other end, owned by no process.
        Orphan,
        /// Only our own end.
        OurEnd,
        Nothing,
    }

    /// Searches for the socket with these ends (proc(5), `/proc/net/tcp`), the other side's first.
    fn find(mut table: impl BufRead, [theirs, ours]: &[String; 2]) -> Found {
        let (mut line, mut found) = (String::new(), Found::Nothing);
        loop {
            line.clear();
            // An unreadable line may be the one.
            match table.read_line(&mut line) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return found,
            }
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, remote) = (fields.next(), fields.next());
            if local == Some(ours) && remote == Some(theirs) {
                found = Found::OurEnd;
            }
            if local == Some(theirs) && remote == Some(ours) {
                // After state, queues, timer and retransmissions; the inode follows the timeout.
                let mut fields = fields.skip(4);
                let user = fields.next().and_then(|user| user.parse().ok());
                let is_open = fields.nth(1).is_some_and(|inode| inode != "0");
                return user.filter(|_| is_open).map_or(Found::Orphan, Found::Owner);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::net::{TcpListener, TcpStream};

        use super::*;

        #[test]
        fn the_other_end_of_a_connection_has_the_same_owner() {
            for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let client = TcpStream::connect((host, listener.local_addr().unwrap().port())).unwrap();
                let (stream, theirs) = listener.accept().unwrap();
                let ours = stream.local_addr().unwrap();
                assert_eq!(owner(ours, theirs), Owner::User(nix::unistd::geteuid().as_raw()), "{host}");
                drop(client);
                assert_eq!(owner(ours, theirs), Owner::Gone, "{host}");
                drop(stream);
            }
        }

        #[test]
        fn the_kernels_table_of_connections_is_parsed() {
            let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                0: 0100007F:1234 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1 0 100 0 0 10 0\n\
                1: 0100007F:A001 0100007F:1234 01 00000000:00000000 00:00000000 00000000 1000 0 12 1 0 20 4 30 10 -1\n\
                2: 0100007F:A002 0100007F:1234 06 00000000:00000000 03:00000000 00000000 0 0 0 3 0\n\
                3: 0100007F:A003 0100007F:1234 01 gone\n\
                4: 0100007F:1234 0100007F:A004 08 00000000:00000000 00:00000000 00000000 1000 0 13 1 0 20 4 30 10 -1\n";
            let owner = |port: &str| find(table.as_bytes(), &[format!("0100007F:{port}"), "0100007F:1234".to_owned()]);
            assert_eq!(owner("A001"), Found::Owner(1000));
            assert_eq!(owner("A002"), Found::Orphan, "no process owns it any longer");
            assert_eq!(owner("A003"), Found::Orphan);
            assert_eq!(owner("A004"), Found::OurEnd, "the other end has gone");
            assert_eq!(owner("A005"), Found::Nothing, "our own end would be there");
        }
    }
}

/// Elsewhere this would need unsafe code, so no connection is rejected.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::net::SocketAddr;

    use super::Owner;

    pub(super) fn owner(_ours: SocketAddr, _theirs: SocketAddr) -> Owner {
        Owner::Untold
    }
}

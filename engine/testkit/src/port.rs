//! Finds free loopback ports.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

// Below Linux's ephemeral port range (32768 and up): any client on the machine
// could take a port of that range while a server is down, and then the server
// could not restart on its port.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// Returns a loopback TCP port that nothing listens on.
///
/// A process returns each port once before it repeats, starting at a random one.
/// The port is not reserved: another process may take it first, so a server that
/// finds it taken asks again.
///
/// # Panics
///
/// Panics when no port is free.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU64::new(u64::from(random_u32())));
    for _ in 0..COUNT {
        let step = next.fetch_add(1, Ordering::Relaxed) % u64::from(COUNT);
        // The remainder is below COUNT, so it fits.
        let port = FIRST + step as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free loopback port between {FIRST} and {}", FIRST + COUNT);
}

/// Reads the port that environment variable `name` holds.
#[track_caller]
pub(crate) fn parse(name: &str, value: &str) -> u16 {
    match value.parse() {
        Ok(port) if port != 0 => port,
        _ => panic!("{name} holds {value:?}, expected a port"),
    }
}

// The standard library seeds its hashers randomly.
fn random_u32() -> u32 {
    (RandomState::new().hash_one(0_u8) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::{COUNT, FIRST, free_port};
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn free_port_is_below_the_ephemeral_range() {
        let port = free_port();
        assert!(port >= FIRST);
        assert!(port < FIRST + COUNT);
        const { assert!(FIRST + COUNT <= 32_768) };
    }

    #[test]
    fn free_port_never_repeats_and_skips_used_ports() -> std::io::Result<()> {
        let first = free_port();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first))?;
        let mut port = free_port();
        for _ in 0..100 {
            assert_ne!(port, first);
            port = free_port();
        }
        Ok(())
    }
}

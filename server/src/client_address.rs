//! The address that a request is counted for: the peer's, or the one that a
//! trusted proxy names.

use std::net::{IpAddr, Ipv4Addr};

use hyper::HeaderMap;
use ipnet::IpNet;

use crate::listeners::{Peer, Transport};
use crate::settings::Value;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The word of the setting for the proxy of the socket `unix_http`.
const UNIX: &str = "unix";

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// Whether the proxy of the socket `unix_http` is trusted.
    unix: bool,
}

impl Value for TrustedProxies {
    fn read(text: &str) -> Result<Self, String> {
        let mut trusted = Self::default();
        if text.is_empty() {
            return Ok(trusted);
        }
        for one in text.split(',').map(str::trim) {
            if one == UNIX {
                trusted.unix = true;
                continue;
            }
            let network = one.parse().ok().or_else(|| Some(one.parse::<IpAddr>().ok()?.into()));
            trusted.networks.push(network.ok_or_else(|| {
                "expected addresses, networks such as 10.0.0.0/8, and unix, separated by commas"
                    .to_owned()
            })?);
        }
        Ok(trusted)
    }
}

/// A client as its requests are counted. One customer's IPv6 network is a /64 at
/// least, whose addresses cost nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
    /// Every client of a proxy on a Unix socket that is not trusted, or that
    /// names no client.
    UnixProxy,
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

impl TrustedProxies {
    /// Returns the client of a request; None on the engines' socket, which only
    /// trusted processes open.
    pub fn client(&self, peer: Peer, headers: &HeaderMap) -> Option<ClientAddress> {
        match (peer.transport, peer.address) {
            (Transport::Unix, _) => None,
            (_, Some(address)) if self.trusts(address) => {
                Some(self.forwarded(headers).unwrap_or(address).into())
            }
            (_, Some(address)) => Some(address.into()),
            (_, None) => {
                let named = self.forwarded(headers).filter(|_| self.unix);
                Some(named.map_or(ClientAddress::UnixProxy, ClientAddress::from))
            }
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Returns the last untrusted address of `X-Forwarded-For`: each proxy
    /// appends the peer that it saw, and a client may write anything before.
    /// Without an untrusted one it is the first before which nothing can be
    /// read.
    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut last = None;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for named in value.as_bytes().rsplit(|byte| *byte == b',') {
                let Some(address) = address(named) else { return last };
                last = Some(address);
                if !self.trusts(address) {
                    return last;
                }
            }
        }
        last
    }
}

/// Parses an address, to which some proxies append the port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim_ascii();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.parse().ok(),
        None => text.rsplit_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> ClientAddress {
        let trusted = TrustedProxies::read(trusted).unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let peer = match peer {
            "" => Peer::on(Transport::UnixHttp),
            peer => Peer::tcp(peer.parse().unwrap()),
        };
        trusted.client(peer, &headers).unwrap()
    }

    fn ip(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client() {
        let near = "10.0.0.0/8, fd00::1";
        for (trusted, peer, forwarded, expected) in [
            ("", "10.0.0.1", &["7.7.7.7"][..], "10.0.0.1"),
            (near, "8.8.8.8", &["7.7.7.7"], "8.8.8.8"),
            (near, "10.0.0.1", &["7.7.7.7"], "7.7.7.7"),
            (near, "fd00::1", &["7.7.7.7"], "7.7.7.7"),
            (near, "fd00::2", &["7.7.7.7"], "fd00::2"),
            (near, "::ffff:10.0.0.1", &["::ffff:7.7.7.7"], "7.7.7.7"),
            (near, "10.0.0.1", &[], "10.0.0.1"),
            // What the client wrote itself stands before.
            (near, "10.0.0.1", &["1.1.1.1, 7.7.7.7"], "7.7.7.7"),
            (near, "10.0.0.1", &["1.1.1.1", "7.7.7.7"], "7.7.7.7"),
            (near, "10.0.0.1", &["7.7.7.7, 10.0.0.2, 10.0.0.3"], "7.7.7.7"),
            (near, "10.0.0.1", &["7.7.7.7,10.0.0.2", "10.0.0.3"], "7.7.7.7"),
            (near, "10.0.0.1", &["10.0.0.4, 10.0.0.2"], "10.0.0.4"),
            (near, "10.0.0.1", &["unknown, 10.0.0.2"], "10.0.0.2"),
            (near, "10.0.0.1", &["7.7.7.7, unknown"], "10.0.0.1"),
            (near, "10.0.0.1", &["", "7.7.7.7:4711"], "7.7.7.7"),
            (near, "10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            (near, "10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            (near, "10.0.0.1", &["2001:db8::7:port"], "10.0.0.1"),
            ("unix", "", &["7.7.7.7"], "7.7.7.7"),
            ("unix,10.0.0.1", "", &["7.7.7.7, 10.0.0.1"], "7.7.7.7"),
        ] {
            let found = client(trusted, peer, forwarded);
            assert_eq!(found, ip(expected), "{trusted:?} {peer} {forwarded:?}");
        }
        for (trusted, forwarded) in [("10.0.0.1", &["7.7.7.7"][..]), ("unix", &[]), ("", &["x"])] {
            assert_eq!(client(trusted, "", forwarded), ClientAddress::UnixProxy);
        }
        let engines = Peer::on(Transport::Unix);
        assert_eq!(TrustedProxies::default().client(engines, &HeaderMap::new()), None);
    }

    #[test]
    fn ipv6_counts_by_its_network_and_ipv4_by_address() {
        assert_eq!(ip("2001:db8:1:2::1"), ip("2001:db8:1:2:ffff::9"));
        assert_ne!(ip("2001:db8:1:2::1"), ip("2001:db8:1:3::1"));
        assert_ne!(ip("10.0.0.1"), ip("10.0.0.2"));
        assert_eq!(ip("::ffff:10.0.0.1"), ip("10.0.0.1"));
    }

    #[test]
    fn other_words_are_refused() {
        for bad in ["proxy", "10.0.0.0/33", "10.0.0.1,", "10.0.0.1 10.0.0.2", "*", "10.0.0.1:80"] {
            assert!(TrustedProxies::read(bad).is_err(), "{bad}");
        }
    }
}

//! Which addresses an endpoint may be reached at: those of the public internet, and
//! others only if the operator names them.
//!
//! The check is made on the addresses that the connection is then made to, so a name
//! that resolves to another address a moment later (DNS rebinding) gains nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ipnet::IpNet;
use tower_service::Service;

/// The blocks of IANA's registries of special-purpose addresses that are not reachable
/// globally, with those for multicast and those reserved.
static SPECIAL: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let blocks = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 \
                  192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 \
                  198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 \
                  2001::/23 2001:db8::/32 3fff::/20";
    blocks.split_ascii_whitespace().filter_map(|block| block.parse().ok()).collect()
});

/// What of IPv6 is assigned to hosts of the internet.
static GLOBAL_UNICAST: LazyLock<Option<IpNet>> = LazyLock::new(|| "2000::/3".parse().ok());

fn is_special(address: IpAddr) -> bool {
    SPECIAL.iter().any(|block| block.contains(&address))
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V4(_) => return !is_special(address),
        IpAddr::V6(address) => address,
    };
    match embedded(address) {
        Some(inner) => !is_special(IpAddr::V4(inner)),
        None => {
            let address = IpAddr::V6(address);
            let is_global = GLOBAL_UNICAST.is_some_and(|block| block.contains(&address));
            is_global && !is_special(address)
        }
    }
}

/// The IPv4 address that packets to this one may end at: mapped, behind NAT64 (RFC 6052)
/// or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, fourth, fifth, sixth, high, low] = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (first, second) {
        (0x2002, high) => Some(join(high, third)),
        (0x64, 0xff9b) if [third, fourth, fifth, sixth] == [0; 4] => Some(join(high, low)),
        _ => address.to_ipv4_mapped(),
    }
}

/// The addresses at which one endpoint may be reached.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    /// Whether the operator named the endpoint's own host.
    any: bool,
    blocks: Vec<IpNet>,
}

impl AddressPolicy {
    /// Creates the policy of an endpoint at `host`. `allow` has names of hosts,
    /// addresses and blocks of addresses.
    ///
    /// # Errors
    /// A block that is none, and a name of another host.
    pub fn new(host: &str, allow: &[String]) -> Result<Self, String> {
        let mut policy = Self::default();
        for entry in allow {
            if let Ok(address) = entry.parse::<IpAddr>() {
                policy.blocks.push(IpNet::from(address));
            } else if let Ok(block) = entry.parse::<IpNet>() {
                policy.blocks.push(block);
            } else if entry.eq_ignore_ascii_case(host) {
                policy.any = true;
            } else {
                return Err(format!(
                    "allow: `{entry}` is neither the endpoint's host {host} nor an address nor a \
                     block of addresses such as 10.0.0.0/8"
                ));
            }
        }
        Ok(policy)
    }

    /// Whether the host is named, or in a block that is.
    pub fn names_host(&self, host: &str) -> bool {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        self.any || address.is_ok_and(|address| self.has(address))
    }

    fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.blocks.iter().any(|block| block.contains(&address))
    }

    /// Whether a connection may be made to this address.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.any || is_public(address) || self.has(address)
    }
}

/// Resolves names by the system, to addresses that the policy permits.
#[derive(Debug, Clone)]
pub struct CheckedResolver {
    policy: Arc<AddressPolicy>,
    system: GaiResolver,
}

impl CheckedResolver {
    /// Creates the resolver of an endpoint.
    pub fn new(policy: AddressPolicy) -> Self {
        Self { policy: Arc::new(policy), system: GaiResolver::new() }
    }
}

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (policy, host) = (Arc::clone(&self.policy), name.to_string());
        let resolving = self.system.call(name);
        Box::pin(async move {
            let all: Vec<SocketAddr> = resolving.await?.collect();
            let permitted: Vec<_> =
                all.iter().copied().filter(|address| policy.permits(address.ip())).collect();
            match (permitted.is_empty(), all.first()) {
                (true, Some(first)) => Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!(
                        "{host} is at {}, which is not an address of the public internet: name \
                         it in `allow` if it is meant",
                        first.ip()
                    ),
                )),
                _ => Ok(permitted.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_permitted_unless_they_are_named() {
        let none = AddressPolicy::default();
        for refused in [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:db8::1",
            "2001:0:1::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!none.permits(refused.parse().unwrap()), "{refused}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(none.permits(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_operator_names_a_host_or_a_block() {
        let policy = |allow: &[&str]| {
            let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
            AddressPolicy::new("hooks.internal", &allow)
        };
        let (ten, other) = ("10.0.0.7".parse().unwrap(), "192.168.0.1".parse().unwrap());
        let block = policy(&["10.0.0.0/24"]).unwrap();
        assert!(block.permits(ten) && !block.permits(other) && !block.names_host("hooks.internal"));
        assert!(block.permits("::ffff:10.0.0.7".parse().unwrap()));
        assert!(block.names_host("10.0.0.9") && !block.names_host("10.0.1.9"));
        let host = policy(&["Hooks.Internal"]).unwrap();
        assert!(host.permits(ten) && host.permits(other) && host.names_host("hooks.internal"));
        assert!(policy(&["10.0.0.7"]).unwrap().permits(ten));
        for wrong in ["else.internal", "10.0.0.0/64", ""] {
            assert!(policy(&[wrong]).is_err(), "{wrong}");
        }
    }
}

//! Runs a throw-away Redis Cluster.

use std::net::TcpStream;
use std::time::Duration;

use crate::certificates::Identity;
use crate::wait::wait_until;
use crate::{Redis, free_port, tool};

const MASTERS: usize = 3;
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
/// The failover timeout: a replica replaces a master after this much silence.
const NODE_TIMEOUT_MS: u32 = 1000;

/// Owns a Redis Cluster of three masters with a replica each, on loopback ports
/// of their own. Dropping it kills them all.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    has_tls: bool,
}

impl RedisCluster {
    /// Starts all of them and waits until each knows that all slots are served
    /// and each master has its replica.
    ///
    /// # Panics
    ///
    /// Panics when one does not start, or they do not find each other within 60
    /// seconds.
    #[must_use]
    pub fn start() -> RedisCluster {
        RedisCluster::start_as(None)
    }

    /// Starts all of them with TLS, which they also speak to each other.
    ///
    /// # Panics
    ///
    /// As [`start`](RedisCluster::start).
    #[must_use]
    pub fn start_tls(identity: &Identity) -> RedisCluster {
        RedisCluster::start_as(Some(identity))
    }

    fn start_as(identity: Option<&Identity>) -> RedisCluster {
        let nodes = (0..2 * MASTERS).map(|_| start_node(identity)).collect();
        let cluster = RedisCluster { nodes, has_tls: identity.is_some() };
        let mut create = tool::command("redis-cli");
        if let Some(identity) = identity {
            create.args(["--tls", "--cacert"]).arg(&identity.ca);
        }
        create.args(["--cluster", "create"]);
        create.args(cluster.hosts());
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        if let Err(cause) = tool::run(create, "") {
            panic!("failed to make a Redis Cluster: {cause}");
        }
        cluster.wait_until_whole();
        cluster
    }

    /// Returns the URL with all nodes, as in
    /// `redis+cluster://127.0.0.1:15001,127.0.0.1:15002`, or `rediss+cluster` with
    /// TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.has_tls { "rediss" } else { "redis" };
        format!("{scheme}+cluster://{}", self.hosts().join(","))
    }

    fn hosts(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.announced_port())).collect()
    }

    /// Returns the nodes, masters and replicas.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Returns the master that serves this key's slot.
    ///
    /// # Panics
    ///
    /// Panics when no node that runs says which it is.
    #[must_use]
    #[track_caller]
    pub fn master_of(&self, key: &str) -> &Redis {
        let running = self.running();
        let Some(asked) = running.first() else { panic!("no node runs") };
        let slot: u32 = asked.command(&["CLUSTER", "KEYSLOT", key]).parse().unwrap_or_default();
        let nodes = asked.command(&["CLUSTER", "NODES"]);
        let port = nodes.lines().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let serves = words.iter().skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (first.parse::<u32>(), last.parse::<u32>());
                matches!((first, last), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            });
            if !serves || words.get(2)?.contains("fail") {
                return None;
            }
            words.get(1)?.split('@').next()?.rsplit(':').next()?.parse::<u16>().ok()
        });
        // A node that is asked without TLS names the others' ports without TLS.
        match self.nodes.iter().find(|node| Some(node.port()) == port) {
            Some(master) => master,
            None => panic!("no master serves slot {slot}:\n{nodes}"),
        }
    }

    /// Waits until all nodes that run find that every slot is served, and the
    /// masters that run have their replicas if all nodes run.
    ///
    /// # Panics
    ///
    /// Panics when that does not come about within 60 seconds.
    #[track_caller]
    pub fn wait_until_whole(&self) {
        wait_until("the cluster serves all slots", KNOWN_WITHIN, || {
            let running = self.running();
            let is_whole = running.len() == self.nodes.len();
            running.iter().all(|node| {
                let info = node.command(&["CLUSTER", "INFO"]);
                info.lines().any(|line| line.trim_end() == "cluster_state:ok")
            }) && (!is_whole || running.iter().filter(|node| has_replica(node)).count() == MASTERS)
        });
    }

    fn running(&self) -> Vec<&Redis> {
        self.nodes.iter().filter(|node| TcpStream::connect(node.addr()).is_ok()).collect()
    }
}

fn has_replica(node: &Redis) -> bool {
    node.command(&["INFO", "replication"]).lines().any(|line| line.contains("state=online"))
}

fn start_node(identity: Option<&Identity>) -> Redis {
    let timeout = NODE_TIMEOUT_MS.to_string();
    // The bus's usual port, ten thousand higher, may be none.
    let bus = free_port().to_string();
    let flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
    let further = ["--cluster-port", &bus, "--cluster-replica-validity-factor", "0"];
    match identity {
        None => Redis::start_with(&[&flags[..], &further].concat()),
        Some(identity) => {
            let tls = ["--tls-cluster", "yes", "--tls-replication", "yes"];
            Redis::start_tls(identity, &[&flags[..], &further, &tls].concat())
        }
    }
}

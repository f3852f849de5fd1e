//! A throw-away Redis Cluster.

use std::net::TcpStream;
use std::time::Duration;

use crate::wait::wait_until;
use crate::{Redis, free_port, tool};

const MASTERS: usize = 3;
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
/// A master that is missed for so long is replaced by its replica.
const NODE_TIMEOUT_MS: u32 = 1000;

/// Owns a Redis Cluster of three masters with a replica each, on loopback ports
/// of their own. Dropping it kills them all.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
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
        let cluster = RedisCluster { nodes: (0..2 * MASTERS).map(|_| start_node()).collect() };
        let mut create = tool::command("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        if let Err(cause) = tool::run(create, "") {
            panic!("failed to make a Redis Cluster: {cause}");
        }
        cluster.wait_until_whole();
        cluster
    }

    /// Returns the URL with all nodes, as in
    /// `redis+cluster://127.0.0.1:15001,127.0.0.1:15002`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
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

fn start_node() -> Redis {
    let timeout = NODE_TIMEOUT_MS.to_string();
    // The bus's usual port, ten thousand higher, may be none.
    let bus = free_port().to_string();
    let flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
    let further = ["--cluster-port", &bus, "--cluster-replica-validity-factor", "0"];
    Redis::start_with(&[flags, further].concat())
}

//! Runs a throw-away MySQL Group Replication cluster.

mod forwarder;
mod network;

use std::ffi::OsString;
use std::ops::Deref;
use std::time::Duration;

use crate::nodes::{NODES, Nodes, become_synced, side_by_side};
use crate::owned::on_a_free_port;
use crate::port::free_port;
use crate::sql::{Flavour, SqlServer};
use crate::wait::holds_within;

use self::forwarder::Forwarder;
use self::network::Network;

/// One name for all groups: their members are identified by address.
const GROUP: &str = "5c0ffee0-57ac-4ade-8000-000000000001";
/// Bounds the election of a new primary.
const ELECTED_WITHIN: Duration = Duration::from_secs(60);

/// Creates the account for distributed recovery. Each node creates it without
/// binary logging, so that nodes do not diverge before they join.
const RECOVERY: &str = "SET sql_log_bin = 0;
    CREATE USER recovery@'%' IDENTIFIED BY 'recovery';
    GRANT REPLICATION SLAVE, BACKUP_ADMIN, CONNECTION_ADMIN, GROUP_REPLICATION_STREAM
        ON *.* TO recovery@'%';
    SET sql_log_bin = 1;
    CHANGE REPLICATION SOURCE TO SOURCE_USER = 'recovery', SOURCE_PASSWORD = 'recovery'
        FOR CHANNEL 'group_replication_recovery'";

/// Owns a MySQL Group Replication cluster of three nodes, one of which is the
/// primary, each with a folder and loopback ports of its own. Dropping it kills
/// them all.
///
/// Each node is configured as [`MySql`](crate::MySql)'s servers. The others expel
/// a node after five seconds of silence; a node without a majority for five
/// seconds aborts its pending commits and becomes read-only. A new primary
/// applies all earlier commits before it serves
/// (`group_replication_consistency`).
#[derive(Debug)]
pub struct GroupReplication {
    // Dropped first: the servers end before their network does.
    nodes: Nodes,
    // Forward clients to nodes in separate network namespaces; empty otherwise.
    _forwarders: Vec<Forwarder>,
    network: Option<Network>,
}

/// A node's ports and addresses, and the command prefix that starts it there.
struct NodeAddress {
    port: u16,
    /// The host at which the other nodes reach it.
    host: String,
    /// The address of its group communication.
    group: String,
    /// The hosts that it accepts as members.
    allowed: &'static str,
    /// The command prefix that runs a program in the node's namespaces.
    prefix: Vec<OsString>,
    flags: &'static [&'static str],
}

impl GroupReplication {
    /// Starts the nodes and waits until all are online, about ten seconds. The
    /// first is the primary.
    ///
    /// # Panics
    ///
    /// Panics with the tail of a node's log when they are not within two
    /// minutes.
    #[must_use]
    #[track_caller]
    pub fn start() -> GroupReplication {
        on_a_free_port(|_| GroupReplication::try_start(None))
    }

    /// Starts the nodes as [`start`](GroupReplication::start) does, each in a
    /// Linux network namespace of its own, so that
    /// [`cut_off`](GroupReplication::cut_off) has a network to take from a node.
    /// Clients reach the nodes by the same loopback ports, through a forwarder
    /// to each node's unix socket, which needs no network. A node that is out of
    /// the group does not rejoin by itself:
    /// [`wait_online`](GroupReplication::wait_online) has it rejoin.
    ///
    /// # Panics
    ///
    /// As [`start`](GroupReplication::start); and where `unshare`, `nsenter` or
    /// `ip` is missing, or the system lets this user create no namespaces.
    #[must_use]
    #[track_caller]
    pub fn start_apart() -> GroupReplication {
        let network = Network::new(NODES).unwrap_or_else(|cause| panic!("{cause}"));
        let mut started = on_a_free_port(|_| GroupReplication::try_start(Some(&network)));
        started.network = Some(network);
        started
    }

    fn try_start(network: Option<&Network>) -> Result<GroupReplication, String> {
        let address = |node| {
            network.map_or_else(NodeAddress::on_loopback, |net| NodeAddress::inside(net, node))
        };
        let addresses: Vec<NodeAddress> = (0..NODES).map(address).collect();
        let seeds: Vec<&str> = addresses.iter().map(|address| address.group.as_str()).collect();
        let seeds = seeds.join(",");
        let numbered: Vec<(usize, &NodeAddress)> = addresses.iter().enumerate().collect();
        let nodes = side_by_side(&numbered, |(number, address)| prepare(*number, address, &seeds));
        let nodes = nodes.into_iter().collect::<Result<Vec<SqlServer>, _>>()?;
        let forward = |node: &SqlServer| Forwarder::start(node.port(), node.socket());
        let forwarded = nodes.iter().filter(|_| network.is_some()).map(forward);
        let forwarders = forwarded.collect::<Result<_, _>>()?;
        let launched = side_by_side(&nodes, |node| {
            node.server.launch()?;
            node.try_query(RECOVERY)
        });
        launched.into_iter().collect::<Result<Vec<String>, _>>()?;
        bootstrap(&nodes[0])?;
        side_by_side(&nodes[1..], join).into_iter().collect::<Result<(), _>>()?;
        Ok(GroupReplication { nodes: Nodes::new(nodes), _forwarders: forwarders, network: None })
    }

    /// Returns whether a node is online in the majority, by its own view and that
    /// of all its members: a resumed node does not know at first that the others
    /// continued.
    #[must_use]
    pub fn is_online(&self, node: usize) -> bool {
        if !self.is_up(node) {
            return false;
        }
        let (own, servers) = (self.servers()[node].port(), self.servers());
        let named = members_online(&servers[node]);
        let agrees = |port: &u16| {
            let other = servers.iter().position(|node| node.port() == *port);
            other.is_some_and(|other| {
                let is_known = || members_online(&servers[other]).contains(&own);
                other == node || (self.is_up(other) && is_known())
            })
        };
        named.contains(&own) && named.iter().all(agrees)
    }

    /// Waits until a node is online, and makes an expelled one rejoin, as
    /// [`rejoin_if_out`](GroupReplication::rejoin_if_out) does.
    ///
    /// # Panics
    ///
    /// Panics when it is not within two minutes.
    #[track_caller]
    pub fn wait_online(&self, node: usize) {
        let is_synced = |_: &SqlServer| {
            self.rejoin_if_out(node);
            self.is_online(node)
        };
        if let Err(cause) = become_synced(&self.servers()[node], is_synced) {
            panic!("{cause}");
        }
    }

    /// Restarts Group Replication on a node that the group expelled, that lost
    /// the majority, or whose join failed, as an operator does. Auto-rejoin
    /// would try once, and again after five minutes. Does nothing on any other
    /// node. The group may refuse for a while, so call it until the node is
    /// online.
    pub fn rejoin_if_out(&self, node: usize) {
        if self.is_up(node) && ["ERROR", "OFFLINE"].contains(&self.state(node).as_str()) {
            let _ = self.try_query(node, "STOP GROUP_REPLICATION; START GROUP_REPLICATION");
        }
    }

    /// Returns the member state that a node reports of itself, such as `ONLINE`,
    /// `RECOVERING` or `ERROR`; empty when it does not answer.
    #[must_use]
    pub fn state(&self, node: usize) -> String {
        let sql = "SELECT member_state FROM performance_schema.replication_group_members \
                   WHERE member_id = @@server_uuid OR member_id = ''";
        self.try_query(node, sql).unwrap_or_default()
    }

    /// Returns the primary in the view of a node that
    /// [`is_online`](GroupReplication::is_online), or `None` while there is none.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        let ask = "SELECT member_port FROM performance_schema.replication_group_members \
                   WHERE member_role = 'PRIMARY' AND member_state = 'ONLINE'";
        let online = (0..self.nodes()).filter(|node| self.is_online(*node));
        let named = online.filter_map(|node| self.try_query(node, ask).ok()?.parse::<u16>().ok());
        let mut nodes =
            named.filter_map(|port| self.servers().iter().position(|node| node.port() == port));
        nodes.next()
    }

    /// Waits until a node other than `before` is the primary, and returns it.
    ///
    /// # Panics
    ///
    /// Panics when that does not come about within 60 seconds.
    #[track_caller]
    pub fn wait_for_failover(&self, before: usize) -> usize {
        let mut found = None;
        let elected = holds_within(ELECTED_WITHIN, || {
            found = self.primary().filter(|primary| *primary != before);
            found.is_some()
        });
        match found {
            Some(primary) if elected => primary,
            _ => panic!("no node but {before} became the primary within {ELECTED_WITHIN:?}"),
        }
    }

    /// Switches the primary role to a node, as an operator does, and returns when
    /// it is the primary.
    ///
    /// # Panics
    ///
    /// Panics when the group refuses.
    #[track_caller]
    pub fn set_primary(&self, node: usize) {
        let id = self.query(node, "SELECT @@server_uuid");
        self.query(node, &format!("SELECT group_replication_set_as_primary('{id}')"));
    }

    /// Makes a node leave the group cleanly (true), as an operator does, or
    /// rejoin it (false). It still serves clients, read-only.
    ///
    /// # Panics
    ///
    /// Panics when the node does not answer.
    #[track_caller]
    pub fn leave(&self, node: usize, leave: bool) {
        if leave {
            self.query(node, "STOP GROUP_REPLICATION");
        } else if let Err(cause) = rejoin(&self.servers()[node]) {
            panic!("{cause}");
        }
    }

    /// Partitions the network between a node and the others: packets are lost
    /// in both directions, and no connection is closed. Clients still reach the
    /// node.
    ///
    /// # Panics
    ///
    /// Panics when the cluster was not started by
    /// [`start_apart`](GroupReplication::start_apart).
    #[track_caller]
    pub fn cut_off(&self, node: usize) {
        self.connect(node, false);
    }

    /// Heals the partition of a node, and waits until the node is online.
    ///
    /// # Panics
    ///
    /// As [`cut_off`](GroupReplication::cut_off) and
    /// [`wait_online`](GroupReplication::wait_online).
    #[track_caller]
    pub fn join_again(&self, node: usize) {
        self.connect(node, true);
        self.wait_online(node);
    }

    #[track_caller]
    fn connect(&self, node: usize, connect: bool) {
        let Some(network) = &self.network else {
            panic!("all nodes share the loopback network: use GroupReplication::start_apart");
        };
        if let Err(cause) = network.connect(node, connect) {
            panic!("{cause}");
        }
    }

    /// Restarts a killed node with its data, or makes an expelled one rejoin, and
    /// waits until it has caught up.
    ///
    /// # Panics
    ///
    /// Panics with the tail of its log when that fails.
    #[track_caller]
    pub fn restart(&self, node: usize) {
        let node = &self.servers()[node];
        let started = start_read_only(node);
        if let Err(cause) = started.and_then(|()| join(node)) {
            panic!("{cause}");
        }
    }

    /// After a kill of all nodes, bootstraps the most advanced one and waits
    /// until it serves alone. Returns its number; then
    /// [`restart`](GroupReplication::restart) the others.
    ///
    /// # Panics
    ///
    /// As [`restart`](GroupReplication::restart).
    #[must_use]
    #[track_caller]
    pub fn restart_first(&self) -> usize {
        self.try_restart_first().unwrap_or_else(|cause| panic!("{cause}"))
    }

    fn try_restart_first(&self) -> Result<usize, String> {
        side_by_side(self.servers(), start_read_only).into_iter().collect::<Result<(), _>>()?;
        let done = |node: &SqlServer| node.try_query("SELECT @@global.gtid_executed");
        let done = self.servers().iter().map(done).collect::<Result<Vec<String>, _>>()?;
        // The node whose GTID set contains all others.
        for (node, server) in self.servers().iter().enumerate() {
            let has_all = done.iter().map(|other| {
                // The client escapes newlines within a value.
                let other = other.replace("\\n", "");
                let asked = format!("SELECT GTID_SUBSET('{other}', @@global.gtid_executed)");
                server.try_query(&asked).map(|answer| answer == "1")
            });
            if has_all.collect::<Result<Vec<bool>, _>>()?.iter().all(|has| *has) {
                bootstrap(server)?;
                return Ok(node);
            }
        }
        Err(format!("no node has all that was committed: {done:?}"))
    }
}

impl Deref for GroupReplication {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

impl NodeAddress {
    fn on_loopback() -> NodeAddress {
        NodeAddress {
            port: free_port(),
            host: "127.0.0.1".to_owned(),
            group: format!("127.0.0.1:{}", free_port()),
            allowed: "127.0.0.1/8",
            prefix: Vec::new(),
            flags: &[],
        }
    }

    /// The node inside and its forwarder outside use the same port, so that the
    /// group and the clients know the node by one port.
    fn inside(network: &Network, node: usize) -> NodeAddress {
        let host = network::address(node);
        let mut prefix = network.command_prefix(node);
        // The kernel may clear the parent-death signal of a process that gains
        // capabilities, as nsenter does.
        prefix.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from));
        NodeAddress {
            port: free_port(),
            group: format!("{host}:{}", free_port()),
            host,
            allowed: network::SUBNET,
            prefix,
            flags: &[
                "--bind-address=0.0.0.0",
                // The namespace's user is root, which the server must accept.
                "--user=root",
                // With retries, a node without a majority first waits a minute
                // for the view in which it has left, and so does STOP.
                "--loose-group-replication-autorejoin-tries=0",
            ],
        }
    }
}

fn prepare(number: usize, address: &NodeAddress, seeds: &str) -> Result<SqlServer, String> {
    let NodeAddress { port, host, group, allowed, prefix, flags: own_flags } = address;
    let own = [
        format!("--server-id={}", number + 1),
        format!("--report-host={host}"),
        format!("--report-port={port}"),
        format!("--loose-group-replication-local-address={group}"),
        format!("--loose-group-replication-ip-allowlist={allowed}"),
        format!("--loose-group-replication-group-seeds={seeds}"),
        format!("--loose-group-replication-group-name={GROUP}"),
    ];
    let mut flags: Vec<&str> = own.iter().map(String::as_str).collect();
    flags.extend([
        // Its tables show the group's state.
        "--performance-schema=ON",
        // The plugin does not start with TLS disabled, though the nodes do not
        // use TLS among themselves.
        "--tls-version=TLSv1.2,TLSv1.3",
        "--gtid-mode=ON",
        "--enforce-gtid-consistency=ON",
        "--log-bin=binlog",
        "--relay-log=relay",
        "--plugin-load-add=group_replication.so",
        "--loose-group-replication-start-on-boot=OFF",
        "--loose-group-replication-communication-stack=XCOM",
        // The server has no certificates.
        "--loose-group-replication-ssl-mode=DISABLED",
        "--loose-group-replication-recovery-use-ssl=OFF",
        "--loose-group-replication-recovery-get-public-key=ON",
        "--loose-group-replication-consistency=BEFORE_ON_PRIMARY_FAILOVER",
        // The suspicion timeout of five seconds is fixed and comes before this
        // one.
        "--loose-group-replication-member-expel-timeout=0",
        "--loose-group-replication-unreachable-majority-timeout=5",
        "--loose-group-replication-exit-state-action=READ_ONLY",
        "--loose-group-replication-autorejoin-tries=10",
        "--loose-group-replication-message-cache-size=134217728",
    ]);
    flags.extend(*own_flags);
    SqlServer::prepare(Flavour::MySql, *port, &flags, |_| Ok(prefix.clone()))
}

/// Starts a node that will join the group, read-only until then: a transaction
/// committed on it alone would keep it from joining.
fn start_read_only(node: &SqlServer) -> Result<(), String> {
    node.server.launch_with(&[OsString::from("--super-read-only=ON")])
}

fn bootstrap(node: &SqlServer) -> Result<(), String> {
    node.try_query(
        "SET GLOBAL group_replication_bootstrap_group = ON; START GROUP_REPLICATION; \
         SET GLOBAL group_replication_bootstrap_group = OFF",
    )?;
    become_synced(node, |node| is_online(node) && takes_writes(node))
}

fn join(node: &SqlServer) -> Result<(), String> {
    // Concurrent joins, or a pending expulsion of this node, are transient
    // reasons for a rejection.
    let mut failure = String::new();
    let joined = holds_within(ELECTED_WITHIN, || {
        let started = node.try_query("START GROUP_REPLICATION");
        started.map_err(|cause| failure = cause).is_ok()
    });
    if !joined {
        return Err(node.server.failure(&failure));
    }
    become_synced(node, is_online)
}

/// Rejoins a node that left or was expelled.
fn rejoin(node: &SqlServer) -> Result<(), String> {
    node.try_query("STOP GROUP_REPLICATION")?;
    join(node)
}

/// Whether the node has left the read-only mode in which it joined.
fn takes_writes(node: &SqlServer) -> bool {
    node.try_query("SELECT @@super_read_only").is_ok_and(|is_on| is_on == "0")
}

/// Whether a node is online and sees more than half of the group.
fn is_online(node: &SqlServer) -> bool {
    members_online(node).contains(&node.port())
}

/// The ports of the online members in a node's view; none without a majority or
/// without a response.
fn members_online(node: &SqlServer) -> Vec<u16> {
    let sql = "SELECT member_port, member_state FROM performance_schema.replication_group_members";
    let rows = node.try_query(sql).unwrap_or_default();
    let online = rows.lines().filter_map(|row| row.strip_suffix("\tONLINE")?.parse().ok());
    let online: Vec<u16> = online.collect();
    if online.len() * 2 > rows.lines().count() { online } else { Vec::new() }
}

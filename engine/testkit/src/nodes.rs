//! Owns the nodes of a database cluster.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::sql::SqlServer;
use crate::unique::unique_name;
use crate::wait::holds_within;

/// Number of nodes of a cluster.
pub(crate) const NODES: usize = 3;
/// Bounds the time until a node is synchronized.
const IN_STEP_WITHIN: Duration = Duration::from_secs(120);
/// The poll interval: each poll runs a client program, which competes with the
/// node for the processor.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The nodes of a database cluster, numbered from 0.
#[derive(Debug)]
pub struct Nodes {
    servers: Vec<SqlServer>,
}

impl Nodes {
    pub(crate) fn new(servers: Vec<SqlServer>) -> Nodes {
        Nodes { servers }
    }

    pub(crate) fn servers(&self) -> &[SqlServer] {
        &self.servers
    }

    pub(crate) fn is_up(&self, node: usize) -> bool {
        self.servers[node].server.is_up()
    }

    /// Returns how many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.servers.len()
    }

    /// Returns the TCP address of a node, for a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn addr(&self, node: usize) -> SocketAddr {
        self.servers[node].addr()
    }

    /// Returns the URL of a database at a node.
    #[must_use]
    pub fn url(&self, node: usize, database: &str) -> String {
        self.servers[node].url(database)
    }

    /// Creates an empty database with a name of its own and returns the name.
    ///
    /// # Panics
    ///
    /// Panics when the node refuses.
    #[must_use]
    #[track_caller]
    pub fn fresh_database(&self, node: usize) -> String {
        let name = unique_name();
        self.servers[node].create_database(&name);
        name
    }

    /// Runs SQL at a node as
    /// [`SharedSqlServer::query`](crate::SharedSqlServer::query) does.
    ///
    /// # Panics
    ///
    /// As that.
    #[track_caller]
    pub fn query(&self, node: usize, sql: &str) -> String {
        self.servers[node].query(sql)
    }

    /// Runs SQL at a node as
    /// [`SharedSqlServer::try_query`](crate::SharedSqlServer::try_query) does.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn try_query(&self, node: usize, sql: &str) -> Result<String, String> {
        self.servers[node].try_query(sql)
    }

    /// Kills a node with SIGKILL and waits until it is gone.
    pub fn kill(&self, node: usize) {
        self.servers[node].kill();
    }

    /// Stops a node with SIGSTOP: connections stay open without responses.
    ///
    /// # Panics
    ///
    /// Panics when the node is not running.
    #[track_caller]
    pub fn pause(&self, node: usize) {
        self.servers[node].pause();
    }

    /// Resumes a paused node with SIGCONT. The others may have expelled it
    /// meanwhile, so it rejoins them.
    ///
    /// # Panics
    ///
    /// Panics when the node is not running.
    #[track_caller]
    pub fn resume(&self, node: usize) {
        self.servers[node].resume();
    }
}

/// Waits until a node is synchronized with its cluster.
pub(crate) fn become_synced(
    node: &SqlServer,
    is_synced: impl Fn(&SqlServer) -> bool,
) -> Result<(), String> {
    let asks = || {
        let is_synced = is_synced(node);
        if !is_synced {
            thread::sleep(ASK_EVERY);
        }
        is_synced
    };
    if holds_within(IN_STEP_WITHIN, asks) {
        return Ok(());
    }
    Err(node.server.failure(&format!("it was not in step within {IN_STEP_WITHIN:?}")))
}

/// Runs the same work for several nodes in parallel.
pub(crate) fn side_by_side<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, String> + Sync,
) -> Vec<Result<T, String>> {
    thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        let joined = started.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|_| Err("a thread ended early".to_owned()))).collect()
    })
}

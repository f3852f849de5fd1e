//! Runs rounds on a single-writer database cluster. Engines connect to one
//! address: a proxy forwards it to the node that accepts writes, or to its
//! successor after a failover.

use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use stockade::Engine;
use stockade_testkit::{Nodes, Proxy, wait_until};

use super::load::{Journal, buy_while, stock_up};
use super::verdict::{StoreDump, judge};
use crate::results::Row;

/// Duration of the load before a fault and after the recovery.
pub(super) const LOAD_AROUND_FAULT: Duration = Duration::from_millis(1_500);
/// A cluster that needs longer to settle has failed.
pub(super) const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// A cluster of database servers.
pub(super) trait Cluster: Deref<Target = Nodes> {
    /// The deployment's name in the report.
    const DEPLOYMENT: &'static str;
    /// The report's text for [`Cluster::step_out`] followed by
    /// [`Cluster::step_in`].
    const STEPPED_OUT: &'static str;

    /// Runs SQL at a node after it has applied all earlier commits of the cluster
    /// (a causal read).
    fn query_in_step(&self, node: usize, sql: &str) -> String;

    /// Restarts a killed node with its data.
    fn start_again(&self, node: usize);
    /// Restarts a killed node without its data.
    fn start_as_copy(&self, node: usize);
    /// After a kill of all nodes, restarts the most advanced one.
    fn start_first(&self) -> usize;
    /// Separates a node from the cluster while it still serves clients.
    fn step_out(&self, node: usize);
    /// Reunites the node with the cluster.
    fn step_in(&self, node: usize);

    /// Partitions the network between a node and the others while clients still
    /// reach it. Clusters without separate networks use `step_out` instead.
    fn cut_off(&self, node: usize) {
        self.step_out(node);
    }
    /// Whether a partitioned node has aborted its pending commits.
    fn has_given_up(&self, _node: usize) -> bool {
        true
    }
    /// Heals the partition and makes the node rejoin.
    fn let_back(&self, node: usize) {
        self.step_in(node);
    }

    /// Moves the writer role to another node.
    fn hand_over(&self, from: usize) -> usize;
    /// Waits until the others continue without this node, and returns the new
    /// writer.
    fn wait_for_next(&self, failed: usize) -> usize;
    /// Whether a node is synchronized with a complete cluster. Makes an expelled
    /// node rejoin.
    fn is_whole(&self, node: usize) -> bool;
    /// The node at which an engine audits the data of `node`.
    fn auditor_of(&self, node: usize, writer: usize) -> usize;
}

/// The fault injected at the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Killed,
    Stopped,
    SteppedOut,
    /// A network partition isolates the writer and heals after the writer has
    /// aborted its pending commits.
    CutOff,
    /// The partition heals while commits still hang at the old writer, though the
    /// others have elected a successor.
    CutOffBriefly,
    /// A planned switchover, as before an upgrade.
    HandedOver,
    /// All nodes are killed at once.
    AllKilled,
    /// The writer is killed and loses its position, so it rejoins by a full copy.
    Copied,
}

impl Fault {
    fn name<C: Cluster>(self) -> &'static str {
        match self {
            Self::Killed => "writer killed, rejoins",
            Self::Stopped => "writer stopped, resumed later",
            Self::SteppedOut => C::STEPPED_OUT,
            Self::CutOff => "writer partitioned, healed",
            Self::CutOffBriefly => "writer partitioned, healed at once",
            Self::HandedOver => "planned switchover to another node",
            Self::AllKilled => "all nodes killed at once",
            Self::Copied => "writer killed, rejoins as a copy",
        }
    }
}

/// Opens an engine with short timeouts, so that it detects a silent node soon.
pub(super) fn open(url: &str) -> Engine {
    let settings = [("store_timeout", "4s"), ("lock_wait", "1s"), ("hold_ttl", "10m")];
    let with = |builder: stockade::EngineBuilder, (name, value): (&str, &str)| {
        builder.set(name, value).expect("a setting")
    };
    settings.into_iter().fold(Engine::builder().store(url), with).open().expect("an engine")
}

/// Runs one round and updates `writer` to the new writer.
pub(super) fn round<C: Cluster>(cluster: &C, writer: &mut usize, fault: Fault, seed: u64) -> Row {
    let database = cluster.fresh_database(*writer);
    let proxy = Proxy::start(cluster.addr(*writer));
    let url = proxy.url(&cluster.url(*writer, &database));
    let engines = [open(&url), open(&url)];
    let products = stock_up(&engines[0]);
    let mut ready_after = Duration::ZERO;
    let journal = buy_while(&engines, &products, seed, || {
        thread::sleep(LOAD_AROUND_FAULT);
        let before = *writer;
        let since = Instant::now();
        *writer = inject(cluster, before, fault);
        ready_after = since.elapsed();
        proxy.lead_to(cluster.addr(*writer));
        proxy.cut();
        if fault != Fault::CutOffBriefly {
            thread::sleep(LOAD_AROUND_FAULT);
        }
        heal(cluster, before, *writer, fault);
        thread::sleep(LOAD_AROUND_FAULT / 3);
    });
    let mut row = Row {
        fault: fault.name::<C>().to_owned(),
        deployment: C::DEPLOYMENT.to_owned(),
        injected: 1,
        ..Row::default()
    };
    judge_all(&mut row, cluster, *writer, &database, &journal, &products, &engines[0]);
    if row.note.is_empty() && fault != Fault::HandedOver {
        row.note = format!("the next node was ready after {ready_after:.1?}");
    }
    engines.iter().for_each(|engine| engine.close().expect("a close"));
    row
}

/// Injects the fault, waits for the failover and returns the new writer.
fn inject(cluster: &impl Cluster, node: usize, fault: Fault) -> usize {
    match fault {
        Fault::Killed | Fault::Copied => cluster.kill(node),
        Fault::Stopped => cluster.pause(node),
        Fault::SteppedOut => cluster.step_out(node),
        Fault::CutOff | Fault::CutOffBriefly => cluster.cut_off(node),
        Fault::HandedOver => return cluster.hand_over(node),
        Fault::AllKilled => {
            (0..cluster.nodes()).for_each(|node| cluster.kill(node));
            return cluster.start_first();
        }
    }
    cluster.wait_for_next(node)
}

fn heal(cluster: &impl Cluster, node: usize, writer: usize, fault: Fault) {
    match fault {
        Fault::Killed => cluster.start_again(node),
        Fault::Copied => cluster.start_as_copy(node),
        Fault::Stopped => cluster.resume(node),
        Fault::SteppedOut => cluster.step_in(node),
        Fault::CutOff => {
            wait_until("the node that is cut off has given up", SETTLED_WITHIN, || {
                cluster.has_given_up(node)
            });
            cluster.let_back(node);
        }
        Fault::CutOffBriefly => cluster.let_back(node),
        Fault::HandedOver => {}
        Fault::AllKilled => {
            let others = (0..cluster.nodes()).filter(|node| *node != writer);
            others.for_each(|node| cluster.start_again(node));
        }
    }
    // A resumed node does not know at first that the others continued, so all
    // nodes must confirm the membership.
    wait_until("all nodes are back", SETTLED_WITHIN, || {
        (0..cluster.nodes()).all(|node| cluster.is_whole(node))
    });
}

/// Checks the data at every node and that all nodes are equal.
pub(super) fn judge_all(
    row: &mut Row,
    cluster: &impl Cluster,
    writer: usize,
    database: &str,
    journal: &Journal,
    products: &[stockade::ProductId],
    engine: &Engine,
) {
    engine.sweep().expect("a sweep");
    let read = |node: usize| StoreDump::read(database, |sql| cluster.query_in_step(node, sql));
    let all: Vec<StoreDump> = (0..cluster.nodes()).map(read).collect();
    for (node, dump) in all.iter().enumerate() {
        let mut found = Row::default();
        let audit = open(&cluster.url(cluster.auditor_of(node, writer), database));
        judge(&mut found, dump, journal, products, &audit);
        audit.close().expect("a close");
        row.operations = found.operations;
        row.recovery = found.recovery;
        row.oversold = row.oversold.max(found.oversold);
        row.leaked = row.leaked.max(found.leaked);
        row.lost = row.lost.max(found.lost);
        row.doubled = row.doubled.max(found.doubled);
        row.unexplained = row.unexplained.max(found.unexplained);
        if row.note.is_empty() {
            row.note = found.note;
        }
        if !dump.is_equal_to(&all[0]) {
            row.unexplained += 1;
            row.note = format!("node {node} differs from node 0; {}", row.note);
        }
    }
}

//! Runs rounds on MySQL Group Replication: the group elects its primary and hands
//! it over on request.

use stockade_testkit::{GroupReplication, wait_until};

use super::one_writer::{self, Cluster, Fault, SETTLED_WITHIN};
use crate::Extent;
use crate::results::Row;

const SHORT: [Fault; 4] = [Fault::Killed, Fault::CutOff, Fault::SteppedOut, Fault::HandedOver];
const LONG: [Fault; 7] = [
    Fault::Killed,
    Fault::CutOff,
    Fault::CutOffBriefly,
    Fault::SteppedOut,
    Fault::Stopped,
    Fault::HandedOver,
    Fault::AllKilled,
];

pub(super) fn run(extent: Extent) -> Vec<Row> {
    let group = GroupReplication::start_apart();
    let mut rows = Vec::new();
    let mut writer = group.primary().expect("a primary");
    for seed in (extent.seed..).take(usize::try_from(extent.seeds(1, 6)).unwrap_or(usize::MAX)) {
        let faults: &[Fault] = if extent.is_long { &LONG } else { &SHORT };
        for fault in faults {
            super::add(&mut rows, one_writer::round(&group, &mut writer, *fault, seed));
        }
    }
    rows
}

impl Cluster for GroupReplication {
    const DEPLOYMENT: &'static str = "MySQL Group Replication, one primary";
    const STEPPED_OUT: &'static str = "writer leaves its group, joins again";

    fn query_in_step(&self, node: usize, sql: &str) -> String {
        self.query(node, &format!("SET group_replication_consistency = 'BEFORE'; {sql}"))
    }

    fn start_again(&self, node: usize) {
        self.restart(node);
    }

    /// The node missed few transactions, so it recovers from the binary log
    /// rather than by a copy.
    fn start_as_copy(&self, node: usize) {
        self.restart(node);
    }

    fn start_first(&self) -> usize {
        self.restart_first()
    }

    fn step_out(&self, node: usize) {
        self.leave(node, true);
    }

    fn step_in(&self, node: usize) {
        self.leave(node, false);
    }

    fn cut_off(&self, node: usize) {
        GroupReplication::cut_off(self, node);
    }

    fn has_given_up(&self, node: usize) -> bool {
        self.state(node) == "ERROR"
    }

    fn let_back(&self, node: usize) {
        self.join_again(node);
    }

    fn hand_over(&self, from: usize) -> usize {
        let next = (from + 1) % self.nodes();
        self.set_primary(next);
        next
    }

    fn wait_for_next(&self, failed: usize) -> usize {
        let mut next = None;
        wait_until("the others have elected a primary", SETTLED_WITHIN, || {
            let mut others = (0..self.nodes()).filter(|node| *node != failed);
            next = others.find(|node| takes_writes(self, *node));
            next.is_some()
        });
        next.expect("elected")
    }

    fn is_whole(&self, node: usize) -> bool {
        self.rejoin_if_out(node);
        let members = "SELECT COUNT(*) FROM performance_schema.replication_group_members \
             WHERE MEMBER_STATE = 'ONLINE'";
        self.state(node) == "ONLINE"
            && self.try_query(node, members) == Ok(self.nodes().to_string())
    }

    /// The writer: no engine opens at a read-only node.
    fn auditor_of(&self, _node: usize, writer: usize) -> usize {
        writer
    }
}

/// Whether a node is the primary and has left read-only mode.
fn takes_writes(group: &GroupReplication, node: usize) -> bool {
    let sql = "SELECT MEMBER_ROLE, @@super_read_only \
         FROM performance_schema.replication_group_members \
         WHERE MEMBER_ID = @@server_uuid AND MEMBER_STATE = 'ONLINE'";
    group.try_query(node, sql).is_ok_and(|row| row == "PRIMARY\t0")
}

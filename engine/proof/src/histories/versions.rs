//! Checks that each process serves product versions monotonically.
//!
//! A cache may be stale, but must never go back: a read returns at least the
//! version of every read or adjustment that its process had answered before
//! (monotonic reads, read your writes).

use std::collections::HashMap;

use super::record::{Call, Record};

/// Returns each read of an older version than the process had served before.
pub fn gone_back(records: &[Record]) -> Vec<String> {
    let mut shown: HashMap<(u32, u64), Vec<&Record>> = HashMap::new();
    for record in records.iter().filter(|record| record.version.is_some()) {
        if let Call::ReadCached { product } | Call::Adjust { product, .. } = record.call {
            shown.entry((record.process, product)).or_default().push(record);
        }
    }
    let mut found = Vec::new();
    for ((process, product), mut answers) in shown {
        answers.sort_unstable_by_key(|record| record.answered.nanos);
        for read in answers.iter().filter(|one| matches!(one.call, Call::ReadCached { .. })) {
            let before = answers.partition_point(|one| one.answered.nanos < read.invoked.nanos);
            let newest = answers[..before].iter().filter_map(|one| one.version).max();
            if read.version < newest {
                let response = format!("{newest:?} to {:?}", read.version);
                found.push(format!("product {product} of process {process} went from {response}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histories::record::{Answer, Moment, Units};

    const READ: Call = Call::ReadCached { product: 1 };
    const ADJUST: Call = Call::Adjust { product: 1, delta: 1 };

    fn response(process: u32, (from, to): (u64, u64), call: &Call, version: u64) -> Record {
        let moment = |nanos| Moment { nanos, time: 0 };
        Record {
            caller: 0,
            process,
            call: call.clone(),
            answer: Answer::Units(Units { stock: 1, held: 0, pending: 0, sold: 0, returned: 0 }),
            replayed: false,
            version: Some(version),
            tokens: Vec::new(),
            invoked: moment(from),
            answered: moment(to),
        }
    }

    #[test]
    fn reads_of_one_process_are_monotonic() {
        let first = response(0, (1, 2), &READ, 7);
        assert_eq!(gone_back(&[first.clone(), response(0, (3, 4), &READ, 7)]).len(), 0);
        assert_eq!(gone_back(&[first.clone(), response(0, (3, 4), &READ, 8)]).len(), 0);
        assert_eq!(gone_back(&[first, response(0, (3, 4), &READ, 6)]).len(), 1);
    }

    #[test]
    fn process_reads_its_own_writes() {
        let written = response(0, (1, 5), &ADJUST, 7);
        assert_eq!(gone_back(&[written.clone(), response(0, (6, 7), &READ, 6)]).len(), 1);
        assert_eq!(gone_back(&[written, response(0, (6, 7), &READ, 7)]).len(), 0);
    }

    #[test]
    fn concurrent_reads_and_other_processes_may_be_stale() {
        let first = response(0, (1, 4), &READ, 7);
        assert_eq!(gone_back(&[first.clone(), response(0, (3, 5), &READ, 6)]).len(), 0);
        assert_eq!(gone_back(&[first, response(1, (5, 6), &READ, 6)]).len(), 0);
    }
}

//! The short form of the clusters' part.

use stockade_proof::outcome::Row;
use stockade_proof::{Extent, clusters};

#[test]
fn fail_overs_of_galera_and_sentinel_keep_every_promise() {
    let rows = clusters::run(Extent::default());
    assert!(rows.iter().all(Row::is_clean), "{rows:#?}");
    assert!(rows.iter().all(|row| row.operations > 0), "{rows:#?}");
    let unplanned = |row: &&Row| !row.is_informative;
    assert_eq!(rows.iter().filter(unplanned).map(|row| row.injected).sum::<u64>(), 4);
}

//! The metadata of holds: rows of those few that have some.

use std::collections::HashMap;

use super::statement::Statement;
use super::statements::{IDS_MAX, hex, list, put};
use super::writes::insert;
use crate::model::{HoldId, Metadata};

/// The metadata of some holds.
pub(super) type HoldMetadata = HashMap<HoldId, Metadata>;

/// The statements that write the metadata of new holds.
pub(super) fn insert_metadata<T>(new: &[(HoldId, Metadata)]) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let columns = "stockade_hold_metadata (hold_id, metadata)";
    insert(&mut all, columns, new, |sql, (id, metadata)| {
        put(sql, format_args!("({id},{})", hex(metadata.as_str().as_bytes())));
    });
    all
}

/// The statements that read the metadata of holds.
pub(super) fn select_metadata(ids: &[HoldId]) -> Vec<Statement<HoldMetadata>> {
    ids.chunks(IDS_MAX).map(select).collect()
}

/// The statements that delete the metadata of holds.
pub(super) fn delete_metadata<T>(ids: &[u64]) -> impl Iterator<Item = Statement<T>> {
    ids.chunks(IDS_MAX).map(|some| {
        let ids = list(some);
        Statement::new(format!("DELETE FROM stockade_hold_metadata WHERE hold_id IN ({ids})"))
    })
}

fn select(ids: &[HoldId]) -> Statement<HoldMetadata> {
    let ids = list(ids);
    let sql =
        format!("SELECT hold_id, metadata FROM stockade_hold_metadata WHERE hold_id IN ({ids})");
    Statement::read(sql, |found: &mut HoldMetadata, row| {
        found.insert(HoldId(row.count()?), Metadata::stored(&row.key()?));
        Ok(())
    })
}

//! The metadata of holds: rows of those few that have some.

use std::fmt::Display;

use super::hold_rows::HoldRows;
use super::statement::Statement;
use super::statements::{IDS_MAX, hex, list, put};
use super::writes::insert;
use crate::model::{HoldId, Metadata};

/// The statements that write the metadata of new holds.
pub(super) fn insert_metadata<T>(new: &[(HoldId, Metadata)]) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let columns = "stockade_hold_metadata (hold_id, metadata)";
    insert(&mut all, columns, new, |sql, (id, metadata)| {
        put(sql, format_args!("({id},{})", hex(metadata.as_str().as_bytes())));
    });
    all
}

/// Reads the metadata of the holds whose ids meet a condition.
pub(super) fn select_metadata<T: AsMut<HoldRows>>(which: impl Display) -> Statement<T> {
    let sql = format!("SELECT hold_id, metadata FROM stockade_hold_metadata WHERE hold_id {which}");
    Statement::read(sql, |into: &mut T, row| {
        into.as_mut().add_metadata(HoldId(row.count()?), Metadata::stored(&row.key()?));
        Ok(())
    })
}

/// The statements that delete the metadata of holds.
pub(super) fn delete_metadata<T>(ids: &[u64]) -> impl Iterator<Item = Statement<T>> {
    ids.chunks(IDS_MAX).map(|some| {
        let ids = list(some);
        Statement::new(format!("DELETE FROM stockade_hold_metadata WHERE hold_id IN ({ids})"))
    })
}

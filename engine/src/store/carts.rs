//! Reads carts: which holds a cart has, and those holds.

use super::customers::select_names;
use super::database::Database;
use super::error::StoreResult;
use super::hold_metadata::select_metadata;
use super::hold_rows::{HoldRows, select_holds};
use super::order_rows::{order_of_hold, select_orders_of};
use super::reads::SqlStore;
use super::rows::Cells;
use super::statements::list;
use crate::model::{Cart, CartId, Hold, HoldId, HoldStatus, Timestamp};

/// The bytes of a hold's id.
const ID_WIDTH: usize = 8;

impl<D: Database> SqlStore<D> {
    /// Reads a cart. Its holds are by ascending product.
    pub(super) async fn read_cart(&self, id: CartId) -> StoreResult<Option<(Cart, Timestamp)>> {
        let sql = format!("SELECT holds FROM stockade_carts WHERE cart_id = {id}");
        let (Some(ids), _) = self.select_one(sql, hold_ids).await? else { return Ok(None) };
        let mut read = HoldRows::default();
        let mut reads = select_holds(&ids);
        let these = format!("IN ({})", list(&ids));
        reads.extend([select_names(&these), select_metadata(&these)]);
        let now = self.select(&reads, &mut read).await?;
        let mut holds: Vec<Hold> = ids.iter().filter_map(|id| read.whole_hold(*id)).collect();
        // Retention deletes a cart with its first hold, and others may be gone before.
        let Some((_, token)) = holds.iter().find_map(|hold| read.cart_of(hold.id)) else {
            return Ok(None);
        };
        self.find_orders(&mut holds).await?;
        holds.sort_unstable_by_key(|hold| hold.product_id);
        Ok(Some((Cart { id, token: Some(token), holds }, now)))
    }

    /// Sets the orders of converted holds. The transaction that converted a hold
    /// inserted its order.
    async fn find_orders(&self, holds: &mut [Hold]) -> StoreResult<()> {
        let converted = holds.iter().filter(|hold| hold.status == HoldStatus::Converted);
        let ids = list(converted.map(|hold| hold.id));
        if ids.is_empty() {
            return Ok(());
        }
        let sql = select_orders_of(format_args!("IN ({ids})"));
        let (orders, _) = self.select_all(sql, order_of_hold).await?;
        for hold in holds {
            let order = orders.iter().find(|(of, _)| *of == hold.id);
            hold.order_id = order.map(|(_, order)| *order);
        }
        Ok(())
    }
}

/// Decodes the ids of a cart's holds, which ascend.
fn hold_ids(row: &mut Cells<'_>) -> sqlx::Result<Vec<HoldId>> {
    let bytes = row.bytes()?;
    let (ids, rest) = bytes.as_chunks::<ID_WIDTH>();
    if ids.is_empty() || !rest.is_empty() {
        return Err(row.invalid_value());
    }
    Ok(ids.iter().map(|id| HoldId(u64::from_be_bytes(*id))).collect())
}

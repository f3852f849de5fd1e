//! Reads which products holds and orders belong to.

use std::collections::HashMap;

use smallvec::smallvec;

use super::database::Database;
use super::error::StoreResult;
use super::hold_rows::{Owners, owner, select_owners};
use super::reads::SqlStore;
use super::statement::Statement;
use super::statements::{IDS_MAX, list};
use super::{Owned, order_rows};
use crate::product_index::Products;

impl<D: Database> SqlStore<D> {
    pub(super) async fn read_owners(
        &self,
        kind: Owned,
        ids: &[u64],
    ) -> StoreResult<HashMap<u64, Products>> {
        if kind == Owned::Hold {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            let mut owners = Owners::new();
            self.select(&select_owners(&ids), &mut owners).await?;
            let found = |id: &u64| Some((*id, smallvec![owner(&owners, *id)?]));
            return Ok(ids.iter().filter_map(found).collect());
        }
        let reads: Vec<_> = ids.chunks(IDS_MAX).map(select).collect();
        let mut owners = HashMap::with_capacity(ids.len());
        self.select(&reads, &mut owners).await?;
        Ok(owners)
    }
}

fn select(ids: &[u64]) -> Statement<HashMap<u64, Products>> {
    let (ids, columns) = (list(ids), order_rows::LINES);
    let sql = format!("SELECT id, {columns} FROM stockade_orders WHERE id IN ({ids})");
    Statement::read(sql, |owners, row| {
        let (id, products) = order_rows::order_products(row)?;
        owners.insert(id, products);
        Ok(())
    })
}

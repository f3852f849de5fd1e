//! The operations on carts, and on the quantity of a hold.

use std::time::Duration;

use super::operations::{no_such, replayable};
use super::{LocalBackend, commands};
use crate::call::Retry;
use crate::error::Result;
use crate::ledger::Command;
use crate::model::{
    Cart, CartId, ChangeQuantityRequest, ExtendCartRequest, Hold, HoldId, ReleaseCartRequest,
    Replayable, Timestamp,
};

impl LocalBackend {
    pub async fn change_quantity(
        &self,
        request: ChangeQuantityRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Hold>> {
        let command = commands::change_quantity(&self.services.config, &request, retry)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        replayable!(self.submit(command, [lane]).await?, boxed Hold)
    }

    pub async fn cart(&self, id: CartId) -> Result<Cart> {
        let (mut cart, now) = self.read_cart(id).await?;
        cart.token = None;
        for hold in &mut cart.holds {
            hold.end_if_due(now);
            hold.token = None;
        }
        Ok(cart)
    }

    pub async fn release_cart(&self, request: ReleaseCartRequest) -> Result<Cart> {
        let ReleaseCartRequest { cart_id, token } = request;
        let release = |holds| Command::ReleaseCart { cart_id, holds, token };
        self.submit_cart(cart_id, release).await
    }

    pub async fn extend_cart(&self, request: ExtendCartRequest) -> Result<Cart> {
        let ExtendCartRequest { cart_id, ttl, token } = request;
        let ttl: Duration = commands::ttl(&self.services.config, ttl)?;
        let extend = |holds| Command::ExtendCart { cart_id, holds, ttl, token };
        self.submit_cart(cart_id, extend).await
    }

    /// Executes a command about a cart. Its holds are looked up first: a cart keeps
    /// them, and their products are the lanes of the command.
    async fn submit_cart(
        &self,
        id: CartId,
        command: impl FnOnce(Vec<HoldId>) -> Command,
    ) -> Result<Cart> {
        let found = match self.services.product_index.carts.get(id) {
            Some(known) => known,
            None => {
                let (cart, _) = self.read_cart(id).await?;
                cart.holds.iter().map(|hold| (hold.id, hold.product_id)).collect()
            }
        };
        let mut holds: Vec<HoldId> = found.iter().map(|(id, _)| *id).collect();
        holds.sort_unstable();
        let lanes = found.iter().map(|(_, product)| self.combiner.lane(*product));
        Ok(replayable!(self.submit(command(holds), lanes).await?, Cart)?.value)
    }

    pub(super) async fn read_cart(&self, id: CartId) -> Result<(Cart, Timestamp)> {
        commands::possible_cart(id)?;
        let found = self.read_store(move |store| async move { store.cart(id).await }).await?;
        found.ok_or_else(|| no_such("cart", id.0))
    }
}

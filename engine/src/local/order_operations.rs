//! The operations on orders and payments.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::operations::{no_such, replayable};
use super::{LocalBackend, commands, order_commands};
use crate::call::Retry;
use crate::combiner::LaneId;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, Command};
use crate::model::{
    CancelRequest, CartId, ExtendOrderRequest, Hold, HoldId, HoldStatus, Order, OrderId,
    OrderRequest, OrderedHold, PaymentEvent, PaymentReceipt, PaymentReference, ProductId,
    ProductRef, RefundRequest, Replayable, RestockRequest, Token,
};
use crate::store::Store;

/// How often the order of a payment event that names it by a reference is looked up: it
/// may be made, or tied to the payment, between the look-up and the transaction.
const ORDER_LOOKUPS_MAX: u32 = 4;

/// A hold of a cart as an order uses it.
fn ordered((id, product): (HoldId, ProductId), token: Option<Token>) -> OrderedHold {
    OrderedHold { token, ..OrderedHold::new(id).product(product) }
}

/// Whether an order is refused because of its holds.
fn is_about_holds(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::HoldExpired | ErrorKind::HoldAlreadyUsed)
}

impl LocalBackend {
    pub async fn create_order(
        &self,
        mut request: OrderRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Order>> {
        let Some(cart_id) = request.cart_id else {
            return self.order_holds(&request, retry).await;
        };
        if !request.holds.is_empty() {
            let why = "an order is of holds or of a cart, not of both";
            return Err(Error::invalid_argument(why));
        }
        let token = request.cart_token;
        // A refusal would be kept under the key.
        let known =
            self.services.product_index.carts.get(cart_id).filter(|_| request.key.is_none());
        if let Some(known) = known {
            request.holds = known.into_iter().map(|place| ordered(place, token)).collect();
            match self.order_holds(&request, retry).await {
                // Of its holds some may have been released, which an order leaves out.
                Err(error) if is_about_holds(error.kind()) => {}
                done => return done,
            }
        }
        request.holds = self.holds_of_cart(cart_id, token).await?;
        self.order_holds(&request, retry).await
    }

    async fn order_holds(
        &self,
        request: &OrderRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Order>> {
        let command = order_commands::create_order(&self.services.config, request, retry)?;
        // At once: each look-up of a hold that only the store knows is a read.
        let lanes = request.holds.iter().map(|hold| async {
            match hold.product.as_ref().and_then(ProductRef::id) {
                Some(product) => Ok(Some(self.combiner.lane(product))),
                None => self.known_lane_of_hold(hold.hold_id).await,
            }
        });
        let lanes = try_join_all(lanes).await?.into_iter().flatten().collect();
        self.submit_for_order(command, lanes).await
    }

    /// Lists the holds of a cart, but for those that were released; all if all were,
    /// so that the refusal says so.
    async fn holds_of_cart(
        &self,
        cart_id: CartId,
        token: Option<Token>,
    ) -> Result<Vec<OrderedHold>> {
        let (cart, _) = self.read_cart(cart_id).await?;
        let ordered = |hold: &Hold| ordered((hold.id, hold.product_id), token);
        let left = cart.holds.iter().filter(|hold| hold.status != HoldStatus::Released);
        let left: Vec<OrderedHold> = left.map(ordered).collect();
        Ok(if left.is_empty() { cart.holds.iter().map(ordered).collect() } else { left })
    }

    /// Finds the lane of a hold's product; `None` if there is no such hold, which the
    /// ledger then refuses with the others of its request.
    async fn known_lane_of_hold(&self, id: HoldId) -> Result<Option<LaneId>> {
        match self.lane_of_hold(id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            lane => lane.map(Some),
        }
    }

    pub async fn extend_order(&self, request: ExtendOrderRequest) -> Result<Order> {
        let command = order_commands::extend_order(&self.services.config, &request)?;
        Ok(self.change_order(command, request.order_id).await?.value)
    }

    pub async fn cancel_order(&self, request: CancelRequest) -> Result<Order> {
        let command = order_commands::cancel_order(&request)?;
        let cancelled = self.change_order(command, request.order_id).await?.value;
        let reason = request.reason;
        tracing::info!(order_id = cancelled.id.0, reason, "cancelled an order");
        Ok(cancelled)
    }

    pub async fn refund_order(
        &self,
        request: RefundRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Order>> {
        let command = order_commands::refund_order(&request, retry)?;
        let refunded = self.change_order(command, request.order_id).await?;
        let (reason, replayed) = (request.reason, refunded.replayed);
        tracing::info!(order_id = refunded.value.id.0, reason, replayed, "refunded an order");
        Ok(refunded)
    }

    pub async fn restock_order(
        &self,
        request: RestockRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Order>> {
        let command = order_commands::restock_order(&request, retry)?;
        self.change_order(command, request.order_id).await
    }

    pub async fn set_payment_reference(&self, request: PaymentReference) -> Result<Order> {
        let command = order_commands::set_payment_reference(&request)?;
        Ok(self.change_order(command, request.order_id).await?.value)
    }

    async fn change_order(&self, command: Command, id: OrderId) -> Result<Replayable<Order>> {
        let lanes = self.lanes_of_order(id).await?;
        if lanes.is_empty() {
            return Err(no_such("order", id.0));
        }
        self.submit_for_order(command, lanes).await
    }

    async fn submit_for_order(
        &self,
        command: Command,
        lanes: Vec<LaneId>,
    ) -> Result<Replayable<Order>> {
        replayable!(self.submit(command, lanes).await?, boxed Order)
    }

    /// Finds the lanes of an order's products; none if there is no such order.
    async fn lanes_of_order(&self, id: OrderId) -> Result<Vec<LaneId>> {
        if self.services.store.single_writer() {
            return Ok(vec![LaneId(0)]);
        }
        let products = self.services.product_index.orders.find(id.0).await?;
        let products = products.into_iter().flatten();
        Ok(products.map(|product| self.combiner.lane(product)).collect())
    }

    pub async fn order(&self, id: OrderId) -> Result<Order> {
        commands::exists_ever("order", id.0, id.is_possible())?;
        let found = self.read_store(move |store| async move { store.order(id).await }).await?;
        let (row, now) = found.ok_or_else(|| no_such("order", id.0))?;
        let mut order = row.order;
        order.end_if_due(now);
        Ok(order)
    }

    pub async fn order_by_payment(&self, provider: String, reference: String) -> Result<Order> {
        let name = order_commands::payment_name(&provider, &reference)?;
        let read = |store: Arc<dyn Store>| async move { store.order_of_payment(&name).await };
        let found = self.read_store(read).await?;
        self.order(found.ok_or_else(|| unknown(&reference))?).await
    }

    pub async fn order_by_reference(&self, reference: String) -> Result<Order> {
        order_commands::check_reference(&reference)?;
        let name = reference.clone();
        let read = |store: Arc<dyn Store>| async move { store.order_of_reference(&name).await };
        let found = self.read_store(read).await?;
        self.order(found.ok_or_else(|| unknown(&reference))?).await
    }

    pub async fn record_payment(&self, event: PaymentEvent) -> Result<Replayable<PaymentReceipt>> {
        let mut command = order_commands::record_payment(&event)?;
        for _ in 0..ORDER_LOOKUPS_MAX {
            let mut lanes = Vec::new();
            if let Command::Payment { order_id, is_named, .. } = &mut command {
                if *is_named {
                    *order_id = self.named_order(&event).await?.unwrap_or(OrderId(0));
                }
                // An order that is not there has no product yet: lane 0.
                if order_id.0 != 0 {
                    lanes = self.lanes_of_order(*order_id).await?;
                }
            }
            let done = self.submit(command.clone(), lanes).await?;
            if !matches!(done.answer, Answer::StaleName) {
                let Replayable { value: status, replayed } = replayable!(done, Payment)?;
                return Ok(Replayable { value: PaymentReceipt { status }, replayed });
            }
        }
        let why = "the references of the payment event moved from order to order meanwhile";
        Err(Error::new(ErrorKind::Contention, why))
    }

    /// Looks up the order that the references of a payment event name.
    async fn named_order(&self, event: &PaymentEvent) -> Result<Option<OrderId>> {
        let (payment, order) = (event.payment_reference.clone(), event.order_reference.clone());
        let read = |store: Arc<dyn Store>| async move {
            if let Some(name) = &payment
                && let Some(id) = store.order_of_payment(name).await?
            {
                return Ok(Some(id));
            }
            match &order {
                Some(reference) => store.order_of_reference(reference).await,
                None => Ok(None),
            }
        };
        self.read_store(read).await
    }
}

fn unknown(reference: &str) -> Error {
    let why = format!("there is no order with the reference `{reference}`");
    Error::new(ErrorKind::NotFound, why)
}

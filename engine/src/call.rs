//! The list of operations, and a call as data: a [`Request`] in, a [`Response`]
//! out.
//!
//! Every operation stands in [`operations`] once. From that list come the
//! methods of both engines, the two enums, and with them the wire format of
//! [`crate::rpc`]. A [`Backend`](crate::backend::Backend) executes requests.

use serde::{Deserialize, Serialize};

use crate::audit::AuditReport;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CancelRequest, Cart, CartId, CartRequest, ChangeQuantityRequest, Erased, Event,
    ExtendCartRequest, ExtendOrderRequest, ExtendRequest, Hold, HoldId, HoldPage, HoldQuery,
    HoldRequest, NewProduct, Order, OrderId, OrderPage, OrderQuery, OrderRequest, PaymentEvent,
    PaymentReceipt, PaymentReference, Product, ProductChange, ProductId, ProductPage, ProductRef,
    PutOutcome, PutProduct, RefundRequest, ReleaseCartRequest, ReleaseRequest, Replayable,
    RestockRequest, StockAdjustment, Token, WaitingPayment, WaitingPaymentPage,
};
use crate::sweeper::SweepReport;

/// Passes the list of operations to the macro `$then`.
///
/// An operation takes one request struct in brackets, or plain arguments in
/// parentheses; after `=` stands its variant of [`Request`] and [`Response`],
/// the same name in camel case. A noun reads, `verb_noun` acts.
macro_rules! operations {
    ($then:ident) => {
        $then! {
            /// Reads a product, from the cache where that is fresh. Takes the product's
            /// id or a [`ProductRef`].
            ///
            /// # Errors
            /// `invalid_argument` for a SKU that no product can have, `not_found`,
            /// `unavailable`.
            fn product[ProductRef] -> Product = Product;

            /// Reads up to `limit` (1 to 1,000) products with ids above `after`.
            ///
            /// # Errors
            /// `invalid_argument` for another limit, `unavailable`.
            fn products(after: Option<ProductId>, limit: u32) -> ProductPage = Products;

            /// Creates a product. A second request with the same idempotency key
            /// returns the product as the first one created it.
            ///
            /// # Errors
            /// `invalid_argument`, `already_exists` with the product that has the id or
            /// the SKU, `idempotency_mismatch`, `contention`, `unavailable`.
            fn create_product[NewProduct] -> Replayable<Product> = CreateProduct;

            /// Makes a product, or replaces what it is.
            ///
            /// # Errors
            /// `invalid_argument`, `already_exists` with the product that has the SKU,
            /// `version_mismatch`, `contention`, `unavailable`.
            fn put_product[PutProduct] -> PutOutcome = PutProduct;

            /// Makes or replaces many products that are in hand at once, as an import
            /// does: each as [`Engine::put_product`] does, and one result for each in
            /// the same order. They are written many at a time, in no order: one that
            /// needs another's SKU goes into a later call.
            ///
            /// # Errors
            /// Those of [`Engine::put_product`], for each request; as a whole:
            /// `misuse`, or `unavailable` when the runtime has ended.
            fn put_products(requests: Vec<PutProduct>) -> Vec<Result<PutOutcome>> = PutProducts;

            /// Changes what it names of a product, archives it or lets it be sold
            /// again. What was held or ordered before stays as it was.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `already_exists` with the product that
            /// has the SKU, `version_mismatch`, `contention`, `unavailable`.
            fn change_product[ProductChange] -> Product = ChangeProduct;

            /// Receives goods or writes them off, and returns the product after it.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `insufficient_stock` when stock would
            /// go below zero, `version_mismatch`, `idempotency_mismatch`,
            /// `contention`, `unavailable`.
            fn adjust_stock[StockAdjustment] -> Replayable<Product> = AdjustStock;

            /// Holds units of one product for a short time.
            ///
            /// # Errors
            /// `invalid_argument`, `quantity_limit`, `not_found`, `not_on_sale`,
            /// `insufficient_stock`, `idempotency_mismatch`, `contention`,
            /// `unavailable`.
            fn create_hold[HoldRequest] -> Replayable<Hold> = CreateHold;

            /// Holds several products, all or none, and returns a cart with one hold
            /// for each product by ascending product id.
            ///
            /// # Errors
            /// As [`Engine::create_hold`]; `insufficient_stock` names every short line.
            fn create_holds[CartRequest] -> Replayable<Cart> = CreateHolds;

            /// Holds units for many requests that are in hand at once: each on its
            /// own, as [`Engine::create_hold`] does, and one result for each in the
            /// same order. The caller waits and is woken once for all of them.
            ///
            /// # Errors
            /// Those of [`Engine::create_hold`], for each request; as a whole:
            /// `misuse`, or `unavailable` when the runtime has ended.
            fn create_hold_batch(requests: Vec<HoldRequest>) -> Vec<Result<Replayable<Hold>>>
                = CreateHoldBatch;

            /// Returns a hold's units to stock. Takes the hold's id, or a
            /// [`ReleaseRequest`], which can show its token. A hold that has ended
            /// already stays as it is.
            ///
            /// # Errors
            /// `not_found`, `unauthorized` for a token that is wrong or missing,
            /// `hold_already_used` when it became an order, `contention`,
            /// `unavailable`.
            fn release_hold[ReleaseRequest] -> Hold = ReleaseHold;

            /// Makes an active hold live longer, up to the `hold_ttl_max` setting.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `unauthorized` for a token that is
            /// wrong or missing, `hold_expired` (also when it was released),
            /// `hold_already_used`, `contention`, `unavailable`.
            fn extend_hold[ExtendRequest] -> Hold = ExtendHold;

            /// Gives an active hold another quantity, and returns it. More units are
            /// taken from stock, or the hold stays as it is; fewer return the others
            /// at once. The end and the token stay.
            ///
            /// # Errors
            /// `invalid_argument` (also for 0), `quantity_limit`, `not_found`,
            /// `unauthorized` for a token that is wrong or missing, `not_on_sale` (for
            /// more units), `insufficient_stock` with the units beyond those held,
            /// `hold_expired` (also when it was released), `hold_already_used`,
            /// `idempotency_mismatch`, `contention`, `unavailable`.
            fn change_quantity[ChangeQuantityRequest] -> Replayable<Hold> = ChangeQuantity;

            /// Reads a cart: its holds as they stand now.
            ///
            /// # Errors
            /// `not_found`, `unavailable`.
            fn cart(id: CartId) -> Cart = Cart;

            /// Releases the active holds of a cart, and returns it. The status of each
            /// hold says whether it was released, expired or became an order. Takes
            /// the cart's id, or a [`ReleaseCartRequest`], which can show its token.
            ///
            /// # Errors
            /// `not_found`, `unauthorized` for a token that is wrong or missing,
            /// `contention`, `unavailable`.
            fn release_cart[ReleaseCartRequest] -> Cart = ReleaseCart;

            /// Makes all holds of a cart live longer, up to the `hold_ttl_max` setting,
            /// or none: they share an end after it.
            ///
            /// # Errors
            /// Those of [`Engine::extend_hold`], for the first hold that is not
            /// active.
            fn extend_cart[ExtendCartRequest] -> Cart = ExtendCart;

            /// Reads a hold as it stands now.
            ///
            /// # Errors
            /// `not_found`, `unavailable`.
            fn hold(id: HoldId) -> Hold = Hold;

            /// Reads holds as they stand now, by ascending id. Takes a [`HoldQuery`],
            /// which can name a customer, a product, a status and times.
            ///
            /// # Errors
            /// `invalid_argument` for another limit than 1 to 1,000 (also for a customer
            /// that no hold can have), `unavailable`.
            fn holds[HoldQuery] -> HoldPage = Holds;

            /// Turns active holds into one order, all or none. Payment events that came
            /// before it are applied at once, so the order may be paid or cancelled
            /// already.
            ///
            /// # Errors
            /// `invalid_argument` (also for products of several currencies), `not_found`,
            /// `unauthorized` for a token that is wrong or missing, `product_mismatch`,
            /// `hold_expired` (also when it was released), `hold_already_used` with the
            /// order that used it, `already_exists` with the order that has the
            /// reference, `idempotency_mismatch`, `contention`, `unavailable`. Of several
            /// holds the first that cannot be used decides; [`Error::holds`] names all.
            fn create_order[OrderRequest] -> Replayable<Order> = CreateOrder;

            /// Lets a pending order be paid until later, up to the `payment_ttl_max`
            /// setting after its creation.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `already_paid`, `order_cancelled`,
            /// `contention`, `unavailable`.
            fn extend_order[ExtendOrderRequest] -> Order = ExtendOrder;

            /// Cancels a pending order for good and returns its units to stock. Takes the
            /// order's id, or a [`CancelRequest`], which can say why. An order that is
            /// cancelled already stays as it is.
            ///
            /// # Errors
            /// `not_found`, `already_paid`, `contention`, `unavailable`.
            fn cancel_order[CancelRequest] -> Order = CancelOrder;

            /// Gives back money of a paid order, units of it, or both; or settles money
            /// that must be refunded.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `not_paid`, `refund_too_large`,
            /// `idempotency_mismatch`, `contention`, `unavailable`.
            fn refund_order[RefundRequest] -> Replayable<Order> = RefundOrder;

            /// Sells returned units of a refunded order again.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `nothing_returned`,
            /// `idempotency_mismatch`, `contention`, `unavailable`.
            fn restock_order[RestockRequest] -> Replayable<Order> = RestockOrder;

            /// Ties a provider's own name of a payment to an order.
            ///
            /// # Errors
            /// `invalid_argument`, `not_found`, `already_exists` with the order that has
            /// the name, `contention`, `unavailable`.
            fn set_payment_reference[PaymentReference] -> Order = SetPaymentReference;

            /// Finds the order to which a provider's name of a payment is tied.
            ///
            /// # Errors
            /// `not_found`, `unavailable`.
            fn order_by_payment(provider: String, reference: String) -> Order = OrderByPayment;

            /// Finds the order with the shop's own number.
            ///
            /// # Errors
            /// `not_found`, `unavailable`.
            fn order_by_reference(reference: String) -> Order = OrderByReference;

            /// Reads an order as it stands now.
            ///
            /// # Errors
            /// `not_found`, `unavailable`.
            fn order(id: OrderId) -> Order = Order;

            /// Reads orders as they stand now, by ascending id. Takes an [`OrderQuery`],
            /// which says which ones.
            ///
            /// # Errors
            /// `invalid_argument` for another limit than 1 to 1,000 (also for a customer
            /// or a reference that no order can have), `unavailable`.
            fn orders[OrderQuery] -> OrderPage = Orders;

            /// Records a payment provider's event on an order: once for each key
            /// however often it is delivered, and also before the order exists.
            ///
            /// # Errors
            /// `invalid_argument` (also for a token that is not the order's),
            /// `idempotency_mismatch`, `contention`, `unavailable`.
            fn record_payment[PaymentEvent] -> Replayable<PaymentReceipt> = RecordPayment;

            /// Reads up to `limit` (1 to 1,000) payment events that wait for their order,
            /// the oldest first. `after` is the `next` of the page before.
            ///
            /// # Errors
            /// `invalid_argument` for another limit or another `after`, `unavailable`.
            fn waiting_payments(after: Option<String>, limit: u32) -> WaitingPaymentPage
                = WaitingPayments;

            /// Takes the payment event with this idempotency key from those that wait for
            /// their order, and returns it: it stays recorded, and is never applied.
            ///
            /// # Errors
            /// `not_found` if no event with this key waits, `unavailable`.
            fn remove_waiting_payment(key: String) -> WaitingPayment = RemoveWaitingPayment;

            /// Replaces a customer's name wherever the store keeps it: in holds, orders,
            /// events and the answers kept under idempotency keys. A request that names
            /// them from now on is of a new customer. A name that is not known is no
            /// error: nothing is erased.
            ///
            /// # Errors
            /// `invalid_argument`, `unavailable`.
            fn erase_customer(customer: String) -> Erased = EraseCustomer;

            /// Expires all holds and orders that are due now, without waiting for
            /// the sweeper.
            ///
            /// # Errors
            /// `contention`, `unavailable`.
            fn sweep() -> SweepReport = Sweep;

            /// Compares all of the store's numbers with each other, in one snapshot.
            ///
            /// # Errors
            /// `unavailable`.
            fn audit() -> AuditReport = Audit;

            /// Reads up to `limit` (1 to 10,000) events after `cursor`, 0 for the first.
            ///
            /// # Errors
            /// `invalid_argument` for another limit, `unavailable`.
            fn events_after(cursor: u64, limit: u32) -> Vec<Event> = EventsAfter;

            /// Checks that the store is reachable and has its tables.
            ///
            /// # Errors
            /// `unavailable`.
            fn ping() -> () = Ping;
        }
    };
}
pub(crate) use operations;

macro_rules! define_call {
    ($($(#[$doc:meta])* fn $name:ident $([$request:ty])? $(($($arg:ident: $kind:ty),*))?
        -> $answer:ty = $Variant:ident;)*) => {
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        pub(crate) enum Request {
            $($Variant $(($request))? $({ $($arg: $kind),* })?,)*
        }

        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Response {
            $($Variant($answer),)*
        }

        #[cfg(any(feature = "remote", test))]
        impl Request {
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Variant { .. } => stringify!($name),)*
                }
            }
        }
    };
}
operations!(define_call);

#[cfg(any(feature = "remote", test))]
impl Request {
    /// Whether executing the request twice has another effect than executing
    /// it once: it makes something and its caller gave no idempotency key.
    /// A payment event without a key has one derived from its fields.
    pub fn needs_key(&self) -> bool {
        match self {
            Self::CreateProduct(request) => request.key.is_none(),
            Self::PutProduct(_) | Self::PutProducts { .. } | Self::ChangeProduct(_) => true,
            Self::AdjustStock(request) => request.key.is_none(),
            Self::CreateHold(request) => request.key.is_none(),
            Self::CreateHolds(request) => request.key.is_none(),
            Self::CreateHoldBatch { requests } => requests.iter().any(|one| one.key.is_none()),
            Self::CreateOrder(request) => request.key.is_none(),
            Self::RefundOrder(request) => request.key.is_none(),
            Self::RestockOrder(request) => request.key.is_none(),
            // Executed again after another change, it would undo that one.
            Self::ChangeQuantity(request) => request.key.is_none(),
            _ => false,
        }
    }
}

impl Response {
    /// The error of a response that belongs to another operation.
    pub fn mismatch(&self, request: &str) -> Error {
        Error::new(ErrorKind::Internal, format!("the response to `{request}` was {self:?}"))
    }
}

/// Makes a request that a client may send more than once execute at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// The idempotency key, drawn by the client before it first sends the request.
    pub key: Token,
    /// Whether an earlier attempt may have been executed.
    pub is_retry: bool,
}

impl Retry {
    /// Returns that of the request at `index` of a batch call. The keys of one
    /// client differ in 80 random bits, so that ranges do not meet.
    pub fn of_item(self, index: usize) -> Self {
        Self { key: Token(self.key.0.wrapping_add(index as u128)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_serializes_as_its_operation_and_arguments() {
        for (request, json) in [
            (Request::Ping {}, r#"{"ping":{}}"#),
            (Request::Hold { id: HoldId(7) }, r#"{"hold":{"id":7}}"#),
            (
                Request::ReleaseHold(ReleaseRequest::new(7)),
                r#"{"release_hold":{"hold_id":7,"token":null}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&request).expect("JSON"), json);
            assert!(json.starts_with(&format!(r#"{{"{}":"#, request.name())));
            let read: Request = serde_json::from_str(json).expect("reads");
            assert_eq!(read.name(), request.name());
        }
    }

    #[test]
    fn only_requests_that_make_something_without_a_key_need_one() {
        assert!(Request::CreateHold(HoldRequest::new(1, 1)).needs_key());
        assert!(!Request::CreateHold(HoldRequest::new(1, 1).key("k")).needs_key());
        assert!(!Request::Product(1.into()).needs_key());
    }
}

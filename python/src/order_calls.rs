//! The calls about orders and payments, which both classes of [`crate::engines`] have.

/// Adds the calls to those of a class, and defines the class.
macro_rules! with_order_calls {
    ($class:ident { $($own:tt)* }) => {
        face!($class {
            $($own)*

            /// Turns active holds into one order, all or none.
            #[pyo3(signature = (
                hold, product_id=None, *, amount=None, currency=None, reference=None,
                payment_ttl=None, key=None, token=None, metadata=None
            ))]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn create_order<'py>(
                slf: &Bound<'py, Self>,
                hold: &Bound<'py, PyAny>,
                product_id: Option<Arg<ProductRef>>,
                amount: Option<Arg<Amount>>,
                currency: Option<Arg<Currency>>,
                reference: Option<String>,
                payment_ttl: Option<Arg<PaymentTtl>>,
                key: Option<String>,
                token: Option<Arg<Token>>,
                metadata: Option<Arg<Metadata>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (mut request, holds) = order_of(hold, read(product_id), read(token))?;
                request.amount = read(amount).map(|amount| amount.0);
                request.currency = read(currency);
                request.reference = reference;
                request.payment_ttl = read(payment_ttl).map(|ttl| ttl.0);
                (request.key, request.metadata) = (key, read(metadata));
                Self::run(slf, Some(holds.as_any()), |core| async move {
                    core.create_order(&request).await
                })
            }

            /// Reads the current state of an order.
            fn order<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.order(order_id.0).await })
            }

            /// Finds the order with the shop's own number.
            fn order_by_reference<'py>(
                slf: &Bound<'py, Self>,
                reference: String,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.order_by_reference(reference).await })
            }

            /// Finds the order to which a provider's name of a payment is tied.
            fn order_by_payment<'py>(
                slf: &Bound<'py, Self>,
                provider: String,
                reference: String,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move {
                    core.order_by_payment(provider, reference).await
                })
            }

            /// Lets a pending order be paid until later.
            #[pyo3(signature = (order_id, ttl=None))]
            fn extend_order<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
                ttl: Option<Arg<Duration>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = ExtendOrderRequest::new(order_id.0);
                request.ttl = read(ttl);
                Self::run(slf, None, |core| async move { core.extend_order(request).await })
            }

            /// Cancels a pending order for good.
            #[pyo3(signature = (order_id, *, reason=None))]
            fn cancel_order<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
                reason: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = CancelRequest::new(order_id.0);
                request.reason = reason;
                Self::run(slf, None, |core| async move { core.cancel_order(request).await })
            }

            /// Refunds a paid order: money, units, or both.
            #[pyo3(signature = (
                order_id, *, lines=None, amount=None, restock=false, owed=false, reason=None,
                key=None
            ))]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn refund_order<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
                lines: Option<Arg<Units>>,
                amount: Option<Arg<Amount>>,
                restock: bool,
                owed: bool,
                reason: Option<String>,
                key: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = RefundRequest::new(order_id.0);
                request.lines = read(lines).map_or_else(Vec::new, |units| units.0);
                request.amount = read(amount).map(|amount| amount.0);
                (request.restock, request.owed) = (restock, owed);
                (request.reason, request.key) = (reason, key);
                Self::run(slf, None, |core| async move { core.refund_order(request).await })
            }

            /// Sells returned units of a refunded order again.
            #[pyo3(signature = (order_id, *, lines=None, key=None))]
            fn restock_order<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
                lines: Option<Arg<Units>>,
                key: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = RestockRequest::new(order_id.0);
                request.lines = read(lines).map_or_else(Vec::new, |units| units.0);
                request.key = key;
                Self::run(slf, None, |core| async move { core.restock_order(request).await })
            }

            /// Ties a provider's own name of a payment to an order.
            fn set_payment_reference<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
                provider: String,
                reference: String,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = PaymentReference::new(order_id.0, provider, reference);
                Self::run(slf, None, |core| async move {
                    core.set_payment_reference(request).await
                })
            }

            /// Applies a payment provider's event to its order.
            #[pyo3(signature = (
                outcome, *, order_id=None, payment_token=None, order_reference=None,
                amount=None, currency=None, payment_reference=None, key=None
            ))]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn record_payment<'py>(
                slf: &Bound<'py, Self>,
                outcome: Arg<Outcome>,
                order_id: Option<Arg<OrderId>>,
                payment_token: Option<Arg<PaymentToken>>,
                order_reference: Option<String>,
                amount: Option<Arg<Amount>>,
                currency: Option<Arg<Currency>>,
                payment_reference: Option<String>,
                key: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (order_id, token) = (read(order_id), read(payment_token));
                let references = (order_reference, payment_reference);
                let mut event = payment_of(outcome.0, order_id, token, references)?;
                event.amount = read(amount).map(|amount| amount.0);
                (event.currency, event.key) = (read(currency), key);
                Self::run(slf, None, |core| async move { core.record_payment(&event).await })
            }
        });
    };
}
pub(crate) use with_order_calls;

//! The calls about lists, waiting payments and customers, which both classes of
//! [`crate::engines`] have.

/// Adds the calls to those of a class, and goes on with those about products.
macro_rules! with_list_calls {
    ($class:ident { $($own:tt)* }) => {
        with_product_calls!($class {
            $($own)*

            /// Reads one page of holds by ascending id.
            #[pyo3(
                signature = (
                    *, customer=None, product_id=None, status=None, created_after=None,
                    created_before=None, after=None, limit=Arg(Limit(PAGE))
                ),
                text_signature = "($self, *, customer=None, product_id=None, status=None, \
                                  created_after=None, created_before=None, after=None, \
                                  limit=100)"
            )]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn holds<'py>(
                slf: &Bound<'py, Self>,
                customer: Option<String>,
                product_id: Option<Arg<ProductRef>>,
                status: Option<Arg<HoldStatus>>,
                created_after: Option<Arg<CreatedAfter>>,
                created_before: Option<Arg<CreatedBefore>>,
                after: Option<Arg<HoldId>>,
                limit: Arg<Limit>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut query = HoldQuery::new(limit.0.0);
                (query.customer, query.product) = (customer, read(product_id));
                (query.status, query.after) = (read(status), read(after));
                query.created_after = read(created_after).map(Into::into);
                query.created_before = read(created_before).map(Into::into);
                Self::run(slf, None, |core| async move { core.holds(query).await })
            }

            /// Reads one page of orders by ascending id.
            #[pyo3(
                signature = (
                    *, customer=None, product_id=None, status=None, disposition=None,
                    reference=None, payment_reference=None, created_after=None,
                    created_before=None, after=None, limit=Arg(Limit(PAGE))
                ),
                text_signature = "($self, *, customer=None, product_id=None, status=None, \
                                  disposition=None, reference=None, payment_reference=None, \
                                  created_after=None, created_before=None, after=None, \
                                  limit=100)"
            )]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn orders<'py>(
                slf: &Bound<'py, Self>,
                customer: Option<String>,
                product_id: Option<Arg<ProductRef>>,
                status: Option<Arg<OrderStatus>>,
                disposition: Option<Arg<PaymentDisposition>>,
                reference: Option<String>,
                payment_reference: Option<String>,
                created_after: Option<Arg<CreatedAfter>>,
                created_before: Option<Arg<CreatedBefore>>,
                after: Option<Arg<OrderId>>,
                limit: Arg<Limit>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut query = OrderQuery::new(limit.0.0);
                (query.customer, query.product) = (customer, read(product_id));
                (query.status, query.disposition) = (read(status), read(disposition));
                (query.reference, query.payment_reference) = (reference, payment_reference);
                query.created_after = read(created_after).map(Into::into);
                query.created_before = read(created_before).map(Into::into);
                query.after = read(after);
                Self::run(slf, None, |core| async move { core.orders(query).await })
            }

            /// Reads one page of payment events that wait for their order.
            #[pyo3(
                signature = (after=None, limit=Arg(Limit(PAGE))),
                text_signature = "($self, after=None, limit=100)"
            )]
            fn waiting_payments<'py>(
                slf: &Bound<'py, Self>,
                after: Option<String>,
                limit: Arg<Limit>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move {
                    core.waiting_payments(after, limit.0.0).await
                })
            }

            /// Takes a payment event from those that wait for their order.
            fn remove_waiting_payment<'py>(
                slf: &Bound<'py, Self>,
                key: String,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.remove_waiting_payment(key).await })
            }

            /// Replaces a customer's name wherever the store keeps it.
            fn erase_customer<'py>(
                slf: &Bound<'py, Self>,
                customer: String,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.erase_customer(customer).await })
            }
        });
    };
}
pub(crate) use with_list_calls;

//! The calls about products, which both classes of [`crate::engines`] have.

/// Adds the calls to those of a class, and goes on with those about orders.
macro_rules! with_product_calls {
    ($class:ident { $($own:tt)* }) => {
        with_order_calls!($class {
            $($own)*

            /// Reads a product, from the cache if the entry is fresh.
            fn product<'py>(
                slf: &Bound<'py, Self>,
                product_id: Arg<ProductRef>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.product(product_id.0).await })
            }

            /// Reads one page of products by ascending id.
            #[pyo3(
                signature = (after=None, limit=Arg(Limit(PAGE))),
                text_signature = "($self, after=None, limit=100)"
            )]
            fn products<'py>(
                slf: &Bound<'py, Self>,
                after: Option<Arg<ProductId>>,
                limit: Arg<Limit>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let after = read(after);
                Self::run(slf, None, |core| async move { core.products(after, limit.0.0).await })
            }

            /// Creates a product.
            #[pyo3(
                signature = (
                    name, price, stock=Arg(Stock(0)), *, id=None, sku=None, currency=None,
                    metadata=None, on_sale_from=None, on_sale_until=None,
                    safety_stock=Arg(SafetyStock(0)), key=None
                ),
                text_signature = "($self, name, price, stock=0, *, id=None, sku=None, \
                                  currency=None, metadata=None, on_sale_from=None, \
                                  on_sale_until=None, safety_stock=0, key=None)"
            )]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn create_product<'py>(
                slf: &Bound<'py, Self>,
                name: String,
                price: Arg<Money>,
                stock: Arg<Stock>,
                id: Option<Arg<NewId>>,
                sku: Option<Arg<Sku>>,
                currency: Option<Arg<Currency>>,
                metadata: Option<Arg<Metadata>>,
                on_sale_from: Option<Arg<OnSaleFrom>>,
                on_sale_until: Option<Arg<OnSaleUntil>>,
                safety_stock: Arg<SafetyStock>,
                key: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = NewProduct::new(name, price.0, stock.0.0);
                request.id = read(id).map(|id| ProductId(id.0));
                request.sku = read(sku).map(|sku| sku.0);
                (request.currency, request.metadata) = (read(currency), read(metadata));
                request.on_sale_from = read(on_sale_from).map(Into::into);
                request.on_sale_until = read(on_sale_until).map(Into::into);
                (request.safety_stock, request.key) = (safety_stock.0.0, key);
                Self::run(slf, None, |core| async move { core.create_product(&request).await })
            }

            /// Makes a product, or replaces what it is.
            #[pyo3(
                signature = (
                    product, name, price, *, currency=None, sku=None, metadata=None,
                    on_sale_from=None, on_sale_until=None, safety_stock=Arg(SafetyStock(0)),
                    stock=None, version=None
                ),
                text_signature = "($self, product, name, price, *, currency=None, sku=None, \
                                  metadata=None, on_sale_from=None, on_sale_until=None, \
                                  safety_stock=0, stock=None, version=None)"
            )]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn put_product<'py>(
                slf: &Bound<'py, Self>,
                product: Arg<ProductRef>,
                name: String,
                price: Arg<Money>,
                currency: Option<Arg<Currency>>,
                sku: Option<Arg<Sku>>,
                metadata: Option<Arg<Metadata>>,
                on_sale_from: Option<Arg<OnSaleFrom>>,
                on_sale_until: Option<Arg<OnSaleUntil>>,
                safety_stock: Arg<SafetyStock>,
                stock: Option<Arg<Stock>>,
                version: Option<Arg<Version>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = PutProduct::new(product.0, name, price.0);
                (request.currency, request.metadata) = (read(currency), read(metadata));
                request.sku = read(sku).map(|sku| sku.0);
                request.on_sale_from = read(on_sale_from).map(Into::into);
                request.on_sale_until = read(on_sale_until).map(Into::into);
                request.safety_stock = safety_stock.0.0;
                request.stock = read(stock).map(|units| units.0);
                request.version = read(version).map(|version| version.0);
                Self::run(slf, None, |core| async move { core.put_product(&request).await })
            }

            /// Makes or replaces many products by one call, each on its own.
            fn put_products<'py>(
                slf: &Bound<'py, Self>,
                requests: Arg<Puts>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (requests, rejected) = requests.0.0.split();
                Self::run(slf, None, |core| async move {
                    let results = core.put_products(requests).await?;
                    Ok(Results::merge(rejected, results))
                })
            }

            /// Changes what is given of a product, archives it or sells it again.
            #[pyo3(
                signature = (
                    product, *, name=None, price=None, currency=None,
                    sku=Arg(Given::Nothing), metadata=Arg(Given::Nothing),
                    on_sale_from=Arg(Given::Nothing), on_sale_until=Arg(Given::Nothing),
                    safety_stock=None, archived=None, stock=None, version=None
                ),
                text_signature = "($self, product, *, name=None, price=None, currency=None, \
                                  sku=..., metadata=..., on_sale_from=..., \
                                  on_sale_until=..., safety_stock=None, archived=None, \
                                  stock=None, version=None)"
            )]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn change_product<'py>(
                slf: &Bound<'py, Self>,
                product: Arg<ProductRef>,
                name: Option<String>,
                price: Option<Arg<Money>>,
                currency: Option<Arg<Currency>>,
                sku: Arg<Given<Sku>>,
                metadata: Arg<Given<Metadata>>,
                on_sale_from: Arg<Given<OnSaleFrom>>,
                on_sale_until: Arg<Given<OnSaleUntil>>,
                safety_stock: Option<Arg<SafetyStock>>,
                archived: Option<bool>,
                stock: Option<Arg<Stock>>,
                version: Option<Arg<Version>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut change = ProductChange::new(product.0);
                (change.name, change.price, change.currency) = (name, read(price), read(currency));
                change.sku = sku.0.change(|sku| sku.0);
                change.metadata = metadata.0.change(|metadata| metadata);
                change.on_sale_from = on_sale_from.0.change(Into::into);
                change.on_sale_until = on_sale_until.0.change(Into::into);
                change.safety_stock = read(safety_stock).map(|units| units.0);
                change.archived = archived;
                change.stock = read(stock).map(|units| units.0);
                change.version = read(version).map(|version| version.0);
                Self::run(slf, None, |core| async move { core.change_product(&change).await })
            }

            /// Adjusts stock: by `delta` units received, or written off if negative;
            /// or to as many units as a count found.
            #[pyo3(
                signature = (
                    product_id, delta=None, reason=String::new(), *, to=None, key=None,
                    version=None
                ),
                text_signature = "($self, product_id, delta=None, reason='', *, to=None, \
                                  key=None, version=None)"
            )]
            fn adjust_stock<'py>(
                slf: &Bound<'py, Self>,
                product_id: Arg<ProductRef>,
                delta: Option<Arg<Delta>>,
                reason: String,
                to: Option<Arg<Counted>>,
                key: Option<String>,
                version: Option<Arg<Version>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = StockAdjustment::new(product_id.0, 0, reason);
                request.delta = read(delta).map(|delta| delta.0);
                request.to = read(to).map(|units| units.0);
                (request.key, request.version) = (key, read(version).map(|version| version.0));
                Self::run(slf, None, |core| async move { core.adjust_stock(&request).await })
            }
        });
    };
}
pub(crate) use with_product_calls;

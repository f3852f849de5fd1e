//! Bounded waits for tests, a product for them, and what a thread logs.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::clock::{StoreClock, SystemClock};
use crate::config::Config;
use crate::ledger::{Changes, Command, IdempotencyKey, NewStock, OrderRow, ProductRow};
use crate::model::{
    Currency, HoldId, Money, Order, OrderId, OrderLine, OrderLines, OrderStatus,
    PaymentDisposition, Product, ProductId, Timestamp, Token, TokenSeed,
};
use crate::store::{Batch, ReadSet, Store, StoreOptions};

/// Far more than a wait takes, also on a busy machine.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// Awaits `work`, and fails the test if that takes longer than [`WAIT_MAX`].
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Polls until `condition` holds, and fails the test as [`in_time`] does.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    in_time(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A product with so many units in stock, at version 1; tests set what they are
/// about: `Product { held: 2, ..lamp(id, 10) }`.
pub(crate) fn lamp(id: ProductId, stock: u64) -> Product {
    let currency = Currency::EUR;
    Product {
        id,
        sku: None,
        name: "Lamp".to_owned(),
        price: Money::from_row(100, currency),
        currency,
        stock,
        in_stock: stock,
        safety_stock: 0,
        held: 0,
        pending: 0,
        sold: 0,
        returned: 0,
        on_sale_from: None,
        on_sale_until: None,
        archived: false,
        metadata: None,
        version: 1,
    }
}

/// Inserts a product into a store, by the batch with this id.
pub(crate) async fn insert_product(store: &dyn Store, product: Product, id: u64) {
    let mut session = store.session().await.expect("a session");
    let now = session.begin(&ReadSet::default()).await.expect("begins").now;
    let received = product.in_stock;
    let row = ProductRow { product, received, fence: 0, next_due: None };
    let changes = &Changes { new_products: vec![row], ..Changes::default() };
    let (seed, fences, is_speculative) = (TokenSeed(0), &BTreeMap::new(), false);
    let batch = Batch { id, now, changes, seed, fences, is_speculative };
    session.commit(&batch).await.expect("inserted");
}

/// A pending order of these holds, with product and units of each, made at the epoch and
/// paid by 1 euro a unit; tests set what they are about.
pub(crate) fn order_of(id: OrderId, lines: &[(HoldId, ProductId, u32)]) -> OrderRow {
    let (currency, created_at) = (Currency::EUR, Timestamp::from_micros(0));
    let units: u32 = lines.iter().map(|(.., quantity)| quantity).sum();
    let mut lines = (1..).zip(lines).map(|(line, (hold_id, product_id, quantity))| OrderLine {
        line,
        hold_id: *hold_id,
        product_id: *product_id,
        sku: None,
        quantity: *quantity,
        price: Money::from_row(100, currency),
        refunded: 0,
        returned: 0,
    });
    let first = lines.next().expect("an order has a line");
    let order = Order {
        id,
        lines: OrderLines::new(first, lines.collect()),
        status: OrderStatus::PendingPayment,
        payment_token: None,
        payment_disposition: PaymentDisposition::None,
        amount: Money::from_row(i64::from(units) * 100, currency),
        currency,
        refunded_amount: Money::ZERO,
        reference: None,
        customer: None,
        metadata: None,
        created_by: None,
        pay_until: None,
        created_at,
        updated_at: created_at,
    };
    OrderRow {
        order,
        secret: Token(2),
        version: 1,
        is_closed: false,
        has_failed_attempt: false,
        paid_by: None,
        other_payments: Vec::new(),
        paid_at: None,
    }
}

/// A command that adjusts the stock by `delta` units.
pub(crate) fn adjustment(
    product_id: ProductId,
    delta: i64,
    version: Option<u64>,
    key: Option<Box<IdempotencyKey>>,
) -> Command {
    let (sku, stock, reason) = (None, NewStock::By(delta), "".into());
    Command::Adjust { product_id, sku, stock, reason, version, key }
}

impl StoreOptions {
    /// One connection to `url`, with long timeouts.
    pub fn at(url: &str) -> Self {
        let config = Config {
            store: url.to_owned(),
            connections: 1,
            store_timeout: Duration::from_secs(30),
            retries: 1,
            ..Config::default()
        };
        let (clock, host) = (Arc::new(StoreClock), Arc::new(SystemClock));
        Self { config, clock, host, clock_steps: Counter::default() }
    }
}

/// Collects what this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("stockade")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

//! Steps that many scenarios take.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Row};
use stockade::{
    Cart, Engine, Event, EventKind, Hold, HoldRequest, Order, OrderId, OrderRequest, Outcome,
    PaymentEvent, PaymentStatus, PaymentToken, ProductId, Result,
};

use crate::world::{Backend, World, numbers};

/// The shortest time there is.
pub const TICK: Duration = Duration::from_micros(1);
/// How long anything that happens in the background may take.
pub const SOON: Duration = Duration::from_secs(30);

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The code of what must be a refusal, made now and not remembered.
#[track_caller]
pub fn code<T: Debug>(result: Result<T>) -> &'static str {
    let error = result.expect_err("a refusal");
    assert!(!error.replayed(), "{error:?} was made now");
    error.code()
}

/// What a later read shows of what a request made: all but the tokens.
pub trait Later {
    fn later(&self) -> Self;
}

impl Later for Hold {
    fn later(&self) -> Self {
        let mut hold = self.clone();
        hold.token = None;
        hold
    }
}

impl Later for Cart {
    fn later(&self) -> Self {
        let mut cart = self.clone();
        cart.token = None;
        cart.holds = cart.holds.iter().map(Later::later).collect();
        cart
    }
}

impl Later for Order {
    fn later(&self) -> Self {
        let mut order = self.clone();
        order.payment_token = None;
        order
    }
}

/// The payment token of an order that was just made.
#[track_caller]
pub fn shown(order: &Order) -> PaymentToken {
    order.payment_token.expect("an order that is made shows its token")
}

/// Holds units for the default life.
#[track_caller]
pub fn hold(engine: &Engine, product: ProductId, units: u32) -> Hold {
    engine.create_hold(HoldRequest::new(product, units)).expect("held").value
}

/// Holds units and orders them.
#[track_caller]
pub fn order(engine: &Engine, product: ProductId, units: u32) -> Order {
    let hold = hold(engine, product, units);
    engine.create_order(OrderRequest::new(hold.id, product)).expect("ordered").value
}

/// Delivers an event that was not delivered before.
#[track_caller]
pub fn deliver(engine: &Engine, order: OrderId, outcome: Outcome, key: &str) -> PaymentStatus {
    let event = PaymentEvent::for_order(order, outcome).key(key);
    let answer = engine.record_payment(&event).expect("taken");
    assert!(!answer.replayed, "{key} is new");
    answer.value.status
}

/// The id that the engine's next order gets; ids of one engine follow each
/// other.
pub fn next_order_id(engine: &Engine) -> OrderId {
    let product = crate::world::product(engine, 1);
    OrderId(order(engine, product, 1).id.0 + 1)
}

/// Fails unless every way of reading shows these units in stock, held, pending
/// and sold.
#[track_caller]
pub fn assert_numbers(engine: &Engine, id: ProductId, expected: [u64; 4]) {
    assert_eq!(numbers(engine, id), expected, "on the page");
    let product = engine.product(id).expect("is there");
    let alone = [product.stock, product.held, product.pending, product.sold];
    assert_eq!(alone, expected, "on its own");
}

/// All events there are, but for those that products were made.
pub fn all_events(engine: &Engine) -> Vec<Event> {
    let mut events = every_event(engine);
    events.retain(|event| event.kind != EventKind::ProductCreated);
    events
}

/// All events there are.
pub fn every_event(engine: &Engine) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.cursor);
        let page = engine.events_after(after, 1_000).expect("reads");
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// What happened to a product since goods were first received, as kind and
/// units.
pub fn story(engine: &Engine, product: ProductId) -> Vec<(&'static str, i64)> {
    let events = all_events(engine);
    let of_product = events.iter().filter(|event| event.product_id == product);
    let received = |event: &&Event| event.kind == EventKind::StockAdjusted;
    let later = of_product.skip_while(|event| !received(event)).skip(1);
    later.map(|event| (event.kind.as_str(), event.quantity)).collect()
}

/// Runs SQL behind the engine's back and returns what it selects, as text.
pub fn sql(world: &World, statements: &str) -> Vec<Vec<String>> {
    let of_tables = ["CREATE ", "ALTER ", "DROP ", "_stockade_migrations"];
    if of_tables.iter().any(|words| statements.contains(words)) {
        world.spoil();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let text = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
    runtime.expect("a runtime").block_on(async {
        match world.backend {
            Backend::SqliteMemory => panic!("no one else can reach it"),
            Backend::SqliteFile => {
                let options = sqlx::sqlite::SqliteConnectOptions::from_str(&world.url);
                let options = options.expect("a URL").busy_timeout(SOON);
                let connection = sqlx::SqliteConnection::connect_with(&options).await;
                let mut connection = connection.expect("connects");
                let rows = text.fetch_all(&mut connection).await.expect("runs");
                connection.close().await.expect("closes");
                rows.iter().map(texts).collect()
            }
            _ => {
                let connection = sqlx::MySqlConnection::connect(&world.url).await;
                let mut connection = connection.expect("connects");
                let rows = text.fetch_all(&mut connection).await.expect("runs");
                connection.close().await.expect("closes");
                rows.iter().map(texts).collect()
            }
        }
    })
}

fn texts<'r, R>(row: &'r R) -> Vec<String>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    (0..row.len()).map(|at| row.get(at)).collect()
}

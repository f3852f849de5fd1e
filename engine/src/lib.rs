//! Stockade reserves stock: hold, order, payment, and expiry, without ever
//! selling a unit twice or losing one.
//!
//! ```
//! use stockade::{Engine, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent};
//!
//! let engine = Engine::open("sqlite::memory:")?;
//! let lamp = engine.create_product(&NewProduct::new("Lamp", "19.99".parse()?, 5))?;
//!
//! // Two units are kept for this buyer for two minutes.
//! let hold = engine.hold(&HoldRequest::new(lamp.id, 2))?;
//! assert_eq!(engine.product(lamp.id)?.stock, 3);
//!
//! // The hold becomes an order, and the payment provider says how it ended.
//! let order = engine.order(&OrderRequest::new(hold.id, lamp.id))?;
//! engine.payment(&PaymentEvent::for_order(order.id, Outcome::Success).key("evt-1"))?;
//! assert_eq!(engine.product(lamp.id)?.sold, 2);
//! assert!(engine.audit()?.consistent);
//! engine.close()?;
//! # Ok::<(), stockade::Error>(())
//! ```
//!
//! [`Engine`] is for threads and [`AsyncEngine`] for tokio; both have the same
//! calls. The store is chosen by URL: `sqlite:shop.db`, `sqlite::memory:` or
//! `mysql://…`, the last with `redis://…` for lock and cache if there is one.
//! [`Config::SETTINGS`] lists everything else that can be set.
//!
//! # One engine for many processes
//!
//! Processes that serve one request at a time, as those of PHP-FPM or gunicorn
//! do, would each lead a batch of one. They open the URL of a running engine
//! instead, of a `stockade serve --unix /run/stockade.sock`:
//! `unix:///run/stockade.sock`, or `http://:KEY@HOST:PORT` with that server's
//! API key (unencrypted, so over a trusted network only), or `https://…` where a
//! proxy before the server ends TLS and speaks HTTP/2. All of a process's
//! calls share one connection, and those of all processes are combined where
//! they arrive. Calls, answers and errors are the same. What differs:
//!
//! - Settings are the running engine's. One that was changed here and would do
//!   nothing is refused with `invalid_argument`; `queue_limit`,
//!   `remote_timeout` and `remote_reconnect` are this side's own.
//! - `metrics_text` shows this side's connection.
//! - `remote_timeout` bounds `audit` and `sweep`, too; on a large store they may
//!   need a longer one.
//! - A connection lost in the middle of a call is opened anew and the call sent
//!   again. What must not be done twice carries an idempotency key, the
//!   caller's or one drawn for it, so it is not. A caller's key that has to be
//!   sent twice may be answered as `replayed`, although no earlier call of the
//!   caller's used it.
//! - `unavailable` after that says the same of any call: nothing is half done,
//!   but it may have been done whole. A hold that nobody heard of expires.
//!
//! Every failure is an [`Error`] with a stable [`code`](Error::code), and
//! [`Error::retry_after`] says whether trying again makes sense.

/// Tells a test that this place is passed; nothing without `failpoints`.
macro_rules! failpoint {
    ($at:ident) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoints::pass($crate::failpoints::Failpoint::$at);
    };
}

mod audit;
mod backend;
mod cache;
mod call;
mod clock;
mod combiner;
mod config;
mod engine;
mod error;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub mod failpoints;
mod ledger;
mod lifecycle;
mod local;
mod lock;
mod metrics;
mod model;
mod process_shared;
mod product_index;
mod redis_connection;
#[cfg(feature = "remote")]
mod remote;
mod rpc;
mod runtime;
#[cfg(test)]
mod simulation;
mod sold_out;
mod store;
mod sweeper;
mod sweeper_waker;
mod tls;

pub use audit::{AuditReport, Check, Finding, Units};
pub use clock::{Clock, StoreClock};
pub use config::{Config, LatePayment, Migrate, Setting};
pub use engine::{AsyncEngine, Engine, EngineBuilder, migrate};
pub use error::{Error, ErrorKind, Result};
pub use model::{
    CartRequest, Event, EventKind, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus,
    InvalidArgument, Money, NewProduct, Order, OrderId, OrderRequest, OrderStatus, Outcome,
    PaymentAnswer, PaymentDisposition, PaymentEvent, PaymentToken, Product, ProductId, ProductPage,
    ReleaseRequest, Replayable, ShortLine, StockAdjustment, Timestamp, Token, parse_bool,
    parse_duration, parse_quantity,
};
pub use rpc::RemoteCall;
pub use sweeper::SweepReport;

/// The README's example is run as those of the documentation are.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

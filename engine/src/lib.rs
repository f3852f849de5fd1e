//! Stockade is a stock reservation engine: hold, order, payment and expiry, without
//! ever selling a unit twice or losing one.
//!
//! ```
//! use stockade::{Engine, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent};
//!
//! let engine = Engine::open("sqlite::memory:")?;
//! let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
//!
//! // Two units are reserved for this buyer for two minutes.
//! let hold = engine.create_hold(HoldRequest::new(lamp.id, 2))?.value;
//! assert_eq!(engine.product(lamp.id)?.stock, 3);
//!
//! // The hold becomes an order, and the payment provider reports the outcome.
//! let order = engine.create_order(OrderRequest::new(hold.id, lamp.id))?.value;
//! engine.record_payment(PaymentEvent::for_order(order.id, Outcome::Success).key("evt-1"))?;
//! assert_eq!(engine.product(lamp.id)?.sold, 2);
//! assert!(engine.audit()?.consistent);
//! engine.close()?;
//! # Ok::<(), stockade::Error>(())
//! ```
//!
//! [`Engine`] is blocking and [`AsyncEngine`] is for Tokio; both have the same
//! calls. A URL selects the store: `sqlite:shop.db`, `sqlite::memory:` or
//! `mysql://…`, the last optionally with `redis://…` for lock and cache.
//! [`Config::SETTINGS`] lists all settings.
//!
//! # One engine for many processes
//!
//! Processes that serve one request at a time, such as those of PHP-FPM or gunicorn,
//! would each commit batches of one. They connect to a running engine instead, for
//! example one of `stockade serve --unix /run/stockade.sock`: by
//! `unix:///run/stockade.sock`, by `http://:KEY@HOST:PORT` with that server's API key
//! (unencrypted, so over a trusted network only), or by `https://…` where a proxy
//! terminates TLS and speaks HTTP/2. All calls of a process share one connection,
//! and the running engine commits those of all processes in groups. Calls, results
//! and errors are the same. What differs:
//!
//! - Settings are those of the running engine; another one that was changed here is
//!   refused with `invalid_argument`. `queue_limit`, `remote_timeout`,
//!   `remote_reconnect` and `remote_ca` are the client's own. `sweeper` may be set
//!   and has no effect, because a client never sweeps.
//! - `metrics_text` shows the client's connection.
//! - `remote_timeout` applies to `audit` and `sweep`, too; on a large store they may
//!   need a longer one.
//! - After a lost connection the client reconnects and resends the call. A call that
//!   must take effect once carries an idempotency key, the caller's or one that the
//!   client draws. A caller's key that was resent may be answered as `replayed`,
//!   although no earlier call of the caller used it.
//! - `unavailable` after that leaves the call in doubt: it took effect as a whole or
//!   not at all. A hold whose response was lost expires.
//!
//! # Cargo features
//!
//! All but the last two are enabled by default. A URL whose feature is left out is
//! refused with `invalid_argument`, which names the feature.
//!
//! | feature | enables |
//! |---|---|
//! | `sqlite` | stores in SQLite, which is compiled in: `sqlite:FILE`, `sqlite::memory:` |
//! | `mysql` | stores in MySQL and MariaDB: `mysql://…` |
//! | `redis` | lock and cache in Redis |
//! | `remote` | opening a running engine: `unix://…`, `http://…` |
//! | `tls` | TLS to MySQL, Redis and a running engine |
//! | `testing` | hooks for tests: a clock that tests move, on any store; a lock that is granted to all |
//! | `failpoints` | points at which a test ends the process |
//!
//! # Errors
//!
//! Every failure is an [`Error`] with a stable [`code`](Error::code), and
//! [`Error::retry_after`] tells whether to retry.

#![deny(missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "sqlite", feature = "mysql", feature = "redis")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "the features that a build leaves out use parts that the others do not"
    )
)]

/// Passes a failpoint; expands to nothing without the feature `failpoints`.
macro_rules! failpoint {
    ($at:ident) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoints::pass($crate::failpoints::Failpoint::$at);
    };
}

mod audit;
mod backend;
#[cfg(feature = "sqlite")]
mod backup;
mod cache;
mod call;
mod clock;
mod combiner;
mod config;
mod consumers;
mod diagnosis;
mod engine;
mod error;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub mod failpoints;
mod features;
mod ledger;
mod lifecycle;
mod local;
mod lock;
mod mechanisms;
mod metrics;
mod model;
mod process_shared;
mod product_index;
#[cfg_attr(not(feature = "redis"), path = "redis_connection/no_redis.rs")]
mod redis_connection;
#[cfg(feature = "remote")]
mod remote;
mod retention;
mod rpc;
mod runtime;
mod services;
#[cfg(test)]
mod simulation;
mod sku_index;
mod store;
mod sweeper;
mod sweeper_waker;
#[cfg(test)]
mod test_support;
#[cfg(any(feature = "redis", all(feature = "remote", feature = "tls")))]
mod tls;

pub use audit::{AuditReport, Check, Finding, Units};
#[cfg(feature = "sqlite")]
pub use backup::{BackupReport, backup, restore};
#[cfg(feature = "testing")]
pub use clock::{Clock, ManualClock, StoreClock};
pub use config::{ClockSource, Config, LatePayment, Migrate, Setting};
pub use consumers::{
    Acquired, ConsumerChanges, ConsumerPosition, ConsumerStatus, Consumers, EventRow, Lease,
    Undelivered, UndeliveredState,
};
pub use diagnosis::{
    Diagnosis, MySqlFacts, RedisFacts, SqliteFacts, StoreFacts, TableSize, diagnose,
};
pub use engine::{AsyncEngine, Engine, EngineBuilder, migrate};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "bench")]
#[doc(hidden)]
pub use mechanisms::Mechanism;
pub use model::{
    CancelRequest, Cart, CartId, CartLine, CartRequest, Change, ChangeQuantityRequest, Currency,
    Erased, Event, EventKind, ExtendCartRequest, ExtendOrderRequest, ExtendRequest, Hold, HoldId,
    HoldPage, HoldQuery, HoldRequest, HoldStatus, InvalidArgument, LineUnits, Metadata, Money,
    NewProduct, OffSale, Order, OrderId, OrderLine, OrderLines, OrderPage, OrderQuery,
    OrderRequest, OrderStatus, OrderedHold, Outcome, PaymentDisposition, PaymentEvent,
    PaymentReceipt, PaymentReference, PaymentStatus, PaymentToken, Product, ProductChange,
    ProductId, ProductPage, ProductRef, PutOutcome, PutProduct, RefundRequest, ReleaseCartRequest,
    ReleaseRequest, Replayable, ReportedRefund, RestockRequest, ShortLine, StockAdjustment,
    Timestamp, Token, UnusableHold, WaitingPayment, WaitingPaymentPage, parse_bool, parse_duration,
    parse_quantity,
};
pub use rpc::RemoteCall;
pub use sweeper::SweepReport;

/// Runs the README's examples as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

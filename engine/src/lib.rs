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
//! Every failure is an [`Error`] with a stable [`code`](Error::code), and
//! [`Error::retry_after`] says whether trying again makes sense.

mod audit;
mod cache;
mod clock;
mod combiner;
mod config;
mod due_notice;
mod engine;
mod error;
mod ledger;
mod lock;
mod metrics;
mod model;
mod redis_link;
mod routes;
mod siblings;
mod sold_out;
mod store;
mod sweeper;

pub use audit::{AuditReport, Check, Finding, Units};
pub use clock::{Clock, StoreClock};
pub use config::{Config, LatePayment, Setting};
pub use engine::{AsyncEngine, Engine, EngineBuilder, migrate};
pub use error::{Error, ErrorKind, Result};
pub use model::{
    CartRequest, Event, EventKind, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus,
    InvalidArgument, Money, NewProduct, Order, OrderId, OrderRequest, OrderStatus, Outcome,
    PaymentAnswer, PaymentDisposition, PaymentEvent, PaymentToken, Product, ProductId, ProductPage,
    Replayable, ShortLine, StockAdjustment, Timestamp, Token, parse_quantity,
};
pub use sweeper::SweepReport;

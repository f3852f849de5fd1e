//! A store of its own for each test.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use stockade::{
    AsyncEngine, AuditReport, Clock, Engine, EngineBuilder, LatePayment, ManualClock, NewProduct,
    ProductId, Result,
};
use stockade_testkit::{MariaDb, MySql, Program, Redis, SharedSqlServer, SqlServer, TempDb};

use crate::socket::{Sockets, through};

const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// A combination of store, lock and cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    SqliteFile,
    SqliteMemory,
    MariaDb,
    MariaDbRedis,
    MySql,
    MySqlRedis,
    /// With a lock that grants to everyone who asks.
    Granting,
    /// With a Redis that forgets everything every 100 ms.
    Flushed,
}

impl Backend {
    /// Ordered so that the narrower lists are the ends of it.
    pub const ALL: [Self; 8] = [
        Self::SqliteMemory,
        Self::SqliteFile,
        Self::MariaDb,
        Self::MariaDbRedis,
        Self::MySql,
        Self::MySqlRedis,
        Self::Granting,
        Self::Flushed,
    ];

    /// Those on which several engines can open the same store.
    pub const SHARED: &[Self] = Self::ALL.split_at(1).1;

    /// Those with a database server.
    pub const SERVERS: &[Self] = Self::SHARED.split_at(1).1;

    pub fn name(self) -> &'static str {
        match self {
            Self::SqliteFile => "sqlite_file",
            Self::SqliteMemory => "sqlite_memory",
            Self::MariaDb => "mariadb",
            Self::MariaDbRedis => "mariadb_redis",
            Self::MySql => "mysql",
            Self::MySqlRedis => "mysql_redis",
            Self::Granting => "granting_lock",
            Self::Flushed => "flushed_redis",
        }
    }

    /// Returns the programs that it needs.
    pub fn programs(self) -> &'static [Program] {
        match self {
            Self::SqliteFile | Self::SqliteMemory => &[],
            Self::MariaDb => &[Program::MariaDb],
            Self::MySql => &[Program::MySql],
            Self::MariaDbRedis | Self::Granting | Self::Flushed => {
                &[Program::MariaDb, Program::Redis]
            }
            Self::MySqlRedis => &[Program::MySql, Program::Redis],
        }
    }

    /// Whether several engines can open the same store.
    pub fn is_shared(self) -> bool {
        self != Self::SqliteMemory
    }

    pub fn is_mysql(self) -> bool {
        matches!(self, Self::MySql | Self::MySqlRedis)
    }

    /// The database server that tests on this combination share.
    pub fn server(self) -> SharedSqlServer {
        match self.is_mysql() {
            true => MySql::shared(),
            false => MariaDb::shared(),
        }
    }

    /// A database server of the same make for one test.
    pub fn start_server(self) -> SqlServer {
        match self.is_mysql() {
            true => MySql::start(),
            false => MariaDb::start(),
        }
    }
}

/// A Redis of a test's own, emptied every 100 ms until this is dropped.
struct Flushing {
    redis: Arc<Redis>,
    /// Closed, it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flushing {
    fn start() -> Self {
        let redis = Arc::new(Redis::start());
        let (stop, stopped) = mpsc::channel::<()>();
        let flushed = Arc::clone(&redis);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
                flushed.flush();
            }
        });
        Self { redis, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // What it had to say about a failure it has said.
            let _ = thread.join();
        }
    }
}

/// An empty store and a clock that stands still.
pub struct World {
    pub backend: Backend,
    pub url: String,
    /// URL and key prefix.
    pub redis: Option<(String, String)>,
    pub clock: Arc<ManualClock>,
    _file: Option<TempDb>,
    _flushing: Option<Flushing>,
    /// Where engines are served, if tests reach them through a socket.
    pub sockets: Option<Sockets>,
}

impl World {
    pub fn new(backend: Backend) -> Self {
        let file = (backend == Backend::SqliteFile).then(TempDb::new);
        let url = match (&file, backend) {
            (Some(file), _) => file.url(),
            (None, Backend::SqliteMemory) => "sqlite::memory:".to_owned(),
            (None, _) => backend.server().recycled_database(&emptying()),
        };
        let flushing = (backend == Backend::Flushed).then(Flushing::start);
        let redis = match (&flushing, backend) {
            (Some(flushing), _) => Some((flushing.redis.url(), "flushed".to_owned())),
            (None, Backend::MariaDbRedis | Backend::MySqlRedis | Backend::Granting) => {
                let redis = Redis::shared();
                Some((redis.url(), redis.fresh_prefix()))
            }
            _ => None,
        };
        let clock = Arc::new(ManualClock::new());
        Self { backend, url, redis, clock, _file: file, _flushing: flushing, sockets: None }
    }

    /// A world whose engines are reached through a socket each.
    pub fn by_socket(backend: Backend) -> Self {
        Self { sockets: Some(Sockets::new()), ..Self::new(backend) }
    }

    /// Serves an engine for other processes, if this world's are served.
    pub fn serve(&self, builder: EngineBuilder) -> Option<String> {
        Some(self.sockets.as_ref()?.serve(builder).expect("opens"))
    }

    /// The database's name on its server.
    pub fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Keeps the database from a next test: its tables will not be as migrations make them.
    pub fn spoil(&self) {
        if !self.url.starts_with("sqlite") {
            self.backend.server().never_recycle(self.database());
        }
    }

    /// An engine on this store, on the real clock.
    pub fn real_time_builder(&self) -> Builder<'_> {
        let builder = Builder { world: self, own: Engine::builder() }.store(&self.url);
        let builder = match self.backend {
            Backend::Granting => builder.with(EngineBuilder::grant_every_lock),
            _ => builder,
        };
        match &self.redis {
            Some((url, prefix)) => {
                builder.redis(url).set("redis_prefix", prefix).expect("a setting")
            }
            None => builder,
        }
    }

    /// An engine on this store and this world's clock, which does not sweep.
    pub fn builder(&self) -> Builder<'_> {
        self.real_time_builder().clock(Arc::clone(&self.clock) as _).sweeper(false)
    }

    pub fn engine(&self) -> Engine {
        self.builder().open().expect("opens")
    }
}

/// Deletes what tests wrote and writes again what migrations did.
fn emptying() -> String {
    let mut all = String::new();
    for migration in stockade_migrations::mysql().iter() {
        let sql = migration.sql.as_str();
        if let Some((_, made)) = sql.split_once("CREATE TABLE IF NOT EXISTS ") {
            let table = made.split_whitespace().next().unwrap_or_default();
            all.push_str(&format!("DELETE FROM {table};"));
        } else if sql.contains("INSERT ") {
            all.push_str(sql);
        }
    }
    all
}

/// What an engine will be like, wherever it does its work.
#[derive(Clone)]
pub struct Builder<'w> {
    world: &'w World,
    /// What the engine itself is told.
    pub own: EngineBuilder,
}

impl Builder<'_> {
    fn with(mut self, change: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        self.own = change(self.own);
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Result<Self> {
        self.own = self.own.set(name, value)?;
        Ok(self)
    }

    pub fn store(self, url: &str) -> Self {
        self.with(|own| own.store(url))
    }

    pub fn redis(self, url: &str) -> Self {
        self.with(|own| own.redis(url))
    }

    pub fn hold_ttl(self, ttl: Duration) -> Self {
        self.with(|own| own.hold_ttl(ttl))
    }

    pub fn payment_ttl(self, ttl: Duration) -> Self {
        self.with(|own| own.payment_ttl(ttl))
    }

    pub fn max_per_hold(self, units: u32) -> Self {
        self.with(|own| own.max_per_hold(units))
    }

    pub fn late_payment(self, late_payment: LatePayment) -> Self {
        self.with(|own| own.late_payment(late_payment))
    }

    pub fn strict(self, strict: bool) -> Self {
        self.with(|own| own.strict(strict))
    }

    pub fn sweeper(self, sweeper: bool) -> Self {
        self.with(|own| own.sweeper(sweeper))
    }

    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|own| own.clock(clock))
    }

    pub fn open(self) -> Result<Engine> {
        match &self.world.sockets {
            Some(sockets) => through(&sockets.serve(self.own)?).open(),
            None => self.own.open(),
        }
    }

    pub async fn open_async(self) -> Result<AsyncEngine> {
        match &self.world.sockets {
            Some(sockets) => through(&sockets.serve(self.own)?).open_async().await,
            None => self.own.open_async().await,
        }
    }
}

/// Adds a product with this much stock.
pub fn product(engine: &Engine, stock: u64) -> ProductId {
    let price = "19.99".parse().expect("a price");
    engine.create_product(NewProduct::new("Lamp", price, stock)).expect("created").value.id
}

/// Stock, held, pending and sold, as the store has them.
pub fn numbers(engine: &Engine, id: ProductId) -> [u64; 4] {
    let page = engine.products(Some(ProductId(id.0 - 1)), 1).expect("reads");
    let product = page.items.first().expect("is there");
    [product.stock, product.held, product.pending, product.sold]
}

/// Fails unless the audit finds nothing wrong.
pub fn assert_clean(engine: &Engine) -> AuditReport {
    let report = engine.audit().expect("audits");
    assert!(report.consistent, "{:#?}", report.findings);
    report
}

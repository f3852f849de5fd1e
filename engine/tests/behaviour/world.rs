//! A store of its own for each test.

use std::sync::Arc;

use stockade::{AuditReport, Engine, EngineBuilder, NewProduct, ProductId};
use stockade_testkit::{MariaDb, Redis, TempDb};

use crate::clock::TestClock;

/// A combination of store, lock and cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    SqliteFile,
    SqliteMemory,
    MariaDb,
    MariaDbRedis,
}

impl Backend {
    pub const ALL: [Self; 4] =
        [Self::SqliteFile, Self::SqliteMemory, Self::MariaDb, Self::MariaDbRedis];

    /// Those on which several engines can open the same store.
    pub const SHARED: &[Self] = &[Self::SqliteFile, Self::MariaDb, Self::MariaDbRedis];

    /// Those with a database server.
    pub const SERVERS: &[Self] = &[Self::MariaDb, Self::MariaDbRedis];

    pub fn name(self) -> &'static str {
        match self {
            Self::SqliteFile => "sqlite_file",
            Self::SqliteMemory => "sqlite_memory",
            Self::MariaDb => "mariadb",
            Self::MariaDbRedis => "mariadb_redis",
        }
    }

    /// Whether several engines can open the same store.
    pub fn is_shared(self) -> bool {
        self != Self::SqliteMemory
    }
}

/// An empty store and a clock that stands still.
pub struct World {
    pub backend: Backend,
    pub url: String,
    /// URL and key prefix.
    pub redis: Option<(String, String)>,
    pub clock: Arc<TestClock>,
    _file: Option<TempDb>,
}

impl World {
    pub fn new(backend: Backend) -> Self {
        let file = (backend == Backend::SqliteFile).then(TempDb::new);
        let url = match (&file, backend) {
            (Some(file), _) => file.url(),
            (None, Backend::SqliteMemory) => "sqlite::memory:".to_owned(),
            (None, _) => MariaDb::shared().fresh_database(),
        };
        let redis = (backend == Backend::MariaDbRedis).then(|| {
            let redis = Redis::shared();
            (redis.url(), redis.fresh_prefix())
        });
        Self { backend, url, redis, clock: Arc::new(TestClock::new()), _file: file }
    }

    /// The database's name on its server.
    pub fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// An engine on this store, on the real clock.
    pub fn real_time_builder(&self) -> EngineBuilder {
        let builder = Engine::builder().store(&self.url);
        match &self.redis {
            Some((url, prefix)) => {
                builder.redis(url).set("redis_prefix", prefix).expect("a setting")
            }
            None => builder,
        }
    }

    /// An engine on this store and this world's clock, which does not sweep.
    pub fn builder(&self) -> EngineBuilder {
        self.real_time_builder().clock(Arc::clone(&self.clock) as _).sweeper(false)
    }

    pub fn engine(&self) -> Engine {
        self.builder().open().expect("opens")
    }
}

/// Adds a product with this much stock.
pub fn product(engine: &Engine, stock: u64) -> ProductId {
    let price = "19.99".parse().expect("a price");
    engine.create_product(&NewProduct::new("Lamp", price, stock)).expect("created").id
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

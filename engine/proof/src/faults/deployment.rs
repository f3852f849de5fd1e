//! Creates each case's own store and the engines on it.

use std::sync::atomic::{AtomicU64, Ordering};

use stockade::{Engine, EngineBuilder};
use stockade_testkit::{Flavour, Redis, SqlServer, TempDb};

/// Short timeouts, so that a case with a silent store ends soon; more retries and
/// a longer queue wait than a shop would set.
const PATIENT: [(&str, &str); 5] = [
    ("lock_wait", "1s"),
    ("store_timeout", "2s"),
    ("queue_wait", "60s"),
    ("retries", "10"),
    ("sweeper", "false"),
];

/// An empty store with the settings of its engines.
pub struct Deployment {
    pub url: String,
    redis: Option<(String, String)>,
    /// Settings of every engine on this store.
    settings: Vec<(&'static str, String)>,
    file: Option<TempDb>,
}

impl Deployment {
    fn at(url: String, file: Option<TempDb>) -> Self {
        let settings = PATIENT.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { url, redis: None, settings, file }
    }

    /// Uses the run's shared server.
    pub fn on(database: Flavour) -> Self {
        Self::at(database.shared().fresh_database(), None)
    }

    /// Uses the case's own server.
    pub fn at_server(server: &SqlServer) -> Self {
        Self::at(server.fresh_database(), None)
    }

    pub fn sqlite() -> Self {
        let file = TempDb::new();
        Self::at(file.url(), Some(file))
    }

    pub fn sqlite_at(url: String) -> Self {
        Self::at(url, None)
    }

    /// Returns the file of a SQLite database.
    pub fn path(&self) -> std::path::PathBuf {
        self.file.as_ref().expect("a file").path()
    }

    /// Adds the run's shared Redis for locks and cache.
    pub fn with_redis(mut self) -> Self {
        let redis = Redis::shared();
        self.redis = Some((redis.url(), redis.fresh_prefix()));
        self
    }

    /// Adds the case's own Redis for locks and cache.
    pub fn with_redis_at(mut self, url: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let prefix = format!("case{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.redis = Some((url, prefix));
        self
    }

    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.into()));
        self
    }

    /// Returns the Redis key of a product's lock.
    pub fn lock_of(&self, engine: &Engine, product: u64) -> String {
        let prefix = engine.redis_prefix().expect("with Redis");
        format!("{prefix}:{{{product}}}:lock")
    }

    /// Returns the database's name on its server.
    pub fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Returns all settings of an engine on this store.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut all = vec![("store".to_owned(), self.url.clone())];
        if let Some((url, prefix)) = &self.redis {
            all.push(("redis".to_owned(), url.clone()));
            all.push(("redis_prefix".to_owned(), prefix.clone()));
        }
        all.extend(self.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        all
    }

    pub fn builder(&self) -> EngineBuilder {
        let set = |builder: EngineBuilder, (name, value): (String, String)| {
            builder.set(&name, &value).expect("a setting")
        };
        self.settings().into_iter().fold(Engine::builder(), set)
    }

    pub fn open(&self) -> Engine {
        self.builder().open().expect("opens")
    }
}

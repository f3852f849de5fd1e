//! A store of its own for each case, and engines on it.

use std::sync::atomic::{AtomicU64, Ordering};

use stockade::{Engine, EngineBuilder};
use stockade_testkit::{Flavour, Redis, SqlServer, TempDb};

/// Gives up on a silent store early, so that a case does not take long, and
/// goes on trying for longer than a usual shop would.
const PATIENT: [(&str, &str); 5] = [
    ("lock_wait", "1s"),
    ("store_timeout", "2s"),
    ("queue_wait", "60s"),
    ("retries", "10"),
    ("sweeper", "false"),
];

/// An empty store.
pub struct Deployment {
    pub url: String,
    redis: Option<(String, String)>,
    /// Settings of every engine here.
    settings: Vec<(&'static str, String)>,
    file: Option<TempDb>,
}

impl Deployment {
    fn at(url: String, file: Option<TempDb>) -> Self {
        let settings = PATIENT.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { url, redis: None, settings, file }
    }

    /// On the server that the run shares.
    pub fn on(database: Flavour) -> Self {
        Self::at(database.shared().fresh_database(), None)
    }

    /// On a server of the case's own.
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

    /// The file of a SQLite database.
    pub fn path(&self) -> std::path::PathBuf {
        self.file.as_ref().expect("a file").path()
    }

    /// With lock and cache in the Redis that the run shares.
    pub fn with_redis(mut self) -> Self {
        let redis = Redis::shared();
        self.redis = Some((redis.url(), redis.fresh_prefix()));
        self
    }

    /// With lock and cache in a Redis of the case's own.
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

    /// The lock of a product, as an engine on this place names it in the Redis
    /// that the run shares.
    pub fn lock_of(&self, engine: &Engine, product: u64) -> String {
        let prefix = engine.redis_prefix().expect("with Redis");
        format!("{prefix}:{{{product}}}:lock")
    }

    /// The database's name on its server.
    pub fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Everything an engine here is told, by name.
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

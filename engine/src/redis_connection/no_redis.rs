//! Stands in for the connection in a build without the feature `redis`.

use std::sync::Arc;

use crate::config::Config;
use crate::diagnosis::RedisFacts;
use crate::error::Result;
use crate::features;
use crate::metrics::Metrics;

/// Uninhabited: there is none.
#[derive(Clone)]
pub(crate) enum RedisConnection {}

pub(crate) async fn diagnose(_: &Config) -> Result<RedisFacts> {
    Err(features::left_out("redis", "use Redis"))
}

impl RedisConnection {
    pub async fn open(_: &Config, _store_id: u64, _: Arc<Metrics>) -> Result<Self> {
        Err(features::left_out("redis", "use Redis"))
    }

    pub async fn close(&self) {
        match *self {}
    }

    #[cfg(feature = "testing")]
    pub fn prefix(&self) -> &str {
        match *self {}
    }
}

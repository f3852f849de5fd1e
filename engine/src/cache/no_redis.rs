//! Stands in for the shared tier in a build without the feature `redis`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::CachedProduct;
use super::mirror::ProductMirror;
use crate::model::ProductId;
use crate::redis_connection::RedisConnection;

pub(crate) const ENTRY_TTL: Duration = Duration::ZERO;

/// Uninhabited: there is none.
pub(crate) enum SharedTier {}

impl SharedTier {
    pub fn new(connection: RedisConnection, _: Duration, _: Arc<ProductMirror>) -> Self {
        match connection {}
    }

    pub async fn get(&self, _: ProductId) -> Option<CachedProduct> {
        match *self {}
    }

    pub fn publish(&self, _: &[Arc<CachedProduct>], _read_at: Instant, _announce: bool) {
        match *self {}
    }

    pub async fn close(&self) {
        match *self {}
    }
}

//! Asks the store that the settings name what it is like.

use std::sync::Arc;

use super::{Fault, STORES, StoreError, StoreOptions, StoreResult};
use crate::clock::{StoreClock, SystemClock};
use crate::config::Config;
use crate::diagnosis::StoreFacts;

pub(crate) async fn diagnose(config: &Config) -> StoreResult<StoreFacts> {
    match config.store.split_once(':').map(|(scheme, _)| scheme) {
        #[cfg(feature = "sqlite")]
        Some("sqlite") => Ok(StoreFacts::Sqlite(super::sqlite::diagnose(&config.store).await?)),
        #[cfg(feature = "mysql")]
        Some("mysql" | "mariadb") => {
            let options = StoreOptions {
                config: config.clone(),
                clock: Arc::new(StoreClock),
                host: Arc::new(SystemClock),
                clock_steps: prometheus_client::metrics::counter::Counter::default(),
            };
            Ok(StoreFacts::MySql(super::mysql::diagnose(&options).await?))
        }
        _ => Err(StoreError::new(Fault::Unknown, STORES)),
    }
}

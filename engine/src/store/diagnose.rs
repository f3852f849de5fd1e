//! Asks the store that the settings name what it is like.

use super::{Fault, STORES, StoreError, StoreResult};
use crate::config::Config;
use crate::diagnosis::StoreFacts;

pub(crate) async fn diagnose(config: &Config) -> StoreResult<StoreFacts> {
    match config.store.split_once(':').map(|(scheme, _)| scheme) {
        #[cfg(feature = "sqlite")]
        Some("sqlite") => Ok(StoreFacts::Sqlite(super::sqlite::diagnose(&config.store).await?)),
        #[cfg(feature = "mysql")]
        Some("mysql" | "mariadb") => Ok(StoreFacts::MySql(super::mysql::diagnose(config).await?)),
        _ => Err(StoreError::new(Fault::Unknown, STORES)),
    }
}

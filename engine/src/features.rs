//! The cargo features that the settings need.

use crate::config::Config;
use crate::error::{Error, Result};

/// Rejects settings that need a feature which this build leaves out.
///
/// # Errors
/// `invalid_argument`, which names the feature.
pub(crate) fn check(config: &Config) -> Result<()> {
    let store = scheme(&config.store);
    let is_mysql = matches!(store, "mysql" | "mariadb");
    let has_redis = !config.redis.is_empty();
    let has_tls = store == "https" || matches!(scheme(&config.redis), "rediss" | "valkeys");
    for (is_needed, is_enabled, feature, what) in [
        (store == "sqlite", cfg!(feature = "sqlite"), "sqlite", "open sqlite: stores"),
        (is_mysql, cfg!(feature = "mysql"), "mysql", "open mysql:// stores"),
        (
            config.names_a_running_engine(),
            cfg!(feature = "remote"),
            "remote",
            "open a running engine",
        ),
        (has_redis, cfg!(feature = "redis"), "redis", "use Redis"),
        (has_tls, cfg!(feature = "tls"), "tls", "use TLS"),
    ] {
        if is_needed && !is_enabled {
            return Err(left_out(feature, what));
        }
    }
    Ok(())
}

pub(crate) fn left_out(feature: &str, what: &str) -> Error {
    Error::invalid_argument(format!("this build cannot {what}: enable the feature `{feature}`"))
}

/// The scheme of a URL, without a topology such as `+cluster`.
fn scheme(url: &str) -> &str {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme)
}

//! Facts about Redis or Valkey.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::PushInfo;

use super::endpoint::RedisEndpoint;
use super::names::RedisNames;
use super::preflight::{advice, refusal};
use crate::config::Config;
use crate::diagnosis::{RedisFacts, clock_ahead_us, host_us};
use crate::error::{Error, ErrorKind, Result};

/// How long a command may take: longer than the engine waits, to tell slow from down.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the Redis that the settings name.
pub(crate) async fn diagnose(config: &Config) -> Result<RedisFacts> {
    let endpoint = RedisEndpoint::parse(config)?;
    let server = endpoint.to_string();
    let asked = ask(&endpoint, &server).await;
    asked.map_err(|error| {
        match advice(&error, &endpoint, &RedisNames::new(&config.redis_prefix, 0)) {
            Some(advice) => Error::invalid_argument(refusal(&endpoint, &advice)),
            None => Error::new(ErrorKind::Unavailable, format!("redis {server}: {error}")),
        }
    })
}

async fn ask(endpoint: &RedisEndpoint, server: &str) -> redis::RedisResult<RedisFacts> {
    let ignore = |_: PushInfo| Ok::<(), ()>(());
    let mut connection = endpoint.connect(TIMEOUT, ignore).await?;
    let mut info = String::new();
    // Of a cluster, one node answers; a node that lists all of them does so one by one.
    for section in ["server", "memory", "stats", "replication"] {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        let text: redis::Value = command.query_async(&mut connection).await?;
        info.push_str(&texts(text));
    }
    let (asked, before) = (Instant::now(), host_us());
    let (seconds, micros): (i64, i64) = match redis::cmd("TIME").query_async(&mut connection).await
    {
        Ok(time) => time,
        // Of several nodes, or not permitted.
        Err(_) => (before / 1_000_000, before % 1_000_000),
    };
    let (round_trip, after) = (asked.elapsed(), host_us());
    let fields: HashMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let text = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
    let count = |name: &str| fields.get(name).and_then(|count| count.parse().ok()).unwrap_or(0);
    let is_valkey = fields.contains_key("valkey_version");
    Ok(RedisFacts {
        server: server.to_owned(),
        product: if is_valkey { "Valkey" } else { "Redis" }.to_owned(),
        version: text(if is_valkey { "valkey_version" } else { "redis_version" }),
        maxmemory_policy: text("maxmemory_policy"),
        maxmemory: count("maxmemory"),
        used_memory: count("used_memory"),
        evicted_keys: count("evicted_keys"),
        role: text("role"),
        clock_ahead_us: clock_ahead_us(seconds * 1_000_000 + micros, before, after),
        round_trip,
    })
}

/// The text of an answer, or of the first of many nodes.
fn texts(value: redis::Value) -> String {
    match value {
        redis::Value::Map(nodes) => {
            nodes.into_iter().next().map_or_else(String::new, |(_, text)| texts(text))
        }
        value => redis::from_redis_value(value).unwrap_or_default(),
    }
}

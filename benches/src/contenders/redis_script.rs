//! The whole hold in Redis: a Lua script that checks, takes and records.
//!
//! Redis runs one script at a time, so it needs no lock. It is as durable as its
//! append-only file: with `everysec` a crash loses the holds of the last second,
//! with `always` none. It writes no database row, so an order must be made
//! elsewhere.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use stockade_testkit::Redis;

use super::names;
use super::sql::{self, Ids};
use crate::contender::{Answer, Contender};

/// Requests of many callers share a connection, as its client pipelines them.
const CONNECTIONS: usize = 4;
const STOCK: &str = "stock:1";

const TAKE: &str = "local stock = tonumber(redis.call('GET', KEYS[1]))
if stock < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
return 1";

/// When Redis syncs its append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before each answer.
    Always,
    /// Once in a second: what was answered before may be lost.
    EverySecond,
}

/// One script for each hold.
pub struct RedisScript {
    fsync: AppendFsync,
    connections: Vec<MultiplexedConnection>,
    take: Script,
    ids: Ids,
    _redis: Redis,
}

impl RedisScript {
    /// Starts a Redis with one product of so much stock.
    ///
    /// # Panics
    /// When Redis does not answer.
    pub async fn open(fsync: AppendFsync, stock: u64) -> Self {
        let when = match fsync {
            AppendFsync::Always => "always",
            AppendFsync::EverySecond => "everysec",
        };
        let redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", when]);
        redis.command(&["SET", STOCK, &stock.to_string()]);
        let client = redis::Client::open(redis.url()).expect("a URL");
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = client.get_multiplexed_async_connection().await;
            connections.push(connection.expect("connects"));
        }
        Self { fsync, connections, take: Script::new(TAKE), ids: Ids::new(), _redis: redis }
    }

    async fn hold(&self, caller: usize) -> RedisResult<bool> {
        let mut connection = self.connections[caller % CONNECTIONS].clone();
        let mut take = self.take.prepare_invoke();
        take.key(STOCK).key("holds").key("ends").arg(1).arg(self.ids.draw(1));
        take.arg(&sql::token()).arg(sql::end_of_hold(sql::now()));
        take.invoke_async(&mut connection).await
    }
}

impl Contender for RedisScript {
    fn name(&self) -> &str {
        match self.fsync {
            AppendFsync::Always => names::REDIS_SCRIPT,
            AppendFsync::EverySecond => names::REDIS_SCRIPT_LOSSY,
        }
    }

    async fn request(&self, caller: usize) -> Answer {
        match self.hold(caller).await {
            Ok(true) => Answer::Done,
            Ok(false) => Answer::Refused,
            Err(_) => Answer::Failed("redis"),
        }
    }
}

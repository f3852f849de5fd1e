//! A connection to one server, or to all nodes of a cluster.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::Slot;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::names::RedisNames;

/// Keys tried to find one in a slot of each master. A handful is enough where
/// masters have equal shares of the slots; this covers a share of one in hundreds.
const PROBES_MAX: u32 = 4_096;

#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    /// It follows redirections by itself. The loss of a node still takes the
    /// whole connection down, and the supervisor opens another.
    Cluster(ClusterConnection),
}

impl Connection {
    pub async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Server(server) => server.subscribe(channel).await,
            Self::Cluster(cluster) => cluster.subscribe(channel).await,
        }
    }

    pub async fn unsubscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Server(server) => server.unsubscribe(channel).await,
            Self::Cluster(cluster) => cluster.unsubscribe(channel).await,
        }
    }

    /// One key on each server that takes writes: one for a single server, one for
    /// each master of a cluster.
    pub async fn probes(&mut self, names: &RedisNames) -> RedisResult<Vec<String>> {
        let Self::Cluster(cluster) = self else { return Ok(vec![names.probe(0)]) };
        let ranges: Vec<Value> = redis::cmd("CLUSTER").arg("SLOTS").query_async(cluster).await?;
        let mut masters = Vec::new();
        let mut slots = HashMap::new();
        for (first, last, master) in ranges.iter().filter_map(range) {
            let index = masters.iter().position(|other| other == master);
            let master = index.unwrap_or_else(|| {
                masters.push(master.clone());
                masters.len() - 1
            });
            slots.extend((first..=last).filter_map(Slot::new).map(|slot| (slot, master)));
        }
        let mut probes = vec![None; masters.len()];
        for key in (0..PROBES_MAX).map(|number| names.probe(number)) {
            if let Some(master) = slots.get(&Slot::for_key(&key))
                && let Some(probe) = probes.get_mut(*master)
            {
                probe.get_or_insert(key);
                if probes.iter().all(Option::is_some) {
                    break;
                }
            }
        }
        Ok(probes.into_iter().flatten().collect())
    }

    /// Checks that each server takes writes. SET XX on a missing key writes
    /// nothing, and is rejected wherever a write is.
    pub async fn probe(&self, keys: &[String]) -> RedisResult<()> {
        let probe = async |key: &String| {
            let mut connection = self.clone();
            let mut command = redis::cmd("SET");
            command.arg(key).arg(1).arg("XX");
            command.query_async::<Value>(&mut connection).await
        };
        try_join_all(keys.iter().map(probe)).await.map(drop)
    }
}

/// One entry of `CLUSTER SLOTS`: first and last slot, and their master.
fn range(entry: &Value) -> Option<(u16, u16, &Value)> {
    let Value::Array(entry) = entry else { return None };
    let [Value::Int(first), Value::Int(last), master, ..] = entry.as_slice() else { return None };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, master))
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

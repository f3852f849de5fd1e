//! A Redis Cluster of three masters with a replica each.

use stockade_testkit::RedisCluster;

use super::*;
use crate::lock::redis::RedisLock;
use crate::lock::{Grant, Lease, Lock, LockName, Renewal};

const LONG: Duration = Duration::from_secs(60);

fn lease(grant: Grant) -> Lease {
    match grant {
        Grant::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

/// Acquires and releases the locks of products in many slots.
async fn assert_locks(lock: &RedisLock) {
    for name in (1..=20).map(LockName) {
        let held = lease(in_time("a grant", lock.acquire(name, LONG)).await);
        assert_eq!(lock.renew(&held).await, Renewal::Renewed);
        lock.raise_fence(name, 5).await;
        lock.release(held).await;
    }
}

#[tokio::test]
async fn locks_and_messages_work_on_a_cluster_and_survive_a_failover() {
    stockade_testkit::skip_without!(Redis);
    let cluster = RedisCluster::start();
    let node = &cluster.nodes()[0];
    let Err(error) = try_connect(&[("redis", &node.url())]).await else { panic!("was accepted") };
    assert!(error.message().contains("redis+cluster://"), "{error}");

    let (one, metrics) = try_connect(&[("redis", &cluster.url())]).await.expect("opens");
    let (two, _) = try_connect(&[("redis", &cluster.url())]).await.expect("opens");
    assert!(one.is_up() && two.is_up() && one.is_cluster());
    assert_eq!(one.state.active().expect("is up").probes.len(), 3, "one for each master");
    let locks = [&one, &two].map(|connection| Arc::new(RedisLock::new(connection.clone(), LONG)));
    assert_locks(&locks[0]).await;
    // A message wakes a waiter, from whichever node has the lock's slot.
    for name in (1..=6).map(LockName) {
        let held = lease(in_time("a grant", locks[0].acquire(name, LONG)).await);
        let waiter = {
            let lock = Arc::clone(&locks[1]);
            tokio::spawn(async move { lock.acquire(name, LONG).await })
        };
        let queue = one.names().product_key(name.0, "queue");
        let queued = cluster.master_of(&queue);
        eventually("it waits", async || queued.command(&["ZCARD", &queue]) == "1").await;
        locks[0].release(held).await;
        let next = lease(in_time("it is woken", waiter).await.expect("no panic"));
        locks[1].release(next).await;
    }

    let mut subscription = two.subscribe("news");
    assert!(matches!(in_time("it is subscribed", subscription.next()).await, Some(Notice::Gap)));
    let old = cluster.master_of("shop:{1}:lock");
    old.kill();
    eventually("the loss is detected", async || metrics.degraded.get() == 1 && !two.is_up()).await;
    cluster.wait_until_whole();
    for connection in [&one, &two] {
        in_time("the connection comes up", connection.up()).await;
    }
    eventually("degraded is over", async || metrics.degraded.get() == 0).await;
    assert_locks(&locks[0]).await;
    let message = async {
        loop {
            let published = one.command::<u64>(redis::cmd("PUBLISH").arg("news").arg("one")).await;
            let notice =
                tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
            if let (Ok(_), Ok(Some(Notice::Message(text)))) = (published, notice) {
                return text;
            }
        }
    };
    assert_eq!(&*in_time("a message", message).await, "one");
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn a_single_server_is_rejected_as_a_cluster() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let url = redis.url().replace("redis://", "redis+cluster://");
    let Err(error) = try_connect(&[("redis", &url)]).await else { panic!("was accepted") };
    assert!(error.message().contains("not in a cluster"), "{error}");
}

//! Redis Cluster: three masters with a replica each.

use stockade_testkit::RedisCluster;

use super::*;
use crate::lock::redis::RedisLock;
use crate::lock::{Grant, Kept, Lease, Lock, LockName};

const LONG: Duration = Duration::from_secs(60);

fn lease(grant: Grant) -> Lease {
    match grant {
        Grant::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

/// Takes and gives back the locks of products in many slots.
async fn assert_locks(lock: &RedisLock) {
    for name in (1..=20).map(LockName) {
        let held = lease(soon("a grant", lock.acquire(name, LONG)).await);
        assert_eq!(lock.keep(&held).await, Kept::Renewed);
        lock.raise_fence(name, 5).await;
        lock.release(held).await;
    }
}

#[tokio::test]
async fn locks_and_messages_go_through_a_cluster_and_survive_a_fail_over() {
    stockade_testkit::skip_without!(Redis);
    let cluster = RedisCluster::start();
    let node = &cluster.nodes()[0];
    let Err(error) = try_connect(&[("redis", &node.url())]).await else { panic!("was taken") };
    assert!(error.message().contains("redis+cluster://"), "{error}");

    let (one, metrics) = try_connect(&[("redis", &cluster.url())]).await.expect("opens");
    let (two, _) = try_connect(&[("redis", &cluster.url())]).await.expect("opens");
    assert!(one.is_up() && two.is_up() && one.is_cluster());
    assert_eq!(one.shared.live().expect("is up").probes.len(), 3, "one for each master");
    let locks = [&one, &two].map(|link| Arc::new(RedisLock::new(link.clone(), LONG)));
    assert_locks(&locks[0]).await;
    // A waiter is woken by a message, from whichever node has the lock's slot.
    for name in (1..=6).map(LockName) {
        let held = lease(soon("a grant", locks[0].acquire(name, LONG)).await);
        let waiter = {
            let lock = Arc::clone(&locks[1]);
            tokio::spawn(async move { lock.acquire(name, LONG).await })
        };
        let queue = one.names().of_product(name.0, "queue");
        let queued = cluster.master_of(&queue);
        until("it waits", || queued.command(&["ZCARD", &queue]) == "1").await;
        locks[0].release(held).await;
        let next = lease(soon("it is woken", waiter).await.expect("no panic"));
        locks[1].release(next).await;
    }

    let mut heard = two.subscribe("news");
    assert!(matches!(soon("it is heard", heard.next()).await, Some(Notice::Gap)));
    let old = cluster.master_of("shop:{1}:lock");
    old.kill();
    until("the loss is noticed", || metrics.degraded.get() == 1 && !two.is_up()).await;
    cluster.wait_until_whole();
    for link in [&one, &two] {
        soon("the link comes up", link.up()).await;
    }
    until("degraded is over", || metrics.degraded.get() == 0).await;
    assert_locks(&locks[0]).await;
    let said = async {
        loop {
            let said = one.command::<u64>(redis::cmd("PUBLISH").arg("news").arg("one")).await;
            let notice = tokio::time::timeout(Duration::from_millis(100), heard.next()).await;
            if let (Ok(_), Ok(Some(Notice::Message(text)))) = (said, notice) {
                return text;
            }
        }
    };
    assert_eq!(&*soon("a message", said).await, "one");
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn a_single_server_is_no_cluster() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let url = redis.url().replace("redis://", "redis+cluster://");
    let Err(error) = try_connect(&[("redis", &url)]).await else { panic!("was taken") };
    assert!(error.message().contains("in no cluster"), "{error}");
}

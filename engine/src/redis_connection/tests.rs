use futures_util::FutureExt;
use stockade_testkit::{Redis, Sentinel, free_port};

use super::endpoint::RedisEndpoint;
use super::*;
use crate::test_support::{Log, WAIT_MAX, eventually, in_time};

/// A connection with a timeout long enough for a busy machine.
async fn connect(url: &str) -> (RedisConnection, Arc<Metrics>) {
    try_connect(&[("redis", url)]).await.expect("a URL")
}

async fn try_connect(settings: &[(&str, &str)]) -> Result<(RedisConnection, Arc<Metrics>)> {
    let config = Config::from_pairs(settings.iter().copied())?;
    let metrics = Arc::new(Metrics::new());
    let names = RedisNames::plain("shop");
    let connection =
        RedisConnection::connect(&config, names, Arc::clone(&metrics), WAIT_MAX / 2).await?;
    Ok((connection, metrics))
}

impl RedisConnection {
    /// For tests that do not test the timeout, on a machine that may be busy.
    pub async fn connect_with_long_timeout(url: &str) -> Result<Self> {
        Self::connect_within(url, RESPONSE_TIMEOUT * 20).await
    }

    /// With plain names and the timeout of production.
    pub async fn connect_for_test(url: &str) -> Result<Self> {
        Self::connect_within(url, RESPONSE_TIMEOUT).await
    }

    async fn connect_within(url: &str, response_timeout: Duration) -> Result<Self> {
        let config = Config::from_pairs([("redis", url)])?;
        let (names, metrics) = (RedisNames::plain("shop"), Arc::new(Metrics::new()));
        Self::connect(&config, names, metrics, response_timeout).await
    }
}

async fn set(connection: &RedisConnection) -> std::result::Result<(), RedisConnectionError> {
    connection.command(redis::cmd("SET").arg("key").arg(1)).await
}

/// Whether a command fails without waiting.
fn fails_fast(connection: &RedisConnection) -> bool {
    set(connection).now_or_never() == Some(Err(RedisConnectionError::Down))
}

#[tokio::test]
async fn an_invalid_url_is_rejected_without_being_repeated() {
    for url in [
        "",
        "shop",
        "http://u:secret@host",
        "redis://u:secret@host/x",
        "redis://u:secret@",
        "redis+sentinel://u:secret@host",
        "redis+sentinel://u:secret@host/",
        "redis+sentinel://u:secret@/shop",
        "redis+sentinel://u:secret@host:26379,host:x/shop",
        "redis+sentinel://u:secret@host/shop/x",
        "redis+cluster://u:secret@",
        "redis+cluster://u:secret@host/x",
        "redis+cluster://u:secret@host,host:x",
        "redis+cluster://u:sec/ret@host",
        "redis://u:sec#ret@host",
        "rediss://u:secret@host#insecure",
        "redis+other://u:secret@host",
    ] {
        let Err(error) = RedisConnection::connect_for_test(url).await else {
            panic!("{url} was accepted");
        };
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_starts_later_is_connected_to() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    redis.kill();
    let (connection, metrics) = connect(&redis.url()).await;
    assert!(fails_fast(&connection));
    assert_eq!(metrics.degraded.get(), 1);
    redis.restart();
    in_time("the connection comes up", connection.up()).await;
    assert_eq!(set(&connection).await, Ok(()));
    assert_eq!((metrics.degraded.get(), metrics.redis_reconnects.get()), (0, 1));
    connection.close().await;
}

#[tokio::test]
async fn a_lost_server_fails_fast_until_it_is_back() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, metrics) = connect(&redis.url()).await;
    assert_eq!(set(&connection).await, Ok(()));
    for outage in 1..=3 {
        redis.kill();
        eventually("the loss is detected", async || !connection.is_up()).await;
        assert!(fails_fast(&connection));
        assert_eq!(metrics.degraded.get(), 1);
        redis.restart();
        in_time("the connection comes up", connection.up()).await;
        assert_eq!(set(&connection).await, Ok(()));
        assert_eq!((metrics.degraded.get(), metrics.redis_reconnects.get()), (0, outage));
    }
    connection.close().await;
}

#[tokio::test]
async fn a_stopped_server_blocks_one_command_only() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let connection = RedisConnection::connect_for_test(&redis.url()).await.expect("a URL");
    redis.pause();
    assert_eq!(
        in_time("the command times out", set(&connection)).await,
        Err(RedisConnectionError::InDoubt)
    );
    assert!(fails_fast(&connection));
    redis.resume();
    in_time("the connection comes up", connection.up()).await;
    assert_eq!(set(&connection).await, Ok(()));
    connection.close().await;
}

#[tokio::test]
async fn a_heartbeat_detects_a_stopped_server() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let connection = RedisConnection::connect_for_test(&redis.url()).await.expect("a URL");
    redis.pause();
    eventually("the heartbeat misses", async || !connection.is_up()).await;
    redis.resume();
    in_time("the connection comes up", connection.up()).await;
    connection.close().await;
}

#[tokio::test]
async fn a_server_without_writes_counts_as_down() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, metrics) = connect(&redis.url()).await;
    let states: [(&[&str], &[&str]); 2] = [
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
    ];
    for (unwritable, writable) in states {
        redis.command(unwritable);
        assert_eq!(set(&connection).await, Err(RedisConnectionError::Down));
        let reconnects = metrics.redis_reconnects.get();
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(
            !connection.is_up() && metrics.redis_reconnects.get() == reconnects,
            "{unwritable:?}"
        );
        redis.command(writable);
        in_time("the connection comes up", connection.up()).await;
        assert_eq!(set(&connection).await, Ok(()));
    }
    connection.close().await;
}

#[tokio::test]
async fn a_rejected_command_leaves_the_connection_up() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, _metrics) = connect(&redis.url()).await;
    assert_eq!(set(&connection).await, Ok(()));
    let rejected = connection.command::<u64>(redis::cmd("LLEN").arg("key")).await;
    assert_eq!(rejected, Err(RedisConnectionError::Rejected));
    let in_a_script = redis::Script::new("return redis.call('LLEN', KEYS[1])");
    let rejected = connection.script::<u64>(in_a_script.prepare_invoke().key("key")).await;
    assert_eq!(rejected, Err(RedisConnectionError::Rejected));
    let in_a_pipeline = connection.pipeline::<(u64,)>(redis::pipe().cmd("LLEN").arg("key")).await;
    assert_eq!(in_a_pipeline, Err(RedisConnectionError::Rejected));
    assert!(connection.is_up());
    connection.close().await;
}

#[tokio::test]
async fn a_script_is_loaded_again_after_a_script_flush() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, _metrics) = connect(&redis.url()).await;
    let script = redis::Script::new("return 7");
    for _ in 0..2 {
        assert_eq!(connection.script::<u64>(&script.prepare_invoke()).await, Ok(7));
        redis.command(&["SCRIPT", "FLUSH"]);
    }
    connection.close().await;
}

#[tokio::test]
async fn a_subscription_is_restored_after_a_reconnect() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, _metrics) = connect(&redis.url()).await;
    let mut subscription = connection.subscribe("news");
    let mut expect = async |wanted: Option<&str>| {
        let notice = in_time("a notice", subscription.next()).await;
        match (notice, wanted) {
            (Some(Notice::Gap), None) => {}
            (Some(Notice::Message(text)), Some(wanted)) if &*text == wanted => {}
            (other, _) => panic!("{other:?} instead of {wanted:?}"),
        }
    };
    expect(None).await;
    redis.command(&["PUBLISH", "news", "one"]);
    expect(Some("one")).await;
    redis.kill();
    expect(None).await;
    redis.restart();
    // Subscribed again, after a gap.
    expect(None).await;
    redis.command(&["PUBLISH", "news", "two"]);
    expect(Some("two")).await;
    connection.close().await;
    expect(None).await;
    assert!(in_time("the end", subscription.next()).await.is_none());
    assert!(in_time("the end", connection.subscribe("late").next()).await.is_none());
}

#[test]
fn a_sentinel_endpoint_is_parsed_and_displayed_without_its_password() {
    let shown = |url: &str| {
        let config = Config::from_pairs([("redis", url)]).expect("a setting");
        RedisEndpoint::parse(&config).map(|endpoint| endpoint.to_string()).ok()
    };
    let sentinels = "redis+sentinel://u:secret@one,two:7,[::1]:8/shop/3";
    assert_eq!(shown(sentinels).as_deref(), Some("shop by one,two:7,[::1]:8"));
    assert_eq!(shown("redis://u:secret@one").as_deref(), Some("one:6379"));
}

#[tokio::test]
async fn commands_and_messages_follow_the_master_after_a_failover() {
    stockade_testkit::skip_without!(Redis);
    let sentinel = Sentinel::start();
    let (connection, metrics) = connect(&sentinel.url()).await;
    assert_eq!(set(&connection).await, Ok(()));
    let mut subscription = connection.subscribe("news");
    assert!(matches!(in_time("it is subscribed", subscription.next()).await, Some(Notice::Gap)));
    let old = sentinel.master();
    old.kill();
    eventually("the loss is detected", async || !connection.is_up()).await;
    let new = sentinel.wait_for_failover(old);
    in_time("the connection comes up", connection.up()).await;
    assert_eq!(set(&connection).await, Ok(()));
    assert_eq!(metrics.redis_reconnects.get(), 1);
    eventually("it is subscribed at the new master", async || {
        new.command(&["PUBSUB", "CHANNELS", "news"]) == "news"
    })
    .await;
    new.command(&["PUBLISH", "news", "one"]);
    let message = async {
        loop {
            match subscription.next().await {
                Some(Notice::Gap) => {}
                other => return other,
            }
        }
    };
    let message = in_time("the message", message).await;
    assert!(matches!(message, Some(Notice::Message(text)) if &*text == "one"));
    connection.close().await;
}

#[tokio::test]
async fn a_dropped_subscription_is_unsubscribed() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, _metrics) = connect(&redis.url()).await;
    let subscription = connection.subscribe("news");
    eventually("it is subscribed", async || redis.command(&["PUBSUB", "CHANNELS"]) == "news").await;
    drop(subscription);
    eventually("it is unsubscribed", async || redis.command(&["PUBSUB", "CHANNELS"]).is_empty())
        .await;
    connection.close().await;
}

#[tokio::test]
async fn a_slow_subscriber_receives_a_gap() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (connection, _metrics) = connect(&redis.url()).await;
    let mut subscription = connection.subscribe("news");
    assert!(matches!(in_time("it is subscribed", subscription.next()).await, Some(Notice::Gap)));
    let mut news = redis::pipe();
    for _ in 0..=SUBSCRIBER_BACKLOG {
        news.cmd("PUBLISH").arg("news").arg("x").ignore();
    }
    assert_eq!(connection.pipeline::<()>(&news).await, Ok(()));
    assert!(matches!(in_time("a notice", subscription.next()).await, Some(Notice::Gap)));
    connection.close().await;
}

#[tokio::test]
async fn tasks_end_with_the_last_handle() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    for url in [redis.url(), format!("redis://127.0.0.1:{}", free_port())] {
        let (connection, _metrics) = connect(&url).await;
        let (tasks, other) = (connection.tasks.clone(), connection.clone());
        drop(connection);
        assert!(!tasks.is_empty());
        drop(other);
        in_time("the task ends", tasks.wait()).await;
    }
    eventually("the connection ends", async || {
        redis.command(&["CLIENT", "LIST"]).lines().count() == 1
    })
    .await;
}

#[tokio::test]
async fn the_log_has_one_line_for_each_state_change_and_no_password() {
    stockade_testkit::skip_without!(Redis);
    let log = Log::default();
    let _collecting = tracing::subscriber::set_default(log.clone());
    let lines = |level: &str| {
        let lines = log.lines();
        assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
        lines.iter().filter(|line| line.starts_with(level)).count()
    };
    let redis = Redis::start();
    redis.command(&["ACL", "SETUSER", "shop", "on", ">secret", "+@all", "~*", "&*"]);
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let url = redis.url().replace("redis://", "redis://shop:secret@");
    let (connection, _metrics) = connect(&url).await;
    assert!(connection.is_up());
    assert_eq!((lines("WARN"), lines("INFO")), (1, 0), "the eviction policy only");
    redis.kill();
    eventually("the loss is detected", async || !connection.is_up()).await;
    for _ in 0..100 {
        assert!(fails_fast(&connection));
    }
    // Some attempts to connect fail meanwhile, the last ones by a wrong password.
    tokio::time::sleep(Duration::from_millis(500)).await;
    redis.restart();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((lines("WARN"), lines("INFO")), (2, 0));
    redis.command(&["ACL", "SETUSER", "shop", "on", ">secret", "+@all", "~*", "&*"]);
    in_time("the connection comes up", connection.up()).await;
    assert_eq!((lines("WARN"), lines("INFO")), (2, 1));
    connection.close().await;
}

mod cluster;
mod hosted;

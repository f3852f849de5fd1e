use std::fmt::{Debug, Write};
use std::future::Future;

use futures_util::FutureExt;
use stockade_testkit::{Redis, Sentinel, free_port};
use tracing::field::{Field, Visit};
use tracing::span;

use super::*;

const SOON: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("not soon: {what}"))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A link that waits for its answers while the machine is busy.
async fn connect(url: &str) -> (RedisConnection, Arc<Metrics>) {
    try_connect(&[("redis", url)]).await.expect("a URL")
}

async fn try_connect(settings: &[(&str, &str)]) -> Result<(RedisConnection, Arc<Metrics>)> {
    let config = Config::from_pairs(settings.iter().copied())?;
    let metrics = Arc::new(Metrics::new());
    let names = RedisNames::plain("shop");
    let link =
        RedisConnection::connect_with(&config, names, Arc::clone(&metrics), SOON / 2).await?;
    Ok((link, metrics))
}

async fn set(link: &RedisConnection) -> std::result::Result<(), RedisConnectionError> {
    link.command(redis::cmd("SET").arg("key").arg(1)).await
}

/// Whether a command fails without waiting for anything.
fn fails_at_once(link: &RedisConnection) -> bool {
    set(link).now_or_never() == Some(Err(RedisConnectionError::Down))
}

#[tokio::test]
async fn a_wrong_url_is_refused_without_being_repeated() {
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
        let Err(error) = RedisConnection::connect_plainly(url).await else {
            panic!("{url} was taken");
        };
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    redis.kill();
    let (link, metrics) = connect(&redis.url()).await;
    assert!(fails_at_once(&link));
    assert_eq!(metrics.degraded.get(), 1);
    redis.restart();
    soon("the link comes up", link.up()).await;
    assert_eq!(set(&link).await, Ok(()));
    assert_eq!((metrics.degraded.get(), metrics.redis_reconnects.get()), (0, 1));
    link.close().await;
}

#[tokio::test]
async fn a_lost_server_fails_at_once_until_it_is_back() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, metrics) = connect(&redis.url()).await;
    assert_eq!(set(&link).await, Ok(()));
    for outage in 1..=3 {
        redis.kill();
        until("the loss is noticed", || !link.is_up()).await;
        assert!(fails_at_once(&link));
        assert_eq!(metrics.degraded.get(), 1);
        redis.restart();
        soon("the link comes up", link.up()).await;
        assert_eq!(set(&link).await, Ok(()));
        assert_eq!((metrics.degraded.get(), metrics.redis_reconnects.get()), (0, outage));
    }
    link.close().await;
}

#[tokio::test]
async fn a_stopped_server_holds_up_one_command_only() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let link = RedisConnection::connect_plainly(&redis.url()).await.expect("a URL");
    redis.pause();
    assert_eq!(soon("the answer is given up", set(&link)).await, Err(RedisConnectionError::Unsure));
    assert!(fails_at_once(&link));
    redis.resume();
    soon("the link comes up", link.up()).await;
    assert_eq!(set(&link).await, Ok(()));
    link.close().await;
}

#[tokio::test]
async fn a_stopped_server_is_found_while_no_one_asks() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let link = RedisConnection::connect_plainly(&redis.url()).await.expect("a URL");
    redis.pause();
    until("the heartbeat misses", || !link.is_up()).await;
    redis.resume();
    soon("the link comes up", link.up()).await;
    link.close().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_counts_as_down() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, metrics) = connect(&redis.url()).await;
    let states: [(&[&str], &[&str]); 2] = [
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
    ];
    for (unfit, fit) in states {
        redis.command(unfit);
        assert_eq!(set(&link).await, Err(RedisConnectionError::Down));
        let reconnects = metrics.redis_reconnects.get();
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(!link.is_up() && metrics.redis_reconnects.get() == reconnects, "{unfit:?}");
        redis.command(fit);
        soon("the link comes up", link.up()).await;
        assert_eq!(set(&link).await, Ok(()));
    }
    link.close().await;
}

#[tokio::test]
async fn a_refused_command_leaves_the_link_up() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, _metrics) = connect(&redis.url()).await;
    assert_eq!(set(&link).await, Ok(()));
    let refused = link.command::<u64>(redis::cmd("LLEN").arg("key")).await;
    assert_eq!(refused, Err(RedisConnectionError::Refused));
    let in_a_script = redis::Script::new("return redis.call('LLEN', KEYS[1])");
    let refused = link.script::<u64>(in_a_script.prepare_invoke().key("key")).await;
    assert_eq!(refused, Err(RedisConnectionError::Refused));
    let in_a_pipeline = link.pipeline::<(u64,)>(redis::pipe().cmd("LLEN").arg("key")).await;
    assert_eq!(in_a_pipeline, Err(RedisConnectionError::Refused));
    assert!(link.is_up());
    link.close().await;
}

#[tokio::test]
async fn a_script_is_loaded_again_after_the_server_forgot_it() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, _metrics) = connect(&redis.url()).await;
    let script = redis::Script::new("return 7");
    for _ in 0..2 {
        assert_eq!(link.script::<u64>(&script.prepare_invoke()).await, Ok(7));
        redis.command(&["SCRIPT", "FLUSH"]);
    }
    link.close().await;
}

#[tokio::test]
async fn a_subscription_outlives_the_server() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, _metrics) = connect(&redis.url()).await;
    let mut heard = link.subscribe("news");
    let mut expect = async |wanted: Option<&str>| {
        let notice = soon("a notice", heard.next()).await;
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
    // Heard again, with a word that something may be missing.
    expect(None).await;
    redis.command(&["PUBLISH", "news", "two"]);
    expect(Some("two")).await;
    link.close().await;
    expect(None).await;
    assert!(soon("the end", heard.next()).await.is_none());
    assert!(soon("the end", link.subscribe("late").next()).await.is_none());
}

#[test]
fn a_place_by_sentinel_is_read_and_shown_without_its_password() {
    let shown = |url: &str| {
        let config = Config::from_pairs([("redis", url)]).expect("a setting");
        Place::read(&config).map(|place| place.to_string()).ok()
    };
    let sentinels = "redis+sentinel://u:secret@one,two:7,[::1]:8/shop/3";
    assert_eq!(shown(sentinels).as_deref(), Some("shop by one,two:7,[::1]:8"));
    assert_eq!(shown("redis://u:secret@one").as_deref(), Some("one:6379"));
}

#[tokio::test]
async fn commands_and_messages_follow_the_master_that_the_sentinels_name() {
    stockade_testkit::skip_without!(Redis);
    let sentinel = Sentinel::start();
    let (link, metrics) = connect(&sentinel.url()).await;
    assert_eq!(set(&link).await, Ok(()));
    let mut heard = link.subscribe("news");
    assert!(matches!(soon("it is heard", heard.next()).await, Some(Notice::Gap)));
    let old = sentinel.master();
    old.kill();
    until("the loss is noticed", || !link.is_up()).await;
    let new = sentinel.wait_for_failover(old);
    soon("the link comes up", link.up()).await;
    assert_eq!(set(&link).await, Ok(()));
    assert_eq!(metrics.redis_reconnects.get(), 1);
    until("it is heard at the new master", || {
        new.command(&["PUBSUB", "CHANNELS", "news"]) == "news"
    })
    .await;
    new.command(&["PUBLISH", "news", "one"]);
    let message = async {
        loop {
            match heard.next().await {
                Some(Notice::Gap) => {}
                other => return other,
            }
        }
    };
    let message = soon("the message", message).await;
    assert!(matches!(message, Some(Notice::Message(text)) if &*text == "one"));
    link.close().await;
}

#[tokio::test]
async fn a_subscription_that_is_dropped_is_given_up() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, _metrics) = connect(&redis.url()).await;
    let heard = link.subscribe("news");
    until("it is heard", || redis.command(&["PUBSUB", "CHANNELS"]) == "news").await;
    drop(heard);
    until("it is not heard", || redis.command(&["PUBSUB", "CHANNELS"]).is_empty()).await;
    link.close().await;
}

#[tokio::test]
async fn a_subscriber_that_is_behind_is_told_of_a_gap() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (link, _metrics) = connect(&redis.url()).await;
    let mut heard = link.subscribe("news");
    assert!(matches!(soon("it is heard", heard.next()).await, Some(Notice::Gap)));
    let mut news = redis::pipe();
    for _ in 0..=BACKLOG {
        news.cmd("PUBLISH").arg("news").arg("x").ignore();
    }
    assert_eq!(link.pipeline::<()>(&news).await, Ok(()));
    assert!(matches!(soon("a notice", heard.next()).await, Some(Notice::Gap)));
    link.close().await;
}

#[tokio::test]
async fn no_task_outlives_the_last_handle() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    for url in [redis.url(), format!("redis://127.0.0.1:{}", free_port())] {
        let (link, _metrics) = connect(&url).await;
        let (tasks, other) = (link.tasks.clone(), link.clone());
        drop(link);
        assert!(!tasks.is_empty());
        drop(other);
        soon("the task ends", tasks.wait()).await;
    }
    until("the connection ends", || redis.command(&["CLIENT", "LIST"]).lines().count() == 1).await;
}

/// Collects what this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("stockade")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_log_has_one_line_for_each_turn_and_no_password() {
    stockade_testkit::skip_without!(Redis);
    let log = Log::default();
    let _collecting = tracing::subscriber::set_default(log.clone());
    let lines = |level: &str| {
        let lines = log.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
        lines.iter().filter(|line| line.starts_with(level)).count()
    };
    let redis = Redis::start();
    redis.command(&["ACL", "SETUSER", "shop", "on", ">secret", "+@all", "~*", "&*"]);
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let url = redis.url().replace("redis://", "redis://shop:secret@");
    let (link, _metrics) = connect(&url).await;
    assert!(link.is_up());
    assert_eq!((lines("WARN"), lines("INFO")), (1, 0), "the policy only");
    redis.kill();
    until("the loss is noticed", || !link.is_up()).await;
    for _ in 0..100 {
        assert!(fails_at_once(&link));
    }
    // Some attempts to connect fail meanwhile; the last ones by a wrong password.
    tokio::time::sleep(Duration::from_millis(500)).await;
    redis.restart();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((lines("WARN"), lines("INFO")), (2, 0));
    redis.command(&["ACL", "SETUSER", "shop", "on", ">secret", "+@all", "~*", "&*"]);
    soon("the link comes up", link.up()).await;
    assert_eq!((lines("WARN"), lines("INFO")), (2, 1));
    link.close().await;
}

mod cluster;
mod hosted;

//! Redis as a hosted service: with TLS, users, permissions and databases.

use std::path::Path;

use stockade_testkit::{Certificates, Identity, RedisCluster, Sentinel};

use super::*;
use crate::lock::redis::RedisLock;
use crate::lock::{Grant, Lock, LockName};

/// The message with which opening is refused; it shows no password.
async fn refusal(settings: &[(&str, &str)]) -> String {
    let Err(error) = try_connect(settings).await else { panic!("{settings:?} was accepted") };
    assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{error}");
    let shown = format!("{error:?}");
    assert!(!shown.contains("secret"), "{shown}");
    error.message().to_owned()
}

/// Asserts that a connection is up and carries commands, scripts and messages.
async fn assert_works(settings: &[(&str, &str)]) -> (RedisConnection, Arc<Metrics>) {
    let (connection, metrics) = try_connect(settings).await.expect("opens");
    // On a busy machine TLS may take longer than opening waits.
    eventually("it is up", async || connection.is_up()).await;
    let mut subscription = connection.subscribe(&connection.names().channel("news"));
    assert!(matches!(in_time("it is subscribed", subscription.next()).await, Some(Notice::Gap)));
    let channel = connection.names().channel("news");
    let published = connection.command::<u64>(redis::cmd("PUBLISH").arg(&channel).arg("one")).await;
    assert_eq!(published, Ok(1));
    let message = in_time("the message", subscription.next()).await;
    assert!(matches!(message, Some(Notice::Message(text)) if &*text == "one"));
    let lock = RedisLock::new(connection.clone(), Duration::from_secs(60));
    let grant = lock.acquire(LockName(7), Duration::ZERO).await;
    let Grant::Granted(lease) = grant else { panic!("not granted: {grant:?}") };
    lock.release(lease).await;
    (connection, metrics)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The URL of a server's TLS port, by name or address.
fn by(host: &str, redis: &Redis) -> String {
    redis.tls_url().replace("localhost", host)
}

#[tokio::test]
async fn a_tls_server_is_verified_by_its_ca_and_name() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let redis = Redis::start_tls(&certificates.server(), &[]);
    let ca = text(&certificates.ca());
    for host in ["localhost", "127.0.0.1"] {
        let (connection, _) =
            assert_works(&[("redis", &by(host, &redis)), ("redis_ca", &ca)]).await;
        connection.close().await;
    }

    let url = by("localhost", &redis);
    let message = refusal(&[("redis", &url)]).await;
    assert!(message.contains("unknown authority") && message.contains("redis_ca"), "{message}");
    let foreign = text(&certificates.foreign_ca());
    let message = refusal(&[("redis", &url), ("redis_ca", &foreign)]).await;
    assert!(message.contains("certificate") && message.contains("redis_ca"), "{message}");
    let misnamed = Redis::start_tls(&certificates.misnamed(), &[]);
    let message = refusal(&[("redis", &misnamed.tls_url()), ("redis_ca", &ca)]).await;
    assert!(message.contains("for another name"), "{message}");

    let message = refusal(&[("redis", &url.replace("rediss", "redis"))]).await;
    assert!(message.contains("begin the URL with rediss"), "{message}");
    let plain = format!("rediss://:secret@localhost:{}", redis.port());
    let message = refusal(&[("redis", &plain), ("redis_ca", &ca)]).await;
    assert!(message.contains("does not speak TLS"), "{message}");
    let message = refusal(&[("redis", &redis.url()), ("redis_ca", &ca)]).await;
    assert!(message.contains("redis_ca") && message.contains("rediss"), "{message}");
    let cert = text(&certificates.client().cert);
    let message = refusal(&[("redis", &url), ("redis_cert", &cert)]).await;
    assert!(message.contains("set both or neither"), "{message}");
}

#[tokio::test]
async fn a_client_certificate_is_sent_when_the_server_requires_it() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let redis = Redis::start_tls(&certificates.server(), &["--tls-auth-clients", "yes"]);
    let Identity { ca, cert, key } = certificates.client();
    let (ca, cert, key) = (text(&ca), text(&cert), text(&key));
    let url = by("localhost", &redis);
    let with = [("redis", &*url), ("redis_ca", &*ca), ("redis_cert", &*cert), ("redis_key", &*key)];
    let (connection, _) = assert_works(&with).await;
    connection.close().await;
    let message = refusal(&with[..2]).await;
    assert!(message.contains("requires a client certificate"), "{message}");
}

#[tokio::test]
async fn sentinels_and_their_master_use_tls_and_are_followed_over_a_failover() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let sentinel = Sentinel::start_tls(&certificates.server());
    let (url, ca) = (sentinel.url(), text(&certificates.ca()));
    let (connection, _) = assert_works(&[("redis", &url), ("redis_ca", &ca)]).await;
    let old = sentinel.master();
    old.kill();
    eventually("the loss is detected", async || !connection.is_up()).await;
    sentinel.wait_for_failover(old);
    in_time("the connection comes up", connection.up()).await;
    assert_eq!(set(&connection).await, Ok(()));
    connection.close().await;
    let foreign = text(&certificates.foreign_ca());
    let (settings, plain) =
        ([("redis", &*url), ("redis_ca", &*foreign)], url.replace("rediss", "redis"));
    for settings in [&settings[..], &[("redis", &*plain)]] {
        let opened = try_connect(settings).await;
        assert!(opened.is_err() || !opened.expect("opens").0.is_up(), "{settings:?}");
    }
}

#[tokio::test]
async fn a_cluster_is_reached_over_tls() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let cluster = RedisCluster::start_tls(&certificates.server());
    let ca = text(&certificates.ca());
    let (connection, _) = assert_works(&[("redis", &cluster.url()), ("redis_ca", &ca)]).await;
    let old = cluster.master_of("shop:{1}:lock");
    old.kill();
    eventually("the loss is detected", async || !connection.is_up()).await;
    cluster.wait_until_whole();
    in_time("the connection comes up", connection.up()).await;
    assert_eq!(set(&connection).await, Ok(()));
    connection.close().await;
}

#[tokio::test]
async fn credentials_of_any_characters_work_and_wrong_ones_are_rejected() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    redis.command(&["ACL", "SETUSER", "sh@p", "on", ">se:cr/e t?#%ü", "+@all", "~*", "&*"]);
    let host = format!("127.0.0.1:{}", redis.port());
    let url = format!("redis://sh%40p:se%3Acr%2Fe%20t%3F%23%25%C3%BC@{host}/3");
    let (connection, _) = assert_works(&[("redis", &url)]).await;
    assert_eq!(set(&connection).await, Ok(()));
    assert_eq!(redis.command(&["-n", "3", "GET", "key"]), "1");
    assert!(connection.names().channel("news").contains(":3:"));
    connection.close().await;

    let message = refusal(&[("redis", &format!("redis://shop:secret@{host}"))]).await;
    assert!(message.contains("rejects the user and password"), "{message}");
    let message = refusal(&[("redis", &format!("redis://{host}/99"))]).await;
    assert!(message.contains("has no database 99"), "{message}");
    redis.command(&["CONFIG", "SET", "requirepass", "secret"]);
    let message = refusal(&[("redis", &format!("redis://{host}"))]).await;
    assert!(message.contains("requires a password"), "{message}");
}

#[tokio::test]
async fn a_missing_permission_is_named_in_the_refusal() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let allowed = [
        "ACL",
        "SETUSER",
        "u",
        "reset",
        "on",
        ">secret",
        "+@all",
        "-@dangerous",
        "~shop:*",
        "&shop:*",
    ];
    let url = redis.url().replace("redis://", "redis://u:secret@");
    let settings = [("redis", &*url)];
    redis.command(&allowed);
    let (connection, metrics) = assert_works(&settings).await;
    for (revoked, named) in [
        (&["-evalsha"][..], "evalsha"),
        (&["-script"], "script"),
        (&["-subscribe"], "subscribe"),
        (&["-publish"], "PUBLISH"),
        (&["-zadd"], "ZADD"),
        (&["-set"], "set"),
        (&["resetkeys", "~other:*"], "key"),
        (&["resetchannels", "&other:*"], "channel"),
    ] {
        redis.command(&allowed);
        redis.command(&[&["ACL", "SETUSER", "u"], revoked].concat());
        redis.command(&["SCRIPT", "FLUSH"]);
        let message = refusal(&settings).await;
        assert!(
            message.contains("lacks a permission") && message.contains(named),
            "{revoked:?}: {message}"
        );
        assert!(message.contains("~shop:* &shop:*"), "{message}");
    }
    // An open connection goes down when it meets that, and up again afterwards.
    redis.command(&allowed);
    in_time("the connection is up", connection.up()).await;
    redis.command(&["ACL", "SETUSER", "u", "-evalsha", "-eval"]);
    let script = redis::Script::new("return 7");
    let refused = connection.script::<u64>(&script.prepare_invoke()).await;
    assert_eq!(refused, Err(RedisConnectionError::Down));
    assert_eq!(metrics.degraded.get(), 1);
    assert!(fails_fast(&connection));
    redis.command(&allowed);
    in_time("the connection is up again", connection.up()).await;
    assert_eq!(connection.script::<u64>(&script.prepare_invoke()).await, Ok(7));
    assert_eq!(metrics.degraded.get(), 0);
    connection.close().await;
}

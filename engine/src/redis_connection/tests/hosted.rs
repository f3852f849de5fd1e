//! Redis as hosted ones are: with TLS, users, rights and several databases.

use std::path::Path;

use stockade_testkit::{Certificates, Identity, RedisCluster, Sentinel};

use super::*;
use crate::lock::redis::RedisLock;
use crate::lock::{Grant, Lock, LockName};

/// What comes of opening: a refusal, which shows no password.
async fn refusal(settings: &[(&str, &str)]) -> String {
    let Err(error) = try_connect(settings).await else { panic!("{settings:?} was taken") };
    assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{error}");
    let shown = format!("{error:?}");
    assert!(!shown.contains("secret"), "{shown}");
    error.message().to_owned()
}

/// That a link is up, and that commands, scripts and messages go over it.
async fn assert_works(settings: &[(&str, &str)]) -> (RedisConnection, Arc<Metrics>) {
    let (link, metrics) = try_connect(settings).await.expect("opens");
    assert!(link.is_up());
    let mut heard = link.subscribe(&link.names().channel("news"));
    assert!(matches!(soon("it is heard", heard.next()).await, Some(Notice::Gap)));
    let channel = link.names().channel("news");
    let said = link.command::<u64>(redis::cmd("PUBLISH").arg(&channel).arg("one")).await;
    assert_eq!(said, Ok(1));
    let message = soon("the message", heard.next()).await;
    assert!(matches!(message, Some(Notice::Message(text)) if &*text == "one"));
    let lock = RedisLock::new(link.clone(), Duration::from_secs(60));
    let grant = lock.acquire(LockName(7), Duration::ZERO).await;
    let Grant::Granted(lease) = grant else { panic!("not granted: {grant:?}") };
    lock.release(lease).await;
    (link, metrics)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The URL of a server's port for TLS, by its name or its address.
fn by(host: &str, redis: &Redis) -> String {
    redis.tls_url().replace("localhost", host)
}

#[tokio::test]
async fn a_server_by_tls_is_trusted_by_its_authority_and_name() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let redis = Redis::start_tls(&certificates.server(), &[]);
    let ca = text(&certificates.ca());
    for host in ["localhost", "127.0.0.1"] {
        let (link, _) = assert_works(&[("redis", &by(host, &redis)), ("redis_ca", &ca)]).await;
        link.close().await;
    }

    let url = by("localhost", &redis);
    let said = refusal(&[("redis", &url)]).await;
    assert!(said.contains("no known authority") && said.contains("redis_ca"), "{said}");
    let foreign = text(&certificates.foreign_ca());
    let said = refusal(&[("redis", &url), ("redis_ca", &foreign)]).await;
    assert!(said.contains("certificate") && said.contains("redis_ca"), "{said}");
    let misnamed = Redis::start_tls(&certificates.misnamed(), &[]);
    let said = refusal(&[("redis", &misnamed.tls_url()), ("redis_ca", &ca)]).await;
    assert!(said.contains("for another name"), "{said}");

    let said = refusal(&[("redis", &url.replace("rediss", "redis"))]).await;
    assert!(said.contains("begin the URL with rediss"), "{said}");
    let plain = format!("rediss://:secret@localhost:{}", redis.port());
    let said = refusal(&[("redis", &plain), ("redis_ca", &ca)]).await;
    assert!(said.contains("does not speak TLS"), "{said}");
    let said = refusal(&[("redis", &redis.url()), ("redis_ca", &ca)]).await;
    assert!(said.contains("redis_ca") && said.contains("rediss"), "{said}");
    let cert = text(&certificates.client().cert);
    let said = refusal(&[("redis", &url), ("redis_cert", &cert)]).await;
    assert!(said.contains("one is nothing without the other"), "{said}");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_one() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let redis = Redis::start_tls(&certificates.server(), &["--tls-auth-clients", "yes"]);
    let Identity { ca, cert, key } = certificates.client();
    let (ca, cert, key) = (text(&ca), text(&cert), text(&key));
    let url = by("localhost", &redis);
    let with = [("redis", &*url), ("redis_ca", &*ca), ("redis_cert", &*cert), ("redis_key", &*key)];
    let (link, _) = assert_works(&with).await;
    link.close().await;
    let said = refusal(&with[..2]).await;
    assert!(said.contains("wants a client certificate"), "{said}");
}

#[tokio::test]
async fn sentinels_and_their_master_are_reached_by_tls_and_followed_over_a_fail_over() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let sentinel = Sentinel::start_tls(&certificates.server());
    let (url, ca) = (sentinel.url(), text(&certificates.ca()));
    let (link, _) = assert_works(&[("redis", &url), ("redis_ca", &ca)]).await;
    let old = sentinel.master();
    old.kill();
    until("the loss is noticed", || !link.is_up()).await;
    sentinel.wait_for_failover(old);
    soon("the link comes up", link.up()).await;
    assert_eq!(set(&link).await, Ok(()));
    link.close().await;
    let foreign = text(&certificates.foreign_ca());
    let (settings, plain) =
        ([("redis", &*url), ("redis_ca", &*foreign)], url.replace("rediss", "redis"));
    for settings in [&settings[..], &[("redis", &*plain)]] {
        let opened = try_connect(settings).await;
        assert!(opened.is_err() || !opened.expect("opens").0.is_up(), "{settings:?}");
    }
}

#[tokio::test]
async fn a_cluster_is_reached_by_tls() {
    stockade_testkit::skip_without!(Redis);
    let certificates = Certificates::new();
    let cluster = RedisCluster::start_tls(&certificates.server());
    let ca = text(&certificates.ca());
    let (link, _) = assert_works(&[("redis", &cluster.url()), ("redis_ca", &ca)]).await;
    let old = cluster.master_of("shop:{1}:lock");
    old.kill();
    until("the loss is noticed", || !link.is_up()).await;
    cluster.wait_until_whole();
    soon("the link comes up", link.up()).await;
    assert_eq!(set(&link).await, Ok(()));
    link.close().await;
}

#[tokio::test]
async fn users_and_passwords_of_any_characters_are_shown_and_wrong_ones_refused() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    redis.command(&["ACL", "SETUSER", "sh@p", "on", ">se:cr/e t?#%ü", "+@all", "~*", "&*"]);
    let host = format!("127.0.0.1:{}", redis.port());
    let url = format!("redis://sh%40p:se%3Acr%2Fe%20t%3F%23%25%C3%BC@{host}/3");
    let (link, _) = assert_works(&[("redis", &url)]).await;
    assert_eq!(set(&link).await, Ok(()));
    assert_eq!(redis.command(&["-n", "3", "GET", "key"]), "1");
    assert!(link.names().channel("news").contains(":3:"));
    link.close().await;

    let said = refusal(&[("redis", &format!("redis://shop:secret@{host}"))]).await;
    assert!(said.contains("does not take the user and password"), "{said}");
    let said = refusal(&[("redis", &format!("redis://{host}/99"))]).await;
    assert!(said.contains("has no database 99"), "{said}");
    redis.command(&["CONFIG", "SET", "requirepass", "secret"]);
    let said = refusal(&[("redis", &format!("redis://{host}"))]).await;
    assert!(said.contains("wants a password"), "{said}");
}

#[tokio::test]
async fn a_user_without_a_right_is_refused_by_a_sentence_that_names_it() {
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
    let (link, metrics) = assert_works(&settings).await;
    for (taken, named) in [
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
        redis.command(&[&["ACL", "SETUSER", "u"], taken].concat());
        redis.command(&["SCRIPT", "FLUSH"]);
        let said = refusal(&settings).await;
        assert!(said.contains("lacks a right") && said.contains(named), "{taken:?}: {said}");
        assert!(said.contains("~shop:* &shop:*"), "{said}");
    }
    // The link that was open: told once it meets that, and up again afterwards.
    redis.command(&allowed);
    soon("the link is up", link.up()).await;
    redis.command(&["ACL", "SETUSER", "u", "-evalsha", "-eval"]);
    let script = redis::Script::new("return 7");
    let refused = link.script::<u64>(&script.prepare_invoke()).await;
    assert_eq!(refused, Err(RedisConnectionError::Down));
    assert_eq!(metrics.degraded.get(), 1);
    assert!(fails_at_once(&link));
    redis.command(&allowed);
    soon("the link is up again", link.up()).await;
    assert_eq!(link.script::<u64>(&script.prepare_invoke()).await, Ok(7));
    assert_eq!(metrics.degraded.get(), 0);
    link.close().await;
}

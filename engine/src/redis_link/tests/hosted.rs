//! Redis as hosted ones are: with TLS, users, rights and several databases.

use super::*;
use crate::lock::redis::RedisLock;
use crate::lock::{Grant, Lock, LockName};
use crate::tls::testing::Certificates;

/// What comes of opening: a refusal, which shows no password.
async fn refusal(settings: &[(&str, &str)]) -> String {
    let Err(error) = try_connect(settings).await else { panic!("{settings:?} was taken") };
    assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{error}");
    let shown = format!("{error:?}");
    assert!(!shown.contains("secret"), "{shown}");
    error.message().to_owned()
}

/// That a link is up, and that commands, scripts and messages go over it.
async fn assert_works(settings: &[(&str, &str)]) -> (RedisLink, Arc<Metrics>) {
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

/// A server that speaks TLS on a second port.
fn secure(certificates: &Certificates, clients: &str) -> (Redis, u16) {
    let port = free_port();
    let redis = Redis::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificates.cert(),
        "--tls-key-file",
        &certificates.key(),
        "--tls-ca-cert-file",
        &certificates.ca(),
        "--tls-auth-clients",
        clients,
    ]);
    (redis, port)
}

#[tokio::test]
async fn a_server_by_tls_is_trusted_by_its_authority_and_name() {
    let certificates = Certificates::for_names(&["localhost"]);
    let (redis, port) = secure(&certificates, "no");
    let (url, ca) = (format!("rediss://localhost:{port}"), certificates.ca());
    let (link, _) = assert_works(&[("redis", &url), ("redis_ca", &ca)]).await;
    link.close().await;

    let said = refusal(&[("redis", &url)]).await;
    assert!(said.contains("no known authority") && said.contains("redis_ca"), "{said}");
    let other = Certificates::for_names(&["localhost"]);
    let said = refusal(&[("redis", &url), ("redis_ca", &other.ca())]).await;
    assert!(said.contains("certificate") && said.contains("redis_ca"), "{said}");
    let by_address = format!("rediss://127.0.0.1:{port}");
    let said = refusal(&[("redis", &by_address), ("redis_ca", &ca)]).await;
    assert!(said.contains("for another name"), "{said}");

    let said = refusal(&[("redis", &format!("redis://localhost:{port}"))]).await;
    assert!(said.contains("begin the URL with rediss"), "{said}");
    let plain = format!("rediss://:secret@localhost:{}", redis.port());
    let said = refusal(&[("redis", &plain), ("redis_ca", &ca)]).await;
    assert!(said.contains("does not speak TLS"), "{said}");
    let said = refusal(&[("redis", &redis.url()), ("redis_ca", &ca)]).await;
    assert!(said.contains("redis_ca") && said.contains("rediss"), "{said}");
    let said = refusal(&[("redis", &url), ("redis_cert", &certificates.cert())]).await;
    assert!(said.contains("one is nothing without the other"), "{said}");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_one() {
    let certificates = Certificates::for_names(&["localhost"]);
    let (_redis, port) = secure(&certificates, "yes");
    let (ca, cert, key) = (certificates.ca(), certificates.cert(), certificates.key());
    let url = format!("rediss://localhost:{port}");
    let with = [("redis", &*url), ("redis_ca", &*ca), ("redis_cert", &*cert), ("redis_key", &*key)];
    let (link, _) = assert_works(&with).await;
    link.close().await;
    let said = refusal(&with[..2]).await;
    assert!(said.contains("wants a client certificate"), "{said}");
}

#[tokio::test]
async fn users_and_passwords_of_any_characters_are_shown_and_wrong_ones_refused() {
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
    assert_eq!(refused, Err(LinkError::Down));
    assert_eq!(metrics.degraded.get(), 1);
    assert!(fails_at_once(&link));
    redis.command(&allowed);
    soon("the link is up again", link.up()).await;
    assert_eq!(link.script::<u64>(&script.prepare_invoke()).await, Ok(7));
    assert_eq!(metrics.degraded.get(), 0);
    link.close().await;
}

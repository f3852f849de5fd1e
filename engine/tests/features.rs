//! Every build refuses a URL whose cargo feature it leaves out, and names the feature.
//! `make features` runs this without most features.

use stockade::{Engine, EngineBuilder, NewProduct};

/// The error of opening this store and Redis; `None` if both open.
fn refusal(store: &str, redis: &str) -> Option<String> {
    let builder = Engine::builder().store(store).redis(redis);
    // Nothing listens on this port: a build with the feature fails to connect.
    let opened = builder.set("remote_reconnect", "0s").and_then(EngineBuilder::open);
    opened.err().map(|error| format!("{}: {error}", error.code()))
}

#[test]
fn a_url_is_refused_with_the_name_of_its_feature_when_the_build_leaves_it_out() {
    let memory = "sqlite::memory:";
    for (is_enabled, feature, store, redis) in [
        (cfg!(feature = "sqlite"), "sqlite", memory, ""),
        (cfg!(feature = "mysql"), "mysql", "mysql://root@127.0.0.1:1/shop", ""),
        (cfg!(feature = "mysql"), "mysql", "mariadb://root@127.0.0.1:1/shop", ""),
        (cfg!(feature = "remote"), "remote", "unix:///nowhere/stockade.sock", ""),
        (cfg!(feature = "remote"), "remote", "http://127.0.0.1:1", ""),
        (cfg!(feature = "redis"), "redis", memory, "redis://127.0.0.1:1"),
        (cfg!(feature = "tls"), "tls", memory, "rediss+cluster://127.0.0.1:1"),
    ] {
        let refused = refusal(store, redis).unwrap_or_default();
        let names_it = refused.starts_with("invalid_argument: this build cannot ")
            && refused.ends_with(&format!(": enable the feature `{feature}`"));
        let names_another = refused.contains("enable the feature");
        assert!(
            if is_enabled { !names_it } else { names_it || names_another },
            "{store}: {refused}"
        );
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite_needs_no_other_feature() {
    let engine = Engine::open("sqlite::memory:").expect("opens");
    let price = "19.99".parse().expect("a price");
    let lamp = engine.create_product(NewProduct::new("Lamp", price, 5)).expect("created").value;
    assert_eq!(engine.product(lamp.id).expect("read").stock, 5);
    engine.close().expect("closes");
}

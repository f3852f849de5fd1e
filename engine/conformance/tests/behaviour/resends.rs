//! Calls as a remote engine sends them, and sends them again.

use serde_json::{Value, json};
use stockade::{AsyncEngine, CartRequest, HoldRequest, ProductId, RemoteCall, StockAdjustment};

use crate::world::World;
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("resends";
    a_hold_sent_again_is_the_same_however_sold_out_the_product_is,
    a_refusal_that_was_never_delivered_is_made_anew,
    a_first_copy_that_was_overtaken_is_answered_what_was_done,
    a_clients_key_is_no_callers_key,
    a_call_that_makes_no_sense_is_refused_as_such,
    a_closed_engine_is_unavailable_to_others,
);

const KEY: &str = "00000000000000000000000000000007";

fn with_engine<F: Future<Output = ()>>(world: &World, test: impl FnOnce(AsyncEngine) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let engine = world.builder().open_async().await.expect("opens");
        test(engine.clone()).await;
        assert!(engine.audit().await.expect("audits").consistent);
        engine.close().await;
    });
}

async fn product(engine: &AsyncEngine, stock: u64) -> ProductId {
    let price = "1".parse().expect("a price");
    let new = stockade::NewProduct::new("Lamp", price, stock);
    engine.create_product(&new).await.expect("created").value.id
}

/// Sends a call as a client does; returns `{"Ok": the operation's result}` or
/// `{"Err": …}`.
async fn send(
    engine: &AsyncEngine,
    operation: &str,
    arguments: &Value,
    is_retry: bool,
    key: &str,
) -> Value {
    let call = json!({
        "retry": { "key": key, "is_retry": is_retry },
        "request": { operation: arguments },
    });
    let reply = engine.serve_call(RemoteCall::parse(call.to_string().as_bytes())).await;
    let mut reply: Value = serde_json::from_slice(&reply).expect("JSON");
    match reply["Ok"].get_mut(operation) {
        Some(result) => json!({ "Ok": result.take() }),
        None => reply,
    }
}

async fn hold(engine: &AsyncEngine, id: ProductId, units: u32, again: bool) -> Value {
    let request = serde_json::to_value(HoldRequest::new(id, units)).expect("JSON");
    send(engine, "create_hold", &request, again, KEY).await
}

fn a_hold_sent_again_is_the_same_however_sold_out_the_product_is(world: &World) {
    with_engine(world, async |engine| {
        let id = product(&engine, 1).await;
        let first = hold(&engine, id, 1, false).await;
        assert!(first["Ok"]["value"]["id"].is_u64(), "{first}");
        // Now it is known to be sold out, without the store.
        let refused = engine.create_hold(HoldRequest::new(id, 1)).await.expect_err("sold out");
        assert_eq!(refused.code(), "insufficient_stock");
        let again = hold(&engine, id, 1, true).await;
        assert_eq!(again["Ok"]["value"], first["Ok"]["value"]);
        assert_eq!(engine.products(None, 1).await.expect("reads").items[0].held, 1);
    });
}

fn a_refusal_that_was_never_delivered_is_made_anew(world: &World) {
    with_engine(world, async |engine| {
        let id = product(&engine, 1).await;
        let refused = hold(&engine, id, 2, false).await;
        assert_eq!(refused["Err"]["code"], "insufficient_stock", "{refused}");
        assert_eq!(refused["Err"]["short"][0]["available"], 1);
        engine.adjust_stock(StockAdjustment::new(id, 1, "found")).await.expect("adjusted");
        let again = hold(&engine, id, 2, true).await;
        assert_eq!(again["Ok"]["value"]["quantity"], 2, "{again}");
        assert_eq!(again["Ok"]["replayed"], false);
    });
}

/// The second copy of a call was done by another engine before the first one
/// came: neither a hold nor a cart is made again, and others who ask at the
/// same time do not notice.
fn a_first_copy_that_was_overtaken_is_answered_what_was_done(world: &World) {
    with_engine(world, async |engine| {
        let id = product(&engine, 9).await;
        let late = match world.backend.is_shared() {
            true => world.builder().open_async().await.expect("opens"),
            false => engine.clone(),
        };
        // The late engine knows the product. It does not read the late copy's key,
        // which is fresh: only the table's unique key finds the stored answer.
        late.product(id).await.expect("reads");
        let request = serde_json::to_value(HoldRequest::new(id, 1)).expect("JSON");
        let cart = serde_json::to_value(CartRequest::new([(id, 2)])).expect("JSON");
        let calls = [
            ("create_hold", request, KEY.to_owned()),
            ("create_holds", cart, KEY.replace('7', "8")),
        ];
        for (times, (call, args, key)) in calls.into_iter().enumerate() {
            let done = send(&engine, call, &args, true, &key).await;
            assert_eq!(done["Ok"]["replayed"], false, "{done}");
            let other = HoldRequest::new(id, 1);
            let first_copy = send(&late, call, &args, false, &key);
            let (told, held) = tokio::join!(first_copy, late.create_hold(&other));
            assert_eq!(told["Ok"]["value"], done["Ok"]["value"], "{told}");
            // Its caller has no key of its own, so it cannot have had it before.
            assert_eq!(told["Ok"]["replayed"], false, "{told}");
            assert!(!held.expect("held").replayed);
            let taken = format!("stockade_retries_total{{cause=\"duplicate\"}} {}", times + 1);
            let counted = late.metrics_text();
            assert!(counted.lines().any(|line| line == taken), "{counted}");
        }
        assert_eq!(engine.products(None, 1).await.expect("reads").items[0].held, 1 + 2 + 2);
        if world.backend.is_shared() {
            late.close().await;
        }
    });
}

fn a_clients_key_is_no_callers_key(world: &World) {
    with_engine(world, async |engine| {
        let id = product(&engine, 9).await;
        let drawn = hold(&engine, id, 1, false).await;
        let given = engine.create_hold(HoldRequest::new(id, 1).key(KEY)).await.expect("held");
        assert!(!given.replayed && drawn["Ok"]["value"]["id"] != given.value.id.0);
        let forged = engine.create_hold(HoldRequest::new(id, 1).key(format!("\u{2}{KEY}"))).await;
        assert_eq!(forged.expect_err("refused").code(), "invalid_argument");
        // A caller's key goes before the client's.
        let request = serde_json::to_value(HoldRequest::new(id, 1).key(KEY)).expect("JSON");
        let replayed = send(&engine, "create_hold", &request, true, KEY).await;
        assert_eq!(replayed["Ok"]["value"]["id"], given.value.id.0);
        assert_eq!(replayed["Ok"]["replayed"], true);
    });
}

fn a_call_that_makes_no_sense_is_refused_as_such(world: &World) {
    with_engine(world, async |engine| {
        for (operation, arguments) in [
            ("haggle", json!({})),
            ("create_hold", json!([])),
            ("create_hold", json!({ "product_id": 1 })),
            ("create_hold", json!({ "product_id": 1, "quantity": -1 })),
            ("product", json!({ "id": 1, "limit": 2 })),
            ("product", json!({})),
            ("ping", json!(7)),
            ("create_product", json!({ "name": "Lamp", "price": -1, "stock": 1 })),
        ] {
            let reply = send(&engine, operation, &arguments, false, KEY).await;
            assert_eq!(
                reply["Err"]["code"], "invalid_argument",
                "{operation} {arguments}: {reply}"
            );
        }
        for malformed in [&b"{\"request\":{\"create_hold\":{\"prod"[..], b"{}", b"[]", b""] {
            let reply = engine.serve_call(RemoteCall::parse(malformed)).await;
            assert!(String::from_utf8_lossy(&reply).contains("invalid_argument"));
        }
    });
}

fn a_closed_engine_is_unavailable_to_others(world: &World) {
    with_engine(world, async |_| {
        let engine = world.builder().open_async().await.expect("opens");
        engine.close().await;
        for (operation, arguments) in
            [("ping", json!({})), ("create_hold", json!(HoldRequest::new(1, 1)))]
        {
            let reply = send(&engine, operation, &arguments, false, KEY).await;
            assert_eq!(reply["Err"]["code"], "unavailable", "{operation}: {reply}");
        }
    });
}

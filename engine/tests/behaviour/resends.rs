//! Calls as a remote engine sends them, and sends them again.

use serde_json::{Value, json};
use stockade::{AsyncEngine, CartRequest, HoldRequest, ProductId, StockAdjustment};

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
    engine.create_product(&new).await.expect("created").id
}

async fn send(engine: &AsyncEngine, call: &str, body: &Value) -> Value {
    let answer = engine.answer(call, body.to_string().as_bytes()).await.expect("a known call");
    serde_json::from_slice(&answer).expect("JSON")
}

async fn hold(engine: &AsyncEngine, id: ProductId, units: u32, again: bool) -> Value {
    let request = serde_json::to_value(HoldRequest::new(id, units)).expect("JSON");
    let body = json!({ "resend": { "key": KEY, "again": again }, "args": [request] });
    send(engine, "hold", &body).await
}

fn a_hold_sent_again_is_the_same_however_sold_out_the_product_is(world: &World) {
    with_engine(world, async |engine| {
        let id = product(&engine, 1).await;
        let first = hold(&engine, id, 1, false).await;
        assert!(first["Ok"]["value"]["id"].is_u64(), "{first}");
        // Now it is known to be sold out, without the store.
        let refused = engine.hold(&HoldRequest::new(id, 1)).await.expect_err("sold out");
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
        engine.adjust_stock(&StockAdjustment::new(id, 1, "found")).await.expect("adjusted");
        let again = hold(&engine, id, 2, true).await;
        assert_eq!(again["Ok"]["value"]["qty"], 2, "{again}");
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
        // Known to be plenty, so that the late copy is written ahead.
        late.product(id).await.expect("reads");
        let request = serde_json::to_value(HoldRequest::new(id, 1)).expect("JSON");
        let cart = serde_json::to_value(CartRequest::new([(id, 2)])).expect("JSON");
        let calls = [("hold", request, KEY.to_owned()), ("hold_many", cart, KEY.replace('7', "8"))];
        for (times, (call, args, key)) in calls.into_iter().enumerate() {
            let body = |again| json!({ "resend": { "key": key, "again": again }, "args": [args] });
            let done = send(&engine, call, &body(true)).await;
            assert_eq!(done["Ok"]["replayed"], false, "{done}");
            let (body, other) = (body(false), HoldRequest::new(id, 1));
            let (told, held) = tokio::join!(send(&late, call, &body), late.hold(&other));
            assert_eq!(told["Ok"]["value"], done["Ok"]["value"], "{told}");
            assert_eq!(told["Ok"]["replayed"], true, "{told}");
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
        let given = engine.hold(&HoldRequest::new(id, 1).key(KEY)).await.expect("held");
        assert!(!given.replayed && drawn["Ok"]["value"]["id"] != given.id.0);
        let forged = engine.hold(&HoldRequest::new(id, 1).key(format!("\u{2}{KEY}"))).await;
        assert_eq!(forged.expect_err("refused").code(), "invalid_argument");
        // A caller's key goes before the client's.
        let request = serde_json::to_value(HoldRequest::new(id, 1).key(KEY)).expect("JSON");
        let body = json!({ "resend": { "key": KEY, "again": true }, "args": [request] });
        let replayed = send(&engine, "hold", &body).await;
        assert_eq!(replayed["Ok"]["value"]["id"], given.id.0);
        assert_eq!(replayed["Ok"]["replayed"], true);
    });
}

fn a_call_that_makes_no_sense_is_refused_as_such(world: &World) {
    with_engine(world, async |engine| {
        assert_eq!(engine.answer("haggle", b"{\"args\":[]}").await, None);
        let negative = json!({ "args": [{ "name": "Lamp", "price": -1, "stock": 1 }] });
        for (call, body) in [
            ("hold", json!({ "args": [] })),
            ("hold", json!({ "args": [{ "product_id": 1 }] })),
            ("hold", json!({ "args": [{ "product_id": 1, "quantity": -1 }] })),
            ("product", json!({ "args": [1, 2] })),
            ("product", json!({})),
            ("ping", json!([])),
            ("create_product", negative),
        ] {
            let answer = send(&engine, call, &body).await;
            assert_eq!(answer["Err"]["code"], "invalid_argument", "{call} {body}: {answer}");
        }
        let cut = engine.answer("hold", b"{\"args\":[{\"prod").await.expect("a known call");
        assert!(String::from_utf8_lossy(&cut).contains("invalid_argument"));
    });
}

fn a_closed_engine_is_unavailable_to_others(world: &World) {
    with_engine(world, async |_| {
        let engine = world.builder().open_async().await.expect("opens");
        engine.close().await;
        for (call, args) in [("ping", json!(null)), ("hold", json!([HoldRequest::new(1, 1)]))] {
            let answer = send(&engine, call, &json!({ "args": args })).await;
            assert_eq!(answer["Err"]["code"], "unavailable", "{call}: {answer}");
        }
    });
}

//! The batch call: many holds by one call, each on its own.

use stockade::{Engine, HoldRequest, HoldStatus, ProductId, Token};

use crate::crowd::{at_once, metric};
use crate::steps::{Later, TICK, assert_numbers, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("hold_batches";
    each_request_has_its_own_result_in_its_place,
    a_batch_is_decided_in_the_order_of_its_requests,
    the_holds_of_a_batch_are_independent_afterwards,
    a_key_is_of_one_request_of_a_batch,
    a_batch_beyond_the_queue_limit_sheds_none_of_its_own,
    an_empty_batch_has_no_results,
    batches_and_single_holds_at_once_never_oversell,
);

fn codes(engine: &Engine, requests: Vec<HoldRequest>) -> Vec<&'static str> {
    let results = engine.create_hold_batch(requests).expect("runs");
    results.iter().map(|result| result.as_ref().map_or_else(|error| error.code(), |_| "")).collect()
}

fn each_request_has_its_own_result_in_its_place(world: &World) {
    let engine = world.builder().max_per_hold(10).open();
    let engine = engine.expect("opens");
    let (a, b) = (product(&engine, 5), product(&engine, 1));
    let requests = vec![
        HoldRequest::new(a, 2).ttl(secs(60)),
        HoldRequest::new(a, 0),
        HoldRequest::new(u64::MAX, 1),
        HoldRequest::new(b, 1).customer("c"),
        HoldRequest::new(a, 11),
        HoldRequest::new(b, 1),
        HoldRequest::new(a, 3),
        HoldRequest::new(a, 1).key(""),
    ];
    let results = engine.create_hold_batch(requests).expect("runs");
    let codes: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map_or_else(|error| error.code(), |_| ""))
        .collect();
    let refused = ["invalid_argument", "not_found", "quantity_limit", "insufficient_stock"];
    let [bad, unknown, limit, short] = refused;
    assert_eq!(codes, ["", bad, unknown, "", limit, short, "", bad]);
    let first = &results[0].as_ref().expect("held").value;
    assert_eq!((first.product_id, first.quantity), (a, 2));
    assert_eq!(first.expires_at, world.clock.time().after(secs(60)));
    assert_eq!(results[5].as_ref().expect_err("short").available(), Some(0));
    assert_numbers(&engine, a, [0, 5, 0, 0]);
    assert_numbers(&engine, b, [0, 1, 0, 0]);
    assert_clean(&engine);
}

fn a_batch_is_decided_in_the_order_of_its_requests(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 6);
    let short = "insufficient_stock";
    let requests = [4, 3, 2, 1].map(|units| HoldRequest::new(id, units)).to_vec();
    assert_eq!(codes(&engine, requests), ["", short, "", short]);
    assert_numbers(&engine, id, [0, 6, 0, 0]);
    assert_clean(&engine);
}

fn the_holds_of_a_batch_are_independent_afterwards(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 600);
    let requests = vec![HoldRequest::new(id, 2).ttl(secs(10)); 300];
    let results = engine.create_hold_batch(requests).expect("runs");
    let holds: Vec<_> = results.into_iter().map(|result| result.expect("held").value).collect();
    let mut tokens: Vec<Token> = holds.iter().filter_map(|hold| hold.token).collect();
    tokens.sort_unstable_by_key(ToString::to_string);
    tokens.dedup();
    assert_eq!(tokens.len(), 300, "each has a token of its own");
    for hold in [&holds[0], &holds[255], &holds[299]] {
        assert_eq!(engine.hold(hold.id).expect("reads"), hold.later());
    }
    engine.release_hold(holds[7].id).expect("released");
    engine.create_order(stockade::OrderRequest::new(holds[8].id, id)).expect("ordered");
    assert_numbers(&engine, id, [2, 596, 2, 0]);
    world.clock.advance(secs(10) + TICK);
    engine.sweep().expect("swept");
    assert_numbers(&engine, id, [598, 0, 2, 0]);
    let status = |at: usize| engine.hold(holds[at].id).expect("reads").status;
    assert_eq!(
        [status(6), status(7), status(8)],
        [HoldStatus::Expired, HoldStatus::Released, HoldStatus::Converted]
    );
    assert_clean(&engine);
}

fn a_key_is_of_one_request_of_a_batch(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let keyed = |key: &str, units| HoldRequest::new(id, units).key(key);
    let first = engine.create_hold(keyed("one", 2)).expect("held").value;
    let requests = vec![keyed("one", 2), keyed("two", 1), keyed("two", 1), keyed("two", 2)];
    let results = engine.create_hold_batch(requests.clone()).expect("runs");
    let [one, two, again, other] = &results[..] else { panic!("{results:?}") };
    let shown = |result: &stockade::Result<stockade::Replayable<stockade::Hold>>| {
        let done = result.as_ref().expect("held");
        (done.value.id, done.replayed)
    };
    assert_eq!(shown(one), (first.id, true));
    assert_eq!((shown(two).1, shown(again)), (false, (shown(two).0, true)));
    assert_eq!(other.as_ref().expect_err("mismatch").code(), "idempotency_mismatch");
    assert_numbers(&engine, id, [6, 3, 0, 0]);
    let results = engine.create_hold_batch(requests).expect("runs");
    assert!(results[..3].iter().all(|result| shown(result).1), "all replayed");
    assert_numbers(&engine, id, [6, 3, 0, 0]);
    assert_clean(&engine);
}

fn a_batch_beyond_the_queue_limit_sheds_none_of_its_own(world: &World) {
    let engine = world.builder().set("queue_limit", "64").expect("a setting").open();
    let engine = engine.expect("opens");
    let id = product(&engine, 500);
    let results = codes(&engine, vec![HoldRequest::new(id, 1); 501]);
    assert!(results[..500].iter().all(|code| code.is_empty()), "{results:?}");
    assert_eq!(results[500], "insufficient_stock");
    assert_numbers(&engine, id, [0, 500, 0, 0]);
    assert_clean(&engine);
}

fn an_empty_batch_has_no_results(world: &World) {
    let engine = world.engine();
    assert!(engine.create_hold_batch(Vec::new()).expect("runs").is_empty());
    engine.close().expect("closes");
    let error = engine.create_hold_batch(Vec::new()).expect_err("closed");
    assert_eq!(error.code(), "misuse");
}

fn batches_and_single_holds_at_once_never_oversell(world: &World) {
    let engine = world.engine();
    let ids: [ProductId; 3] = [700, 300, 1_000].map(|stock| product(&engine, stock));
    let before = metric(&engine, "stockade_batch_size_count");
    let held: u64 = at_once(8, |worker| {
        let mut held = 0;
        for round in 0..10 {
            let requests = (0..30).map(|at| HoldRequest::new(ids[(worker + at) % 3], 1)).collect();
            let results = engine.create_hold_batch(requests).expect("runs");
            held += results.iter().filter(|result| result.is_ok()).count() as u64;
            held += u64::from(engine.create_hold(HoldRequest::new(ids[round % 3], 1)).is_ok());
        }
        held
    })
    .into_iter()
    .sum();
    let products = ids.map(|id| engine.product(id).expect("reads"));
    assert_eq!(products.iter().map(|product| product.held).sum::<u64>(), held);
    for (product, stock) in products.iter().zip([700, 300, 1_000]) {
        assert_eq!(product.stock + product.held, stock);
    }
    assert_eq!(products[1].stock, 0, "more was asked for than there was");
    let transactions = metric(&engine, "stockade_batch_size_count") - before;
    assert!(transactions < 1_200.0, "requests share transactions: {transactions}");
    assert_clean(&engine);
}

//! One hold that many want to end, and callers who go away.

use std::thread;
use std::time::Duration;

use stockade::{
    AsyncEngine, CartRequest, Engine, ErrorKind, Event, EventKind, ExtendRequest, Hold,
    HoldRequest, HoldStatus, NewProduct, OrderRequest, Outcome, PaymentEvent, ProductId, Result,
    Timestamp,
};
use stockade_testkit::wait_until;
use tokio::runtime::Runtime;

use crate::Scenario;
use crate::crowd::{Dice, at_once};
use crate::history::{History, assert_exact};
use crate::outsider::wait_for_no_transaction;
use crate::scenarios;
use crate::world::{World, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("races";
    one_of_order_release_and_expiry_wins,
    one_of_many_orders_wins,
    callers_who_go_away_leave_nothing_behind,
);

pub const SERVERS: &[Scenario] = scenarios!("races";
    callers_who_go_away_leave_no_transaction_open,
);

const ROUNDS: usize = 40;
const CUPS: u64 = 10_000;

/// What one caller did to the hold, and what came of it.
#[derive(Debug)]
enum Did {
    Order(Result<HoldStatus>),
    Release(Result<HoldStatus>),
    Extend(Result<HoldStatus>),
    Time,
}

fn one_of_order_release_and_expiry_wins(world: &World) {
    // Orders are left unpaid while the clock runs on.
    let engine = world.builder().payment_ttl(Duration::ZERO).open().expect("opens");
    let mut dice = Dice::new(0);
    for round in 0..ROUNDS {
        let id = product(&engine, 5);
        let hold = engine.create_hold(HoldRequest::new(id, 2)).expect("held").value;
        // One microsecond before the end; a caller moves it on to the end.
        world.clock.set(Timestamp::from_micros(hold.expires_at.micros() - 1));
        let extends = round % 4 == 3;
        let mut roles = [0, 0, 1, 1, 2, if extends { 3 } else { 2 }];
        dice.shuffle(&mut roles);
        let did = at_once(roles.len(), |at| match roles[at] {
            0 => {
                let order = engine.create_order(OrderRequest::new(hold.id, id));
                Did::Order(order.map(|_| HoldStatus::Converted))
            }
            1 => Did::Release(engine.release_hold(hold.id).map(|hold| hold.status)),
            2 => {
                world.clock.set(hold.expires_at);
                Did::Time
            }
            _ => {
                Did::Extend(engine.extend_hold(ExtendRequest::new(hold.id)).map(|hold| hold.status))
            }
        });
        engine.sweep().expect("sweeps");
        let hold = engine.hold(hold.id).expect("is there");
        assert_ended_once(&engine, &hold, &did);
        world.clock.advance(Duration::from_secs(1));
    }
}

/// Every answer agrees with the one way in which the hold ended.
fn assert_ended_once(engine: &Engine, hold: &Hold, did: &[Did]) {
    let ended = hold.status;
    for did in did {
        let agrees = match (did, ended) {
            (Did::Time, _) => true,
            // It was active still when it was extended.
            (Did::Extend(Ok(status)), _) => *status == HoldStatus::Active,
            (Did::Release(Ok(status)), _) => *status == ended && ended != HoldStatus::Converted,
            (Did::Order(Ok(_)), _) => ended == HoldStatus::Converted,
            (
                Did::Order(Err(error)) | Did::Release(Err(error)) | Did::Extend(Err(error)),
                HoldStatus::Converted,
            ) => error.kind() == ErrorKind::HoldAlreadyUsed && error.order_id().is_some(),
            (Did::Release(Err(_)), _) => false,
            (Did::Order(Err(error)) | Did::Extend(Err(error)), _) => {
                error.kind() == ErrorKind::HoldExpired
            }
        };
        assert!(agrees, "{did:?} of a hold that is {ended:?}");
    }
    let ordered = did.iter().filter(|did| matches!(did, Did::Order(Ok(_)))).count();
    assert_eq!(ordered, usize::from(ended == HoldStatus::Converted));
    let (kind, numbers_now) = match ended {
        HoldStatus::Converted => (EventKind::OrderCreated, [3, 0, 2, 0]),
        HoldStatus::Released => (EventKind::HoldReleased, [5, 0, 0, 0]),
        HoldStatus::Expired => (EventKind::HoldExpired, [5, 0, 0, 0]),
        _ => panic!("someone must have ended it: {did:?}"),
    };
    assert_eq!(numbers(engine, hold.product_id), numbers_now, "{did:?}");
    let mut told = History::read(engine).of_hold(hold.id);
    told.retain(|kind| *kind != EventKind::HoldExtended);
    assert_eq!(told, [EventKind::HoldCreated, kind], "{did:?}");
    assert_exact(engine, &[hold.product_id], 5);
}

fn one_of_many_orders_wins(world: &World) {
    let engine = world.engine();
    for _ in 0..10 {
        let id = product(&engine, 3);
        let hold = engine.create_hold(HoldRequest::new(id, 3)).expect("held").value.id;
        let answers = at_once(16, |_| engine.create_order(OrderRequest::new(hold, id)));
        let orders: Vec<_> = answers.iter().flatten().map(|order| order.value.id).collect();
        assert_eq!(orders.len(), 1, "{answers:?}");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::HoldAlreadyUsed);
            assert_eq!(error.order_id(), Some(orders[0]));
        }
        assert_eq!(numbers(&engine, id), [0, 0, 3, 0]);
        assert_exact(&engine, &[id], 3);
    }
}

fn callers_who_go_away_leave_nothing_behind(world: &World) {
    let runtime = Runtime::new().expect("a runtime");
    let engine = desert(world, &runtime);
    runtime.block_on(engine.close());
}

fn callers_who_go_away_leave_no_transaction_open(world: &World) {
    let runtime = Runtime::new().expect("a runtime");
    let engine = desert(world, &runtime);
    wait_for_no_transaction(world);
    runtime.block_on(engine.close());
}

/// Lets 300 callers buy, of whom every other one is cut off in mid-call, and
/// sees that all is accounted for.
fn desert(world: &World, runtime: &Runtime) -> AsyncEngine {
    let engine = runtime.block_on(world.builder().open_async()).expect("opens");
    let products: Vec<ProductId> = (0..3).map(|_| runtime.block_on(new_product(&engine))).collect();
    let mut dice = Dice::new(0);
    let callers: Vec<_> = (0..300)
        .map(|at| {
            let (engine, products) = (engine.clone(), products.clone());
            runtime.spawn(async move { shop(&engine, &products, at).await })
        })
        .collect();
    // Cut off one by one, while the others are at all stages of their calls.
    for caller in callers.iter().step_by(2) {
        thread::sleep(Duration::from_micros(dice.below(400)));
        caller.abort();
    }
    let mut served = 0;
    for caller in callers {
        match runtime.block_on(caller) {
            Ok(()) => served += 1,
            Err(gone) => assert!(gone.is_cancelled(), "{gone}"),
        }
    }
    assert!((150..300).contains(&served), "{served} were served");
    // What was held or ordered for those who left comes back in time; also what a command
    // of theirs that is still queued makes.
    wait_until("all is back", Duration::from_secs(20), || {
        world.clock.advance(Duration::from_secs(3_600));
        runtime.block_on(async {
            engine.sweep().await.expect("sweeps");
            let units = engine.audit().await.expect("audits").units;
            (units.held, units.pending) == (0, 0)
        })
    });
    runtime.block_on(assert_all_back(&engine, &products, served));
    engine
}

async fn new_product(engine: &AsyncEngine) -> ProductId {
    let price = "1".parse().expect("a price");
    engine.create_product(NewProduct::new("Cup", price, CUPS)).await.expect("made").value.id
}

/// Buys one unit, and some take and give back a cart before.
async fn shop(engine: &AsyncEngine, products: &[ProductId], at: usize) {
    let id = products[at % products.len()];
    if at % 5 < 2 {
        let cart = CartRequest::new(products.iter().map(|id| (*id, 2)));
        for hold in engine.create_holds(&cart).await.expect("held").value.holds {
            engine.release_hold(hold.id).await.expect("released");
        }
    }
    let hold = engine.create_hold(HoldRequest::new(id, 1)).await.expect("held").value;
    let order = engine.create_order(OrderRequest::new(hold.id, id)).await.expect("ordered").value;
    let paid = PaymentEvent::for_order(order.id, Outcome::Success).key(format!("pay-{at}"));
    engine.record_payment(&paid).await.expect("paid");
}

async fn assert_all_back(engine: &AsyncEngine, products: &[ProductId], served: i128) {
    let report = engine.audit().await.expect("audits");
    assert!(report.consistent, "{:#?}", report.findings);
    let units = report.units;
    assert_eq!((units.held, units.pending), (0, 0));
    // One who was cut off may have paid before.
    assert!(units.sold >= served, "{} sold to {served}", units.sold);
    let mut events = Vec::new();
    loop {
        let cursor = events.last().map_or(0, |event: &Event| event.cursor);
        let page = engine.events_after(cursor, 10_000).await.expect("events");
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let replayed = History { events }.replay();
    let sold: i64 = products.iter().map(|id| replayed[id].0[3]).sum();
    assert_eq!(i128::from(sold), units.sold);
    for id in products {
        let [stock, held, pending, sold] = replayed[id].0;
        assert_eq!((held, pending), (0, 0), "product {id}");
        assert_eq!(stock + sold, i64::try_from(CUPS).expect("fits"), "product {id}");
    }
}

//! A connection that is cut in the middle of one request.
//!
//! The store itself is never away, so each request must come to its one effect
//! and its caller must be told of it.

use std::thread;
use std::time::Duration;

use stockade::{
    CartRequest, Engine, EventKind, ExtendRequest, HoldRequest, HoldStatus, NewProduct, Order,
    OrderRequest, OrderStatus, Outcome, PaymentEvent, PaymentStatus, ProductId, Result,
    StockAdjustment,
};
use stockade_testkit::{CutWhen, Proxy, wait_until};

use crate::Scenario;
use crate::history::{History, assert_exact};
use crate::scenarios;
use crate::steps::Later;
use crate::world::{World, numbers, product};

pub const SERVERS: &[Scenario] = scenarios!("faults";
    a_hold_cut_off_is_made_once,
    a_hold_with_a_key_cut_off_is_made_once,
    a_cart_cut_off_is_made_once,
    an_order_cut_off_is_made_once,
    a_payment_cut_off_is_taken_once,
    an_early_payment_cut_off_is_taken_once,
    a_release_cut_off_is_made_once,
    an_extension_cut_off_is_made_once,
    an_adjustment_cut_off_is_made_once,
    a_product_cut_off_is_made_once,
    a_second_cut_while_the_first_is_looked_into_changes_nothing,
);

const WITHIN: Duration = Duration::from_secs(20);
const CUTS: [CutWhen; 3] = [CutWhen::BeforeForward, CutWhen::AfterForward, CutWhen::AfterReply];

/// What each request sends, and how often it is cut there in each way.
const NEEDLES: [(&str, usize); 4] = [
    ("START TRANSACTION", 2),
    ("FOR UPDATE", 2),
    ("INSERT INTO stockade_outbox", 2),
    ("COMMIT", 10),
];

/// A shop whose only way to its database leads through a proxy.
struct Shop {
    engine: Engine,
    /// Another process's, with a way of its own.
    outsider: Engine,
    proxy: Proxy,
    id: ProductId,
    other: ProductId,
}

const STOCK: u64 = 1_000;

impl Shop {
    fn open(world: &World) -> Self {
        let proxy = Proxy::start(world.backend.server().addr());
        // A database that drops the connection it lost only slowly shall not
        // fail the test.
        let builder = world.builder().store(&proxy.url(&world.url));
        let engine = builder.set("retries", "10").expect("a setting").open().expect("opens");
        let outsider = world.builder().store(&world.url).open().expect("opens");
        let (id, other) = (product(&engine, STOCK), product(&engine, STOCK));
        Self { engine, outsider, proxy, id, other }
    }

    /// Writes both products elsewhere, so that their rows must be read again.
    fn overtake(&self) {
        for (id, delta) in [(self.id, 1), (self.id, -1), (self.other, 1), (self.other, -1)] {
            let adjustment = StockAdjustment::new(id, delta, "a recount");
            self.outsider.adjust_stock(&adjustment).expect("adjusted");
        }
    }

    fn hold(&self) -> stockade::Hold {
        self.engine.create_hold(HoldRequest::new(self.id, 1)).expect("held").value
    }

    fn order(&self) -> Order {
        self.engine.create_order(OrderRequest::new(self.hold().id, self.id)).expect("ordered").value
    }

    fn numbers(&self) -> [u64; 4] {
        numbers(&self.engine, self.id)
    }
}

/// One request, cut at one place.
struct Round<'a> {
    shop: &'a Shop,
    number: u64,
    needle: &'static str,
    when: CutWhen,
}

impl Round<'_> {
    /// Makes a call whose connection is cut.
    fn cut<T>(&self, call: impl FnOnce(&Engine) -> Result<T>) -> T {
        let Self { shop, needle, when, .. } = self;
        if *needle == "FOR UPDATE" {
            shop.overtake();
        }
        let before = shop.proxy.fired();
        shop.proxy.cut_after_client_sends(needle.as_bytes(), *when);
        let answer = call(&shop.engine);
        assert_eq!(shop.proxy.fired(), before + 1, "{needle} was never sent");
        answer.unwrap_or_else(|error| panic!("cut {when:?} {needle}: {error:?}"))
    }
}

/// Runs `each` with every cut there is.
fn cut_everywhere(world: &World, each: impl Fn(&Round<'_>)) {
    let shop = Shop::open(world);
    let mut number = 0;
    for (needle, rounds) in NEEDLES {
        for when in CUTS {
            for _ in 0..rounds {
                number += 1;
                each(&Round { shop: &shop, number, needle, when });
            }
        }
    }
    let received = shop.numbers().iter().sum();
    assert_exact(&shop.engine, &[shop.id], received);
    assert_exact(&shop.engine, &[shop.other], STOCK);
}

fn a_hold_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let request = HoldRequest::new(round.shop.id, 2);
        let hold = round.cut(|engine| engine.create_hold(&request)).value;
        assert_eq!(round.shop.engine.hold(hold.id).expect("is there"), hold.later());
        assert_eq!(round.shop.numbers(), [STOCK - 2 * round.number, 2 * round.number, 0, 0]);
    });
}

fn a_hold_with_a_key_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let request = HoldRequest::new(round.shop.id, 2).key(format!("key-{}", round.number));
        let hold = round.cut(|engine| engine.create_hold(&request));
        assert!(!hold.replayed);
        let again = round.shop.engine.create_hold(&request).expect("remembered");
        assert_eq!((again.value, again.replayed), (hold.value, true));
        assert_eq!(round.shop.numbers(), [STOCK - 2 * round.number, 2 * round.number, 0, 0]);
    });
}

fn a_cart_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let Shop { engine, id, other, .. } = round.shop;
        let request = CartRequest::new([(*other, 1), (*id, 2)]);
        let holds = round.cut(|engine| engine.create_holds(&request)).value;
        for hold in &holds.holds {
            assert_eq!(engine.hold(hold.id).expect("is there"), hold.later());
        }
        assert_eq!(round.shop.numbers(), [STOCK - 2 * round.number, 2 * round.number, 0, 0]);
        assert_eq!(numbers(engine, *other), [STOCK - round.number, round.number, 0, 0]);
    });
}

fn an_order_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let hold = round.shop.hold();
        let request = OrderRequest::new(hold.id, round.shop.id);
        let order = round.cut(|engine| engine.create_order(&request)).value;
        let engine = &round.shop.engine;
        assert_eq!(engine.order(order.id).expect("is there"), order.later());
        let again = engine.create_order(&request).expect_err("only once");
        assert_eq!(again.order_id(), Some(order.id));
        assert_eq!(round.shop.numbers(), [STOCK - round.number, 0, round.number, 0]);
    });
}

fn a_payment_cut_off_is_taken_once(world: &World) {
    cut_everywhere(world, |round| {
        let order = round.shop.order();
        let outcome = [Outcome::Success, Outcome::Failure][usize::from(round.number % 2 == 0)];
        let event = PaymentEvent::for_order(order.id, outcome).key(format!("evt-{}", order.id));
        let answer = round.cut(|engine| engine.record_payment(&event));
        assert_eq!((answer.value.status, answer.replayed), (PaymentStatus::Applied, false));
        let paid = [OrderStatus::Paid, OrderStatus::Cancelled][usize::from(round.number % 2 == 0)];
        assert_eq!(round.shop.engine.order(order.id).expect("is there").status, paid);
        let sold = round.number.div_ceil(2);
        assert_eq!(round.shop.numbers(), [STOCK - sold, 0, 0, sold]);
    });
}

fn an_early_payment_cut_off_is_taken_once(world: &World) {
    cut_everywhere(world, |round| {
        let (engine, order) = (&round.shop.engine, 1_000_000 + round.number);
        let event = PaymentEvent::for_order(order, Outcome::Success).key(format!("evt-{order}"));
        // It changes no product and tells of nothing.
        if round.needle.starts_with("INSERT") {
            engine.record_payment(&event).expect("taken");
        } else {
            let answer = round.cut(|engine| engine.record_payment(&event));
            assert_eq!((answer.value.status, answer.replayed), (PaymentStatus::Waiting, false));
        }
        let again = engine.record_payment(&event).expect("taken");
        assert_eq!((again.value.status, again.replayed), (PaymentStatus::Waiting, true));
        assert_eq!(engine.audit().expect("audits").waiting_events, round.number);
    });
}

fn a_release_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let hold = round.shop.hold();
        let released = round.cut(|engine| engine.release_hold(hold.id));
        assert_eq!(released.status, HoldStatus::Released);
        assert_eq!(round.shop.numbers(), [STOCK, 0, 0, 0]);
    });
}

fn an_extension_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let engine = &round.shop.engine;
        let hold = round.shop.hold();
        let request = ExtendRequest::new(hold.id).ttl(Duration::from_secs(600));
        let extended = round.cut(|engine| engine.extend_hold(&request));
        assert_eq!(extended.expires_at, hold.created_at.after(Duration::from_secs(600)));
        assert_eq!(engine.hold(hold.id).expect("is there"), extended);
        let told = History::read(engine).of_hold(hold.id);
        assert_eq!(told, [EventKind::HoldCreated, EventKind::HoldExtended]);
    });
}

fn an_adjustment_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        let adjustment = StockAdjustment::new(round.shop.id, 3, "found some");
        let product = round.cut(|engine| engine.adjust_stock(&adjustment));
        assert_eq!(product.value.stock, STOCK + 3 * round.number);
        assert_eq!(round.shop.numbers(), [STOCK + 3 * round.number, 0, 0, 0]);
    });
}

fn a_product_cut_off_is_made_once(world: &World) {
    cut_everywhere(world, |round| {
        // It locks nothing.
        if round.needle == "FOR UPDATE" {
            product(&round.shop.engine, 5);
            return;
        }
        let new = NewProduct::new("Vase", "5".parse().expect("a price"), 5);
        let made = round.cut(|engine| engine.create_product(&new));
        let page = round.shop.engine.products(Some(round.shop.other), 1_000).expect("reads");
        assert_eq!(page.items.len() as u64, round.number);
        assert_eq!(page.items.last(), Some(&made.value));
    });
}

/// While the engine looks whether a commit landed whose answer it lost, it
/// loses that connection, too.
fn a_second_cut_while_the_first_is_looked_into_changes_nothing(world: &World) {
    let shop = Shop::open(world);
    let needles = ["START TRANSACTION", "SELECT id FROM stockade_outbox", "ROLLBACK", "COMMIT"];
    let (mut number, mut twice) = (0, 0);
    for needle in needles {
        for (first, when) in [(0, 2), (1, 0), (2, 0), (2, 2)] {
            number += 1;
            let hold = shop.hold();
            // Slow enough for the second shot to be armed in time.
            shop.proxy.delay(Duration::from_millis(5));
            let before = shop.proxy.fired();
            shop.proxy.cut_after_client_sends(b"COMMIT", CUTS[first]);
            let request = OrderRequest::new(hold.id, shop.id);
            let answer = thread::scope(|scope| {
                let calling = scope.spawn(|| shop.engine.create_order(&request));
                wait_until("the first shot fired", WITHIN, || shop.proxy.fired() > before);
                shop.proxy.cut_after_client_sends(needle.as_bytes(), CUTS[when]);
                calling.join().expect("no panic")
            });
            twice += usize::from(shop.proxy.fired() == before + 2);
            // Disarms what has not fired, which no one sends.
            shop.proxy.cut_after_client_sends(b"-- nothing", CutWhen::BeforeForward);
            shop.proxy.delay(Duration::ZERO);
            let cut = (CUTS[first], needle, CUTS[when]);
            let order = answer.unwrap_or_else(|error| panic!("cut {cut:?}: {error:?}"));
            assert_eq!(
                shop.engine.order(order.value.id).expect("is there"),
                order.value.later(),
                "{cut:?}"
            );
            assert_eq!(shop.numbers(), [STOCK - number, 0, number, 0], "{cut:?}");
        }
    }
    assert!(twice > 4, "the second shot fired {twice} times");
    assert_exact(&shop.engine, &[shop.id], STOCK);
}

//! Endpoints of all kinds get every event, in the order of its product.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use stockade::HoldRequest;
use stockade_testkit::wait_until;

use crate::receiver::{Answer, Receiver, SOON};
use crate::shop::Shop;

#[test]
fn an_endpoint_gets_every_event_once_in_order_with_an_id_of_its_own() {
    let shop = Shop::new(10);
    shop.hold(30);
    let endpoint = Receiver::accepting();
    let relay = shop.relay(&endpoint.plan("erp", ""));
    endpoint.wait_for(shop.cursors());
    endpoint.assert_order();
    // Further events are delivered as they happen.
    shop.hold(1);
    endpoint.wait_for(shop.cursors());
    relay.stop();
    let accepted = endpoint.accepted();
    assert_eq!(accepted.len(), shop.cursors().len());
    let ids: HashSet<_> = accepted.iter().map(|one| &one.id).collect();
    assert_eq!(ids.len(), accepted.len());
    assert_eq!(accepted[0].body["data"]["sku"].as_str().unwrap().get(..5), Some("LAMP-"));
    // Nothing is sent again by the next relay, which need not wait for the lease.
    let started = Instant::now();
    let second = shop.relay(&endpoint.plan("erp", ""));
    second.wait_to_say("relay: leased");
    assert!(started.elapsed() < SOON);
    shop.hold(1);
    endpoint.wait_for(shop.cursors());
    second.stop();
    assert_eq!(endpoint.accepted().len(), shop.cursors().len());
    let [status] = &shop.lines(&["relay", "status"])[..] else { panic!() };
    assert_eq!(status["name"], "erp");
    assert_eq!(status["position"].as_u64(), shop.cursors().last().copied());
}

#[test]
fn a_filter_lets_kinds_products_and_skus_pass() {
    let shop = Shop::new(4);
    shop.hold(2);
    let (by_kind, by_product) = (Receiver::accepting(), Receiver::accepting());
    let plan = by_kind.plan("kinds", "events = [\"product.*\"]")
        + &by_product
            .plan("products", &format!("products = [{}]\nskus = [\"LAMP-3\"]", shop.products[0]));
    let relay = shop.relay(&plan);
    wait_until("both have theirs", SOON, || {
        by_kind.accepted().len() == 4 && by_product.accepted().len() == 8
    });
    relay.stop();
    assert!(by_kind.accepted().iter().all(|one| one.body["type"] == "product.created"));
    let products: HashSet<u64> = by_product.accepted().iter().map(|one| one.product).collect();
    assert_eq!(products, HashSet::from([shop.products[0].0, shop.products[3].0]));
}

#[test]
fn a_product_that_is_refused_waits_while_others_go_on() {
    let shop = Shop::new(5);
    shop.hold(4);
    let refused = shop.products[2].0;
    let endpoint = Receiver::with(move |message, before| {
        Answer::Status(if message.product == refused && before < 2 { 500 } else { 200 })
    });
    let _relay = shop.relay(&endpoint.plan("erp", "in_flight = 2"));
    let others = |one: &u64| {
        let event = &shop.engine.events_after(one - 1, 1).unwrap()[0];
        event.product_id.0 != refused
    };
    endpoint.wait_for(shop.cursors().into_iter().filter(others));
    assert!(endpoint.accepted_cursors().len() < shop.cursors().len());
    endpoint.answer_by(|_, _| Answer::Status(200));
    endpoint.wait_for(shop.cursors());
    endpoint.assert_order();
}

#[test]
fn an_endpoint_that_hangs_or_is_slow_holds_up_no_other_and_not_the_engine() {
    let shop = Shop::new(8);
    shop.hold(10);
    let hanging = Receiver::with(|_, _| Answer::Hang);
    let slow = Receiver::with(|_, _| Answer::Slow(Duration::from_millis(30)));
    let quick = Receiver::accepting();
    let plan = hanging.plan("hanging", "timeout = \"1s\"")
        + &slow.plan("slow", "")
        + &quick.plan("quick", "");
    let _relay = shop.relay(&plan);
    quick.wait_for(shop.cursors());
    let held = Instant::now();
    shop.engine.create_hold(HoldRequest::new(shop.products[0], 1)).unwrap();
    assert!(held.elapsed() < Duration::from_secs(5));
    wait_until("the slow one has all", SOON, || slow.received().len() >= shop.cursors().len());
    assert!(hanging.accepted().is_empty());
    // It is tried again, and goes on once it answers.
    hanging.answer_by(|_, _| Answer::Status(200));
    hanging.wait_for(shop.cursors());
    hanging.assert_order();
}

#[test]
fn redirects_are_not_followed() {
    let shop = Shop::new(1);
    let elsewhere = Receiver::accepting();
    let to = format!("http://{}/hooks", elsewhere.address);
    let endpoint = Receiver::with(move |_, _| Answer::Redirect(to.clone()));
    let relay = shop.relay(&endpoint.plan("erp", ""));
    wait_until("it was tried twice", SOON, || endpoint.received().len() >= 2);
    assert!(elsewhere.received().is_empty());
    assert!(relay.log().contains("redirects are not followed"), "{}", relay.log());
}

#[test]
fn an_endpoint_that_was_away_gets_all_when_it_is_back() {
    let shop = Shop::new(6);
    shop.hold(5);
    let mut endpoint = Receiver::accepting();
    let relay = shop.relay(&endpoint.plan("erp", ""));
    endpoint.wait_for(shop.cursors());
    endpoint.stop();
    shop.hold(50);
    relay.wait_to_say("relay: an attempt failed");
    endpoint.start();
    endpoint.wait_for(shop.cursors());
    endpoint.assert_order();
}

#[test]
fn an_address_of_the_own_network_is_refused_unless_it_is_named() {
    let shop = Shop::new(1);
    let endpoint = Receiver::accepting();
    let plan = endpoint.plan("erp", "").replace("allow = [\"127.0.0.0/8\"]\n", "");
    // By a name that is in no block: it is refused once it is resolved.
    let port = endpoint.address.port();
    let by_name =
        plan.replace(&format!("http://127.0.0.1:{port}"), &format!("https://localhost:{port}"));
    let relay = shop.relay(&by_name);
    relay.wait_to_say("is not an address of the public internet");
    drop(relay);
    for (url, code) in
        [("https://127.0.0.1", 2), ("https://[::ffff:127.0.0.1]", 2), ("http://x", 2)]
    {
        let plan = plan.replace(&format!("http://127.0.0.1:{port}"), url);
        let mut relay = shop.relay(&plan);
        assert_eq!(relay.child.wait().unwrap().code(), Some(code), "{}", relay.log());
    }
    assert!(endpoint.received().is_empty());
    let allowed = endpoint.plan("erp", "").replace("127.0.0.0/8", "localhost");
    let _relay = shop.relay(&allowed.replace("http://127.0.0.1", "http://localhost"));
    endpoint.wait_for(shop.cursors());
}

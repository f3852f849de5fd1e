//! A sale from hold to payment, on an embedded store, with the blocking engine:
//! `cargo run -p stockade --example shop`.

use std::time::Duration;

use stockade::{Engine, ErrorKind, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent};

fn main() -> stockade::Result<()> {
    let engine = Engine::builder().store("sqlite::memory:").set("hold_ttl", "2m")?.open()?;
    let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 3))?.value;

    // The idempotency key makes a retry of this request return the same hold.
    let request = HoldRequest::new(lamp.id, 2).ttl(Duration::from_secs(60)).key("cart-77");
    let hold = engine.create_hold(&request)?.value;
    let retry = engine.create_hold(&request)?;
    assert!(retry.replayed && retry.value.id == hold.id);
    println!("hold {} keeps {} units until {}", hold.id, hold.quantity, hold.expires_at);

    // One unit is left. A refusal says how many a buyer could have.
    match engine.create_hold(HoldRequest::new(lamp.id, 2)) {
        Err(error) if error.kind() == ErrorKind::InsufficientStock => {
            println!("{}: {} left", error.code(), error.available().unwrap_or_default());
        }
        other => println!("unexpected: {other:?}"),
    }

    // The hold becomes an order. The payment provider reports the outcome, by
    // the order's id or by its payment token, as often as it likes.
    let order = engine.create_order(OrderRequest::new(hold.id, lamp.id))?.value;
    let event = PaymentEvent::for_order(order.id, Outcome::Success).key("evt-1");
    for _ in 0..2 {
        let recorded = engine.record_payment(&event)?;
        println!("payment recorded, replayed: {}", recorded.replayed);
    }

    let lamp = engine.product(lamp.id)?;
    println!("{} sold, {} in stock", lamp.sold, lamp.stock);
    assert!(engine.audit()?.consistent);
    engine.close()
}

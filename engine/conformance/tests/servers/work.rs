//! What an engine is for, once through.

use stockade::{Engine, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent};

/// Opens an engine with a second of patience.
pub fn open(url: &str) -> stockade::Result<Engine> {
    let builder = Engine::builder().store(url);
    builder.set("lock_wait", "1s")?.set("store_timeout", "10s")?.open()
}

/// A product, holds, an order, its payment and an audit, then a hold after it.
pub fn works(engine: &Engine) -> stockade::Result<()> {
    let price = "19.99".parse().expect("a price");
    let lamp = engine.create_product(NewProduct::new("Lämp \\ \"x\"", price, 10))?.value;
    let hold =
        engine.create_hold(HoldRequest::new(lamp.id, 2).key(format!("k'\"\\{}", lamp.id)))?.value;
    let order = engine.create_order(OrderRequest::new(hold.id, lamp.id))?.value;
    engine.record_payment(
        PaymentEvent::for_order(order.id, Outcome::Success).key(format!("evt-{}", order.id)),
    )?;
    let audit = engine.audit()?;
    assert!(audit.consistent, "{audit:?}");
    let after = engine.create_hold(HoldRequest::new(lamp.id, 1))?;
    assert_eq!(engine.hold(after.value.id)?.quantity, 1, "it is read after an audit");
    let product = engine.product(lamp.id)?;
    assert_eq!((product.stock, product.held, product.sold), (7, 1, 2));
    assert_eq!(product.name, "Lämp \\ \"x\"");
    engine.ping()?;
    assert!(engine.events_after(0, 100)?.len() >= 4);
    Ok(())
}

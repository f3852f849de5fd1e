use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use stockade::{
    CancelRequest, ChangeQuantityRequest, Engine, ExtendOrderRequest, ExtendRequest, HoldRequest,
    LineUnits, NewProduct, Order, OrderRequest, Outcome, PaymentEvent, ProductChange,
    RefundRequest, RestockRequest, StockAdjustment,
};

use super::*;

fn schema(kind: EventKind) -> Value {
    let path = format!("{}/events/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn metadata() -> Metadata {
    r#"{"shelf": 4}"#.parse().unwrap()
}

struct Shop {
    engine: Engine,
    product: stockade::ProductId,
}

impl Shop {
    fn order(&self) -> Order {
        let hold = HoldRequest::new(self.product, 2).customer("ann").metadata(metadata());
        let hold = self.engine.create_hold(hold).unwrap().value;
        let number = format!("R-{}", hold.id);
        let order = OrderRequest::new(hold.id, self.product).reference(number);
        self.engine.create_order(order).unwrap().value
    }

    fn pay(&self, order: &Order, outcome: Outcome, key: &str) -> &Self {
        let event = PaymentEvent::for_order(order.id, outcome).key(key);
        self.engine.record_payment(event.payment_reference(format!("stripe/{key}"))).unwrap();
        self
    }
}

/// Makes an event of each kind, of things that have all that an event can show and of
/// things that have nothing.
fn every_kind() -> Vec<Event> {
    let engine = Engine::builder().store("sqlite::memory:").set("clock", "manual").unwrap();
    let engine = engine.set("failed_payment_grace", "10m").unwrap().open().unwrap();
    let engine = engine.acting_as("clerk").unwrap();
    let price = "5".parse().unwrap();
    engine.create_product(NewProduct::new("Plain", price, 1)).unwrap();
    let lamp = NewProduct::new("Lamp", price, 100).sku("LAMP-1").metadata(metadata());
    let product = engine.create_product(lamp).unwrap().value.id;
    engine.adjust_stock(StockAdjustment::new(product, -1, "broken")).unwrap();
    let shop = Shop { engine, product };
    let engine = &shop.engine;
    let hold = |customer: &str| {
        let hold = HoldRequest::new(product, 3).customer(customer);
        engine.create_hold(hold).unwrap().value
    };
    let plain = engine.create_hold(HoldRequest::new(product, 1)).unwrap().value;
    engine.extend_hold(ExtendRequest::new(plain.id).ttl(Duration::from_secs(600))).unwrap();
    engine.change_quantity(ChangeQuantityRequest::new(plain.id, 3)).unwrap();
    engine.change_quantity(ChangeQuantityRequest::new(plain.id, 2)).unwrap();
    engine.release_hold(plain.id).unwrap();
    hold("bob");
    engine.advance_clock(Duration::from_secs(200)).unwrap();
    let paid = shop.order();
    engine.extend_order(ExtendOrderRequest::new(paid.id).ttl(Duration::from_secs(3_600))).unwrap();
    shop.pay(&paid, Outcome::Failure, "a1");
    let wrong = PaymentEvent::for_order(paid.id, Outcome::Success).key("a2");
    engine.record_payment(wrong.amount("1".parse().unwrap())).unwrap();
    shop.pay(&paid, Outcome::Success, "a3").pay(&paid, Outcome::Failure, "a4");
    shop.pay(&paid, Outcome::Success, "a5").pay(&paid, Outcome::Disputed, "a6");
    let refund = RefundRequest::new(paid.id).lines([LineUnits::new(1, 1)]).reason("scratched");
    engine.refund_order(refund).unwrap();
    engine.restock_order(RestockRequest::new(paid.id)).unwrap();
    let cancelled = shop.order();
    engine.cancel_order(CancelRequest::new(cancelled.id).reason("a mistake")).unwrap();
    shop.pay(&cancelled, Outcome::Success, "b1");
    engine.change_product(ProductChange::new(product).name("Lamp 2".to_owned())).unwrap();
    engine.change_product(ProductChange::new(product).archived(true)).unwrap();
    engine.erase_customer("ann".to_owned()).unwrap();
    engine.events_after(0, 10_000).unwrap()
}

#[test]
fn every_kind_has_a_schema_which_its_events_fit() {
    let mut seen = BTreeSet::new();
    for event in every_kind() {
        let shown = serde_json::to_value(EventView::of(&event)).unwrap();
        let validator = jsonschema::validator_for(&schema(event.kind)).unwrap();
        let errors: Vec<_> = validator.iter_errors(&shown).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{shown}: {errors:?}");
        seen.insert(event.kind.as_str());
    }
    let all: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(seen, all);
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events")).unwrap();
    let names: BTreeSet<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, all.iter().map(|kind| format!("{kind}.json")).collect());
}

#[test]
fn a_schema_refuses_an_event_that_lacks_or_adds_a_field() {
    let good = json!({
        "cursor": 7, "type": "hold.created", "product_id": 1, "hold_id": 3, "qty": 2,
        "version": 4, "at": "2026-01-01T00:00:00.000000Z",
    });
    let validator = jsonschema::validator_for(&schema(EventKind::HoldCreated)).unwrap();
    assert!(validator.is_valid(&good));
    for (field, value) in
        [("hold_id", Value::Null), ("type", json!("hold.expired")), ("new", json!(1))]
    {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

/// The page has a section of each kind with the words of its schema.
#[test]
fn the_documents_name_every_kind_and_field() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");
    let page = fs::read_to_string(page).unwrap();
    for kind in EventKind::ALL {
        let schema = schema(*kind);
        let row = format!("| `{kind}` | {} |", schema["description"].as_str().unwrap());
        assert!(page.contains(&row), "{row}");
        for field in schema["properties"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("| `{field}` |")), "{field}");
        }
    }
}

//! What the state of an object adds to the name of its event.

use serde_json::{Value, json};

use super::bodies::{
    TOKEN, adyen, checkout, mollie, paymob, paypal, razorpay, standard, stripe, translate,
};
use crate::providers::*;

fn one(provider: Provider, body: &Value) -> ProviderEvent {
    let mut events = translate(provider, body).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn money(amount: &str, currency: &str) -> Option<Amount> {
    Some((amount.to_owned(), currency.to_owned()))
}

const FULL: Meaning = Meaning::Refund { is_full: Some(true) };
const PARTIAL: Meaning = Meaning::Refund { is_full: Some(false) };

#[test]
fn stripe_charge_of_an_intent_leaves_the_payment_to_the_intent() {
    for event in ["charge.succeeded", "charge.captured", "charge.failed", "charge.expired"] {
        let mut body = stripe(event);
        body["data"]["object"]["payment_intent"] = json!("pi_9");
        let found = one(Provider::Stripe, &body);
        assert_eq!(found.meaning, Meaning::Neutral, "{event}");
        assert_eq!(found.order.payment_reference.as_deref(), Some("pi_9"));
    }
    let mut authorized = stripe("charge.succeeded");
    authorized["data"]["object"]["captured"] = json!(false);
    assert_eq!(one(Provider::Stripe, &authorized).meaning, Meaning::Neutral);
}

#[test]
fn stripe_invoice_is_of_the_payment_that_paid_it_or_of_none() {
    let payment = |status: &str, payment: Value| json!({"status": status, "payment": payment});
    let intent = |id: &str| json!({"type": "payment_intent", "payment_intent": id});
    let paid = |payments: Value| json!({"payments": {"object": "list", "data": payments}});
    for (fields, expected) in [
        (json!({}), None),
        (json!({"payment_intent": null, "charge": null, "payments": null}), None),
        (json!({"payment_intent": "pi_9"}), Some("pi_9")),
        (json!({"charge": "ch_9"}), Some("ch_9")),
        (paid(json!([])), None),
        (paid(json!([payment("open", intent("pi_8"))])), None),
        (
            paid(json!([payment("canceled", intent("pi_8")), payment("paid", intent("pi_9"))])),
            Some("pi_9"),
        ),
        (paid(json!([payment("paid", json!({"payment_intent": {"id": "pi_9"}}))])), Some("pi_9")),
        (paid(json!([payment("paid", json!({"type": "charge", "charge": "ch_9"}))])), Some("ch_9")),
        // Paid in parts.
        (paid(json!([payment("paid", intent("pi_8")), payment("paid", intent("pi_9"))])), None),
        (paid(json!([payment("paid", json!({"payment_record": "pr_9"}))])), None),
    ] {
        let mut body = stripe("invoice.paid");
        let invoice = body["data"]["object"].as_object_mut().unwrap();
        invoice.insert("id".to_owned(), json!("in_9"));
        invoice.extend(fields.as_object().unwrap().clone());
        let found = one(Provider::Stripe, &body);
        assert_eq!(found.order.payment_reference.as_deref(), expected, "{fields}");
    }
    let mut body = stripe("invoice_payment.paid");
    body["data"]["object"]["payment"] = intent("pi_9");
    let found = one(Provider::Stripe, &body);
    assert_eq!(found.order.payment_reference.as_deref(), Some("pi_9"));
    let mut body = stripe("checkout.session.completed");
    body["data"]["object"]["id"] = json!("cs_9");
    let found = one(Provider::Stripe, &body);
    assert_eq!(found.order.payment_reference.as_deref(), Some("cs_9"));
    body["data"]["object"]["invoice"] = json!("in_9");
    assert_eq!(one(Provider::Stripe, &body).order.payment_reference, None);
}

#[test]
fn stripe_session_names_its_order_by_client_reference_id() {
    let mut body = stripe("checkout.session.completed");
    let session = &mut body["data"]["object"];
    session["metadata"] = json!({});
    session["client_reference_id"] = json!(TOKEN);
    session["payment_intent"] = json!({"id": "pi_9", "object": "payment_intent"});
    let found = one(Provider::Stripe, &body);
    assert_eq!(found.meaning, Meaning::Success);
    assert_eq!(found.order.payment_token.as_deref(), Some(TOKEN));
    assert_eq!(found.order.payment_reference.as_deref(), Some("pi_9"));
    body["data"]["object"]["payment_status"] = json!("unpaid");
    body["data"]["object"]["client_reference_id"] = json!("A-1");
    let found = one(Provider::Stripe, &body);
    assert_eq!((found.meaning, found.order.reference.as_deref()), (Meaning::Neutral, Some("A-1")));
}

#[test]
fn stripe_refund_is_what_this_event_added() {
    let mut body = stripe("charge.refunded");
    body["data"]["object"]["payment_intent"] = json!("pi_9");
    let found = one(Provider::Stripe, &body);
    assert_eq!((found.meaning, found.amount), (FULL, money("19.99", "EUR")));
    body["data"]["previous_attributes"]["amount_refunded"] = json!(999);
    let found = one(Provider::Stripe, &body);
    assert_eq!((found.meaning, found.amount), (PARTIAL, money("10.00", "EUR")));
    assert_eq!(found.order.payment_reference.as_deref(), Some("pi_9"));
}

#[test]
fn adyen_event_without_success_is_the_failure_of_its_request() {
    for (code, expected) in [
        ("AUTHORISATION", Meaning::AttemptFailed),
        ("CAPTURE", Meaning::Failed),
        ("ORDER_CLOSED", Meaning::Failed),
        ("OFFER_CLOSED", Meaning::Failed),
        ("REFUND", Meaning::Neutral),
        ("CANCELLATION", Meaning::Neutral),
        ("CHARGEBACK", Meaning::Neutral),
        ("REPORT_AVAILABLE", Meaning::Ignored),
    ] {
        assert_eq!(one(Provider::Adyen, &adyen(code, "false")).meaning, expected, "{code}");
    }
}

#[test]
fn adyen_body_of_several_items_has_several_events() {
    let (mut body, second) = (adyen("AUTHORISATION", "true"), adyen("REFUND", "true"));
    let second = second["notificationItems"][0].clone();
    body["notificationItems"].as_array_mut().unwrap().push(second);
    let events = translate(Provider::Adyen, &body).unwrap();
    let keys: Vec<_> = events.iter().map(|event| event.key.as_str()).collect();
    assert_eq!(
        keys,
        ["adyen/QFQTPCQ8HXSKGK82/AUTHORISATION/true", "adyen/QFQTPCQ8HXSKGK82/REFUND/true"]
    );
    assert_eq!(events[1].order.payment_reference.as_deref(), Some("913014289869448D"));
    assert!(translate(Provider::Adyen, &json!({"notificationItems": []})).is_err());
    assert!(translate(Provider::Adyen, &json!({"live": "false"})).is_err());
}

#[test]
fn adyen_item_whose_signed_text_could_be_cut_elsewhere_is_refused() {
    let mut body = adyen("AUTHORISATION", "true");
    body["notificationItems"][0]["NotificationRequestItem"]["merchantReference"] = json!("A:1");
    let reference = one(Provider::Adyen, &body).order.reference;
    assert_eq!(reference.as_deref(), Some("A:1"));
    for field in ["pspReference", "originalReference", "merchantAccountCode", "eventCode"] {
        let mut copy = body.clone();
        copy["notificationItems"][0]["NotificationRequestItem"][field] = json!("A:1");
        let refused = translate(Provider::Adyen, &copy).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
    }
}

#[test]
fn adyen_order_is_named_by_metadata_and_a_cancel_may_be_a_refund() {
    let mut body = adyen("CANCEL_OR_REFUND", "true");
    let item = &mut body["notificationItems"][0]["NotificationRequestItem"];
    item["merchantReference"] = json!("A-1");
    item["additionalData"] = json!({
        "metadata.stockade_order_id": "19", "modification.action": "refund",
    });
    let found = one(Provider::Adyen, &body);
    assert_eq!((found.meaning, found.order.order_id), (FULL, Some(19)));
    assert_eq!(found.order.reference.as_deref(), Some("A-1"));
}

#[test]
fn razorpay_key_is_of_the_object_that_the_event_is_about() {
    for (event, key) in [
        ("payment.captured", "razorpay/payment.captured/pay_DESp9bgForNoUd"),
        ("order.paid", "razorpay/order.paid/order_DESoU1kD5hRQBi"),
        ("refund.processed", "razorpay/refund.processed/rfnd_FS8TAzNmD4ZMFG"),
        ("payment.dispute.created", "razorpay/payment.dispute.created/disp_EsIAlDcoUr8CaQ"),
        ("payment_link.partially_paid", "razorpay/payment_link.partially_paid/pay_DESp9bgForNoUd"),
        ("payment_link.paid", "razorpay/payment_link.paid/plink_ExjpAUN3gVHrPJ"),
    ] {
        let found = one(Provider::Razorpay, &razorpay(event));
        assert_eq!(found.key, key);
        assert_eq!(found.order.payment_reference.as_deref(), Some("order_DESoU1kD5hRQBi"));
        assert_eq!(found.order.reference.as_deref(), Some("A-1"), "{event}");
    }
}

#[test]
fn refund_is_full_if_it_is_of_the_whole_payment() {
    let mut body = razorpay("refund.processed");
    assert_eq!(one(Provider::Razorpay, &body).meaning, FULL);
    body["payload"]["refund"]["entity"]["amount"] = json!(500);
    let found = one(Provider::Razorpay, &body);
    assert_eq!((found.meaning, found.amount), (PARTIAL, money("5.00", "INR")));

    let mut body = checkout("payment_refunded");
    assert_eq!(one(Provider::Checkout, &body).meaning, FULL);
    body["data"]["amount"] = json!(500);
    assert_eq!(one(Provider::Checkout, &body).meaning, PARTIAL);
    body["data"]["balances"] = json!(null);
    assert_eq!(one(Provider::Checkout, &body).meaning, REFUND);

    let mut body = paymob("refund");
    assert_eq!(one(Provider::Paymob, &body).meaning, FULL);
    body["obj"]["amount_cents"] = json!(500);
    assert_eq!(one(Provider::Paymob, &body).meaning, PARTIAL);

    let mut body = standard("refund.succeeded");
    assert_eq!(one(Provider::StandardWebhooks, &body).meaning, FULL);
    body["data"]["full"] = json!(null);
    assert_eq!(one(Provider::StandardWebhooks, &body).meaning, REFUND);
}

#[test]
fn paymob_key_has_signed_fields_alone() {
    let mut copy = paymob("success");
    let key = one(Provider::Paymob, &copy).key;
    assert_eq!(key, "paymob/1920364654097558/success");
    copy["obj"]["order"]["merchant_order_id"] = json!("B-2");
    copy["obj"]["payment_key_claims"] = json!({"extra": {"stockade_order_id": 20}});
    copy["obj"]["is_refund"] = json!(true);
    let found = one(Provider::Paymob, &copy);
    assert_eq!((found.key, found.meaning), (key, Meaning::Success));
    assert_eq!(found.order.payment_reference.as_deref(), Some("217503754"));
    // Whether a change voids or refunds is not signed.
    let keys = ["void", "refund"].map(|state| one(Provider::Paymob, &paymob(state)).key);
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn paymob_saved_card_is_ignored() {
    let body = json!({"type": "TOKEN", "obj": {"id": 8_555_026, "token": "e98aceb9"}});
    assert_eq!(one(Provider::Paymob, &body).meaning, Meaning::Ignored);
}

#[test]
fn checkout_dispute_names_the_payment() {
    let found = one(Provider::Checkout, &checkout("dispute_received"));
    let payment = found.order.payment_reference.as_deref();
    assert_eq!(payment, Some("pay_vti5layihapu5bhbn5tjtk6eem"));
    assert_eq!(found.order.reference.as_deref(), Some("ORD-5023-4E89"));
}

#[test]
fn standard_webhook_names_its_order_in_data() {
    let mut body = standard("payment.succeeded");
    body["data"] = json!({"order_id": 19, "reference": "A-1", "payment_reference": "x",
        "amount": 19.99, "currency": "eur"});
    let found = one(Provider::StandardWebhooks, &body);
    assert_eq!(found.key, "standard/msg_1");
    assert_eq!(found.amount, money("19.99", "EUR"));
    assert_eq!((found.order.order_id, found.order.reference), (Some(19), Some("A-1".into())));
    for bad in [json!({"order_id": 0}), json!({"payment_token": "x"}), json!({"order_id": "x"})] {
        body["data"] = bad;
        assert!(translate(Provider::StandardWebhooks, &body).is_err(), "{body}");
    }
}

#[test]
fn paypal_refund_and_dispute_name_the_capture() {
    let found = one(Provider::PayPal, &paypal("PAYMENT.CAPTURE.REFUNDED"));
    assert_eq!(found.order.payment_reference.as_deref(), Some("9BT885563M"));
    for event in ["PAYMENT.CAPTURE.COMPLETED", "CUSTOMER.DISPUTE.CREATED"] {
        let found = one(Provider::PayPal, &paypal(event));
        assert_eq!(found.order.payment_reference.as_deref(), Some("29Y24445UY2083144"), "{event}");
        assert_eq!(found.order.reference.as_deref(), Some("A-1"), "{event}");
    }
}

#[test]
fn mollie_payment_tells_of_its_refunds_and_chargebacks() {
    let mut payment = mollie("refund.refunded");
    payment["_embedded"]["chargebacks"] = mollie("chargeback")["_embedded"]["chargebacks"].clone();
    let events = translate(Provider::Mollie, &payment).unwrap();
    let found: Vec<_> = events.iter().map(|event| (event.key.as_str(), event.meaning)).collect();
    assert_eq!(
        found,
        [
            ("mollie/tr_5B8cwPMGnU6qLbRvo7qEZo/paid", Meaning::Success),
            ("mollie/re_4qqhO89gsT/refunded", FULL),
            ("mollie/chb_n9z0tp/chargeback", Meaning::Dispute),
        ]
    );
    payment["_embedded"]["refunds"][0]["amount"]["value"] = json!("5.00");
    let events = translate(Provider::Mollie, &payment).unwrap();
    assert_eq!((events[1].meaning, &events[1].amount), (PARTIAL, &money("5.00", "EUR")));
}

#[test]
fn mollie_metadata_is_an_object_a_text_of_one_or_a_token() {
    let mut payment = mollie("paid");
    for metadata in [
        json!({"stockade_payment_token": TOKEN}),
        json!(format!(r#"{{"stockade_payment_token":"{TOKEN}"}}"#)),
        json!(TOKEN),
    ] {
        payment["metadata"] = metadata;
        let found = one(Provider::Mollie, &payment);
        assert_eq!(found.order.payment_token.as_deref(), Some(TOKEN));
        let reference = found.order.payment_reference.as_deref();
        assert_eq!(reference, Some("tr_5B8cwPMGnU6qLbRvo7qEZo"));
    }
}

#[test]
fn body_of_another_shape_is_rejected_or_ignored() {
    for provider in Provider::ALL {
        for body in [json!([]), json!({}), json!({"id": 1, "type": {}}), json!({"obj": []})] {
            match translate(provider, &body) {
                Ok(events) => assert!(events.iter().all(|event| {
                    event.meaning == Meaning::Ignored && event.order == OrderName::default()
                })),
                Err(rejection) => assert_eq!(rejection.code(), Code::InvalidArgument),
            }
        }
    }
}

//! What providers' events tell of money and of payments: amounts that cannot be read, and
//! invoices, which are paid by payments with events of their own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::providers::{
    expect_status, for_order, mac, now, payment_intent, post, razorpay, stripe,
};
use crate::server::Server;

fn standard(server: &Server, id: &str, body: &Value) -> Answer {
    let (time, body) = (now(), body.to_string());
    let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signature = BASE64_STANDARD.encode(mac(&key, &format!("{id}.{time}.{body}")));
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", &time.to_string()),
        ("webhook-signature", &format!("v1,{signature}")),
    ];
    server.send("POST", "/api/payments/webhook/standard", &headers, &body)
}

fn checkout(server: &Server, body: &Value) -> Answer {
    let body = body.to_string();
    let signature = hex::encode(mac(b"hush", &body));
    post(server, "checkout", ("Cko-Signature", &signature), &body)
}

fn adyen(server: &Server, order: u64, amount: &Value) -> Answer {
    let shown = |name: &str| match &amount[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (value, currency) = (shown("value"), shown("currency"));
    let text = format!("P1::Shop:A-1:{value}:{currency}:AUTHORISATION:true");
    let signature = BASE64_STANDARD.encode(mac(b"hmac", &text));
    let item = json!({
        "additionalData": {"hmacSignature": signature, "metadata.stockade_order_id": order.to_string()},
        "amount": amount, "eventCode": "AUTHORISATION", "merchantAccountCode": "Shop",
        "merchantReference": "A-1", "pspReference": "P1", "success": "true",
    });
    let body = json!({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]});
    post(server, "adyen", ("x", "y"), &body.to_string())
}

#[track_caller]
fn expect_refused(answer: &Answer, field: &str) {
    answer.expect_problem(422, "invalid_argument");
    let message = answer.field("message").to_owned();
    assert!(message.starts_with(&format!("{field}: ")), "{message} does not name {field}");
}

fn server_of_all() -> Server {
    Server::sqlite(&[
        "--stripe-secret=hush",
        "--adyen-secret=686d6163",
        "--razorpay-secret=hush",
        "--checkout-secret=hush",
        "--standard-webhooks-secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ])
}

#[test]
fn an_amount_that_cannot_be_read_refuses_the_event() {
    let server = server_of_all();
    let order = server.order(1);
    let mut told: Vec<_> =
        [json!(true), json!(""), json!("1"), json!(1.5), json!(-1), json!([1]), json!({"a": 1})]
            .into_iter()
            .map(|amount| (json!({"amount": amount, "currency": "EUR"}), "amount"))
            .collect();
    for currency in
        [Value::Null, json!(""), json!(978), json!("EURO"), json!("E1R"), json!(["EUR"])]
    {
        told.push((json!({"amount": 1, "currency": currency}), "currency"));
    }
    told.push((json!({"amount": 1}), "currency"));
    for (at, (fields, named)) in told.iter().enumerate() {
        let with = |more: Value| {
            let mut whole = more;
            whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            whole
        };
        let notes = json!({"stockade_order_id": order});
        let mut intent = with(json!({"id": "pi_1", "object": "payment_intent", "metadata": notes}));
        intent["amount_received"] = intent["amount"].clone();
        let event = json!({"id": format!("evt_{at}"), "type": "payment_intent.succeeded",
            "data": {"object": intent}});
        let name = if *named == "amount" { "amount_received" } else { named };
        let answer = stripe(&server, "hush", 0, &event.to_string());
        expect_refused(&answer, &format!("data.object.{name}"));

        let payment = with(json!({"id": format!("pay_{at}"), "notes": notes}));
        let event =
            json!({"event": "payment.captured", "payload": {"payment": {"entity": payment}}});
        let answer = razorpay(&server, "hush", &event.to_string());
        expect_refused(&answer, &format!("payload.payment.entity.{named}"));

        let data = with(json!({"id": format!("pay_{at}"), "metadata": notes}));
        let event = json!({"id": format!("evt_{at}"), "type": "payment_captured", "data": data});
        expect_refused(&checkout(&server, &event), &format!("data.{named}"));

        let amount = json!({"value": fields["amount"], "currency": fields["currency"]});
        // Adyen signs texts and numbers; it has no text to sign for other values.
        let is_signed = |value: &Value| value.is_null() || value.is_number() || value.is_string();
        if amount.as_object().unwrap().values().all(is_signed) {
            let name = if *named == "amount" { "value" } else { named };
            expect_refused(&adyen(&server, order, &amount), &format!("amount.{name}"));
        }
    }
    for (at, (fields, named)) in [
        (json!({"amount": true, "currency": "EUR"}), "amount"),
        (json!({"amount": "", "currency": "EUR"}), "amount"),
        (json!({"amount": {"value": "0.01"}, "currency": "EUR"}), "amount"),
        (json!({"amount": ["0.01"], "currency": "EUR"}), "amount"),
        (json!({"amount": "1,00", "currency": "EUR"}), "amount"),
        (json!({"amount": "-1", "currency": "EUR"}), "amount"),
        (json!({"amount": -1, "currency": "EUR"}), "amount"),
        (json!({"amount": "0.01", "currency": ""}), "currency"),
        (json!({"amount": "0.01", "currency": 978}), "currency"),
        (json!({"amount": "0.01", "currency": "EURO"}), "currency"),
    ]
    .into_iter()
    .enumerate()
    {
        for kind in ["payment.succeeded", "refund.succeeded"] {
            let mut data = fields.clone();
            data["order_id"] = json!(order);
            let answer =
                standard(&server, &format!("msg_{at}"), &json!({"type": kind, "data": data}));
            expect_refused(&answer, &format!("data.{named}"));
        }
    }
    expect_status(&server, order, "pending_payment");
    server.expect_units([3, 0, 1, 0]);
}

/// An invoice that is paid by `pi_1`, as `payments` shows it.
fn invoice(event: &str, id: &str, order: u64, payments: &Value) -> String {
    let mut invoice = json!({
        "id": "in_1", "object": "invoice", "amount_paid": 20_000, "amount_due": 20_000,
        "currency": "eur", "metadata": {"stockade_order_id": order.to_string()},
    });
    invoice.as_object_mut().unwrap().extend(payments.as_object().unwrap().clone());
    json!({"id": id, "object": "event", "type": event, "data": {"object": invoice}}).to_string()
}

#[test]
fn an_invoice_and_its_payment_are_one_payment() {
    let paid_by = |intent: Value| {
        let payment = json!({"type": "payment_intent", "payment_intent": intent});
        json!({"payments": {"object": "list", "data": [
            {"object": "invoice_payment", "status": "canceled",
             "payment": {"type": "payment_intent", "payment_intent": "pi_0"}},
            {"object": "invoice_payment", "status": "paid", "payment": payment},
        ]}})
    };
    for payments in [
        json!({}),
        json!({"payment_intent": "pi_1", "charge": "ch_1"}),
        json!({"payment_intent": null, "payments": null}),
        paid_by(json!("pi_1")),
        paid_by(json!({"id": "pi_1", "object": "payment_intent"})),
    ] {
        for invoice_first in [true, false] {
            let server = Server::sqlite(&["--stripe-secret=hush"]);
            let order = server.order(1);
            let mut events = [
                invoice("invoice.paid", "evt_1", order, &payments),
                payment_intent("payment_intent.succeeded", "evt_2", &for_order(order)),
            ];
            if !invoice_first {
                events.reverse();
            }
            for (event, result) in events.iter().zip(["applied", "recorded"]) {
                assert_eq!(stripe(&server, "hush", 0, event).field("result"), result, "{event}");
            }
            let shown = server.get(&format!("/api/orders/{order}"));
            let found = (shown.field("status"), shown.field("payment_disposition"));
            assert_eq!(found, ("paid", "none"), "{payments}");
        }
    }
    // Another payment is still found where the invoice tells its own.
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    let paid = invoice("invoice.paid", "evt_1", order, &paid_by(json!("pi_9")));
    assert_eq!(stripe(&server, "hush", 0, &paid).field("result"), "applied");
    let second = payment_intent("payment_intent.succeeded", "evt_2", &for_order(order));
    stripe(&server, "hush", 0, &second);
    let shown = server.get(&format!("/api/orders/{order}"));
    assert_eq!(shown.field("payment_disposition"), "needs_refund");
}

//! Bodies in the shape of the providers' published examples, with an order's token.

use hyper::HeaderMap;
use serde_json::{Value, json};

use crate::providers::*;

pub const TOKEN: &str = "pt_19_00000000000000000000000000000007";

/// Translates a body that counts as verified.
pub fn translate(provider: Provider, body: &Value) -> Result<Vec<ProviderEvent>, Rejection> {
    let bytes = body.to_string();
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_1".parse().unwrap());
    let delivery = Delivery { headers: &headers, query: None, body: bytes.as_bytes() };
    match provider {
        Provider::Stripe => stripe::events(delivery.body),
        Provider::Adyen => adyen::events(body),
        Provider::Razorpay => razorpay::events(delivery.body),
        Provider::Paymob => paymob::events(body, &Settings::default().paymob_integration_ids),
        Provider::Checkout => checkout::events(delivery.body),
        Provider::StandardWebhooks => standard_webhooks::events(&delivery),
        Provider::PayPal => paypal::events(delivery.body),
        Provider::Mollie => mollie::events(body),
    }
}

/// Returns the provider's body of an event of its table.
pub fn body(provider: Provider, event: &str) -> Value {
    match provider {
        Provider::Stripe => stripe(event),
        Provider::Adyen => adyen(event, "true"),
        Provider::Razorpay => razorpay(event),
        Provider::Paymob => paymob(event),
        Provider::Checkout => checkout(event),
        Provider::StandardWebhooks => standard(event),
        Provider::PayPal => paypal(event),
        Provider::Mollie => mollie(event),
    }
}

pub fn metadata() -> Value {
    json!({"stockade_payment_token": TOKEN})
}

pub fn stripe(event: &str) -> Value {
    let object = event.rsplit_once('.').map_or(event, |(object, _)| object).replace('.', "_");
    let object = if object == "charge_dispute" { "dispute".to_owned() } else { object };
    json!({
        "id": "evt_3MtwBwLkdIwHu7ix28a3tqPa", "object": "event", "api_version": "2025-03-31.basil",
        "created": 1_680_800_504, "livemode": false, "pending_webhooks": 2, "type": event,
        "request": {"id": "req_1", "idempotency_key": "key"},
        "data": {
            "object": {
                "id": "pi_3MtwBwLkdIwHu7ix", "object": object, "amount": 1999,
                "amount_received": 1999, "amount_captured": 1999, "amount_refunded": 1999,
                "amount_total": 1999, "amount_paid": 1999, "amount_due": 1999,
                "captured": true, "refunded": true, "currency": "eur",
                "payment_status": "paid", "metadata": metadata(),
            },
            "previous_attributes": {"amount_refunded": 0},
        },
    })
}

pub fn adyen(event: &str, success: &str) -> Value {
    json!({"live": "false", "notificationItems": [{"NotificationRequestItem": {
        "additionalData": {"hmacSignature": "", "authCode": "1234"},
        "amount": {"currency": "EUR", "value": 1999}, "eventCode": event,
        "eventDate": "2021-01-01T01:00:00+01:00", "merchantAccountCode": "TestMerchant",
        "merchantReference": TOKEN, "operations": ["CANCEL", "CAPTURE", "REFUND"],
        "originalReference": "913014289869448D", "paymentMethod": "visa",
        "pspReference": "QFQTPCQ8HXSKGK82", "reason": "033899:1111:03/2030", "success": success,
    }}]})
}

pub fn razorpay(event: &str) -> Value {
    let entity = |kind: &str, id: &str| {
        json!({"entity": {
            "id": id, "entity": kind, "amount": 1999, "currency": "INR", "status": "captured",
            "payment_id": "pay_DESp9bgForNoUd", "order_id": "order_DESoU1kD5hRQBi",
            "notes": metadata(),
        }})
    };
    json!({
        "entity": "event", "account_id": "acc_BFQ7uQEaa7j2z7", "event": event,
        "contains": ["payment"], "created_at": 1_567_674_606,
        "payload": {
            "payment": entity("payment", "pay_DESp9bgForNoUd"),
            "order": {"entity": {"id": "order_DESoU1kD5hRQBi", "entity": "order", "amount": 1999,
                "currency": "INR", "receipt": "A-1", "notes": []}},
            "refund": entity("refund", "rfnd_FS8TAzNmD4ZMFG"),
            "dispute": entity("dispute", "disp_EsIAlDcoUr8CaQ"),
            "payment_link": entity("payment_link", "plink_ExjpAUN3gVHrPJ"),
            "invoice": entity("invoice", "inv_DaTwi4U6Rrmvuw"),
        },
    })
}

/// The sample of Paymob's page on its HMAC, in one of the table's states.
pub fn paymob(state: &str) -> Value {
    let flags = |names: &str| names.split(' ').any(|name| name == state);
    let is_child = flags("void refund change_failed captured");
    json!({"type": "TRANSACTION", "obj": {
        "id": 192_036_465, "pending": flags("pending"), "amount_cents": 100_000,
        "success": !flags("failed pending change_failed"), "is_auth": flags("authorized"),
        "is_capture": flags("captured"), "is_standalone_payment": !is_child,
        "is_voided": flags("voided"), "is_refunded": flags("refunded"),
        "is_void": flags("void"), "is_refund": flags("refund"), "is_3d_secure": true,
        "integration_id": 4_097_558, "has_parent_transaction": is_child,
        "order": {"id": 217_503_754, "amount_cents": 100_000, "currency": "EGP",
            "merchant_order_id": "A-1"},
        "created_at": "2024-06-13T11:33:44.592345", "currency": "EGP", "error_occured": false,
        "source_data": {"pan": "2346", "type": "card", "sub_type": "MasterCard"}, "owner": 302_852,
        "payment_key_claims": {"extra": metadata()},
    }})
}

pub fn checkout(event: &str) -> Value {
    let mut body = json!({
        "id": "evt_fkfqht6yonme7bk7jawrgzbbxq", "type": event, "version": "1.0.29",
        "timestamp": "2023-05-24T09:12:32.357+00:00",
        "data": {
            "id": "pay_vti5layihapu5bhbn5tjtk6eem", "action_id": "act_uqlj3642dyyuroivzdwfg2fysq",
            "reference": "ORD-5023-4E89", "amount": 1999, "currency": "EUR",
            "balances": {"total_captured": 1999, "total_refunded": 1999},
            "metadata": metadata(),
        },
    });
    if event.starts_with("dispute_") || event.starts_with("request_for") {
        body["data"] = json!({
            "id": "dsp_9rjdlsd4epepfjyyf9vl", "category": "canceled_recurring", "amount": 1999,
            "currency": "EUR", "payment_id": "pay_vti5layihapu5bhbn5tjtk6eem",
            "payment_reference": "ORD-5023-4E89", "payment_method": "Visa",
        });
    }
    body
}

pub fn standard(event: &str) -> Value {
    json!({"type": event, "timestamp": "2022-11-03T20:26:10.344522Z", "data": {
        "payment_token": TOKEN, "amount": "19.99", "currency": "EUR", "full": true,
    }})
}

pub fn paypal(event: &str) -> Value {
    let resource = if event.contains(".DISPUTE.") {
        json!({
            "dispute_id": "PP-000-042-663-135", "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
            "disputed_transactions": [{"seller_transaction_id": "29Y24445UY2083144",
                "custom": TOKEN, "invoice_number": "A-1"}],
            "dispute_amount": {"currency_code": "EUR", "value": "19.99"}, "status": "OPEN",
        })
    } else if event.contains(".SALE.") {
        json!({"id": "80F85758S3080410K", "state": "completed", "custom": TOKEN,
            "invoice_number": "A-1", "amount": {"total": "19.99", "currency": "EUR"}})
    } else if event.starts_with("CHECKOUT.") {
        json!({"id": "89T257400V0473133", "intent": "CAPTURE", "purchase_units": [{
            "reference_id": "default", "custom_id": TOKEN, "invoice_id": "A-1",
            "amount": {"currency_code": "EUR", "value": "19.99"}}]})
    } else {
        let up = if event.ends_with("REFUNDED") { "payments/captures" } else { "checkout/orders" };
        json!({
            "id": "29Y24445UY2083144", "status": "COMPLETED", "custom_id": TOKEN,
            "invoice_id": "A-1", "amount": {"value": "19.99", "currency_code": "EUR"},
            "links": [
                {"rel": "self", "href": "https://api.sandbox.paypal.com/v2/payments/x/1"},
                {"rel": "up", "href": format!("https://api.sandbox.paypal.com/v2/{up}/9BT885563M")},
            ],
        })
    };
    json!({
        "id": "WH-2CL46544TB770421K-5VB92446WP7345818", "event_version": "1.0",
        "create_time": "2022-02-02T00:23:12.336Z", "event_type": event, "resource": resource,
    })
}

pub fn mollie(state: &str) -> Value {
    let money = json!({"currency": "EUR", "value": "19.99"});
    let mut payment = json!({
        "resource": "payment", "id": "tr_5B8cwPMGnU6qLbRvo7qEZo", "mode": "live",
        "amount": money, "description": "Order 12345", "method": "creditcard",
        "metadata": metadata(), "status": "paid", "profileId": "pfl_QkEhN94Ba",
    });
    match state.split_once('.').unwrap_or((state, "")) {
        ("refund", status) => {
            payment["_embedded"] = json!({"refunds": [{"resource": "refund",
                "id": "re_4qqhO89gsT", "amount": money, "status": status,
                "paymentId": "tr_5B8cwPMGnU6qLbRvo7qEZo"}]});
        }
        ("chargeback", reversed) => {
            let reversed = (reversed == "reversed").then_some("2024-03-21T09:13:37+00:00");
            payment["_embedded"] = json!({"chargebacks": [{"resource": "chargeback",
                "id": "chb_n9z0tp", "amount": money, "reversedAt": reversed}]});
        }
        _ => payment["status"] = state.into(),
    }
    payment
}

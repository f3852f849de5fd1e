//! Signatures by the providers' own libraries and pages, and what they refuse.

use hyper::header::HeaderName;

use super::bodies::paymob as paymob_body;
use super::*;

const NOW: i64 = 1_700_000_000;

fn secrets(setting: &str, value: &str) -> Secrets {
    let mut settings = Settings::default();
    settings.set(setting, value).unwrap();
    match setting {
        "adyen_secret" => settings.adyen_secret,
        _ => settings.webhook_secret,
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

#[test]
fn stripe_signature_is_that_of_the_library() {
    let sent = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
    let header = format!("t={NOW},v1={sent},v0=0000");
    let headers = headers(&[("stripe-signature", &header)]);
    let passes = |body: &str, keys: &str, now| {
        let delivery = Delivery { headers: &headers, query: None, body: body.as_bytes() };
        stripe::verify(&delivery, &secrets("webhook_secret", keys), now).is_ok()
    };
    let body = r#"{"id":"evt_1"}"#;
    assert!(passes(body, "whsec_test", NOW));
    assert!(passes(body, "other,whsec_test", NOW));
    assert!(passes(body, "whsec_test,other", NOW + 300));
    assert!(!passes(body, "whsec_test", NOW + 301));
    assert!(!passes(body, "whsec_test", NOW - 301));
    assert!(!passes(body, "other", NOW));
    assert!(!passes(r#"{"id":"evt_2"}"#, "whsec_test", NOW));
}

#[test]
fn standard_signature_is_that_of_the_library() {
    let sent = "v1,hw6D+jquXiPwVQiZTwb2ek9FSrOofldv7tv4JVMsFUY=";
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let passes = |signature: &str, keys: &str, now: i64, prefix: &str| {
        let names = ["id", "timestamp", "signature"].map(|name| format!("{prefix}-{name}"));
        let time = NOW.to_string();
        let headers = headers(&[
            (names[0].as_str(), id),
            (names[1].as_str(), time.as_str()),
            (names[2].as_str(), signature),
        ]);
        let body = br#"{"test": 2432232314}"#;
        let delivery = Delivery { headers: &headers, query: None, body };
        standard_webhooks::verify(&delivery, &secrets("webhook_secret", keys), now).is_ok()
    };
    assert!(passes(sent, secret, NOW, "webhook"));
    assert!(passes(sent, secret, NOW, "svix"));
    assert!(passes(
        sent,
        &format!("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,{secret}"),
        NOW,
        "webhook"
    ));
    assert!(passes(&format!("v1a,x v1,AAAA {sent}"), secret, NOW + 300, "webhook"));
    assert!(passes(sent.trim_end_matches('='), &secret[6..], NOW, "webhook"));
    assert!(!passes(sent, secret, NOW + 301, "webhook"));
    assert!(!passes(sent, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NOW, "webhook"));
    assert!(!passes(&sent.replace("v1,", "v2,"), secret, NOW, "webhook"));
    assert!(!passes(&sent[3..], secret, NOW, "webhook"));
    assert!(!passes(sent, secret, NOW, "other"));
}

#[test]
fn adyen_signature_is_that_of_the_library_and_of_each_item() {
    let key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let item = |signature: &str, value: u64| {
        serde_json::json!({"NotificationRequestItem": {
            "amount": {"currency": "EUR", "value": value}, "pspReference": "7914073381342284",
            "eventCode": "AUTHORISATION", "merchantAccountCode": "TestMerchant",
            "success": "true", "merchantReference": "TestPayment-1407325143704",
            "additionalData": {"hmacSignature": signature},
        }})
    };
    let sent = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=";
    let passes = |items: &[serde_json::Value], keys: &str| {
        let body = serde_json::json!({"notificationItems": items});
        adyen::verify(&body, &secrets("adyen_secret", keys)).is_ok()
    };
    assert!(passes(&[item(sent, 1130)], key));
    assert!(passes(&[item(sent, 1130), item(sent, 1130)], &format!("00,{key}")));
    assert!(!passes(&[item(sent, 1131)], key));
    assert!(!passes(&[item(sent, 1130), item(sent, 1131)], key));
    assert!(!passes(&[item("", 1130)], key));
    assert!(!passes(&[item("%", 1130)], key));
    assert!(!passes(&[item(sent, 1130)], "00"));
    assert!(!passes(&[item(sent, 1130), serde_json::json!(7)], key));
    assert!(!passes(&[], key));
}

#[test]
fn paymob_signature_is_over_the_text_of_its_page() {
    // Over the page's text, 1000002024-06-13T11:33:44.592345EGPfalse…, by Python's hmac.
    let sent = "eecb2f95c4d0c4fc5675e4ab8d65e31df4362e691a30ebba1e0a2212c4ec70b4\
                a8c26bd2cbb5a06cc807efcbf4cd4c9be649f5efc130891d6a37f3e83a157f8f";
    let passes = |body: &serde_json::Value, query: &str, keys: &str| {
        let headers = HeaderMap::new();
        let delivery = Delivery { headers: &headers, query: Some(query), body: b"" };
        paymob::verify(&delivery, body, &secrets("webhook_secret", keys)).is_ok()
    };
    let body = paymob_body("success");
    let query = format!("hmac={sent}");
    assert!(passes(&body, &query, "paymob-secret"));
    assert!(passes(
        &body,
        &format!("a=b&{}", query.to_uppercase().replace("HMAC", "hmac")),
        "x,paymob-secret"
    ));
    assert!(!passes(&body, &query, "x"));
    assert!(!passes(&body, "", "paymob-secret"));
    assert!(!passes(&body, "hmac=zz", "paymob-secret"));
    for (field, value) in [("amount_cents", 1), ("id", 1), ("owner", 1)] {
        let mut other = body.clone();
        other["obj"][field] = value.into();
        assert!(!passes(&other, &query, "paymob-secret"), "{field}");
    }
    let mut token = body;
    token["type"] = "TOKEN".into();
    assert!(!passes(&token, &query, "paymob-secret"));
}

#[test]
fn hexadecimal_signatures_of_bodies_are_checked() {
    // By Python's hmac: hmac.new(b"hush", b"{}", "sha256").
    let sent = "505c20ac604f662945b662a1f13a9ca2f03bf0b1986f505d5aef48e10da8c918";
    for (name, verify) in [
        ("x-razorpay-signature", razorpay::verify as fn(&Delivery<'_>, &Secrets) -> _),
        ("cko-signature", checkout::verify),
    ] {
        let passes = |signature: &str, body: &[u8], keys: &str| {
            let headers = headers(&[(name, signature)]);
            let delivery = Delivery { headers: &headers, query: None, body };
            verify(&delivery, &secrets("webhook_secret", keys)).is_ok()
        };
        assert!(passes(sent, b"{}", "hush"), "{name}");
        assert!(passes(sent, b"{}", "new, hush"), "{name}");
        assert!(!passes(sent, b"{} ", "hush"), "{name}");
        assert!(!passes(sent, b"{}", "new"), "{name}");
        assert!(!passes(&sent[2..], b"{}", "hush"), "{name}");
        assert!(!passes("", b"{}", "hush"), "{name}");
        let none = HeaderMap::new();
        let delivery = Delivery { headers: &none, query: None, body: b"{}" };
        assert!(verify(&delivery, &secrets("webhook_secret", "hush")).is_err(), "{name}");
    }
}

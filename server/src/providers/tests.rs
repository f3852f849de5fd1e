//! Unit tests of the providers, of all together and of each.

mod bodies;
mod documented;
mod events;
mod one_reading;
mod signatures;

use super::*;

const PLACE: MoneyPointers<'_> = MoneyPointers { amount: "/amount", currency: "/currency" };

fn minor(amount: serde_json::Value, code: &str, decimals: fn(&str) -> u32) -> Option<Amount> {
    let event = serde_json::json!({"amount": amount, "currency": code});
    amount::minor(&event, Meaning::Success, PLACE, decimals).ok().flatten()
}

fn major(amount: serde_json::Value, code: &str) -> Option<Amount> {
    let event = serde_json::json!({"amount": amount, "currency": code});
    amount::major(&event, Meaning::Success, PLACE).ok().flatten()
}

#[test]
fn amounts_keep_their_value_and_have_the_currency_s_decimals() {
    let iso = amount::iso_decimals;
    for (value, code, decimals, expected) in [
        (1999_u64, "eur", iso as fn(&str) -> u32, ("19.99", "EUR")),
        (5, "EUR", iso, ("0.05", "EUR")),
        (0, "EUR", iso, ("0.00", "EUR")),
        (500, "jpy", iso, ("500", "JPY")),
        (5120, "KWD", iso, ("5.120", "KWD")),
        (500, "isk", stripe::decimals, ("5", "ISK")),
        (550, "isk", stripe::decimals, ("5.5", "ISK")),
        (500, "ugx", stripe::decimals, ("5", "UGX")),
        (500, "mga", stripe::decimals, ("500.00", "MGA")),
        (500, "clp", stripe::decimals, ("500", "CLP")),
        (50000, "CLP", adyen::decimals, ("500", "CLP")),
        (500, "ISK", adyen::decimals, ("5", "ISK")),
        (500, "IDR", adyen::decimals, ("500.00", "IDR")),
        (500, "CVE", adyen::decimals, ("500.00", "CVE")),
        (500, "UGX", adyen::decimals, ("500", "UGX")),
        (50000, "CLP", checkout::decimals, ("500", "CLP")),
        (100, "JPY", checkout::decimals, ("100", "JPY")),
        (100_000, "BHD", checkout::decimals, ("100.000", "BHD")),
        (1999, "XYZ", iso, ("19.99", "XYZ")),
        (u64::MAX, "KWD", iso, ("18446744073709551.615", "KWD")),
        (u64::MAX, "MGA", stripe::decimals, ("18446744073709551615.00", "MGA")),
    ] {
        let (text, code_found) = minor(value.into(), code, decimals).unwrap();
        assert_eq!((text.as_str(), code_found.as_str()), expected);
    }
    for (given, code, expected) in [
        ("10.00", "EUR", "10.00"),
        ("10", "EUR", "10.00"),
        ("10.5", "eur", "10.50"),
        ("10.005", "EUR", "10.005"),
        ("100", "TWD", "100.00"),
        ("100.00", "JPY", "100"),
        ("1.2", "KWD", "1.200"),
        ("1.", "EUR", "1.00"),
    ] {
        let found = major(given.into(), code).unwrap();
        assert_eq!(found, (expected.to_owned(), code.to_uppercase()), "{given}");
    }
    assert_eq!(major(19.99.into(), "EUR").unwrap().0, "19.99");
}

#[test]
fn an_amount_that_cannot_be_read_is_refused_and_named() {
    let long = "9".repeat(100);
    let bad_text = ["", ".", ".1", "-", "-0.50", "1e3", "1,00", "+1", "1.0.0", " 1", "0x1", &long];
    for bad in bad_text {
        assert_eq!(major(bad.into(), "EUR"), None, "{bad}");
    }
    for bad in [serde_json::json!(true), serde_json::json!([]), serde_json::json!(-1)] {
        assert_eq!(major(bad.clone(), "EUR"), None, "{bad}");
    }
    for bad in ["1.5", "-1", "\"5\"", "[]", "{}", "true", "1e2", "18446744073709551616"] {
        let bad: serde_json::Value = serde_json::from_str(bad).unwrap();
        assert_eq!(minor(bad.clone(), "EUR", amount::iso_decimals), None, "{bad}");
    }
    let read = |event: &str, meaning| {
        let event = serde_json::from_str(event).unwrap();
        amount::minor(&event, meaning, PLACE, amount::iso_decimals)
    };
    let refund = REFUND;
    for (event, says) in [
        (r#"{"amount":1}"#, "currency: it is missing beside amount"),
        (r#"{"amount":1,"currency":null}"#, "currency: it is missing beside amount"),
        (r#"{"amount":1,"currency":""}"#, "currency: expected the three letters of a currency"),
        (r#"{"amount":1,"currency":978}"#, "currency: expected the three letters"),
        (r#"{"amount":1,"currency":"\u20ac"}"#, "currency: expected the three letters"),
        (r#"{"amount":-1,"currency":"EUR"}"#, "amount: expected a whole number of minor units"),
    ] {
        for meaning in [Meaning::Success, refund] {
            let Err(Rejection::Server(code, said)) = read(event, meaning) else {
                panic!("{event} was read")
            };
            assert_eq!(code, Code::InvalidArgument);
            assert!(said.starts_with(says), "{event}: {said}");
        }
        // The amount of what is no payment is not looked for.
        assert_eq!(read(event, Meaning::Ignored).unwrap(), None, "{event}");
    }
    // Where no money moved, an amount alone says nothing.
    assert_eq!(read(r#"{"amount":1}"#, Meaning::Failed).unwrap(), None);
    assert!(read(r#"{"amount":true,"currency":"EUR"}"#, Meaning::Failed).is_err());
    for none in ["{}", r#"{"currency":"EUR"}"#, r#"{"amount":null,"currency":"EUR"}"#] {
        assert_eq!(read(none, Meaning::Success).unwrap(), None, "{none}");
    }
    let nested = MoneyPointers { amount: "/amount/value", currency: "/amount/currency" };
    for bad in [r#"{"amount":"19.99"}"#, r#"{"amount":5}"#] {
        let event = serde_json::from_str(bad).unwrap();
        assert!(amount::major(&event, Meaning::Success, nested).is_err(), "{bad}");
    }
}

#[test]
fn an_order_is_named_by_token_id_or_the_shop_s_own_text() {
    let token = "pt_19_00000000000000000000000000000007";
    let metadata = serde_json::json!({"stockade_payment_token": token, "stockade_order_id": "19"});
    let name = OrderName::from_metadata(Some(&metadata)).unwrap().or_own(Some("A-1"));
    assert_eq!(name.payment_token.as_deref(), Some(token));
    assert_eq!((name.order_id, name.reference.as_deref()), (Some(19), Some("A-1")));
    let own = OrderName::default().or_own(Some(token)).or_own(Some("A-1")).or_own(Some("A-2"));
    assert_eq!((own.payment_token, own.reference), (Some(token.to_owned()), Some("A-1".into())));
    for nothing in ["null", "[]", "\"text\"", "{}", r#"{"stockade_order_id":null}"#] {
        let metadata = serde_json::from_str(nothing).unwrap();
        assert_eq!(OrderName::from_metadata(Some(&metadata)).unwrap(), OrderName::default());
    }
    for bad in [
        r#"{"stockade_payment_token":"nonsense"}"#,
        r#"{"stockade_payment_token":19}"#,
        r#"{"stockade_order_id":"0"}"#,
        r#"{"stockade_order_id":-1}"#,
        r#"{"stockade_order_id":1.5}"#,
        r#"{"stockade_order_id":"99999999999999999999"}"#,
        r#"{"stockade_order_id":"9223372036854775808"}"#,
    ] {
        let metadata = serde_json::from_str(bad).unwrap();
        assert!(OrderName::from_metadata(Some(&metadata)).is_err(), "{bad}");
    }
}

//! Unit tests of the providers, of all together and of each.

mod bodies;
mod documented;
mod events;
mod signatures;

use super::*;

#[test]
fn amounts_keep_their_value_and_have_the_currency_s_decimals() {
    let minor = |value: i64, code: &str, decimals| {
        amount::from_minor(Some(&value.into()), Some(code), decimals).unwrap().unwrap()
    };
    let text = |text: &str, code: &str| ((text.to_owned()), code.to_owned());
    let iso = amount::iso_decimals;
    for (found, expected) in [
        (minor(1999, "eur", iso), text("19.99", "EUR")),
        (minor(5, "EUR", iso), text("0.05", "EUR")),
        (minor(-5, "EUR", iso), text("-0.05", "EUR")),
        (minor(0, "EUR", iso), text("0.00", "EUR")),
        (minor(500, "jpy", iso), text("500", "JPY")),
        (minor(5120, "KWD", iso), text("5.120", "KWD")),
        (minor(500, "isk", stripe::decimals), text("5", "ISK")),
        (minor(550, "isk", stripe::decimals), text("5.5", "ISK")),
        (minor(500, "ugx", stripe::decimals), text("5", "UGX")),
        (minor(500, "mga", stripe::decimals), text("500.00", "MGA")),
        (minor(500, "clp", stripe::decimals), text("500", "CLP")),
        (minor(50000, "CLP", adyen::decimals), text("500", "CLP")),
        (minor(500, "ISK", adyen::decimals), text("5", "ISK")),
        (minor(500, "IDR", adyen::decimals), text("500.00", "IDR")),
        (minor(500, "CVE", adyen::decimals), text("500.00", "CVE")),
        (minor(500, "UGX", adyen::decimals), text("500", "UGX")),
        (minor(50000, "CLP", checkout::decimals), text("500", "CLP")),
        (minor(100, "JPY", checkout::decimals), text("100", "JPY")),
        (minor(100_000, "BHD", checkout::decimals), text("100.000", "BHD")),
        (minor(1999, "XYZ", iso), text("19.99", "XYZ")),
        (minor(i64::MIN, "KWD", iso), text("-9223372036854775.808", "KWD")),
    ] {
        assert_eq!(found, expected);
    }
    for (given, code, expected) in [
        ("10.00", "EUR", "10.00"),
        ("10", "EUR", "10.00"),
        ("10.5", "eur", "10.50"),
        ("10.005", "EUR", "10.005"),
        ("100", "TWD", "100.00"),
        ("100.00", "JPY", "100"),
        ("1.2", "KWD", "1.200"),
        ("-0.50", "EUR", "-0.50"),
    ] {
        let found = amount::from_decimal(Some(given), Some(code)).unwrap().unwrap();
        assert_eq!(found, (expected.to_owned(), code.to_uppercase()), "{given}");
    }
    let long = "9".repeat(100);
    for bad in ["", ".", "-", "1e3", "1,00", "+1", "1.0.0", " 1", "0x1", long.as_str()] {
        assert!(amount::from_decimal(Some(bad), Some("EUR")).is_err(), "{bad}");
    }
    for bad in [serde_json::json!(1.5), serde_json::json!("5"), serde_json::json!([])] {
        assert!(amount::from_minor(Some(&bad), Some("EUR"), iso).is_err(), "{bad}");
    }
    assert_eq!(amount::from_minor(None, Some("EUR"), iso).unwrap(), None);
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

//! The tables of `docs/payment-providers.md` against the modules: the same events, and
//! each means what the page says when it comes in the provider's own shape.

use std::collections::BTreeMap;

use super::bodies::{TOKEN, body, translate};
use crate::providers::*;

/// The heading of each provider, its table, and how many events it has at least.
const SECTIONS: [(&str, Provider, &EventTable, usize); 8] = [
    ("Stripe", Provider::Stripe, stripe::EVENTS, 40),
    ("Adyen", Provider::Adyen, adyen::EVENTS, 36),
    ("Razorpay", Provider::Razorpay, razorpay::EVENTS, 20),
    ("Paymob", Provider::Paymob, paymob::EVENTS, 8),
    ("Checkout.com", Provider::Checkout, checkout::EVENTS, 35),
    ("Standard Webhooks", Provider::StandardWebhooks, standard_webhooks::EVENTS, 15),
    ("PayPal", Provider::PayPal, paypal::EVENTS, 30),
    ("Mollie", Provider::Mollie, mollie::EVENTS, 14),
];

/// Reads the table of a section: event to meaning.
fn documented(page: &str, heading: &str) -> BTreeMap<String, String> {
    let start = page.find(&format!("\n## {heading}\n")).unwrap();
    let section = &page[start + 4..];
    let section = &section[..section.find("\n## ").unwrap_or(section.len())];
    let mut events = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').collect();
        let names = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        for event in names(cells[2]) {
            let before = events.insert(event, names(cells[1])[0].clone());
            assert_eq!(before, None, "an event of {heading} is there twice: {row}");
        }
    }
    events
}

#[test]
fn each_documented_event_has_its_meaning_in_the_provider_s_shape() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/payment-providers.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (heading, provider, table, at_least) in SECTIONS {
        let documented = documented(&page, heading);
        let listed: BTreeMap<_, _> = table
            .iter()
            .map(|(event, meaning)| ((*event).to_owned(), meaning.as_str().to_owned()))
            .collect();
        assert_eq!(listed, documented, "{heading}");
        assert_eq!(listed.len(), table.len(), "an event of {heading} is listed twice");
        assert!(listed.len() >= at_least, "{heading}");
        for (event, expected) in documented {
            let events = translate(provider, &body(provider, &event)).unwrap();
            let found = events.last().unwrap();
            assert_eq!(found.meaning.as_str(), expected, "{heading}: {event}");
            assert!(found.key.starts_with(provider.as_str()), "{}", found.key);
            let named_by_reference =
                provider == Provider::Checkout && found.order.reference.is_some();
            let token = found.order.payment_token.as_deref();
            assert!(token == Some(TOKEN) || named_by_reference, "{heading}: {event}");
            assert!(found.order.payment_reference.is_some() || token.is_some(), "{event}");
            let expected = if provider == Provider::Paymob { "1000.00" } else { "19.99" };
            assert_eq!(found.amount.as_ref().unwrap().0, expected, "{heading}: {event}");
        }
    }
}

#[test]
fn an_event_of_another_name_is_ignored() {
    for provider in Provider::ALL {
        let unknown = body(provider, "something.unheard_of");
        match translate(provider, &unknown) {
            // A transaction without flags that are set is a payment that succeeded.
            Ok(events) if provider == Provider::Paymob => {
                assert_eq!(events[0].meaning, Meaning::Success);
            }
            Ok(events) => assert_eq!(events[0].meaning, Meaning::Ignored, "{provider:?}"),
            Err(error) => panic!("{provider:?}: {error:?}"),
        }
    }
}

//! From requests about orders to commands: everything that can be refused without
//! looking at a row is refused here, before any lock.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::commands::{
    asked, check_sku, check_text, checked_key, exists_ever, hex, keyed, possible_hold, refuse_nul,
};
use crate::call::Retry;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ledger::{Command, OrderTerms, PaymentTerms, Refund};
use crate::model::{
    CancelRequest, ExtendOrderRequest, LineUnits, OrderId, OrderRequest, PaymentEvent,
    PaymentReference, PaymentToken, ProductRef, RefundRequest, ReportedRefund, RestockRequest,
    Token,
};

/// The most holds of one order: it bounds how many products one transaction locks.
const ORDER_HOLDS_MAX: usize = 1_000;
/// A shop's number of an order has at most so many characters.
const REFERENCE_CHARS_MAX: usize = 128;
/// A provider's name has at most so many bytes, and its name of a payment.
const PROVIDER_BYTES_MAX: usize = 32;
const PAYMENT_BYTES_MAX: usize = 200;

pub(super) fn create_order(
    config: &Config,
    request: &OrderRequest,
    retry: Option<Retry>,
) -> Result<Command> {
    let OrderRequest { holds, cart_id, amount, currency, reference, payment_ttl, .. } = request;
    let OrderRequest { metadata, key, .. } = request;
    if holds.is_empty() || holds.len() > ORDER_HOLDS_MAX {
        return Err(Error::invalid_argument(format!(
            "an order has 1 to {ORDER_HOLDS_MAX} holds, got {}",
            holds.len()
        )));
    }
    let mut seen = BTreeSet::new();
    for hold in holds {
        possible_hold(hold.hold_id)?;
        if !seen.insert(hold.hold_id) {
            return Err(Error::invalid_argument(format!("hold {} is named twice", hold.hold_id)));
        }
    }
    if let Some(reference) = reference {
        check_reference(reference)?;
    }
    if let Some(ttl) = *payment_ttl {
        check_ttl(config, ttl)?;
    }
    // A token says who asks and not what is asked: the key goes without it.
    let parts: Vec<u64> = match cart_id {
        // Which holds of it are left may have changed when the request is repeated.
        Some(cart_id) => vec![0, cart_id.0],
        None => holds
            .iter()
            .flat_map(|hold| {
                let product = hold.product.as_ref().and_then(ProductRef::id);
                [hold.hold_id.0, product.map_or(0, |product| product.0)]
            })
            .collect(),
    };
    for product in holds.iter().filter_map(|hold| hold.product.as_ref()) {
        if let ProductRef::Sku(sku) = product {
            check_sku(sku)?;
        }
    }
    let skus = holds.iter().filter_map(|hold| match &hold.product {
        Some(ProductRef::Sku(sku)) => Some(format!("{};{sku}\0", hold.hold_id)),
        _ => None,
    });
    let skus: String = skus.collect();
    let terms = OrderTerms {
        amount: *amount,
        currency: *currency,
        reference: reference.clone(),
        payment_ttl: *payment_ttl,
        metadata: metadata.clone(),
    };
    let terms = (terms != OrderTerms::default()).then(|| Box::new(terms));
    let text = terms.as_deref().map(terms_text);
    let key = key.as_deref();
    let key = if skus.is_empty() {
        keyed("order", key, retry, &parts, text.as_deref())?
    } else {
        keyed("sku_order", key, retry, &parts, Some(&(skus + &text.unwrap_or_default())))?
    };
    // The id is drawn when the order's turn comes.
    let (order_id, secret) = (OrderId(0), Token::random());
    Ok(Command::Order { order_id, secret, holds: holds.iter().cloned().collect(), terms, key })
}

/// The terms as a fingerprint keeps them. The reference, which may have any character,
/// comes last.
fn terms_text(terms: &OrderTerms) -> String {
    let OrderTerms { amount, currency, reference, payment_ttl, metadata } = terms;
    let mut text = String::new();
    let _ = write!(text, "{};", asked(*payment_ttl));
    let _ = amount.iter().try_for_each(|amount| write!(text, "{amount}"));
    text.push(';');
    let _ = currency.iter().try_for_each(|currency| write!(text, "{currency}"));
    text.push(';');
    text.push_str(reference.as_deref().unwrap_or_default());
    // A reference has no NUL.
    let _ = metadata.iter().try_for_each(|it| write!(text, "\0{}", it.as_str()));
    text
}

fn check_ttl(config: &Config, ttl: Duration) -> Result<()> {
    // Less than the store's microsecond is no time at all.
    if ttl.as_micros() == 0 || ttl > config.payment_ttl_max {
        return Err(Error::invalid_argument(format!(
            "payment_ttl must be over 0 and at most {}s, got {ttl:?}",
            config.payment_ttl_max.as_secs()
        )));
    }
    Ok(())
}

pub(super) fn check_reference(reference: &str) -> Result<()> {
    refuse_nul("reference", reference)?;
    if !(1..=REFERENCE_CHARS_MAX).contains(&reference.chars().count()) {
        let why = format!("a reference has 1 to {REFERENCE_CHARS_MAX} characters");
        return Err(Error::invalid_argument(why));
    }
    Ok(())
}

fn existing(order_id: OrderId) -> Result<OrderId> {
    exists_ever("order", order_id.0, order_id.is_possible())?;
    Ok(order_id)
}

pub(super) fn extend_order(config: &Config, request: &ExtendOrderRequest) -> Result<Command> {
    let ExtendOrderRequest { order_id, ttl } = *request;
    if let Some(ttl) = ttl {
        check_ttl(config, ttl)?;
    }
    Ok(Command::ExtendOrder { order_id: existing(order_id)?, ttl })
}

pub(super) fn cancel_order(request: &CancelRequest) -> Result<Command> {
    let order_id = existing(request.order_id)?;
    check_reason(request.reason.as_deref())?;
    Ok(Command::CancelOrder { order_id, reason: request.reason.clone() })
}

fn check_reason(reason: Option<&str>) -> Result<()> {
    reason.map_or(Ok(()), |reason| check_text("reason", reason))
}

/// Lists units for a fingerprint, if each line is named once with at least one unit.
fn checked_units(lines: &[LineUnits]) -> Result<Vec<u64>> {
    let mut seen = BTreeSet::new();
    for LineUnits { line, quantity } in lines {
        if *quantity == 0 || !seen.insert(*line) {
            return Err(Error::invalid_argument(format!(
                "line {line} must be named once, with a quantity of at least 1"
            )));
        }
    }
    Ok(lines.iter().flat_map(|units| [units.line.into(), units.quantity.into()]).collect())
}

pub(super) fn refund_order(request: &RefundRequest, retry: Option<Retry>) -> Result<Command> {
    let RefundRequest { order_id, lines, amount, restock, owed, payment_token, .. } = request;
    let RefundRequest { reported, reason, key, .. } = request;
    let order_id = existing(*order_id)?;
    check_reason(reason.as_deref())?;
    payment_token.map_or(Ok(()), |token| check_one_order(order_id, token))?;
    if *owed && (!lines.is_empty() || amount.is_some() || *restock) {
        let why = "what is owed is settled alone: name no lines, no amount and no restock";
        return Err(Error::invalid_argument(why));
    }
    if reported.is_some() && (!lines.is_empty() || amount.is_some() || *restock || *owed) {
        let why = "a provider's report decides what is refunded: name nothing else";
        return Err(Error::invalid_argument(why));
    }
    let mut parts = vec![order_id.0, u64::from(*restock), u64::from(*owed)];
    parts.extend(checked_units(lines)?);
    let text = match reported {
        Some(reported) => Some(essence_of_refund(reported)?),
        None => amount.map(|amount| amount.to_string()),
    };
    let key = keyed("refund", key.as_deref(), retry, &parts, text.as_deref())?;
    let (lines, amount, restock, owed) = (lines.clone(), *amount, *restock, *owed);
    // The token says who asks and not what is asked: the key goes without it.
    let (secret, reason) = (payment_token.map(|token| token.secret), reason.clone());
    let reported = reported.clone();
    let refund = Box::new(Refund { lines, amount, restock, owed, reason, secret, reported });
    Ok(Command::Refund { order_id, refund, key })
}

/// Returns what tells one report of a provider from another.
fn essence_of_refund(reported: &ReportedRefund) -> Result<String> {
    let ReportedRefund { payment, amount, currency, is_full } = reported;
    payment.as_deref().map_or(Ok(()), check_payment_name)?;
    let amount = amount.map(|amount| amount.to_string()).unwrap_or_default();
    let currency = currency.map(|currency| currency.to_string()).unwrap_or_default();
    let payment = payment.as_deref().unwrap_or_default();
    Ok(format!("reported/{amount}/{currency}/{is_full:?}/{payment}"))
}

pub(super) fn restock_order(request: &RestockRequest, retry: Option<Retry>) -> Result<Command> {
    let RestockRequest { order_id, lines, key } = request;
    let order_id = existing(*order_id)?;
    let mut parts = vec![order_id.0];
    parts.extend(checked_units(lines)?);
    let key = keyed("restock", key.as_deref(), retry, &parts, None)?;
    Ok(Command::Restock { order_id, lines: lines.clone(), key })
}

pub(super) fn set_payment_reference(request: &PaymentReference) -> Result<Command> {
    let PaymentReference { order_id, provider, reference } = request;
    let reference = payment_name(provider, reference)?;
    Ok(Command::SetPaymentReference { order_id: existing(*order_id)?, reference })
}

/// Joins a provider and its name of a payment.
pub(super) fn payment_name(provider: &str, reference: &str) -> Result<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=PROVIDER_BYTES_MAX).contains(&provider.len()) || !provider.bytes().all(is_name) {
        return Err(Error::invalid_argument(format!(
            "a provider is named by 1 to {PROVIDER_BYTES_MAX} of the letters, digits and `._-`"
        )));
    }
    let is_long = !(1..=PAYMENT_BYTES_MAX).contains(&reference.len());
    if is_long || reference.chars().any(char::is_control) {
        return Err(Error::invalid_argument(format!(
            "a payment reference has 1 to {PAYMENT_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(format!("{provider}/{reference}"))
}

/// Checks a provider's name of a payment that names the provider, too.
pub(super) fn check_payment_name(name: &str) -> Result<()> {
    if !(1..=255).contains(&name.len()) || name.chars().any(char::is_control) {
        let why = "payment_reference has 1 to 255 bytes and no control characters";
        return Err(Error::invalid_argument(why));
    }
    Ok(())
}

/// Refuses an id and a token that name two orders.
fn check_one_order(order_id: OrderId, token: PaymentToken) -> Result<()> {
    if token.order_id() == order_id {
        return Ok(());
    }
    let why = format!("order_id names order {order_id} and payment_token another");
    Err(Error::invalid_argument(why))
}

pub(super) fn record_payment(event: &PaymentEvent) -> Result<Command> {
    let PaymentEvent { outcome, amount, currency, payment_reference, .. } = event;
    let token = event.payment_token;
    let has_reference = event.order_reference.is_some() || payment_reference.is_some();
    let is_named = event.order_id.is_none() && token.is_none() && has_reference;
    let order_id = match (event.order_id, token) {
        (Some(order_id), Some(token)) => {
            check_one_order(order_id, token)?;
            order_id
        }
        (Some(order_id), None) => order_id,
        (None, Some(token)) => token.order_id(),
        (None, None) if is_named => OrderId(0),
        (None, None) => {
            let why = "order_id, payment_token or a reference is needed";
            return Err(Error::invalid_argument(why));
        }
    };
    if !is_named && !order_id.is_possible() {
        return Err(Error::invalid_argument(format!("no order can ever have the id {order_id}")));
    }
    if currency.is_some() && amount.is_none() {
        return Err(Error::invalid_argument("a currency says nothing without an amount"));
    }
    if let Some(reference) = payment_reference {
        check_payment_name(reference)?;
    }
    if let Some(reference) = &event.order_reference {
        check_reference(reference)?;
    }
    let secret = token.map(|token| token.secret);
    // What tells one event from another: order or token, outcome, amount and currency.
    let essence = essence(event, order_id, secret);
    let fingerprint = Sha256::digest(&essence).into();
    let key = match &event.key {
        Some(key) => checked_key(key)?.to_owned(),
        // A caller's key has no control character, so none can be mistaken
        // for a derived one.
        None => format!("\u{1}{}", hex(&Sha256::digest(&essence))),
    };
    let terms = PaymentTerms {
        amount: *amount,
        currency: *currency,
        reference: payment_reference.clone(),
        order_reference: event.order_reference.clone().filter(|_| is_named),
    };
    let terms = (terms != PaymentTerms::default()).then(|| Box::new(terms));
    let outcome = *outcome;
    Ok(Command::Payment { key, fingerprint, order_id, is_named, secret, outcome, terms })
}

fn essence(event: &PaymentEvent, order_id: OrderId, secret: Option<Token>) -> String {
    let mut text = format!("{order_id}/");
    let _ = secret.iter().try_for_each(|secret| write!(text, "{secret}"));
    let _ = write!(text, "/{}", event.outcome.as_str());
    if let Some(amount) = event.amount {
        let _ = write!(text, "/{amount}/");
        let _ = event.currency.iter().try_for_each(|currency| write!(text, "{currency}"));
    }
    if order_id.0 == 0 {
        // No reference has a NUL.
        let names = [&event.payment_reference, &event.order_reference];
        for name in names.map(|name| name.as_deref().unwrap_or_default()) {
            let _ = write!(text, "\0{name}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::model::{Money, OrderedHold, Outcome, PaymentToken};

    fn kind(result: Result<Command>) -> ErrorKind {
        result.expect_err("refused").kind()
    }

    fn money(text: &str) -> Money {
        text.parse().expect("an amount")
    }

    #[test]
    fn senseless_requests_are_refused_before_any_lock() {
        let config = Config::default();
        let bad = ErrorKind::InvalidArgument;
        let ordered = |request: OrderRequest| create_order(&config, &request, None);
        assert_eq!(kind(ordered(OrderRequest::of::<OrderedHold>([]))), bad);
        assert_eq!(kind(ordered(OrderRequest::of([7, 7].map(OrderedHold::new)))), bad);
        let many = (1..=1_001).map(OrderedHold::new);
        assert_eq!(kind(ordered(OrderRequest::of(many))), bad);
        assert_eq!(kind(ordered(OrderRequest::new(0, 1))), ErrorKind::NotFound);
        for reference in ["", "a\0", &"r".repeat(129)] {
            assert_eq!(kind(ordered(OrderRequest::new(1, 1).reference(reference))), bad);
        }
        for ttl in [Duration::ZERO, Duration::from_secs(8 * 86_400)] {
            assert_eq!(kind(ordered(OrderRequest::new(1, 1).payment_ttl(ttl))), bad);
            assert_eq!(kind(extend_order(&config, &ExtendOrderRequest::new(1).ttl(ttl))), bad);
        }
        let refund = |request: RefundRequest| refund_order(&request, None);
        for lines in [vec![LineUnits::new(1, 0)], vec![LineUnits::new(1, 1), LineUnits::new(1, 2)]]
        {
            assert_eq!(kind(refund(RefundRequest::new(1).lines(lines.clone()))), bad);
            assert_eq!(kind(restock_order(&RestockRequest::new(1).lines(lines), None)), bad);
        }
        assert_eq!(kind(refund(RefundRequest::new(1).owed().restock())), bad);
        assert_eq!(kind(refund(RefundRequest::new(1).reason("a\0"))), bad);
        assert_eq!(kind(cancel_order(&CancelRequest::new(1).reason("r".repeat(256)))), bad);
        for (provider, reference) in [("", "pi"), ("a/b", "pi"), ("stripe", ""), ("stripe", "a\n")]
        {
            let request = PaymentReference::new(1, provider, reference);
            assert_eq!(kind(set_payment_reference(&request)), bad);
        }
        assert_eq!(kind(record_payment(&PaymentEvent::for_order(0, Outcome::Success))), bad);
        let token = PaymentToken { order_id: OrderId(3), secret: Token(1) };
        let other = PaymentEvent::for_order(2, Outcome::Success).token(token);
        assert_eq!(kind(record_payment(&other)), bad);
    }

    /// What an order of one hold was known by before there were others: answers are
    /// kept under it.
    const ORDERED: &str = "05b377bd8792d7a0655115a9fd8381232daa38f3508dd66e517037c310f8ba12";

    #[test]
    fn a_fingerprint_counts_everything_but_tokens() {
        let print = |request: OrderRequest| {
            let command = create_order(&Config::default(), &request.key("k"), None).expect("sense");
            hex(&command.key().expect("a key").fingerprint)
        };
        let one = OrderRequest::new(13, 7);
        assert_eq!(print(one.clone()), ORDERED);
        assert_eq!(print(one.clone().token(Token(1))), ORDERED);
        let others = [
            OrderRequest::of([OrderedHold::new(13)]),
            OrderRequest::of([13, 14].map(OrderedHold::new)),
            OrderRequest::of([14, 13].map(OrderedHold::new)),
            one.clone().amount(money("5")),
            one.clone().reference("5"),
            one.clone().payment_ttl(Duration::from_secs(5)),
            one.currency("USD".parse().expect("a currency")),
        ];
        let prints: BTreeSet<_> = others.into_iter().map(print).collect();
        assert!(prints.len() == 7 && !prints.contains(ORDERED));
    }

    #[test]
    fn a_payment_is_told_by_order_token_outcome_and_amount() {
        let told = |event: &PaymentEvent| match record_payment(event) {
            Ok(Command::Payment { key, fingerprint, .. }) => (key, fingerprint),
            other => panic!("{other:?}"),
        };
        let event = PaymentEvent::for_order(7, Outcome::Success);
        let named = event.clone().payment_reference("stripe/pi_1");
        assert_eq!(told(&event), told(&named), "the provider's name is no part of it");
        let paid = event.clone().amount(money("5"));
        let others = [
            PaymentEvent::for_order(7, Outcome::Failure),
            paid.clone(),
            event.clone().amount(money("5.5")),
            paid.currency("USD".parse().expect("a currency")),
        ];
        let keys: BTreeSet<_> = others.iter().chain([&event]).map(told).collect();
        assert_eq!(keys.len(), 5);
        let keyed = |event: PaymentEvent| told(&event.key("k"));
        assert_ne!(keyed(event.clone()).1, keyed(event.amount(money("5"))).1);
    }
}

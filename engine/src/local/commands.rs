//! From requests to commands: everything that can be refused without looking
//! at a row is refused here, before any lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::call::Retry;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Command, IdempotencyKey, NewHold};
use crate::model::{
    CartRequest, ExtendRequest, HoldId, HoldRequest, NewProduct, OrderId, OrderRequest,
    PaymentEvent, ProductId, ReleaseRequest, StockAdjustment, Token,
};

/// An idempotency key is at most so long, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// What names a customer is at most so long, in bytes.
const CUSTOMER_BYTES_MAX: usize = 255;
/// A name or a reason is at most so long, in characters.
const TEXT_CHARS_MAX: usize = 255;

pub(super) fn create_hold(
    config: &Config,
    request: &HoldRequest,
    retry: Option<Retry>,
) -> Result<Command> {
    let HoldRequest { product_id, quantity, .. } = *request;
    check_quantity(config, product_id, quantity.into())?;
    exists_ever("product", product_id.0, product_id.is_possible())?;
    let ttl = ttl(config, request.ttl)?;
    let customer = customer(request.customer.as_deref())?;
    let parts = [product_id.0, quantity.into(), asked(request.ttl)];
    let key = keyed("hold", request.key.as_deref(), retry, &parts, customer)?;
    let customer = customer.map(Arc::from);
    Ok(Command::Hold { hold: new_hold(product_id, quantity), ttl, customer, key })
}

/// Sums repeated products and sorts, so that every cart takes its products in
/// the same order.
pub(super) fn create_holds(
    config: &Config,
    request: &CartRequest,
    retry: Option<Retry>,
) -> Result<Command> {
    if request.items.is_empty() {
        return Err(Error::invalid_argument("a cart needs at least one line"));
    }
    if request.items.len() > config.cart_lines_max {
        return Err(Error::invalid_argument(format!(
            "a cart may have {} lines, got {}",
            config.cart_lines_max,
            request.items.len()
        )));
    }
    let mut sums: BTreeMap<ProductId, u64> = BTreeMap::new();
    for (product_id, quantity) in &request.items {
        if *quantity == 0 {
            return Err(Error::invalid_argument("quantity must be at least 1, got 0"));
        }
        *sums.entry(*product_id).or_default() += u64::from(*quantity);
    }
    let mut lines = Vec::with_capacity(sums.len());
    let ttl = ttl(config, request.ttl)?;
    let customer = customer(request.customer.as_deref())?;
    let mut parts = vec![asked(request.ttl)];
    for (product_id, sum) in sums {
        let quantity = check_quantity(config, product_id, sum)?;
        exists_ever("product", product_id.0, product_id.is_possible())?;
        parts.extend([product_id.0, sum]);
        lines.push(new_hold(product_id, quantity));
    }
    let key = keyed("cart", request.key.as_deref(), retry, &parts, customer)?;
    let customer = customer.map(Arc::from);
    Ok(Command::Cart { lines, ttl, customer, key })
}

pub(super) fn release_hold(request: &ReleaseRequest) -> Result<Command> {
    Ok(Command::Release { hold_id: possible_hold(request.hold_id)?, token: request.token })
}

pub(super) fn extend_hold(config: &Config, request: &ExtendRequest) -> Result<Command> {
    let ttl = ttl(config, request.ttl)?;
    let hold_id = possible_hold(request.hold_id)?;
    Ok(Command::Extend { hold_id, ttl, token: request.token })
}

pub(super) fn create_order(request: &OrderRequest, retry: Option<Retry>) -> Result<Command> {
    let OrderRequest { hold_id, product_id, token, .. } = *request;
    possible_hold(hold_id)?;
    // The token says who asks and not what is asked: the key goes without it.
    let parts = [hold_id.0, product_id.0];
    let key = keyed("order", request.key.as_deref(), retry, &parts, None)?;
    // The id is drawn when the order's turn comes.
    let order_id = OrderId(0);
    Ok(Command::Order { order_id, secret: Token::random(), hold_id, product_id, token, key })
}

/// The command of an event whose body is at hand as a digest only, if at all.
pub(super) fn record_payment(event: &PaymentEvent) -> Result<Command> {
    let digest = event.body_digest;
    let token = event.payment_token;
    let order_id = match (event.order_id, token) {
        (Some(order_id), Some(token)) if token.order_id() != order_id => {
            return Err(Error::invalid_argument(format!(
                "order_id names order {order_id} and payment_token another"
            )));
        }
        (Some(order_id), _) => order_id,
        (None, Some(token)) => token.order_id(),
        (None, None) => {
            return Err(Error::invalid_argument("order_id or payment_token is needed"));
        }
    };
    if !order_id.is_possible() {
        return Err(Error::invalid_argument(format!("no order can ever have the id {order_id}")));
    }
    let secret = token.map(|token| token.secret);
    // What tells one event from another when it has no key or no body.
    let essence = format!(
        "{order_id}/{}/{}",
        secret.map(|secret| secret.to_string()).unwrap_or_default(),
        event.outcome.as_str()
    );
    let (key, digest) = match &event.key {
        Some(key) => (checked_key(key)?.to_owned(), digest),
        // A caller's key has no control character, so none can be mistaken
        // for a derived one.
        None => (format!("\u{1}{}", hex(&Sha256::digest(&essence))), None),
    };
    let body_hash = digest.unwrap_or_else(|| Sha256::digest(&essence).into());
    Ok(Command::Payment { key, body_hash, order_id, secret, outcome: event.outcome })
}

pub(super) fn adjust_stock(request: &StockAdjustment, retry: Option<Retry>) -> Result<Command> {
    if request.delta == 0 {
        return Err(Error::invalid_argument("delta must not be 0"));
    }
    check_text("reason", &request.reason)?;
    exists_ever("product", request.product_id.0, request.product_id.is_possible())?;
    let StockAdjustment { product_id, delta, version, .. } = *request;
    if version.is_some_and(|version| i64::try_from(version).is_err()) {
        return Err(Error::invalid_argument("version is out of range"));
    }
    let expected = version.map_or([0, 0], |version| [1, version]);
    let parts = [product_id.0, delta.cast_unsigned(), expected[0], expected[1]];
    let reason = Some(request.reason.as_str());
    let key = keyed("adjust", request.key.as_deref(), retry, &parts, reason)?;
    Ok(Command::Adjust { product_id, delta, version, key })
}

pub(super) fn create_product(
    request: &NewProduct,
    retry: Option<Retry>,
) -> Result<Option<IdempotencyKey>> {
    if request.name.trim().is_empty() {
        return Err(Error::invalid_argument("a product needs a name"));
    }
    check_text("name", &request.name)?;
    if i64::try_from(request.stock).is_err() {
        return Err(Error::invalid_argument(format!("stock must be at most {}", i64::MAX)));
    }
    let parts = [request.price.minor().cast_unsigned(), request.stock];
    keyed("create", request.key.as_deref(), retry, &parts, Some(&request.name))
}

pub(super) fn possible_hold(hold_id: HoldId) -> Result<HoldId> {
    exists_ever("hold", hold_id.0, hold_id.is_possible())?;
    Ok(hold_id)
}

pub(super) fn exists_ever(what: &str, id: u64, possible: bool) -> Result<()> {
    if possible {
        return Ok(());
    }
    // A face reads a number that is too large as the largest: it is not named.
    let why = match id {
        u64::MAX => format!("there is no such {what}: ids end at {}", i64::MAX),
        id => format!("there is no {what} {id}"),
    };
    Err(Error::new(ErrorKind::NotFound, why))
}

fn new_hold(product_id: ProductId, quantity: u32) -> NewHold {
    // The id and the token are assigned when the hold's turn comes.
    NewHold { id: HoldId(0), token: Token::UNASSIGNED, product_id, quantity }
}

fn check_quantity(config: &Config, product_id: ProductId, quantity: u64) -> Result<u32> {
    if quantity == 0 {
        return Err(Error::invalid_argument("quantity must be at least 1, got 0"));
    }
    let fits = u32::try_from(quantity).ok().filter(|units| *units <= config.max_per_hold);
    fits.ok_or_else(|| {
        Error::new(
            ErrorKind::QuantityLimit,
            format!(
                "a hold may have {} units, {quantity} asked for{}",
                config.max_per_hold,
                // An impossible id may be a clamped number, which the caller did not
                // send: it is not quoted.
                match product_id.is_possible() {
                    true => format!(" of product {product_id}"),
                    false => String::new(),
                }
            ),
        )
    })
}

fn ttl(config: &Config, asked: Option<Duration>) -> Result<Duration> {
    let ttl = asked.unwrap_or(config.hold_ttl);
    // Less than the store's microsecond is no time at all.
    if ttl.as_micros() == 0 || ttl > config.hold_ttl_max {
        return Err(Error::invalid_argument(format!(
            "ttl must be over 0 and at most {}s, got {ttl:?}",
            config.hold_ttl_max.as_secs()
        )));
    }
    Ok(ttl)
}

/// What a fingerprint keeps of a life: what the caller asked for, so that a
/// changed default does not make the same request another one.
fn asked(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX))
}

fn check_text(what: &str, text: &str) -> Result<()> {
    refuse_nul(what, text)?;
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::invalid_argument(format!(
            "{what} must have at most {TEXT_CHARS_MAX} characters"
        )));
    }
    Ok(())
}

/// A text of C ends at its first NUL, so that C and PHP would show another
/// text than was kept.
fn refuse_nul(what: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid_argument(format!("{what} must have no NUL character")));
    }
    Ok(())
}

fn checked_key(key: &str) -> Result<&str> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        return Err(Error::invalid_argument(format!(
            "an idempotency key has 1 to {KEY_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(key)
}

fn customer(customer: Option<&str>) -> Result<Option<&str>> {
    if customer.is_some_and(|name| !(1..=CUSTOMER_BYTES_MAX).contains(&name.len())) {
        let why = format!("a customer is named by 1 to {CUSTOMER_BYTES_MAX} bytes");
        return Err(Error::invalid_argument(why));
    }
    if let Some(name) = customer {
        refuse_nul("customer", name)?;
    }
    Ok(customer)
}

/// Pairs the caller's key, or else the one drawn for retrying, with the
/// fingerprint of its request: of its parts, and of its text (the customer, a
/// product's name or an adjustment's reason) if it has one.
fn keyed(
    what: &str,
    key: Option<&str>,
    retry: Option<Retry>,
    parts: &[u64],
    text: Option<&str>,
) -> Result<Option<IdempotencyKey>> {
    let (key, keeps_refusals, is_fresh) = match (key, retry) {
        (Some(key), _) => (checked_key(key)?.to_owned(), true, false),
        // A caller's key has no control character, so none can be mistaken
        // for a client's.
        (None, Some(retry)) => (format!("\u{2}{}", retry.key), false, !retry.is_retry),
        (None, None) => return Ok(None),
    };
    let mut hash = Sha256::new();
    hash.update(what.as_bytes());
    for part in parts {
        hash.update(part.to_be_bytes());
    }
    if let Some(text) = text {
        // A 0 where a cart would have its next product's id, which is never 0:
        // no text can be mistaken for further lines.
        hash.update(0_u64.to_be_bytes());
        hash.update(text.as_bytes());
    }
    let fingerprint = hash.finalize().into();
    Ok(Some(IdempotencyKey { key, fingerprint, keeps_refusals, is_fresh }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, PaymentToken};

    fn kind(result: Result<Command>) -> ErrorKind {
        result.expect_err("refused").kind()
    }

    #[test]
    fn senseless_requests_are_refused_before_any_lock() {
        let config = Config::from_pairs([("max_per_hold", "10")]).expect("settings");
        let bad = ErrorKind::InvalidArgument;
        assert_eq!(kind(create_hold(&config, &HoldRequest::new(1, 0), None)), bad);
        assert_eq!(
            kind(create_hold(&config, &HoldRequest::new(1, 11), None)),
            ErrorKind::QuantityLimit
        );
        assert_eq!(kind(create_hold(&config, &HoldRequest::new(0, 1), None)), ErrorKind::NotFound);
        let lives = [Duration::ZERO, Duration::from_nanos(999), Duration::from_secs(86_401)];
        for ttl in lives {
            assert_eq!(kind(create_hold(&config, &HoldRequest::new(1, 1).ttl(ttl), None)), bad);
        }
        for key in ["", "a\nb", &"k".repeat(256)] {
            assert_eq!(kind(create_hold(&config, &HoldRequest::new(1, 1).key(key), None)), bad);
        }
        assert_eq!(kind(create_holds(&config, &CartRequest::new::<u64>([]), None)), bad);
        assert_eq!(kind(create_holds(&config, &CartRequest::new([(1, 1), (2, 0)]), None)), bad);
        let summed = CartRequest::new([(1, 6), (2, 1), (1, 6)]);
        assert_eq!(kind(create_holds(&config, &summed, None)), ErrorKind::QuantityLimit);
        let many = CartRequest::new((1..=101).map(|id| (id, 1)));
        assert_eq!(kind(create_holds(&config, &many, None)), bad);
        assert_eq!(kind(adjust_stock(&StockAdjustment::new(1, 0, "none"), None)), bad);
        // C would cut these at the NUL.
        let price = crate::model::Money::from_minor(1).expect("a price");
        let named =
            create_product(&NewProduct::new("Lamp\0", price, 1), None).expect_err("refused");
        assert_eq!(named.message(), "name must have no NUL character");
        assert_eq!(kind(adjust_stock(&StockAdjustment::new(1, 1, "lost\0"), None)), bad);
        assert_eq!(kind(create_hold(&config, &HoldRequest::new(1, 1).customer("a\0"), None)), bad);
        assert_eq!(kind(create_hold(&config, &HoldRequest::new(1, 1).key("a\0"), None)), bad);
        assert_eq!(kind(record_payment(&PaymentEvent::for_order(0, Outcome::Success))), bad);
        let token = PaymentToken { order_id: OrderId(3), secret: Token(1) };
        let other = PaymentEvent::for_order(2, Outcome::Success).token(token);
        assert_eq!(kind(record_payment(&other)), bad);
    }

    #[test]
    fn a_message_names_no_id_that_was_not_asked_for() {
        let config = Config::from_pairs([("max_per_hold", "10")]).expect("settings");
        let beyond: ProductId = "99999999999999999999999".parse().expect("digits");
        let cart_of = |id: ProductId, quantity| CartRequest::new([(id, quantity)]);
        for refused in [
            create_hold(&config, &HoldRequest::new(beyond, 1), None),
            create_hold(&config, &HoldRequest::new(beyond, 11), None),
            create_holds(&config, &cart_of(beyond, 1), None),
            create_holds(&config, &cart_of(beyond, 11), None),
            adjust_stock(&StockAdjustment::new(beyond, 1, "found"), None),
            release_hold(&ReleaseRequest::new(HoldId(u64::MAX))),
        ] {
            let error = refused.expect_err("refused");
            assert!(!error.message().contains("18446744073709551615"), "{error}");
        }
        let zero = create_hold(&config, &HoldRequest::new(0, 1), None).expect_err("refused");
        assert_eq!(zero.message(), "there is no product 0");
    }

    /// What these requests were known by before there were customers: answers
    /// are kept under them.
    const HELD: &str = "a2286ab1abb9d12e26f85c129fb31dcaa219256a02b4c0a02d26d582350e4adf";
    const CARTED: &str = "92c20f52143be569ba90e61dbe4814a8d4170d8a322ced2210d37f3205dce890";
    const ORDERED: &str = "05b377bd8792d7a0655115a9fd8381232daa38f3508dd66e517037c310f8ba12";

    fn fingerprint(command: Result<Command>) -> String {
        hex(&command.expect("sense").key().expect("a key").fingerprint)
    }

    #[test]
    fn a_fingerprint_counts_the_customer_and_is_else_what_it_always_was() {
        let config = Config::default();
        let one = HoldRequest::new(7, 2).key("k");
        let several = CartRequest::new([(7, 2), (9, 1)]).key("k");
        let ordering = OrderRequest::new(13, 7).key("k");
        let held = |request: HoldRequest| fingerprint(create_hold(&config, &request, None));
        let carted = |request: CartRequest| fingerprint(create_holds(&config, &request, None));
        assert_eq!(held(one.clone()), HELD);
        assert_eq!(carted(several.clone()), CARTED);
        assert_eq!(fingerprint(create_order(&ordering, None)), ORDERED);
        let shown = ordering.token(Token(1));
        assert_eq!(fingerprint(create_order(&shown, None)), ORDERED, "a token is no part of it");
        let prints = [
            held(one.clone()),
            held(one.clone().customer("a")),
            held(one.customer("b")),
            carted(several.clone()),
            carted(several.clone().customer("a")),
            carted(several.customer("b")),
        ];
        let different: std::collections::BTreeSet<_> = prints.iter().collect();
        assert_eq!(different.len(), prints.len());
    }

    #[test]
    fn a_customer_is_named_by_1_to_255_bytes() {
        let config = Config::default();
        let prepared = |name: &str| {
            let one = create_hold(&config, &HoldRequest::new(1, 1).customer(name), None);
            let several = create_holds(&config, &CartRequest::new([(1, 1)]).customer(name), None);
            [one, several]
        };
        for name in ["c".to_owned(), "o'hara".to_owned(), "\u{e4}".repeat(127)] {
            for command in prepared(&name) {
                assert_eq!(command.expect("sense").customer(), Some(&name.as_str().into()));
            }
        }
        for name in [String::new(), "\u{e4}".repeat(128)] {
            for command in prepared(&name) {
                assert_eq!(kind(command), ErrorKind::InvalidArgument);
            }
        }
    }

    #[test]
    fn a_cart_is_summed_and_sorted() {
        let request = CartRequest::new([(9, 1), (2, 3), (9, 2)]);
        let Ok(Command::Cart { lines, .. }) = create_holds(&Config::default(), &request, None)
        else {
            panic!("a cart")
        };
        let lines: Vec<_> = lines.iter().map(|line| (line.product_id.0, line.quantity)).collect();
        assert_eq!(lines, [(2, 3), (9, 3)]);
    }

    #[test]
    fn a_derived_key_depends_on_order_token_and_outcome_only() {
        let key = |event: &PaymentEvent| match record_payment(event) {
            Ok(Command::Payment { key, body_hash, .. }) => (key, body_hash),
            other => panic!("{other:?}"),
        };
        let event = PaymentEvent::for_order(7, Outcome::Success);
        assert_eq!(key(&event), key(&event.clone().body(*b"{}")));
        assert_ne!(key(&event), key(&PaymentEvent::for_order(7, Outcome::Failure)));
        let keyed = event.clone().key("k").body(*b"one");
        assert_ne!(key(&keyed).1, key(&event.key("k").body(*b"two")).1);
    }
}

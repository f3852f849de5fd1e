//! From requests to commands: everything that can be refused without looking
//! at a row is refused here, before any lock.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::call::Retry;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Command, IdempotencyKey, NewHold};
use crate::model::{
    CartId, CartLine, CartRequest, ChangeQuantityRequest, ExtendRequest, HoldId, HoldRequest,
    Metadata, ProductId, ProductRef, ReleaseRequest, Token,
};
use crate::sku_index::Skus;

/// An idempotency key is at most so long, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// What names a customer is at most so long, in bytes.
const CUSTOMER_BYTES_MAX: usize = 255;
/// A name or a reason is at most so long, in characters.
const TEXT_CHARS_MAX: usize = 255;
/// A SKU has at most so many characters.
const SKU_CHARS_MAX: usize = 128;

pub(super) fn create_hold(
    config: &Config,
    request: &HoldRequest,
    skus: &Skus,
    retry: Option<Retry>,
) -> Result<Command> {
    let HoldRequest { ref product, quantity, at_most, .. } = *request;
    check_quantity(config, product, quantity.into())?;
    check_product(product)?;
    let ttl = ttl(config, request.ttl)?;
    let customer = customer(request.customer.as_deref())?;
    let parts = [product.id().map_or(0, |id| id.0), quantity.into(), asked(request.ttl)];
    let key = request.key.as_deref();
    // A request that takes what is left is another one under the same key. So is one by
    // SKU, whose text has a NUL, which no customer has.
    let printed = fingerprinted(customer, request.metadata.as_ref());
    let key = match product {
        ProductRef::Id(_) => {
            let what = if at_most { "at_most_hold" } else { "hold" };
            keyed(what, key, retry, &parts, printed.as_deref())?
        }
        ProductRef::Sku(sku) => {
            let what = if at_most { "at_most_sku_hold" } else { "sku_hold" };
            let text = format!("{sku}\0{}", printed.unwrap_or_default());
            keyed(what, key, retry, &parts, Some(&text))?
        }
    };
    let customer = customer.map(Arc::from);
    let metadata = request.metadata.clone();
    let least = if at_most { 1 } else { quantity };
    let hold = new_hold(skus.id(product), sku_of(product), quantity, least);
    Ok(Command::Hold { hold, ttl, customer, metadata, key })
}

/// Sums repeated products and sorts, so that every cart takes its products in
/// the same order.
pub(super) fn create_holds(
    config: &Config,
    request: &CartRequest,
    skus: &Skus,
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
    // The sum of each product's lines, and of those that take no fewer units.
    let mut sums: BTreeMap<&ProductRef, (u64, u64)> = BTreeMap::new();
    for CartLine { product, quantity, at_most } in &request.items {
        if *quantity == 0 {
            return Err(Error::invalid_argument("quantity must be at least 1, got 0"));
        }
        let (sum, least) = sums.entry(product).or_default();
        *sum += u64::from(*quantity);
        *least += if *at_most { 0 } else { u64::from(*quantity) };
    }
    let ttl = ttl(config, request.ttl)?;
    let customer = customer(request.customer.as_deref())?;
    let takes_less = request.items.iter().any(|line| line.at_most);
    let has_sku = sums.keys().any(|product| product.id().is_none());
    let mut parts = vec![asked(request.ttl)];
    let mut text = String::new();
    for (product, (sum, least)) in &sums {
        check_quantity(config, product, *sum)?;
        check_product(product)?;
        parts.extend([product.id().map_or(0, |id| id.0), *sum]);
        if takes_less {
            parts.push(*least);
        }
        if let ProductRef::Sku(sku) = product {
            text.push_str(sku);
            text.push('\0');
        }
    }
    let key = request.key.as_deref();
    let printed = fingerprinted(customer, request.metadata.as_ref());
    let key = if has_sku {
        // What the request says, not which products it is about now.
        text.push_str(printed.as_deref().unwrap_or_default());
        keyed(
            if takes_less { "at_most_sku_cart" } else { "sku_cart" },
            key,
            retry,
            &parts,
            Some(&text),
        )?
    } else {
        let what = if takes_less { "at_most_cart" } else { "cart" };
        keyed(what, key, retry, &parts, printed.as_deref())?
    };
    let lines = cart_lines(config, sums, skus)?;
    let customer = customer.map(Arc::from);
    let metadata = request.metadata.clone();
    // The token is assigned when the cart's turn comes.
    Ok(Command::Cart { lines, token: Token::UNASSIGNED, ttl, customer, metadata, key })
}

/// Makes a line of each product, by ascending id; a product may be named by its id and
/// by its SKU. Those without a product come first, each SKU by itself.
fn cart_lines(
    config: &Config,
    sums: BTreeMap<&ProductRef, (u64, u64)>,
    skus: &Skus,
) -> Result<Vec<NewHold>> {
    type Sum = (u64, u64, Option<Arc<str>>);
    let mut products: BTreeMap<(ProductId, Option<Arc<str>>), Sum> = BTreeMap::new();
    for (product, (sum, least)) in sums {
        let (id, sku) = (skus.id(product), sku_of(product));
        let unknown = sku.clone().filter(|_| id == ProductId(0));
        let of = products.entry((id, unknown)).or_default();
        *of = (of.0 + sum, of.1 + least, sku.or(of.2.take()));
    }
    let lines = products.into_iter().map(|((id, _), (sum, least, sku))| {
        let quantity = check_quantity(config, &ProductRef::Id(id), sum)?;
        // It is at most the quantity.
        let least = u32::try_from(least).unwrap_or(quantity).max(1);
        Ok(new_hold(id, sku, quantity, least))
    });
    lines.collect()
}

pub(super) fn release_hold(request: &ReleaseRequest) -> Result<Command> {
    let ReleaseRequest { hold_id, token, by_operator } = *request;
    Ok(Command::Release { hold_id: possible_hold(hold_id)?, token, by_operator })
}

pub(super) fn extend_hold(config: &Config, request: &ExtendRequest) -> Result<Command> {
    let ttl = ttl(config, request.ttl)?;
    let hold_id = possible_hold(request.hold_id)?;
    Ok(Command::Extend { hold_id, ttl, token: request.token })
}

pub(super) fn change_quantity(
    config: &Config,
    request: &ChangeQuantityRequest,
    retry: Option<Retry>,
) -> Result<Command> {
    let ChangeQuantityRequest { hold_id, quantity, token, .. } = *request;
    if quantity == 0 {
        let why = "quantity must be at least 1, got 0: release the hold instead";
        return Err(Error::invalid_argument(why));
    }
    check_limit(config, quantity.into(), None)?;
    possible_hold(hold_id)?;
    // The token says who asks and not what is asked: the key goes without it.
    let parts = [hold_id.0, quantity.into()];
    let key = keyed("quantity", request.key.as_deref(), retry, &parts, None)?;
    Ok(Command::ChangeQuantity { hold_id, quantity, token, key })
}

pub(super) fn possible_cart(cart_id: CartId) -> Result<CartId> {
    exists_ever("cart", cart_id.0, cart_id.is_possible())?;
    Ok(cart_id)
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

fn new_hold(product_id: ProductId, sku: Option<Arc<str>>, quantity: u32, least: u32) -> NewHold {
    // The id and the token are assigned when the hold's turn comes.
    NewHold { id: HoldId(0), token: Token::UNASSIGNED, product_id, sku, quantity, least }
}

pub(super) fn sku_of(product: &ProductRef) -> Option<Arc<str>> {
    match product {
        ProductRef::Id(_) => None,
        ProductRef::Sku(sku) => Some(sku.as_str().into()),
    }
}

/// Refuses a product that cannot exist.
pub(super) fn check_product(product: &ProductRef) -> Result<()> {
    match product {
        ProductRef::Id(id) => exists_ever("product", id.0, id.is_possible()),
        ProductRef::Sku(sku) => check_sku(sku),
    }
}

pub(super) fn check_sku(sku: &str) -> Result<()> {
    refuse_nul("sku", sku)?;
    if !(1..=SKU_CHARS_MAX).contains(&sku.chars().count()) {
        let why = format!("a SKU has 1 to {SKU_CHARS_MAX} characters");
        return Err(Error::invalid_argument(why));
    }
    Ok(())
}

fn check_quantity(config: &Config, product: &ProductRef, quantity: u64) -> Result<u32> {
    if quantity == 0 {
        return Err(Error::invalid_argument("quantity must be at least 1, got 0"));
    }
    // An impossible id may be a clamped number, which the caller did not send: it is
    // not quoted.
    let is_named = product.id().is_none_or(ProductId::is_possible);
    check_limit(config, quantity, is_named.then_some(product))
}

fn check_limit(config: &Config, quantity: u64, product: Option<&ProductRef>) -> Result<u32> {
    let fits = u32::try_from(quantity).ok().filter(|units| *units <= config.max_per_hold);
    fits.ok_or_else(|| {
        let of = product.map(|product| format!(" of product {product}")).unwrap_or_default();
        let most = config.max_per_hold;
        let why = format!("a hold may have {most} units, {quantity} asked for{of}");
        Error::new(ErrorKind::QuantityLimit, why)
    })
}

pub(super) fn ttl(config: &Config, asked: Option<Duration>) -> Result<Duration> {
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
pub(super) fn asked(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX))
}

pub(super) fn check_text(what: &str, text: &str) -> Result<()> {
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
pub(super) fn refuse_nul(what: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid_argument(format!("{what} must have no NUL character")));
    }
    Ok(())
}

pub(super) fn checked_key(key: &str) -> Result<&str> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        return Err(Error::invalid_argument(format!(
            "an idempotency key has 1 to {KEY_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(key)
}

pub(super) fn customer(customer: Option<&str>) -> Result<Option<&str>> {
    if customer.is_some_and(|name| !(1..=CUSTOMER_BYTES_MAX).contains(&name.len())) {
        let why = format!("a customer is named by 1 to {CUSTOMER_BYTES_MAX} bytes");
        return Err(Error::invalid_argument(why));
    }
    if let Some(name) = customer {
        refuse_nul("customer", name)?;
    }
    Ok(customer)
}

/// What a fingerprint keeps of the customer and the metadata; a customer's name has no
/// NUL.
fn fingerprinted<'a>(
    customer: Option<&'a str>,
    metadata: Option<&Metadata>,
) -> Option<Cow<'a, str>> {
    match metadata {
        None => customer.map(Cow::Borrowed),
        Some(metadata) => {
            let customer = customer.unwrap_or_default();
            Some(format!("{customer}\0{}", metadata.as_str()).into())
        }
    }
}

/// Pairs the caller's key, or else the one drawn for retrying, with the
/// fingerprint of its request: of its parts, and of its text (the customer, a
/// product's name or an adjustment's reason) if it has one.
pub(super) fn keyed(
    what: &str,
    key: Option<&str>,
    retry: Option<Retry>,
    parts: &[u64],
    text: Option<&str>,
) -> Result<Option<Box<IdempotencyKey>>> {
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
    Ok(Some(Box::new(IdempotencyKey { key, fingerprint, keeps_refusals, is_fresh })))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::product_commands::{adjust_stock, create_product};
    use super::*;
    use crate::model::{NewProduct, StockAdjustment};

    /// The command of a request that names its product by the id.
    fn hold(config: &Config, request: &HoldRequest) -> Result<Command> {
        create_hold(config, request, &Skus::default(), None)
    }

    fn cart(config: &Config, request: &CartRequest) -> Result<Command> {
        create_holds(config, request, &Skus::default(), None)
    }

    fn kind(result: Result<Command>) -> ErrorKind {
        result.expect_err("refused").kind()
    }

    #[test]
    fn senseless_requests_are_refused_before_any_lock() {
        let config = Config::from_pairs([("max_per_hold", "10")]).expect("settings");
        let bad = ErrorKind::InvalidArgument;
        assert_eq!(kind(hold(&config, &HoldRequest::new(1, 0))), bad);
        assert_eq!(kind(hold(&config, &HoldRequest::new(1, 11))), ErrorKind::QuantityLimit);
        assert_eq!(kind(hold(&config, &HoldRequest::new(0, 1))), ErrorKind::NotFound);
        let lives = [Duration::ZERO, Duration::from_nanos(999), Duration::from_secs(86_401)];
        for ttl in lives {
            assert_eq!(kind(hold(&config, &HoldRequest::new(1, 1).ttl(ttl))), bad);
        }
        for key in ["", "a\nb", &"k".repeat(256)] {
            assert_eq!(kind(hold(&config, &HoldRequest::new(1, 1).key(key))), bad);
        }
        assert_eq!(kind(cart(&config, &CartRequest::new::<CartLine>([]))), bad);
        assert_eq!(kind(cart(&config, &CartRequest::new([(1, 1), (2, 0)]))), bad);
        let summed = CartRequest::new([(1, 6), (2, 1), (1, 6)]);
        assert_eq!(kind(cart(&config, &summed)), ErrorKind::QuantityLimit);
        let many = CartRequest::new((1..=101).map(|id| (id, 1)));
        assert_eq!(kind(cart(&config, &many)), bad);
        let adjust = |by: &StockAdjustment| adjust_stock(by, &Skus::default(), None);
        assert_eq!(kind(adjust(&StockAdjustment::new(1, 0, "none"))), bad);
        // C would cut these at the NUL.
        let price = crate::model::Money::from_minor(1).expect("a price");
        let named = create_product(&config, &NewProduct::new("Lamp\0", price, 1), None)
            .expect_err("refused");
        assert_eq!(named.message(), "name must have no NUL character");
        assert_eq!(kind(adjust(&StockAdjustment::new(1, 1, "lost\0"))), bad);
        assert_eq!(kind(hold(&config, &HoldRequest::new(1, 1).customer("a\0"))), bad);
        assert_eq!(kind(hold(&config, &HoldRequest::new(1, 1).key("a\0"))), bad);
    }

    #[test]
    fn a_message_names_no_id_that_was_not_asked_for() {
        let config = Config::from_pairs([("max_per_hold", "10")]).expect("settings");
        let beyond: ProductId = "99999999999999999999999".parse().expect("digits");
        let cart_of = |id: ProductId, quantity| CartRequest::new([(id, quantity)]);
        for refused in [
            hold(&config, &HoldRequest::new(beyond, 1)),
            hold(&config, &HoldRequest::new(beyond, 11)),
            cart(&config, &cart_of(beyond, 1)),
            cart(&config, &cart_of(beyond, 11)),
            adjust_stock(&StockAdjustment::new(beyond, 1, "found"), &Skus::default(), None),
            release_hold(&ReleaseRequest::new(HoldId(u64::MAX))),
        ] {
            let error = refused.expect_err("refused");
            assert!(!error.message().contains("18446744073709551615"), "{error}");
        }
        let zero = hold(&config, &HoldRequest::new(0, 1)).expect_err("refused");
        assert_eq!(zero.message(), "there is no product 0");
    }

    /// What these requests were known by before there were customers: answers
    /// are kept under them.
    const HELD: &str = "a2286ab1abb9d12e26f85c129fb31dcaa219256a02b4c0a02d26d582350e4adf";
    const CARTED: &str = "92c20f52143be569ba90e61dbe4814a8d4170d8a322ced2210d37f3205dce890";

    fn fingerprint(command: Result<Command>) -> String {
        hex(&command.expect("sense").key().expect("a key").fingerprint)
    }

    #[test]
    fn a_fingerprint_counts_the_customer_and_is_else_what_it_always_was() {
        let config = Config::default();
        let one = HoldRequest::new(7, 2).key("k");
        let several = CartRequest::new([(7, 2), (9, 1)]).key("k");
        let held = |request: HoldRequest| fingerprint(hold(&config, &request));
        let carted = |request: CartRequest| fingerprint(cart(&config, &request));
        assert_eq!(held(one.clone()), HELD);
        assert_eq!(carted(several.clone()), CARTED);
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
            let one = hold(&config, &HoldRequest::new(1, 1).customer(name));
            let several = cart(&config, &CartRequest::new([(1, 1)]).customer(name));
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
        let Ok(Command::Cart { lines, .. }) = cart(&Config::default(), &request) else {
            panic!("a cart")
        };
        let lines: Vec<_> = lines.iter().map(|line| (line.product_id.0, line.quantity)).collect();
        assert_eq!(lines, [(2, 3), (9, 3)]);
    }
}

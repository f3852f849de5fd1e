//! Builds commands from generated actions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::super::carts::cart_token_of;
use super::super::generators::{self, ABSENT, Action, Digits, Key, Refunding, Target};
use super::Harness;
use crate::ledger::{Command, IdempotencyKey, NewHold, OrderTerms, PaymentTerms, Refund};
use crate::model::{
    CartId, Currency, HoldId, LineUnits, Money, OrderId, OrderedHold, ProductId, ProductRef,
    ReportedRefund, Token,
};

impl Harness {
    /// Builds the command of an action with new ids; `None` for an empty cart.
    pub(super) fn command(&mut self, action: &Action) -> Option<Command> {
        let max = u64::try_from(self.policy.hold_ttl_max.as_micros()).unwrap_or(1);
        let hold_ttl = |ttl: u64| Duration::from_micros(ttl % max + 1);
        Some(match *action {
            Action::Hold { line: (product, quantity), at_most, ttl, customer, key } => {
                let product_id = self.product(product);
                let hold = self.new_hold(product_id, quantity, at_most);
                let customer = customer.map(name_of);
                Command::Hold {
                    hold,
                    ttl: hold_ttl(ttl),
                    customer,
                    metadata: None,
                    key: key.map(idempotency_key),
                }
            }
            Action::Cart { lines, at_most, ttl, customer, key } => {
                let mut wanted = BTreeMap::new();
                for (position, quantity) in [0, 1, 2, ABSENT].into_iter().zip(lines) {
                    if quantity > 0 {
                        wanted.insert(self.product(position), quantity);
                    }
                }
                let new = wanted.into_iter().map(|(id, units)| self.new_hold(id, units, at_most));
                let lines: Vec<NewHold> = new.collect();
                let id = CartId(lines.first()?.id.0);
                self.carts.push((id, lines.iter().map(|line| line.id).collect()));
                let (token, customer) = (cart_token_of(id), customer.map(name_of));
                let (ttl, key) = (hold_ttl(ttl), key.map(idempotency_key));
                Command::Cart { lines, token, ttl, customer, metadata: None, key }
            }
            Action::Release { hold, token } => {
                let hold_id = self.hold(hold).0;
                Command::Release {
                    hold_id,
                    token: self.given_token(token, hold_id),
                    by_operator: false,
                }
            }
            Action::Extend { hold, ttl, token } => {
                let hold_id = self.hold(hold).0;
                let token = self.given_token(token, hold_id);
                Command::Extend { hold_id, ttl: hold_ttl(ttl), token }
            }
            Action::Order { ref holds, product, token, terms, ref key } => {
                let holds = self.ordered_holds(holds, product, token);
                self.last_order += 1;
                let order_id = OrderId(self.last_order);
                self.orders.push(order_id);
                let (secret, key) = (secret_of(order_id), key.map(idempotency_key));
                Command::Order { order_id, secret, holds, terms: order_terms(terms), key }
            }
            Action::Payment { order, secret, outcome, money, key } => {
                let order_id = self.order(order);
                let secret = match secret {
                    Target::Valid => Some(secret_of(order_id)),
                    Target::Wrong => Some(Token(1)),
                    Target::Absent | Target::Cart => None,
                };
                let terms = self.payment_terms(order_id, money);
                self.last_id += 1;
                let new_key = || {
                    Box::new(IdempotencyKey {
                        key: format!("p{}", self.last_id),
                        fingerprint: [9; 32],
                        keeps_refusals: true,
                        is_fresh: false,
                    })
                };
                let IdempotencyKey { key, fingerprint, .. } =
                    *key.map_or_else(new_key, idempotency_key);
                Command::Payment {
                    key,
                    fingerprint,
                    order_id,
                    is_named: false,
                    secret,
                    outcome,
                    terms,
                }
            }
            Action::ExtendOrder { order, ttl } => {
                let ttl = ttl.map(|ttl| Duration::from_micros(ttl + 1));
                Command::ExtendOrder { order_id: self.order(order), ttl }
            }
            Action::CancelOrder { order } => {
                Command::CancelOrder { order_id: self.order(order), reason: None }
            }
            Action::Refund { order, ref lines, amount, how, ref key } => {
                let amount = amount.map(money);
                let refund = match how {
                    Refunding::Owed => Refund { owed: true, ..Refund::default() },
                    Refunding::Reported(name, is_full) => {
                        let payment = name.map(payment_name);
                        let reported = ReportedRefund { payment, amount, currency: None, is_full };
                        Refund { reported: Some(reported), ..Refund::default() }
                    }
                    Refunding::Returned | Refunding::Restocked => {
                        let (lines, restock) = (line_units(lines), how == Refunding::Restocked);
                        Refund { lines, amount, restock, ..Refund::default() }
                    }
                };
                let (order_id, key) = (self.order(order), key.map(idempotency_key));
                Command::Refund { order_id, refund: Box::new(refund), key }
            }
            Action::Restock { order, ref lines, ref key } => {
                let (order_id, key) = (self.order(order), key.map(idempotency_key));
                Command::Restock { order_id, lines: line_units(lines), key }
            }
            Action::SetPaymentReference { order, name } => {
                let (order_id, reference) = (self.order(order), payment_name(name));
                Command::SetPaymentReference { order_id, reference }
            }
            Action::Adjust { product, stock } => {
                let (product_id, sku, reason) = (self.product(product), None, "counted".into());
                Command::Adjust { product_id, sku, stock, reason, version: None, key: None }
            }
            Action::Write { product, more } => {
                self.write_product(self.product(product), &mut Digits(more))
            }
            Action::Reclaim { product } => Command::Reclaim { product_id: self.product(product) },
            Action::ChangeQuantity { hold, quantity, token, key } => {
                let hold_id = self.hold(hold).0;
                let (token, key) = (self.given_token(token, hold_id), key.map(idempotency_key));
                Command::ChangeQuantity { hold_id, quantity, token, key }
            }
            Action::ReleaseCart { cart, token } => self.release_cart(cart, token),
            Action::ExtendCart { cart, ttl, token } => self.extend_cart(cart, hold_ttl(ttl), token),
        })
    }

    fn product(&self, position: usize) -> ProductId {
        match position {
            ABSENT => ProductId(99),
            _ => ProductId((position % self.stocks.len()) as u64 + 1),
        }
    }

    /// Returns a hold and its product, or one that does not exist.
    fn hold(&self, position: usize) -> (HoldId, ProductId) {
        newest(&self.holds, position).unwrap_or((HoldId(99_999), ProductId(1)))
    }

    /// Returns an order, or the one that the next order command will create.
    fn order(&self, position: usize) -> OrderId {
        newest(&self.orders, position).unwrap_or(OrderId(self.last_order + 1))
    }

    fn new_hold(&mut self, product_id: ProductId, quantity: u32, at_most: bool) -> NewHold {
        self.last_id += 1;
        let id = HoldId(self.last_id);
        self.holds.push((id, product_id));
        let least = if at_most { 1 } else { quantity };
        // One in eight names the SKU that the product has, or one that it may get.
        let sku = match self.last_id % 16 {
            0 => self.reference.products.get(&product_id).and_then(|it| it.terms.sku.as_deref()),
            8 => Some("a"),
            _ => None,
        };
        let sku = sku.map(Into::into);
        NewHold { id, token: token_of(id), product_id, sku, quantity, least }
    }

    /// The holds of an order, each once, of which the first must be of this product.
    fn ordered_holds(
        &self,
        positions: &[usize],
        product: Target,
        token: Target,
    ) -> SmallVec<[OrderedHold; 1]> {
        let mut holds = SmallVec::<[OrderedHold; 1]>::new();
        for position in positions {
            let (id, of) = self.hold(*position);
            if holds.iter().any(|used| used.hold_id == id) {
                continue;
            }
            let mut used = OrderedHold::new(id);
            used.token = self.given_token(token, id);
            if holds.is_empty() {
                used.product = Some(
                    match product {
                        Target::Valid | Target::Cart => of,
                        Target::Wrong if id.0.is_multiple_of(3) => {
                            used.product = Some(ProductRef::sku("c"));
                            holds.push(used);
                            continue;
                        }
                        Target::Wrong => ProductId(of.0 % 2 + 1),
                        Target::Absent => self.product(ABSENT),
                    }
                    .into(),
                );
            }
            holds.push(used);
        }
        holds
    }

    fn payment_terms(
        &self,
        order_id: OrderId,
        said: generators::Money,
    ) -> Option<Box<PaymentTerms>> {
        let order = self.reference.orders.get(&order_id).map(|state| &state.order);
        let amount = match (said.amount, order) {
            (Target::Absent | Target::Cart, _) => None,
            (Target::Valid, Some(order)) => Some(order.amount),
            (Target::Valid, None) => Some(money("1")),
            (Target::Wrong, _) => Some(money("0.25")),
        };
        let currency = match (said.currency, order) {
            (Target::Absent | Target::Cart, _) => None,
            (Target::Valid, Some(order)) => Some(order.currency),
            (Target::Valid, None) => Some(currency("EUR")),
            (Target::Wrong, _) => Some(currency("USD")),
        };
        let reference = said.reference.map(payment_name);
        let currency = amount.and(currency);
        let terms = PaymentTerms { amount, currency, reference, order_reference: None };
        (terms != PaymentTerms::default()).then(|| Box::new(terms))
    }
}

fn order_terms(terms: generators::Terms) -> Option<Box<OrderTerms>> {
    let terms = OrderTerms {
        amount: terms.amount.map(money),
        currency: terms.currency.map(currency),
        reference: terms.reference.map(|name| format!("shop-{name}")),
        payment_ttl: terms.payment_ttl.map(Duration::from_micros),
        metadata: None,
    };
    (terms != OrderTerms::default()).then(|| Box::new(terms))
}

fn line_units(lines: &[(u32, u32)]) -> Vec<LineUnits> {
    lines.iter().map(|(line, units)| LineUnits::new(*line, *units)).collect()
}

fn payment_name(name: u8) -> String {
    format!("stripe/pi_{name}")
}

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

fn currency(code: &str) -> Currency {
    code.parse().expect("a currency")
}

pub(in super::super) fn newest<T: Copy>(rows: &[T], position: usize) -> Option<T> {
    if position == ABSENT || rows.is_empty() {
        return None;
    }
    rows.iter().rev().nth(position % rows.len()).copied()
}

fn idempotency_key(key: Key) -> Box<IdempotencyKey> {
    let (key, fingerprint) = (format!("k{}", key.name), [key.fingerprint; 32]);
    Box::new(IdempotencyKey { key, fingerprint, keeps_refusals: true, is_fresh: false })
}

fn name_of(customer: u8) -> Arc<str> {
    format!("c{customer}").into()
}

pub(in super::super) fn token_of(hold_id: HoldId) -> Token {
    Token(u128::from(hold_id.0) << 64)
}

fn secret_of(order_id: OrderId) -> Token {
    Token(u128::from(order_id.0) + 7_000)
}

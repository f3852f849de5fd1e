//! One buyer of the sale, from its hold to its payment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use stockade::Timestamp;
use tokio::time::sleep_until;

use super::client::{Answer, Call, ShopClient};
use super::plan::{Buyer, Ending};
use super::records::{Expected, HeldUnits, Purchase, Visit};
use super::stats::{Reply, Stats, Step};

/// The life of a hold, or of an order, that its buyer lets expire, in seconds.
pub const SHORT_LIFE_SECONDS: u64 = 2;

/// How long after that the late payment comes.
const LATE_BY: Duration = Duration::from_millis(200);

/// What all buyers of a sale share.
#[derive(Clone)]
pub struct Shop {
    pub client: Arc<ShopClient>,
    pub stats: Arc<Stats>,
    /// The ids of the products that are sold.
    pub products: Arc<[u64]>,
    /// Makes the idempotency keys of this run others than those of earlier ones.
    pub run: u64,
}

#[derive(Deserialize)]
struct HoldAnswer {
    hold: HoldFields,
}

#[derive(Deserialize)]
struct HoldFields {
    id: u64,
    product_id: u64,
    qty: u64,
    status: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct CartAnswer {
    cart_id: u64,
    holds: Vec<HoldFields>,
    token: Option<String>,
}

#[derive(Deserialize)]
struct OrderAnswer<'a> {
    #[serde(borrow)]
    order: OrderFields<'a>,
}

#[derive(Deserialize)]
struct OrderFields<'a> {
    id: u64,
    #[serde(borrow)]
    payment_token: Option<&'a str>,
    #[serde(borrow)]
    amount: &'a RawValue,
    currency: &'a str,
    created_at: Timestamp,
    pay_until: Option<Timestamp>,
}

/// What the buyer holds: one hold, or a cart.
struct Held {
    holds: Vec<HeldUnits>,
    cart_id: Option<u64>,
    token: Option<String>,
}

/// The order that a payment is for.
struct Ordered {
    id: u64,
    payment_token: Option<String>,
    /// As JSON has it.
    amount: Value,
    currency: String,
    /// When it ends, by this machine's clock, at the latest.
    ends: Option<Instant>,
}

/// Plays a buyer that is due at this moment.
pub async fn visit(shop: Shop, buyer: Buyer, due: Instant) -> Visit {
    let mut visitor = Visitor { shop, buyer, visit: Visit::default() };
    // An error ends the visit; it is noted.
    let _ = visitor.play(due).await;
    visitor.visit
}

/// A visit ends early, and what is to be said about it was noted.
struct Over;

struct Visitor {
    shop: Shop,
    buyer: Buyer,
    visit: Visit,
}

impl Visitor {
    async fn play(&mut self, due: Instant) -> Result<(), Over> {
        let held = self.hold(due).await?;
        let ending = self.buyer.ending;
        self.expect(match ending {
            Ending::Release => Expected::Released,
            _ => Expected::Expired,
        });
        let due = self.think(0).await;
        if ending == Ending::Release {
            return self.release(&held, due).await;
        }
        if !ending.orders() {
            return Ok(());
        }
        let ordered = self.order(&held, due).await?;
        let paid_at = match ending {
            Ending::NeverPay => return Ok(()),
            Ending::PayLate => {
                let ends = ordered.ends.unwrap_or_else(Instant::now) + LATE_BY;
                sleep_until(ends.into()).await;
                ends
            }
            _ => self.think(1).await,
        };
        let status = if ending == Ending::Fail { "cancelled" } else { "success" };
        self.pay(&ordered, status, paid_at).await?;
        if ending == Ending::PayTwice {
            self.pay(&ordered, status, Instant::now()).await?;
        }
        let is_late = ordered.ends.is_some_and(|ends| Instant::now() >= ends);
        self.expect(match ending {
            // It may have ended, and been cancelled, before the event came.
            Ending::Fail => Expected::Cancelled,
            _ if is_late => Expected::PaidLate,
            _ => Expected::Paid,
        });
        Ok(())
    }

    /// Waits as long as the buyer thinks, and returns when its next step is due.
    async fn think(&self, before: usize) -> Instant {
        let due = Instant::now() + self.buyer.thinks[before];
        sleep_until(due.into()).await;
        due
    }

    fn expect(&mut self, expected: Expected) {
        if let Some(purchase) = &mut self.visit.purchase {
            purchase.expected = expected;
        }
    }

    fn key(&self, step: Step) -> String {
        format!("load-{:016x}-{:08}-{}", self.shop.run, self.buyer.number, step.name())
    }

    /// Holds what the buyer wants.
    async fn hold(&mut self, due: Instant) -> Result<Held, Over> {
        let ttl = (self.buyer.ending == Ending::Abandon).then_some(SHORT_LIFE_SECONDS);
        let products = &self.shop.products;
        let is_cart = self.buyer.lines.len() > 1;
        let (step, call) = if is_cart {
            let items: Vec<_> = (self.buyer.lines.iter())
                .map(|(at, quantity)| json!({"product_id": products[*at], "quantity": quantity}))
                .collect();
            let body = match ttl {
                Some(ttl) => json!({"items": items, "ttl": ttl}),
                None => json!({"items": items}),
            };
            (Step::Cart, Call::post("/api/holds".to_owned()).body(&body))
        } else {
            let (at, quantity) = self.buyer.lines[0];
            let call = Call::post(format!("/api/holds/{}/{quantity}", products[at]));
            (
                Step::Hold,
                match ttl {
                    Some(ttl) => call.body(&json!({"ttl": ttl})),
                    None => call,
                },
            )
        };
        let answer = self.ask(step, call.key(self.key(step)), due).await?;
        let (held, cart_id, token) = if is_cart {
            let CartAnswer { cart_id, holds, token } = self.parse(step, &answer)?;
            (holds, Some(cart_id), token)
        } else {
            let HoldAnswer { hold } = self.parse(step, &answer)?;
            let token = hold.token.clone();
            (vec![hold], None, token)
        };
        let mut holds = Vec::with_capacity(held.len());
        for (at, quantity) in &self.buyer.lines {
            let is_it = |hold: &&HoldFields| hold.product_id == self.shop.products[*at];
            match held.iter().find(is_it) {
                Some(hold) if hold.qty == u64::from(*quantity) => {
                    holds.push(HeldUnits { hold_id: hold.id, product: *at, quantity: hold.qty });
                }
                _ => self.visit.findings.push(format!(
                    "buyer {} wanted {quantity} units of product {}, and the answer has others: {}",
                    self.buyer.number,
                    self.shop.products[*at],
                    String::from_utf8_lossy(&answer.body)
                )),
            }
        }
        let purchase =
            Purchase { holds: holds.clone(), order_id: None, expected: Expected::Unresolved };
        self.visit.purchase = Some(purchase);
        Ok(Held { holds, cart_id, token })
    }

    async fn release(&mut self, held: &Held, due: Instant) -> Result<(), Over> {
        let path = match (held.cart_id, held.holds.first()) {
            (Some(cart), _) => format!("/api/carts/{cart}"),
            (None, Some(hold)) => format!("/api/holds/{}", hold.hold_id),
            (None, None) => return Err(Over),
        };
        let call = Call { method: hyper::Method::DELETE, path, ..Call::default() };
        let answer = self.ask(Step::Release, call.token(held.token.clone()), due).await?;
        let holds = match held.cart_id {
            Some(_) => self.parse::<CartAnswer>(Step::Release, &answer)?.holds,
            None => vec![self.parse::<HoldAnswer>(Step::Release, &answer)?.hold],
        };
        // They may have expired a moment before.
        if holds.iter().all(|hold| hold.status == "expired") {
            self.expect(Expected::Expired);
        } else if holds.iter().any(|hold| hold.status != "released") {
            let answer = String::from_utf8_lossy(&answer.body);
            let number = self.buyer.number;
            self.visit
                .findings
                .push(format!("buyer {number} did not get all released at once: {answer}"));
        }
        Ok(())
    }

    async fn order(&mut self, held: &Held, due: Instant) -> Result<Ordered, Over> {
        let mut body = json!({});
        if matches!(self.buyer.ending, Ending::NeverPay | Ending::PayLate) {
            body["payment_ttl"] = SHORT_LIFE_SECONDS.into();
        }
        let path = match (held.cart_id, held.holds.first()) {
            (Some(cart), _) => {
                body["cart_id"] = cart.into();
                body["token"] = held.token.clone().into();
                "/api/orders".to_owned()
            }
            (None, Some(hold)) => {
                format!("/api/orders/{}/{}", hold.hold_id, self.shop.products[hold.product])
            }
            (None, None) => return Err(Over),
        };
        let call = Call::post(path).key(self.key(Step::Order)).body(&body);
        let token = held.token.clone().filter(|_| held.cart_id.is_none());
        let answer = self.ask(Step::Order, call.token(token), due).await?;
        let OrderAnswer { order } = self.parse(Step::Order, &answer)?;
        let life = order.pay_until.map(|end| order.created_at.until(end));
        if let Some(purchase) = &mut self.visit.purchase {
            purchase.order_id = Some(order.id);
            purchase.expected = Expected::Cancelled;
        }
        Ok(Ordered {
            id: order.id,
            payment_token: order.payment_token.map(ToOwned::to_owned),
            amount: serde_json::from_str(order.amount.get()).unwrap_or_default(),
            currency: order.currency.to_owned(),
            ends: life.map(|life| Instant::now() + life),
        })
    }

    async fn pay(&mut self, ordered: &Ordered, status: &str, due: Instant) -> Result<(), Over> {
        let mut body = json!({
            "status": status,
            "idempotency_key": self.key(Step::Payment),
            "amount": ordered.amount,
            "currency": ordered.currency,
        });
        match &ordered.payment_token {
            Some(token) => body["payment_token"] = token.clone().into(),
            None => body["order_id"] = ordered.id.into(),
        }
        let call = Call::post("/api/payments/webhook".to_owned()).body(&body);
        let call = Call { is_webhook: true, ..call };
        let answer = self.ask(Step::Payment, call, due).await?;
        if answer.status != hyper::StatusCode::OK {
            self.visit.findings.push(format!(
                "the payment of order {} waits, although the order is there",
                ordered.id
            ));
        }
        Ok(())
    }

    /// Sends a request, twice at once for a buyer that repeats, and records the answer.
    /// Two answers to one request must be the same.
    async fn ask(&mut self, step: Step, call: Call, due: Instant) -> Result<Answer, Over> {
        let client = &self.shop.client;
        let (first, second) = if self.buyer.repeats {
            let (first, second) = tokio::join!(client.send(&call), client.send(&call));
            (first, Some(second))
        } else {
            (client.send(&call).await, None)
        };
        let reply = match &first {
            Ok(answer) if answer.status.is_success() => Reply::Done,
            Ok(answer) if answer.status.is_client_error() => match answer.code().as_str() {
                "insufficient_stock" => Reply::SoldOut,
                code => Reply::Refused(code.to_owned()),
            },
            _ => Reply::Failed,
        };
        self.shop.stats.record(step, due, &reply);
        if let (Ok(first), Some(Ok(second))) = (&first, &second)
            && !are_alike(step, first, second)
        {
            self.visit.findings.push(format!(
                "buyer {} sent a request for a {} twice, and the answers differ: {} {} and {} {}",
                self.buyer.number,
                step.name(),
                first.status.as_u16(),
                String::from_utf8_lossy(&first.body),
                second.status.as_u16(),
                String::from_utf8_lossy(&second.body),
            ));
        }
        match (first, reply) {
            (Ok(answer), Reply::Done) => Ok(answer),
            (Ok(answer), Reply::Refused(code)) => {
                self.refused(step, &code, &answer);
                Err(Over)
            }
            (Ok(_), Reply::SoldOut) => Err(Over),
            (Ok(answer), Reply::Failed) => Err(self.failed(step, &describe(&answer))),
            (Err(why), _) => Err(self.failed(step, &why)),
        }
    }

    /// Notes what a refusal means for what the buyer has.
    fn refused(&mut self, step: Step, code: &str, answer: &Answer) {
        // The buyer, or the server, was slow: the stock is back.
        if code == "hold_expired" && matches!(step, Step::Order | Step::Release) {
            return self.expect(Expected::Expired);
        }
        // Limits of the server's settings, which apply before anything is held.
        if matches!(step, Step::Hold | Step::Cart) && code != "not_found" {
            return;
        }
        let Over = self.failed(step, &describe(answer));
    }

    fn failed(&mut self, step: Step, why: &str) -> Over {
        self.visit.errors.push(format!("{}: {why}", step.name()));
        self.expect(Expected::Unresolved);
        Over
    }

    fn parse<'a, T: Deserialize<'a>>(&mut self, step: Step, answer: &'a Answer) -> Result<T, Over> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            self.failed(step, &format!("cannot parse the answer ({error}): {}", describe(answer)))
        })
    }
}

fn describe(answer: &Answer) -> String {
    format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body))
}

/// Whether two answers to one request with one key are the same. The second payment event
/// says that it is repeated, and a second release has no effect.
fn are_alike(step: Step, first: &Answer, second: &Answer) -> bool {
    match step {
        Step::Payment | Step::Release => first.status.is_success() == second.status.is_success(),
        // The detail of a refusal may tell the request's id.
        _ if first.status.is_client_error() => {
            first.status == second.status && first.code() == second.code()
        }
        _ => first.status == second.status && first.body == second.body,
    }
}

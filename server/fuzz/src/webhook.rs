//! A target with forged payment webhooks and invalid events.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stockade::{HoldRequest, OrderId, OrderRequest, OrderStatus, ProductId};
use stockade_server::fuzzing::NOW;

use super::answers;
use super::requests::replaced;
use super::shop::{Shop, visit};

/// The secrets, during a rotation.
const SECRETS: [(&str, &str); 2] = [("$new", "hush"), ("$old", "whisper")];

/// A secret that the server does not accept.
const OTHER: (&str, &str) = ("$other", "guess");

/// The largest accepted age of a signature, in seconds.
const TOLERANCE: u64 = 300;

/// An event for a pending order: the headers, one per line, an empty line, and
/// the body.
///
/// ```text
/// stockade-signature: t=1700000000,v1=$new
///
/// {"payment_token":"$token","status":"paid"}
/// ```
///
/// `$token` in the body is the order's. `$new` and `$old` are valid signatures
/// of the header's time and the body, by either accepted secret; `$other` is
/// one by another secret.
pub fn webhook(sent: &[u8]) {
    let secrets = SECRETS.map(|(_, secret)| secret).join(",");
    visit(&[("webhook_secret", &secrets)], async |shop: &Shop| {
        let (id, token) = order(shop).await;
        let event = Event::read(sent, &token);
        let first = event.send(shop, false).await;
        if event.is_signed() {
            if event.is_plain() {
                assert_ne!(first, Some(401), "a right signature was refused");
            }
            // Delivering it again has the same result and no further effect.
            assert_eq!(event.send(shop, true).await, first);
        } else {
            let rejected = first.is_none_or(|status| (400..500).contains(&status));
            assert!(rejected, "{first:?} without a signature");
            if event.is_plain() {
                assert_eq!(first, Some(401));
            }
            expect_nothing(shop, id).await;
        }
    });
}

/// Creates a pending order of two units and returns its token.
async fn order(shop: &Shop) -> (OrderId, String) {
    let product = ProductId(1);
    let hold = shop.engine.create_hold(HoldRequest::new(product, 2)).await.expect("a hold").value;
    let order = OrderRequest::new(hold.id, product);
    let order = shop.engine.create_order(&order).await.expect("an order").value;
    (order.id, order.payment_token.expect("made").to_string())
}

/// Expects that no event was recorded.
async fn expect_nothing(shop: &Shop, id: OrderId) {
    let order = shop.engine.order(id).await.expect("the order");
    assert_eq!(order.status, OrderStatus::PendingPayment);
    let audit = shop.engine.audit().await.expect("an audit");
    assert_eq!((audit.waiting_events, audit.units.pending), (0, 2));
    let events = shop.engine.events_after(0, 1_000).await.expect("events");
    let told = events.iter().filter(|event| event.order_id.is_some()).count();
    assert_eq!(told, 1, "more than the order's making: {events:?}");
}

/// An event as it is sent.
struct Event {
    /// Header lines, each with its line end.
    headers: Vec<u8>,
    body: Vec<u8>,
}

impl Event {
    fn read(sent: &[u8], token: &str) -> Self {
        let end = sent.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = match end {
            Some(end) => (&sent[..end], &sent[end + 2..]),
            None => (sent, &b""[..]),
        };
        let body = replaced(body, "$token", token);
        let mut headers = Vec::new();
        for line in head.split(|byte| *byte == b'\n') {
            let mut line = line.to_vec();
            let time = times(&line).next().unwrap_or_default().to_owned();
            for (name, secret) in SECRETS.into_iter().chain([OTHER]) {
                line = replaced(&line, name, &signature(secret, &time, &body));
            }
            headers.extend_from_slice(&line);
            headers.extend_from_slice(b"\r\n");
        }
        Self { headers, body }
    }

    /// Sends it, first or again, and returns the status of the response, if
    /// any.
    async fn send(&self, shop: &Shop, again: bool) -> Option<u16> {
        let head = b"POST /api/payments/webhook HTTP/1.1\r\nhost: shop\r\n";
        let framing = format!("connection: close\r\ncontent-length: {}\r\n\r\n", self.body.len());
        let sent = [head, &*self.headers, framing.as_bytes(), &*self.body].concat();
        let received = shop.exchange(&sent).await;
        let answers = answers::read(&received);
        let last = answers.last()?;
        if matches!(last.status, 200 | 202) {
            assert!(last.body.starts_with(br#"{"message":"ok","result":"#));
            assert_eq!(last.is_replayed, again);
        }
        Some(last.status)
    }

    /// Whether the headers contain a signature by an accepted secret of the
    /// body and of a recent time that they also contain.
    fn is_signed(&self) -> bool {
        let is_near =
            |time: &&str| time.parse::<i64>().is_ok_and(|time| time.abs_diff(NOW) <= TOLERANCE);
        let given = self.headers.to_ascii_lowercase();
        times(&self.headers).filter(is_near).any(|time| {
            SECRETS.iter().any(|(_, secret)| {
                let right = signature(secret, time, &self.body);
                given.windows(right.len()).any(|part| part == right.as_bytes())
            })
        })
    }

    /// Whether the headers are a single well-formed signature and the body one
    /// that the server parses.
    fn is_plain(&self) -> bool {
        let is_plain = || {
            let value = self.headers.strip_prefix(b"stockade-signature: t=")?;
            let text = str::from_utf8(value.strip_suffix(b"\r\n")?).ok()?;
            let (time, signature) = text.split_once(",v1=")?;
            let is_time =
                (1..=18).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
            let is_signature =
                signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
            Some(is_time && is_signature && self.body.len() < 60_000)
        };
        is_plain().unwrap_or(false)
    }
}

/// Returns all runs of digits.
fn times(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| !byte.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .filter_map(|digits| str::from_utf8(digits).ok())
}

/// Computes the signature of a time and a body, in hexadecimal digits.
fn signature(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What the server says of the sale's products, holds and orders, beside its answers to
//! buyers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::{Answer, Call, ShopClient};

/// Rows of one page of a list.
const PER_PAGE: u32 = 1_000;

/// The numbers of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    pub id: u64,
    pub in_stock: u64,
    /// What can be held: without the safety stock.
    pub stock: u64,
    pub held: u64,
    pub pending: u64,
    pub sold: u64,
    pub returned: u64,
}

impl Numbers {
    /// All units that were received.
    pub fn received(&self) -> u64 {
        self.in_stock + self.held + self.pending + self.sold + self.returned
    }
}

/// A hold in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedHold {
    pub id: u64,
    pub product_id: u64,
    #[serde(rename = "qty")]
    pub quantity: u64,
    pub status: String,
    pub order_id: Option<u64>,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedOrder {
    pub id: u64,
    pub status: String,
    pub payment_disposition: String,
    pub lines: Vec<ListedLine>,
}

/// A line of an order in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ListedLine {
    pub hold_id: u64,
    pub product_id: u64,
    #[serde(rename = "qty")]
    pub quantity: u64,
}

/// The audit's report, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    pub consistent: bool,
    pub products: u64,
    pub findings: Vec<AuditFinding>,
}

/// What the audit has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFinding {
    pub check: String,
    pub id: u64,
    pub detail: String,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<u64>,
}

/// Asks for what an operator may see.
///
/// # Errors
/// Why there is no answer, or the problem that is the answer.
pub async fn ask<T: DeserializeOwned>(client: &ShopClient, call: &Call) -> Result<T, String> {
    let answer = client.send(call).await?;
    if !answer.status.is_success() {
        return Err(problem(call, &answer));
    }
    answer.parse()
}

/// Words an answer that is a problem.
pub fn problem(call: &Call, answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        message: String,
    }
    let (method, path, status) = (&call.method, &call.path, answer.status.as_u16());
    match answer.parse() {
        Ok(Problem { code, message }) => format!("{method} {path}: {status} {code}: {message}"),
        Err(why) => format!("{method} {path}: {status}: {why}"),
    }
}

/// Reads a product, by an id or `sku:` and a SKU.
///
/// # Errors
/// As [`ask`].
pub async fn product(client: &ShopClient, product: &str) -> Result<Numbers, String> {
    ask(client, &Call::get(format!("/api/products/{product}"))).await
}

/// Reads all holds of a product with ids above `after`.
///
/// # Errors
/// As [`ask`].
pub async fn holds(
    client: &ShopClient,
    product: u64,
    after: u64,
) -> Result<Vec<ListedHold>, String> {
    list(client, "holds", product, after).await
}

/// Reads all orders that have a line of a product and ids above `after`.
///
/// # Errors
/// As [`ask`].
pub async fn orders(
    client: &ShopClient,
    product: u64,
    after: u64,
) -> Result<Vec<ListedOrder>, String> {
    list(client, "orders", product, after).await
}

async fn list<T: DeserializeOwned>(
    client: &ShopClient,
    what: &str,
    product: u64,
    mut after: u64,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    loop {
        let query = format!("product_id={product}&after={after}&limit={PER_PAGE}");
        let path = format!("/api/admin/{what}?{query}");
        let page: Page<T> = ask(client, &Call::get(path)).await?;
        all.extend(page.items);
        match page.next {
            // A cursor that does not grow would be read for ever.
            Some(next) if next > after => after = next,
            _ => return Ok(all),
        }
    }
}

/// Runs the audit.
///
/// # Errors
/// As [`ask`].
pub async fn audit(client: &ShopClient) -> Result<Audit, String> {
    ask(client, &Call::get("/api/admin/audit".to_owned())).await
}

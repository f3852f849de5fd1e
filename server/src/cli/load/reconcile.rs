//! Compares what the buyers were told with what the server says in the end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::sleep;

use super::buyer::{SHORT_LIFE_SECONDS, Shop};
use super::records::{Expected, Purchase};
use super::shop_view::{self, Audit, ListedHold, ListedOrder, Numbers};

/// How long after the last life the products' numbers may take: until a cache is told.
const SETTLE: Duration = Duration::from_secs(SHORT_LIFE_SECONDS + 10);

/// The pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The most findings that are kept; a fault shows in thousands of holds alike.
pub const FINDINGS_MAX: usize = 100;

/// A product before and after the sale.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ProductResult {
    pub before: Numbers,
    pub after: Numbers,
    /// Units that buyers were told to have paid in time.
    pub paid: u64,
}

/// What the comparison says.
#[derive(Debug, Clone, Serialize)]
pub struct Reconciliation {
    pub products: Vec<ProductResult>,
    /// Holds and orders that were acknowledged.
    pub holds: u64,
    pub orders: u64,
    /// What does not agree, at most [`FINDINGS_MAX`], and how much there is in all.
    pub findings: Vec<String>,
    pub findings_in_all: u64,
    pub audit: Audit,
}

/// Findings, bounded.
#[derive(Debug, Default)]
pub struct Findings {
    shown: Vec<String>,
    all: u64,
}

impl Findings {
    pub fn add(&mut self, finding: String) {
        self.all += 1;
        if self.shown.len() < FINDINGS_MAX {
            self.shown.push(finding);
        }
    }
}

/// Reads products, holds, orders and the audit, and compares them with the purchases.
/// `is_alone` says that nobody else sells these products: then no other hold may exist.
///
/// # Errors
/// Why the server does not answer.
pub async fn reconcile(
    shop: &Shop,
    before: &[Numbers],
    purchases: &[Purchase],
    is_alone: bool,
    mut findings: Findings,
) -> Result<Reconciliation, String> {
    let after = settled(shop, before).await?;
    let lowest = |ids: &mut dyn Iterator<Item = u64>| ids.min().map_or(0, |id| id - 1);
    let first_hold =
        lowest(&mut purchases.iter().flat_map(|one| &one.holds).map(|one| one.hold_id));
    let first_order = lowest(&mut purchases.iter().filter_map(|one| one.order_id));
    let (mut holds, mut orders) = (HashMap::new(), HashMap::<u64, ListedOrder>::new());
    for numbers in before {
        let first = if is_alone { 0 } else { first_hold };
        let listed = shop_view::holds(&shop.client, numbers.id, first).await?;
        holds.extend(listed.into_iter().map(|hold| (hold.id, hold)));
        let first = if is_alone { 0 } else { first_order };
        let listed = shop_view::orders(&shop.client, numbers.id, first).await?;
        for order in listed {
            // An order of several products is listed for each.
            match orders.insert(order.id, order.clone()) {
                Some(other) if other != order => {
                    findings.add(format!("order {} is listed in two ways", order.id));
                }
                _ => {}
            }
        }
    }
    let audit = shop_view::audit(&shop.client).await?;
    for purchase in purchases {
        check_purchase(shop, purchase, &mut holds, &mut orders, &mut findings);
    }
    if is_alone {
        for id in holds.keys() {
            findings.add(format!("hold {id} exists, and was acknowledged to no buyer"));
        }
    }
    let products = check_products(before, &after, purchases, &orders, &mut findings);
    if !audit.consistent {
        findings.add("the audit of the server finds the stock inconsistent".to_owned());
    }
    Ok(Reconciliation {
        products,
        holds: purchases.iter().map(|one| one.holds.len() as u64).sum(),
        orders: purchases.iter().filter(|one| one.order_id.is_some()).count() as u64,
        findings: findings.shown,
        findings_in_all: findings.all,
        audit,
    })
}

/// Reads the products until nothing of the sale is held or pending any more.
async fn settled(shop: &Shop, before: &[Numbers]) -> Result<Vec<Numbers>, String> {
    let started = Instant::now();
    loop {
        let mut after = Vec::with_capacity(before.len());
        for numbers in before {
            after.push(shop_view::product(&shop.client, &numbers.id.to_string()).await?);
        }
        let is_settled = |(before, after): (&Numbers, &Numbers)| {
            (before.held, before.pending) == (after.held, after.pending)
        };
        if before.iter().zip(&after).all(is_settled) || started.elapsed() > SETTLE {
            return Ok(after);
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Compares the holds and the order of a buyer with the lists, and takes its holds out.
fn check_purchase(
    shop: &Shop,
    purchase: &Purchase,
    holds: &mut HashMap<u64, ListedHold>,
    orders: &mut HashMap<u64, ListedOrder>,
    findings: &mut Findings,
) {
    let expected = match purchase.expected {
        Expected::Expired => "expired",
        Expected::Released => "released",
        Expected::Cancelled | Expected::Paid | Expected::PaidLate => "converted",
        Expected::Unresolved => "",
    };
    for held in &purchase.holds {
        let id = held.hold_id;
        let Some(hold) = holds.remove(&id) else {
            findings.add(format!("hold {id} was acknowledged, and the server does not list it"));
            continue;
        };
        if (hold.product_id, hold.quantity) != (shop.products[held.product], held.quantity) {
            findings.add(format!(
                "hold {id} was acknowledged with {} units of product {}, and has {} of product {}",
                held.quantity, shop.products[held.product], hold.quantity, hold.product_id
            ));
        }
        if !expected.is_empty() && hold.status != expected {
            findings.add(format!("hold {id} must be {expected}, and is {}", hold.status));
        }
        if purchase.order_id.is_some() && hold.order_id != purchase.order_id {
            findings.add(format!(
                "hold {id} became order {}, and belongs to {}",
                purchase.order_id.unwrap_or_default(),
                hold.order_id.map_or("none".to_owned(), |id| format!("order {id}"))
            ));
        }
    }
    let Some(id) = purchase.order_id else { return };
    let Some(order) = orders.get(&id) else {
        findings.add(format!("order {id} was acknowledged, and the server does not list it"));
        return;
    };
    let (status, disposition) = (order.status.as_str(), order.payment_disposition.as_str());
    let is_right = match purchase.expected {
        Expected::Paid => status == "paid",
        Expected::PaidLate => status == "paid" || disposition == "needs_refund",
        Expected::Cancelled => status == "cancelled" && disposition == "none",
        _ => true,
    };
    if !is_right {
        let expected = match purchase.expected {
            Expected::Paid => "paid",
            Expected::PaidLate => "paid, or its money to be refunded",
            _ => "cancelled",
        };
        findings.add(format!("order {id} must be {expected}, and is {status} ({disposition})"));
    }
}

fn check_products(
    before: &[Numbers],
    after: &[Numbers],
    purchases: &[Purchase],
    orders: &HashMap<u64, ListedOrder>,
    findings: &mut Findings,
) -> Vec<ProductResult> {
    let mut results = Vec::with_capacity(before.len());
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        let id = before.id;
        let units = |purchase: &Purchase| {
            let of_it = purchase.holds.iter().filter(|hold| hold.product == at);
            of_it.map(|hold| hold.quantity).sum::<u64>()
        };
        let is_paid = |purchase: &&Purchase| purchase.expected == Expected::Paid;
        let paid: u64 = purchases.iter().filter(is_paid).map(units).sum();
        // Late payments are paid or not: the order says it, and was compared.
        let is_listed_paid = |purchase: &&Purchase| {
            let order = purchase.order_id.and_then(|id| orders.get(&id));
            order.is_some_and(|order| order.status == "paid")
        };
        let sold: u64 = purchases.iter().filter(is_listed_paid).map(units).sum();
        if paid > before.in_stock {
            findings.add(format!(
                "product {id} is OVERSOLD: {paid} units are paid, and there were {}",
                before.in_stock
            ));
        }
        if after.sold != before.sold + sold {
            findings.add(format!(
                "product {id} has {} units sold, and {} before and the paid orders make {}",
                after.sold,
                before.sold,
                before.sold + sold
            ));
        }
        for (what, was, is) in
            [("held", before.held, after.held), ("pending", before.pending, after.pending)]
        {
            if was != is {
                findings.add(format!(
                    "product {id} has {is} units {what}, and had {was} before the sale"
                ));
            }
        }
        if before.received() != after.received() {
            findings.add(format!(
                "product {id} had {} units in all, and has {}",
                before.received(),
                after.received()
            ));
        }
        results.push(ProductResult { before: *before, after: *after, paid });
    }
    results
}

#[cfg(test)]
mod tests {
    use super::super::records::HeldUnits;
    use super::super::shop_view::ListedLine;
    use super::*;

    fn numbers(in_stock: u64, sold: u64) -> Numbers {
        Numbers { id: 7, in_stock, stock: in_stock, held: 0, pending: 0, sold, returned: 0 }
    }

    fn paid(units: u64) -> (Vec<Purchase>, HashMap<u64, ListedOrder>) {
        let hold = HeldUnits { hold_id: 1, product: 0, quantity: units };
        let purchase = Purchase { holds: vec![hold], order_id: Some(3), expected: Expected::Paid };
        let order = ListedOrder {
            id: 3,
            status: "paid".to_owned(),
            payment_disposition: "none".to_owned(),
            lines: vec![ListedLine { hold_id: 1, product_id: 7, quantity: units }],
        };
        (vec![purchase], HashMap::from([(3, order)]))
    }

    fn findings(before: Numbers, after: Numbers, units: u64) -> Vec<String> {
        let (purchases, orders) = paid(units);
        let mut findings = Findings::default();
        check_products(&[before], &[after], &purchases, &orders, &mut findings);
        findings.shown
    }

    #[test]
    fn numbers_that_agree_have_no_finding_and_others_do() {
        assert_eq!(findings(numbers(5, 1), numbers(3, 3), 2), Vec::<String>::new());
        let of = |after| findings(numbers(5, 1), after, 2).join("; ");
        assert!(of(numbers(4, 2)).contains("has 2 units sold"));
        assert!(of(numbers(4, 3)).contains("had 6 units in all, and has 7"));
        assert!(of(Numbers { held: 1, ..numbers(2, 3) }).contains("1 units held"));
        let oversold = findings(numbers(1, 0), numbers(0, 2), 2).join("; ");
        assert!(oversold.contains("OVERSOLD"), "{oversold}");
    }
}

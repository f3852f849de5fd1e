//! The reads of an audit: each finds only what is wrong.

use super::connection::{Connection, Database, read_clock};
use super::error::StoreResult;
use super::rows::Cells;
use super::time::Timekeeper;
use crate::audit::{AuditFacts, AuditReport, Check, Finding, Units};

/// Each check with a statement that selects an id, what was expected and what
/// was found; a row is a finding.
const CHECKS: [(Check, &str); 11] = [
    (
        Check::Conservation,
        "SELECT id, received, stock + held + pending + sold FROM stockade_products \
         WHERE received <> stock + held + pending + sold \
         OR stock < 0 OR held < 0 OR pending < 0 OR sold < 0",
    ),
    (
        Check::Held,
        "SELECT p.id, p.held, CAST(COALESCE(s.units, 0) AS SIGNED) FROM stockade_products p LEFT JOIN \
         (SELECT product_id, SUM(qty) AS units FROM stockade_holds WHERE status = 0 GROUP BY product_id) s \
         ON s.product_id = p.id WHERE p.held <> COALESCE(s.units, 0)",
    ),
    (
        Check::Pending,
        "SELECT p.id, p.pending, CAST(COALESCE(s.units, 0) AS SIGNED) FROM stockade_products p LEFT JOIN \
         (SELECT product_id, SUM(qty) AS units FROM stockade_orders WHERE status = 0 GROUP BY product_id) s \
         ON s.product_id = p.id WHERE p.pending <> COALESCE(s.units, 0)",
    ),
    (
        Check::Sold,
        "SELECT p.id, p.sold, CAST(COALESCE(s.units, 0) AS SIGNED) FROM stockade_products p LEFT JOIN \
         (SELECT product_id, SUM(qty) AS units FROM stockade_orders WHERE status = 1 GROUP BY product_id) s \
         ON s.product_id = p.id WHERE p.sold <> COALESCE(s.units, 0)",
    ),
    (
        Check::GhostHold,
        "SELECT h.id, 1, 0 FROM stockade_holds h LEFT JOIN stockade_orders o ON o.hold_id = h.id \
         LEFT JOIN stockade_products p ON p.id = h.product_id \
         WHERE p.id IS NULL OR (h.status = 1 AND o.id IS NULL)",
    ),
    (
        Check::GhostHold,
        "SELECT c.hold_id, 1, 0 FROM stockade_customer_holds c \
         LEFT JOIN stockade_holds h ON h.id = c.hold_id \
         WHERE h.id IS NULL OR h.product_id <> c.product_id",
    ),
    (
        Check::OrphanOrder,
        "SELECT o.id, 1, 0 FROM stockade_orders o LEFT JOIN stockade_holds h ON h.id = o.hold_id \
         WHERE h.id IS NULL OR h.status <> 1 OR h.product_id <> o.product_id OR h.qty <> o.qty",
    ),
    (
        Check::StuckEvent,
        "SELECT w.order_id, 1, 0 FROM stockade_payments_waiting w \
         LEFT JOIN stockade_payments e ON e.k = w.k LEFT JOIN stockade_orders o ON o.id = w.order_id \
         WHERE e.k IS NULL OR e.waiting <> 1 OR o.id IS NOT NULL",
    ),
    (
        Check::StuckEvent,
        "SELECT e.order_id, 1, 0 FROM stockade_payments e \
         LEFT JOIN stockade_payments_waiting w ON w.order_id = e.order_id AND w.k = e.k \
         WHERE e.waiting = 1 AND w.k IS NULL",
    ),
    (
        Check::NextDue,
        "SELECT p.id, s.soonest, COALESCE(p.next_due, 0) FROM stockade_products p JOIN \
         (SELECT product_id, MIN(expires_at) AS soonest FROM stockade_holds WHERE status = 0 GROUP BY product_id) s \
         ON s.product_id = p.id WHERE p.next_due IS NULL OR p.next_due > s.soonest",
    ),
    (
        Check::NextDue,
        "SELECT p.id, s.soonest, COALESCE(p.next_due, 0) FROM stockade_products p JOIN \
         (SELECT product_id, MIN(due_at) AS soonest FROM stockade_orders \
          WHERE status = 0 AND due_at IS NOT NULL GROUP BY product_id) s \
         ON s.product_id = p.id WHERE p.next_due IS NULL OR p.next_due > s.soonest",
    ),
];

/// The upper and the lower 32 bits are summed apart: together they could
/// overflow, which is an error in one dialect and a cut in the other.
const TOTALS: [&str; 5] = ["received", "stock", "held", "pending", "sold"];

fn totals() -> String {
    let sums = TOTALS.map(|column| {
        format!(
            "CAST(COALESCE(SUM({column} >> 32), 0) AS SIGNED), \
             CAST(COALESCE(SUM({column} & 4294967295), 0) AS SIGNED)"
        )
    });
    format!("SELECT COUNT(*), {} FROM stockade_products", sums.join(", "))
}

/// The sum whose halves stand at this place of [`TOTALS`].
fn total(row: Cells<'_>, place: usize) -> sqlx::Result<i64> {
    let (upper, lower) = (row.int(1 + place * 2)?, row.int(2 + place * 2)?);
    let sum = (i128::from(upper) << 32) + i128::from(lower);
    Ok(i64::try_from(sum).unwrap_or(i64::MAX))
}

const WAITING: &str = "SELECT COUNT(*), MIN(e.received_at) FROM stockade_payments_waiting w \
     JOIN stockade_payments e ON e.k = w.k";

pub(super) async fn read_facts<D: Database>(
    connection: &mut dyn Connection,
    time: &Timekeeper,
) -> StoreResult<AuditFacts> {
    let mut facts = AuditFacts::default();
    connection.run(D::BEGIN_SNAPSHOT.to_owned(), &mut |_, _| Ok(())).await?;
    let limit = AuditReport::FINDINGS_PER_CHECK;
    for (check, sql) in CHECKS {
        let findings = &mut facts.findings;
        connection
            .run(format!("{sql} LIMIT {limit}"), &mut |_, row| {
                let (id, expected, found) = (row.count(0)?, row.int(1)?, row.int(2)?);
                let detail = format!("expected {expected}, found {found}");
                findings.push(Finding { check, id, detail });
                Ok(())
            })
            .await?;
    }
    let asked = time.asks();
    let now = time.hear(read_clock::<D>(connection).await?, asked).micros();
    let due = format!("SELECT COUNT(*) FROM stockade_products WHERE next_due <= {now}");
    connection
        .run(format!("{}; {WAITING}; {due}", totals()), &mut |at, row| {
            match at {
                0 => {
                    facts.products = row.count(0)?;
                    facts.units = Units {
                        received: total(row, 0)?,
                        stock: total(row, 1)?,
                        held: total(row, 2)?,
                        pending: total(row, 3)?,
                        sold: total(row, 4)?,
                    };
                }
                1 => {
                    facts.waiting_events = row.count(0)?;
                    facts.oldest_waiting_event = row.opt_time(1)?;
                }
                _ => facts.products_due = row.count(0)?,
            }
            Ok(())
        })
        .await?;
    connection.run("COMMIT".to_owned(), &mut |_, _| Ok(())).await?;
    Ok(facts)
}

//! The reads of an audit, in one snapshot and in steps.
//!
//! Each table is walked in the order of its key, so many rows a statement: no
//! statement takes longer the longer the history is, and one that is abandoned
//! ends soon by itself. What is to be summed is summed here, in 128 bits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::connection::{Connection, Database, read_clock};
use super::error::StoreResult;
use super::rows::Cells;
use super::statement::{Statement, execute, fetch_optional, run};
use super::statements::hex;
use super::time::Timekeeper;
use crate::audit::{AuditFacts, AuditReport, Check, Finding};
use crate::model::Timestamp;

/// The rows that a statement looks at.
pub(super) const STEP: u32 = 10_000;
/// How often the log tells how far an audit is.
const LOG_EVERY: Duration = Duration::from_secs(2);

/// What the holds and orders of a product add up to.
#[derive(Default)]
struct Counted {
    held: i128,
    pending: i128,
    sold: i128,
    /// When the first of them falls due.
    soonest: Option<i64>,
}

impl Counted {
    fn falls_due(&mut self, at: Option<i64>) {
        self.soonest = [self.soonest, at].into_iter().flatten().min();
    }
}

/// What has been read so far.
struct Tally {
    facts: AuditFacts,
    /// By the product's id. As large as there are products.
    counted: HashMap<i64, Counted>,
    now: Timestamp,
}

struct Audit<'a> {
    connection: &'a mut dyn Connection,
    step: u32,
    tally: Tally,
    logged_at: Instant,
}

/// Where a walk through a table is, as literals of its key.
struct Walk {
    table: &'static str,
    key: &'static str,
    after: Option<String>,
    steps: u64,
    is_over: bool,
}

impl Walk {
    fn through(table: &'static str, key: &'static str) -> Self {
        Self { table, key, after: None, steps: 0, is_over: false }
    }
}

/// An id as a finding names it. The schema lets ids be negative, Stockade does
/// not make any.
fn id_of(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

fn number(row: &mut Cells<'_>) -> sqlx::Result<String> {
    row.int().map(|number| number.to_string())
}

fn text(row: &mut Cells<'_>) -> sqlx::Result<String> {
    row.key().map(|text| hex(text.as_bytes()))
}

impl AuditFacts {
    fn find(&mut self, check: Check, id: i64, expected: i128, found: i128) {
        let known = self.findings.iter().filter(|finding| finding.check == check).count();
        if known < AuditReport::FINDINGS_PER_CHECK as usize {
            let detail = format!("expected {expected}, found {found}");
            self.findings.push(Finding { check, id: id_of(id), detail });
        }
    }
}

impl Audit<'_> {
    /// Goes on by a step. Returns the condition that its rows meet, or nothing
    /// at the end. `t` is the table's name in the statements.
    async fn next(
        &mut self,
        walk: &mut Walk,
        literal: fn(&mut Cells<'_>) -> sqlx::Result<String>,
    ) -> StoreResult<Option<String>> {
        if walk.is_over {
            return Ok(None);
        }
        let Walk { table, key, .. } = *walk;
        let begin = walk.after.as_ref().map(|after| format!("t.{key} > {after}"));
        let begin = begin.unwrap_or_else(|| "1 = 1".to_owned());
        let last = self.step.saturating_sub(1);
        let sql = format!(
            "SELECT t.{key} FROM stockade_{table} t WHERE {begin} ORDER BY t.{key} \
             LIMIT 1 OFFSET {last}"
        );
        let end = fetch_optional(self.connection, sql, literal).await?;
        walk.steps += 1;
        if self.logged_at.elapsed() >= LOG_EVERY {
            self.logged_at = Instant::now();
            let rows = walk.steps.saturating_mul(self.step.into());
            tracing::info!(table, rows, "the audit goes on");
        }
        walk.is_over = end.is_none();
        walk.after.clone_from(&end);
        Ok(Some(end.map_or(begin.clone(), |end| format!("{begin} AND t.{key} <= {end}"))))
    }

    async fn read<const N: usize>(&mut self, statements: [Statement<Tally>; N]) -> StoreResult<()> {
        run(self.connection, &statements, &mut self.tally).await.map(drop)
    }

    async fn holds(&mut self) -> StoreResult<()> {
        let mut walk = Walk::through("holds", "id");
        while let Some(range) = self.next(&mut walk, number).await? {
            let active = format!(
                "SELECT t.product_id, t.qty, t.expires_at FROM stockade_holds t \
                 WHERE {range} AND t.status = 0"
            );
            let ghosts = format!(
                "SELECT t.id FROM stockade_holds t \
                 LEFT JOIN stockade_orders o ON o.hold_id = t.id \
                 LEFT JOIN stockade_products p ON p.id = t.product_id \
                 WHERE {range} AND (p.id IS NULL OR (t.status = 1 AND o.id IS NULL))"
            );
            self.read([Statement::read(active, count_hold), Statement::read(ghosts, ghost_hold)])
                .await?;
        }
        let mut walk = Walk::through("customer_holds", "hold_id");
        while let Some(range) = self.next(&mut walk, number).await? {
            let ghosts = format!(
                "SELECT t.hold_id FROM stockade_customer_holds t \
                 LEFT JOIN stockade_holds h ON h.id = t.hold_id WHERE {range} \
                 AND (h.id IS NULL OR h.product_id <> t.product_id OR h.status <> 0)"
            );
            self.read([Statement::read(ghosts, ghost_hold)]).await?;
        }
        Ok(())
    }

    async fn orders(&mut self) -> StoreResult<()> {
        let mut walk = Walk::through("orders", "id");
        while let Some(range) = self.next(&mut walk, number).await? {
            let open = format!(
                "SELECT t.product_id, t.status, t.qty, t.due_at FROM stockade_orders t \
                 WHERE {range} AND t.status IN (0, 1)"
            );
            let orphans = format!(
                "SELECT t.id FROM stockade_orders t LEFT JOIN stockade_holds h ON h.id = t.hold_id \
                 WHERE {range} AND (h.id IS NULL OR h.status <> 1 \
                 OR h.product_id <> t.product_id OR h.qty <> t.qty)"
            );
            let orphan = |tally: &mut Tally, row: &mut Cells<'_>| {
                tally.facts.find(Check::OrphanOrder, row.int()?, 1, 0);
                Ok(())
            };
            self.read([Statement::read(open, count_order), Statement::read(orphans, orphan)])
                .await?;
        }
        Ok(())
    }

    async fn events(&mut self) -> StoreResult<()> {
        let mut walk = Walk::through("payments_waiting", "order_id");
        while let Some(range) = self.next(&mut walk, number).await? {
            let waiting = format!(
                "SELECT t.order_id, COALESCE(e.waiting, 0), o.id, e.received_at \
                 FROM stockade_payments_waiting t \
                 LEFT JOIN stockade_payments e ON e.idempotency_key = t.idempotency_key \
                 LEFT JOIN stockade_orders o ON o.id = t.order_id WHERE {range}"
            );
            self.read([Statement::read(waiting, waiting_event)]).await?;
        }
        let mut walk = Walk::through("payments", "idempotency_key");
        while let Some(range) = self.next(&mut walk, text).await? {
            let stuck = format!(
                "SELECT t.order_id FROM stockade_payments t LEFT JOIN stockade_payments_waiting w \
                 ON w.order_id = t.order_id AND w.idempotency_key = t.idempotency_key \
                 WHERE {range} AND t.waiting = 1 AND w.idempotency_key IS NULL"
            );
            let decode = |tally: &mut Tally, row: &mut Cells<'_>| {
                tally.facts.find(Check::StuckEvent, row.int()?, 1, 0);
                Ok(())
            };
            self.read([Statement::read(stuck, decode)]).await?;
        }
        Ok(())
    }

    /// Runs last: it compares the products with what was counted.
    async fn products(&mut self) -> StoreResult<()> {
        let mut walk = Walk::through("products", "id");
        while let Some(range) = self.next(&mut walk, number).await? {
            let sql = format!(
                "SELECT t.id, t.received, t.stock, t.held, t.pending, t.sold, t.next_due \
                 FROM stockade_products t WHERE {range}"
            );
            self.read([Statement::read(sql, compare_product)]).await?;
        }
        Ok(())
    }
}

fn ghost_hold(tally: &mut Tally, row: &mut Cells<'_>) -> sqlx::Result<()> {
    tally.facts.find(Check::GhostHold, row.int()?, 1, 0);
    Ok(())
}

fn count_hold(tally: &mut Tally, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let product = tally.counted.entry(row.int()?).or_default();
    product.held += i128::from(row.int()?);
    product.falls_due(row.opt_int()?);
    Ok(())
}

fn count_order(tally: &mut Tally, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let product = tally.counted.entry(row.int()?).or_default();
    let (is_paid, quantity, due_at) = (row.int()? == 1, i128::from(row.int()?), row.opt_int()?);
    if is_paid {
        product.sold += quantity;
    } else {
        product.pending += quantity;
        product.falls_due(due_at);
    }
    Ok(())
}

fn waiting_event(tally: &mut Tally, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let facts = &mut tally.facts;
    let (named, waiting, order) = (row.int()?, row.int()?, row.opt_int()?);
    if waiting != 1 || order.is_some() {
        facts.find(Check::StuckEvent, named, 1, 0);
    }
    if let Some(received_at) = row.opt_time()? {
        facts.waiting_events += 1;
        let oldest = [facts.oldest_waiting_event, Some(received_at)];
        facts.oldest_waiting_event = oldest.into_iter().flatten().min();
    }
    Ok(())
}

fn compare_product(tally: &mut Tally, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let Tally { facts, counted, now } = tally;
    let id = row.int()?;
    let mut units = || row.int().map(i128::from);
    let (received, stock, held, pending, sold) = (units()?, units()?, units()?, units()?, units()?);
    let next_due = row.opt_int()?;
    let all = stock + held + pending + sold;
    if received != all || [stock, held, pending, sold].iter().any(|units| *units < 0) {
        facts.find(Check::Conservation, id, received, all);
    }
    let counted = counted.remove(&id).unwrap_or_default();
    for (check, stored, counted) in [
        (Check::Held, held, counted.held),
        (Check::Pending, pending, counted.pending),
        (Check::Sold, sold, counted.sold),
    ] {
        if stored != counted {
            facts.find(check, id, stored, counted);
        }
    }
    if let Some(soonest) = counted.soonest
        && next_due.is_none_or(|at| at > soonest)
    {
        let found = next_due.unwrap_or_default();
        facts.find(Check::NextDue, id, soonest.into(), found.into());
    }
    facts.products += 1;
    facts.products_due += u64::from(next_due.is_some_and(|at| at <= now.micros()));
    let sums = &mut facts.units;
    sums.received += received;
    sums.stock += stock;
    sums.held += held;
    sums.pending += pending;
    sums.sold += sold;
    Ok(())
}

/// Reads all tables, at most `step` rows in one statement.
pub(super) async fn read_facts<D: Database>(
    connection: &mut dyn Connection,
    time: &Timekeeper,
    step: u32,
) -> StoreResult<AuditFacts> {
    execute(connection, D::BEGIN_SNAPSHOT).await?;
    let asked = time.start_observation();
    let now = time.observe(read_clock::<D>(connection).await?, asked);
    let tally = Tally { now, facts: AuditFacts::default(), counted: HashMap::new() };
    let mut audit = Audit { connection, step, tally, logged_at: Instant::now() };
    audit.holds().await?;
    audit.orders().await?;
    audit.events().await?;
    audit.products().await?;
    let Audit { connection, tally, .. } = audit;
    execute(connection, &["COMMIT"]).await?;
    Ok(tally.facts)
}

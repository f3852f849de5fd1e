//! Reads what an audit compares, in one snapshot, by keyset scans.
//!
//! Each table is scanned in key order, so many rows a statement: no statement
//! takes longer the longer the history is, and an abandoned one ends soon by
//! itself. Sums are added up here, in 128 bits.

mod holds;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::database::Database;
use super::error::StoreResult;
use super::order_lines::StoredLine;
use super::order_rows;
use super::rows;
use super::rows::Cells;
use super::statement::{ReadRow, Statement, execute, fetch_optional, read_clock, run};
use super::statements::hex;
use super::time::Timekeeper;
use crate::audit::{AuditReport, Check};
use crate::ledger::UNPAID;
use crate::model::{OrderStatus, Timestamp};

pub(super) const SCAN_ROWS: u32 = 10_000;
const LOG_EVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
struct UnitSums {
    held: i128,
    pending: i128,
    sold: i128,
    returned: i128,
    /// When the first of them falls due.
    soonest: Option<i64>,
}

impl UnitSums {
    fn falls_due(&mut self, at: Option<i64>) {
        self.soonest = [self.soonest, at].into_iter().flatten().min();
    }
}

struct AuditState {
    report: AuditReport,
    /// By the product's id. As large as there are products.
    sums: HashMap<i64, UnitSums>,
    now: Timestamp,
}

struct Audit<'a> {
    connection: &'a mut dyn Connection,
    scan_rows: u32,
    state: AuditState,
    logged_at: Instant,
}

impl AuditReport {
    fn find(&mut self, check: Check, id: i64, expected: i128, found: i128) {
        let known = self.findings.iter().filter(|finding| finding.check == check).count();
        if known < AuditReport::FINDINGS_PER_CHECK as usize {
            let detail = format!("expected {expected}, found {found}");
            // The schema allows negative ids; Stockade draws none.
            self.add(check, u64::try_from(id).unwrap_or(0), detail);
        }
    }
}

impl Audit<'_> {
    /// Scans a table by a numeric key, see [`Audit::scan_by`].
    async fn scan<const N: usize>(
        &mut self,
        table: &str,
        key: &str,
        statements: impl Fn(&str) -> [Statement<AuditState>; N],
    ) -> StoreResult<()> {
        self.scan_by(table, key, |row| row.int().map(|key| key.to_string()), statements).await
    }

    /// Scans a table in key order and runs `statements` for each range of keys,
    /// with the condition that its rows `t` meet. `literal` decodes a key.
    async fn scan_by<const N: usize>(
        &mut self,
        table: &str,
        key: &str,
        literal: ReadRow<String>,
        statements: impl Fn(&str) -> [Statement<AuditState>; N],
    ) -> StoreResult<()> {
        let last = self.scan_rows.saturating_sub(1);
        let mut begin = "1 = 1".to_owned();
        let mut rows = 0_u64;
        loop {
            let sql = format!(
                "SELECT t.{key} FROM stockade_{table} t WHERE {begin} ORDER BY t.{key} \
                 LIMIT 1 OFFSET {last}"
            );
            let end = fetch_optional(self.connection, sql, literal).await?;
            rows = rows.saturating_add(self.scan_rows.into());
            self.log_progress(table, rows);
            let Some(end) = end else {
                return run(self.connection, &statements(&begin), &mut self.state).await.map(drop);
            };
            let range = format!("{begin} AND t.{key} <= {end}");
            run(self.connection, &statements(&range), &mut self.state).await?;
            begin = format!("t.{key} > {end}");
        }
    }

    fn log_progress(&mut self, table: &str, rows: u64) {
        if self.logged_at.elapsed() >= LOG_EVERY {
            self.logged_at = Instant::now();
            tracing::info!(table, rows, "the audit is in progress");
        }
    }

    async fn orders(&mut self) -> StoreResult<()> {
        let orders = |range: &str| {
            let columns = order_rows::LINES;
            let open = format!(
                "SELECT status, due_at, {columns} FROM stockade_orders t \
                 WHERE {range} AND t.status <> 2"
            );
            let dispositions = format!(
                "SELECT t.id FROM stockade_orders t LEFT JOIN stockade_order_dispositions d \
                 ON d.order_id = t.id WHERE {range} AND COALESCE(d.disposition, 0) <> t.disposition"
            );
            let customers = format!(
                "SELECT t.id FROM stockade_orders t LEFT JOIN stockade_customer_orders x \
                 ON x.order_id = t.id AND x.product_id = t.product_id WHERE {range} \
                 AND COALESCE(t.customer, -1) <> COALESCE(x.customer, -1)"
            );
            [
                Statement::read(open, add_order),
                Statement::read(dispositions, find_orphan),
                Statement::read(customers, find_orphan),
            ]
        };
        self.scan("orders", "id", orders).await?;
        let dispositions = |range: &str| {
            let lost = format!(
                "SELECT t.order_id FROM stockade_order_dispositions t LEFT JOIN stockade_orders o \
                 ON o.id = t.order_id WHERE {range} AND o.id IS NULL"
            );
            [Statement::read(lost, find_orphan)]
        };
        self.scan("order_dispositions", "order_id", dispositions).await?;
        let customers = |range: &str| {
            let columns = order_rows::LINES;
            let of_order = rows::of_alias(columns, "o");
            let counted = format!(
                "SELECT t.order_id, t.product_id, t.counted, o.status, o.paid_at, {of_order} \
                 FROM stockade_customer_orders t JOIN stockade_orders o ON o.id = t.order_id \
                 WHERE {range}"
            );
            let lost = format!(
                "SELECT t.order_id FROM stockade_customer_orders t LEFT JOIN stockade_orders o \
                 ON o.id = t.order_id WHERE {range} AND (o.id IS NULL OR NOT EXISTS \
                 (SELECT 1 FROM stockade_customers n WHERE n.id = t.customer))"
            );
            [Statement::read(counted, check_counted), Statement::read(lost, find_orphan)]
        };
        self.scan("customer_orders", "order_id", customers).await
    }

    async fn payment_events(&mut self) -> StoreResult<()> {
        let waiting = |range: &str| {
            let waiting = format!(
                "SELECT t.order_id, COALESCE(e.waiting, 0), o.id, e.received_at \
                 FROM stockade_payments_waiting t \
                 LEFT JOIN stockade_payments e ON e.idempotency_key = t.idempotency_key \
                 LEFT JOIN stockade_orders o ON o.id = t.order_id WHERE {range}"
            );
            [Statement::read(waiting, check_waiting_event)]
        };
        self.scan("payments_waiting", "order_id", waiting).await?;
        let payments = |range: &str| {
            let stuck = format!(
                "SELECT t.order_id FROM stockade_payments t LEFT JOIN stockade_payments_waiting w \
                 ON w.order_id = t.order_id AND w.idempotency_key = t.idempotency_key \
                 WHERE {range} AND t.waiting = 1 AND w.idempotency_key IS NULL"
            );
            [Statement::read(stuck, |state: &mut AuditState, row| {
                state.report.find(Check::StuckEvent, row.int()?, 1, 0);
                Ok(())
            })]
        };
        let literal: ReadRow<String> = |row| row.key().map(|key| hex(key.as_bytes()));
        self.scan_by("payments", "idempotency_key", literal, payments).await
    }

    /// Compares the products with the sums. Runs last.
    async fn products(&mut self) -> StoreResult<()> {
        let products = |range: &str| {
            let sql = format!(
                "SELECT t.id, t.received, t.stock, t.held, t.pending, t.sold, t.sold_purged, \
                 t.returned, t.returned_purged, t.next_due \
                 FROM stockade_products t WHERE {range}"
            );
            [Statement::read(sql, compare_product)]
        };
        self.scan("products", "id", products).await?;
        // The unique index finds the others, and prevents that there are any.
        let skus = |range: &str| {
            let sql = format!(
                "SELECT t.id, o.id FROM stockade_products t JOIN stockade_products o \
                 ON o.sku = t.sku AND o.id < t.id WHERE {range}"
            );
            [Statement::read(sql, |state: &mut AuditState, row| {
                state.report.find(Check::Sku, row.int()?, 0, row.int()?.into());
                Ok(())
            })]
        };
        self.scan("products", "id", skus).await
    }
}

/// Adds up the lines of an order that is pending or was paid, but for those of which
/// retention has deleted the hold.
fn add_order(state: &mut AuditState, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let (status, due_at): (OrderStatus, _) = (row.coded()?, row.opt_int()?);
    let lines = order_rows::lines(row)?;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_purged()) {
        let id = i64::try_from(line.product_id().0).unwrap_or(i64::MAX);
        let product = state.sums.entry(id).or_default();
        if status.was_paid() {
            product.sold += i128::from(line.sold());
            product.returned += i128::from(line.returned);
        } else {
            product.pending += i128::from(line.quantity);
            // It falls due among the orders of its first line's product.
            product.falls_due(due_at.filter(|_| at == 0));
        }
    }
    Ok(())
}

/// A row that contradicts the order with this id.
fn find_orphan(state: &mut AuditState, row: &mut Cells<'_>) -> sqlx::Result<()> {
    state.report.find(Check::OrphanOrder, row.int()?, 1, 0);
    Ok(())
}

/// Compares what an order counts for its customer's limit on a product with its lines.
fn check_counted(state: &mut AuditState, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let (order, product, stored) = (row.int()?, row.count()?, row.opt_int()?);
    let (status, paid_at): (OrderStatus, _) = (row.coded()?, row.int()?);
    let lines = order_rows::lines(row)?;
    // Retention has deleted a hold, and the order is too old to count.
    if lines.iter().any(StoredLine::is_purged) {
        return Ok(());
    }
    let of_product = lines.iter().filter(|line| line.product_id().0 == product);
    let left: u64 = of_product.map(|line| u64::from(line.sold())).sum();
    let counted = match status {
        _ if left == 0 => None,
        OrderStatus::PendingPayment => Some(UNPAID.micros()),
        OrderStatus::Paid | OrderStatus::PartiallyRefunded => Some(paid_at),
        OrderStatus::Cancelled | OrderStatus::Refunded => None,
    };
    if stored != counted {
        let [expected, found] = [counted, stored].map(|at| i128::from(at.unwrap_or(-1)));
        state.report.find(Check::OrphanOrder, order, expected, found);
    }
    Ok(())
}

fn check_waiting_event(state: &mut AuditState, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let report = &mut state.report;
    let (order_id, waiting, order) = (row.int()?, row.int()?, row.opt_int()?);
    if waiting != 1 || order.is_some() {
        report.find(Check::StuckEvent, order_id, 1, 0);
    }
    if let Some(received_at) = row.opt_time()? {
        report.waiting_events += 1;
        let oldest = [report.oldest_waiting_event, Some(received_at)];
        report.oldest_waiting_event = oldest.into_iter().flatten().min();
    }
    Ok(())
}

fn compare_product(state: &mut AuditState, row: &mut Cells<'_>) -> sqlx::Result<()> {
    let AuditState { report, sums, now } = state;
    let id = row.int()?;
    let mut units = || row.int().map(i128::from);
    let (received, stock, held, pending, sold) = (units()?, units()?, units()?, units()?, units()?);
    let (sold_purged, returned, returned_purged) = (units()?, units()?, units()?);
    let next_due = row.opt_int()?;
    let states = [stock, held, pending, sold, returned];
    let all = states.iter().sum();
    if received != all || states.iter().any(|units| *units < 0) {
        report.find(Check::Conservation, id, received, all);
    }
    let sums = sums.remove(&id).unwrap_or_default();
    for (check, stored, sum) in [
        (Check::Held, held, sums.held),
        (Check::Pending, pending, sums.pending),
        (Check::Sold, sold, sums.sold + sold_purged),
        (Check::Returned, returned, sums.returned + returned_purged),
    ] {
        if stored != sum {
            report.find(check, id, stored, sum);
        }
    }
    if let Some(soonest) = sums.soonest
        && next_due.is_none_or(|at| at > soonest)
    {
        let found = next_due.unwrap_or_default();
        report.find(Check::NextDue, id, soonest.into(), found.into());
    }
    report.products += 1;
    report.products_due += u64::from(next_due.is_some_and(|at| at <= now.micros()));
    let total = &mut report.units;
    total.received += received;
    total.stock += stock;
    total.held += held;
    total.pending += pending;
    total.sold += sold;
    total.returned += returned;
    Ok(())
}

/// Reads all tables, at most `scan_rows` of a table in one statement.
pub(super) async fn read_report<D: Database>(
    connection: &mut dyn Connection,
    time: &Timekeeper,
    scan_rows: u32,
) -> StoreResult<AuditReport> {
    execute(connection, D::BEGIN_SNAPSHOT).await?;
    let started = time.start_observation();
    let now = time.observe(read_clock::<D>(connection).await?, started);
    let state = AuditState { now, report: AuditReport::empty(), sums: HashMap::new() };
    let mut audit = Audit { connection, scan_rows, state, logged_at: Instant::now() };
    audit.holds().await?;
    audit.orders().await?;
    audit.payment_events().await?;
    audit.products().await?;
    execute(audit.connection, &["COMMIT"]).await?;
    Ok(audit.state.report)
}

//! Checks histories for linearizability against a sequential model of one
//! product.
//!
//! A seed determines a plan: a few products with little stock, and concurrent
//! callers that hold, order, pay, release, extend, adjust, read and sweep while
//! time passes. The recorder keeps each call with its response and its times.
//! Each product's operations must have a linearization that explains every
//! response (`model`), and the final rows and events must add up (`accounting`).

mod accounting;
#[cfg(test)]
mod baseline;
mod caller;
mod checker;
mod counterexample;
mod deployment;
mod model;
mod partition;
mod plan;
mod process;
mod record;
mod versions;

use std::collections::HashSet;

use accounting::Finding;
use checker::{Verdict, WORK_MAX, check};
use deployment::{Deployment, Shop};
use model::State;
use partition::partition;
use plan::Plan;
pub use process::{CHILD, run_child};
use record::{Answer, Call, Record};

use crate::Extent;
use crate::results::{Row, Violation};

const SEEDS_SHORT: u64 = 24;
const SEEDS_LONG: u64 = 1_000;
/// Number of consecutive seeds that share a store.
const SEEDS_EACH: u64 = 6;
/// Bounds the failing seeds printed per deployment.
const REPORTED_MAX: u64 = 3;
/// Selects a deployment by name.
pub const ENV_DEPLOYMENT: &str = "STOCKADE_PROOF_PLACE";

/// Returns the names of all deployments.
#[cfg(test)]
pub(crate) fn deployment_names() -> impl Iterator<Item = String> {
    Deployment::all().map(Deployment::name)
}

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let wanted = std::env::var(ENV_DEPLOYMENT).ok();
    let is_wanted =
        |deployment: &Deployment| wanted.as_ref().is_none_or(|name| *name == deployment.name());
    let places = Deployment::all().filter(is_wanted);
    extent.run_each(places, |deployment| run_place(deployment, extent))
}

fn run_place(deployment: Deployment, extent: Extent) -> Row {
    let seeds = extent.seeds(SEEDS_SHORT, SEEDS_LONG);
    let mut row = Row {
        fault: "concurrent callers on scarce products".to_owned(),
        deployment: deployment.name(),
        ..Row::default()
    };
    let (mut reported, mut refused) = (0, 0);
    let mut shop: Option<Run> = None;
    for seed in extent.seed..extent.seed + seeds {
        let number = seed.saturating_sub(1) / SEEDS_EACH;
        if shop.as_ref().is_none_or(|run| run.number != number)
            && let Some(run) = shop.replace(Run::open(deployment, number))
        {
            run.shop.close().expect("closes");
        }
        let Some(run) = shop.as_mut() else { continue };
        let found = run.seed(seed);
        row.seeds += 1;
        row.operations += found.operations;
        refused += found.contended;
        for finding in &found.findings {
            row.blame(finding.broken, finding.count);
        }
        if !found.findings.is_empty() && reported < REPORTED_MAX {
            reported += 1;
            report_failure(deployment, seed, &found.findings);
        }
        if extent.until_broken && !row.is_clean() {
            break;
        }
    }
    if let Some(run) = shop {
        run.shop.close().expect("closes");
    }
    row.note = format!(
        "staleness payments re-reserved and refunded, with a sweeper and without; \
         {refused} calls refused with contention"
    );
    println!(
        "histories on {}: {} seeds, {} operations, {} unexplained, oversold {}, leaked {}, lost {}, doubled {}",
        row.deployment,
        row.seeds,
        row.operations,
        row.unexplained,
        row.oversold,
        row.leaked,
        row.lost,
        row.doubled
    );
    row
}

fn report_failure(deployment: Deployment, seed: u64, findings: &[Finding]) {
    println!("seed {seed} on {}:", deployment.name());
    for finding in findings {
        println!("{:?}: {}", finding.broken, finding.why);
    }
    println!("again: stockade-proof histories --seed {seed} --seeds 1\n");
}

/// The result of one seed.
struct SeedReport {
    operations: u64,
    contended: u64,
    findings: Vec<Finding>,
}

/// A run of seeds on one store.
struct Run {
    /// The store's number, which determines its settings.
    number: u64,
    shop: Shop,
    /// The cursor of the last event read.
    cursor: u64,
    /// Payments of earlier seeds that still wait for their orders.
    waiting: Vec<Record>,
    /// Orders of earlier seeds.
    orders: HashSet<u64>,
}

impl Run {
    fn open(deployment: Deployment, number: u64) -> Self {
        let shop = Shop::open(deployment, number).expect("opens");
        Self { number, shop, cursor: 0, waiting: Vec::new(), orders: HashSet::new() }
    }

    fn seed(&mut self, seed: u64) -> SeedReport {
        let plan = Plan::new(seed, self.shop.deployment().ttls());
        let products = self.shop.stock_up(&plan).expect("products");
        let seen = self.shop.run(&plan, &products);
        let operations = seen.len() as u64;
        let is_contended = |record: &&Record| matches!(&record.answer, Answer::Refused(refused) if refused.code == "contention");
        let contended = seen.iter().filter(is_contended).count() as u64;
        let records = [std::mem::take(&mut self.waiting), seen].concat();
        let mut findings = self.explain(&plan, &products, &records);
        match self.leftovers(&products, &records) {
            Ok(left) => findings.extend(left),
            Err(error) => {
                let why = format!("cannot read the store: {error:?}");
                findings.push(Finding::new(Violation::Unexplained, 1, why));
            }
        }
        SeedReport { operations, contended, findings }
    }

    /// Lets all holds and orders expire, then checks the accounting.
    fn leftovers(
        &mut self,
        products: &[u64],
        records: &[Record],
    ) -> stockade::Result<Vec<Finding>> {
        let Self { shop, cursor, .. } = self;
        shop.let_all_end(products)?;
        let events = accounting::read_events(&shop.engine, cursor)?;
        accounting::compare(&shop.engine, products, records, &events)
    }

    /// Searches for a linearization of each product's history.
    fn explain(&mut self, plan: &Plan, products: &[u64], records: &[Record]) -> Vec<Finding> {
        let Shop { model, .. } = &self.shop;
        let staleness = self.shop.deployment().staleness();
        let parts = partition(records, products, staleness, model.payment_ttl);
        let unexplained = |why| Finding::new(Violation::Unexplained, 1, why);
        let gone_back = versions::gone_back(records);
        let mut findings: Vec<Finding> =
            parts.wrong.into_iter().chain(gone_back).map(unexplained).collect();
        for ((product, history), stock) in parts.histories.iter().zip(&plan.stocks) {
            let initial = State::with_stock(*stock);
            match check(model, &initial, history, WORK_MAX) {
                Verdict::Explained => {}
                Verdict::Undecided => {
                    let all = counterexample::describe_all(history, records);
                    let why =
                        format!("product {product}: undecided after {WORK_MAX} states\n{all}");
                    findings.push(unexplained(why));
                }
                Verdict::Unexplained { .. } => {
                    let counterexample =
                        counterexample::describe(model, &initial, history, records, *product);
                    let all = counterexample::describe_all(history, records);
                    findings.push(unexplained(format!("{counterexample}whole history:\n{all}")));
                }
            }
        }
        for index in parts.waiting {
            let record = &records[index];
            let Call::Payment { order, .. } = &record.call else { continue };
            let is_mismatch = matches!(&record.answer, Answer::Refused(refused) if refused.code == "idempotency_mismatch");
            if record.answer == (Answer::Payment { is_waiting: true }) {
                self.waiting.push(record.clone());
            } else if is_mismatch {
                // The key belongs to another event, also of a missing order.
            } else if !self.orders.contains(order) {
                findings
                    .push(unexplained(format!("payment recorded for a missing order: {record:?}")));
            }
        }
        let made = records.iter().filter_map(|record| match &record.answer {
            Answer::Ordered(order) => Some(order.id),
            _ => None,
        });
        self.orders.extend(made);
        findings
    }
}

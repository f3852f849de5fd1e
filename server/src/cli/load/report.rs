//! The result of a sale, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::display;
use super::reconcile::Reconciliation;
use super::stats::{BARS_MS, Counts, StepStats, bars, ms};

/// The most findings and errors that the text shows.
const SHOWN_MAX: usize = 20;

/// The width of the longest bar.
const BAR_WIDTH: u64 = 50;

/// What happened, and whether all of it agrees.
#[derive(Debug)]
pub struct SaleReport {
    pub seed: u64,
    pub url: String,
    pub buyers: u64,
    pub seconds: f64,
    pub counts: Counts,
    pub retries: u64,
    /// Requests without an answer, bounded, and how many there are.
    pub errors: Vec<String>,
    pub errors_in_all: u64,
    pub reconciliation: Reconciliation,
}

#[derive(Serialize)]
struct StepView<'a> {
    done: u64,
    sold_out: u64,
    refused: &'a BTreeMap<String, u64>,
    errors: u64,
    latency_ms: LatencyView,
}

#[derive(Serialize)]
struct LatencyView {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl LatencyView {
    fn of(latency: &Histogram<u64>) -> Self {
        let at = |quantile| ms(latency.value_at_quantile(quantile));
        Self {
            mean: (latency.mean().round()) / 1_000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(latency.max()),
        }
    }
}

#[derive(Serialize)]
struct ReportView<'a> {
    clean: bool,
    seed: u64,
    url: &'a str,
    buyers: u64,
    seconds: f64,
    requests: BTreeMap<&'static str, StepView<'a>>,
    retries: u64,
    errors_in_all: u64,
    errors: &'a [String],
    #[serde(flatten)]
    reconciliation: &'a Reconciliation,
}

impl SaleReport {
    /// Whether everything was answered, and all answers agree.
    pub fn is_clean(&self) -> bool {
        let found = &self.reconciliation;
        self.errors_in_all == 0 && found.findings_in_all == 0 && found.audit.consistent
    }

    /// The report as JSON.
    pub fn json(&self) -> impl Serialize + '_ {
        let requests = self.counts.steps.iter().map(|(step, stats)| {
            let StepStats { done, sold_out, refused, failed, latency } = stats;
            let (done, sold_out, errors) = (*done, *sold_out, *failed);
            let latency_ms = LatencyView::of(latency);
            (step.name(), StepView { done, sold_out, refused, errors, latency_ms })
        });
        ReportView {
            clean: self.is_clean(),
            seed: self.seed,
            url: &self.url,
            buyers: self.buyers,
            seconds: self.seconds,
            requests: requests.collect(),
            retries: self.retries,
            errors_in_all: self.errors_in_all,
            errors: &self.errors,
            reconciliation: &self.reconciliation,
        }
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let found = &self.reconciliation;
        writeln!(
            to,
            "{} buyers in {:.1} s (seed {}): {} holds and {} orders acknowledged, {} requests sent \
             again",
            self.buyers, self.seconds, self.seed, found.holds, found.orders, self.retries
        )?;
        writeln!(to, "\n{}", display::table(&self.counts))?;
        self.write_refusals(to)?;
        writeln!(to, "\nLatency of all requests, from when each was due to its answer:")?;
        self.write_histogram(to)?;
        writeln!(to, "\n{}", self.products())?;
        list(to, "errors", &self.errors, self.errors_in_all)?;
        list(to, "findings", &found.findings, found.findings_in_all)?;
        let findings: Vec<_> = (found.audit.findings.iter())
            .map(|one| format!("{} {}: {}", one.check, one.id, one.detail))
            .collect();
        list(to, "findings of the audit", &findings, findings.len() as u64)?;
        let audit = if found.audit.consistent { "clean" } else { "NOT CLEAN" };
        let answers = match (found.findings_in_all, self.errors_in_all) {
            (0, 0) => "every acknowledged hold is accounted for, and none is sold twice".to_owned(),
            (findings, errors) => {
                format!("{findings} findings, {errors} requests without an answer")
            }
        };
        write!(to, "\naudit: {audit} ({} products)\nsale: {answers}", found.audit.products)
    }

    fn write_refusals(&self, to: &mut String) -> std::fmt::Result {
        for (step, stats) in &self.counts.steps {
            for (code, count) in &stats.refused {
                writeln!(to, "refused: {count} of {} with {code}", step.name())?;
            }
        }
        Ok(())
    }

    fn write_histogram(&self, to: &mut String) -> std::fmt::Result {
        let mut all = [0; BARS_MS.len() + 1];
        for stats in self.counts.steps.values() {
            for (sum, count) in all.iter_mut().zip(bars(&stats.latency)) {
                *sum += count;
            }
        }
        let most = all.iter().copied().max().unwrap_or(0).max(1);
        let (first, last) =
            match (all.iter().position(|n| *n > 0), all.iter().rposition(|n| *n > 0)) {
                (Some(first), Some(last)) => (first, last),
                _ => return Ok(()),
            };
        for (at, count) in all.iter().enumerate().take(last + 1).skip(first) {
            let name = BARS_MS.get(at).map_or("more".to_owned(), |bound| format!("<= {bound} ms"));
            let width = (count * BAR_WIDTH).div_ceil(most);
            let bar = "#".repeat(usize::try_from(width).unwrap_or_default());
            writeln!(to, "{name:>12} {count:>9} {bar}")?;
        }
        Ok(())
    }

    fn products(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header([
            "product",
            "stock before",
            "paid in time",
            "sold",
            "held",
            "pending",
            "stock",
        ]);
        for one in &self.reconciliation.products {
            let (before, after) = (&one.before, &one.after);
            table.add_row([
                before.id,
                before.stock,
                one.paid,
                after.sold.saturating_sub(before.sold),
                after.held,
                after.pending,
                after.stock,
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn list(to: &mut String, what: &str, lines: &[String], all: u64) -> std::fmt::Result {
    if all == 0 {
        return Ok(());
    }
    writeln!(to, "\n{all} {what}:")?;
    for line in lines.iter().take(SHOWN_MAX) {
        writeln!(to, "  {line}")?;
    }
    let more = all.saturating_sub(lines.len().min(SHOWN_MAX) as u64);
    if more > 0 {
        writeln!(to, "  … and {more} more")?;
    }
    Ok(())
}

//! Shows a running sale on a terminal: a progress bar and a table.

use std::io::{IsTerminal, stdout};
use std::sync::Arc;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::stats::{Counts, Stats, Step, ms};

/// How often the table is drawn again.
const REFRESH: Duration = Duration::from_millis(250);

/// The bar, and the task that draws the table below it.
pub struct Display {
    bar: ProgressBar,
    refresh: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows a sale of so many buyers. Nothing is drawn unless stdout is a terminal.
    pub fn start(buyers: u64, stats: &Arc<Stats>) -> Self {
        let is_shown = stdout().is_terminal();
        let target =
            if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(buyers), target);
        let template = "{wide_bar} {pos}/{len} buyers {elapsed}\n{msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let refresh = is_shown.then(|| {
            let (bar, stats) = (bar.clone(), Arc::clone(stats));
            tokio::spawn(async move {
                let mut ticks = interval(REFRESH);
                loop {
                    ticks.tick().await;
                    bar.set_message(table(&stats.counts()).to_string());
                }
            })
        });
        Self { bar, refresh }
    }

    /// One more buyer has left.
    pub fn left(&self) {
        self.bar.inc(1);
    }

    /// Removes it from the terminal.
    pub fn end(self) {
        if let Some(refresh) = self.refresh {
            refresh.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// The table of all steps, while the sale runs and after it.
pub fn table(counts: &Counts) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "request", "done", "sold out", "refused", "errors", "p50 ms", "p90", "p99", "p99.9", "max",
    ]);
    for step in Step::ALL {
        let Some(stats) = counts.steps.get(&step).filter(|stats| stats.all() > 0) else { continue };
        let at = |quantile| format!("{:.1}", ms(stats.latency.value_at_quantile(quantile)));
        table.add_row([
            step.name().to_owned(),
            stats.done.to_string(),
            stats.sold_out.to_string(),
            stats.refused().to_string(),
            stats.failed.to_string(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

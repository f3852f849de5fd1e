//! Markdown tables, readable in a log and in a comment.

use std::time::Duration;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use crate::results::{Group, Load, Measure, Ratio, Row, Spread, Target};

/// Formats a table; the first column is left-aligned, the rest right-aligned.
#[must_use]
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Formats a group's tables.
#[must_use]
pub fn group(group: &Group) -> String {
    let rate = format!("{}/s", group.unit);
    let header = match group.load {
        Load::Closed => {
            vec![
                "closed loop",
                &rate,
                "of rounds",
                "p50",
                "p99",
                "p99.9",
                "Jain",
                "longest/p50",
                "failed",
            ]
        }
        Load::Open => {
            vec!["open loop", &rate, "intended", "p50", "p99", "p99.9", "longest", "failed"]
        }
    };
    let rows = group.rows.iter().map(|row| match group.load {
        Load::Closed => closed_row(row),
        Load::Open => open_row(row),
    });
    let mut text = format!("{}\n{}\n", group.name, table(&header, rows));
    let ratios = group.ratios.iter().map(ratio_row);
    let figures = group.figures.iter().map(|f| figure_row(f.name.clone(), f.value, f.wanted));
    let rows: Vec<_> = ratios.chain(figures).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["figure", "median", "of rounds", "wanted", ""], rows));
        text.push('\n');
    }
    text
}

fn closed_row(row: &Row) -> Vec<String> {
    let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let nanos = |nanos: Option<u64>| or_dash(nanos.map(|nanos| time(Duration::from_nanos(nanos))));
    vec![
        row.contender.clone(),
        number(row.rate.median),
        spread(row.rate),
        nanos(row.latency.map(|latency| latency.p50)),
        nanos(row.latency.map(|latency| latency.p99)),
        nanos(row.latency.map(|latency| latency.p999)),
        or_dash(row.jain.map(|jain| format!("{jain:.3}"))),
        or_dash(row.longest_over_median.map(|times| format!("{times:.1}"))),
        failures(row),
    ]
}

fn open_row(row: &Row) -> Vec<String> {
    let latency = row.latency.unwrap_or_default();
    let nanos = |nanos| time(Duration::from_nanos(nanos));
    vec![
        row.contender.clone(),
        number(row.rate.median),
        number(row.intended.unwrap_or_default()),
        nanos(latency.p50),
        nanos(latency.p99),
        nanos(latency.p999),
        nanos(latency.max),
        failures(row),
    ]
}

fn ratio_row(ratio: &Ratio) -> Vec<String> {
    let what = match ratio.what {
        Measure::Rate => "",
        Measure::MedianLatency => "p50 of ",
    };
    let name = format!("{what}{} / {}", ratio.of, ratio.to);
    figure_row(name, ratio.ratio, ratio.wanted)
}

fn figure_row(name: String, value: Spread, wanted: Option<Target>) -> Vec<String> {
    let bound = match wanted {
        None => String::new(),
        Some(Target::AtLeast(bound)) => format!("at least {}", bound_text(bound)),
        Some(Target::AtMost(bound)) => format!("at most {}", bound_text(bound)),
    };
    let verdict = match wanted.map(|wanted| wanted.is_met(value.median)) {
        None => "",
        Some(true) => "met",
        Some(false) => "not met",
    };
    vec![name, number(value.median), spread(value), bound, verdict.to_owned()]
}

/// Formats a target as it was given: 0.7 and not 0.70.
fn bound_text(bound: f64) -> String {
    if bound < 100.0 { bound.to_string() } else { number(bound) }
}

fn failures(row: &Row) -> String {
    let causes: Vec<String> =
        row.failed.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
    if causes.is_empty() { "0".to_owned() } else { causes.join(", ") }
}

fn spread(spread: Spread) -> String {
    format!("{}..{}", number(spread.min), number(spread.max))
}

/// Formats a figure with at least three digits and thousands separators.
#[must_use]
pub fn number(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a duration in a fitting unit.
#[must_use]
pub fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (figure, unit) = match nanos {
        _ if nanos < 1e3 => (nanos, "ns"),
        _ if nanos < 1e6 => (nanos / 1e3, "us"),
        _ if nanos < 1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", number(figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        assert_eq!(number(0.704), "0.70");
        assert_eq!(number(98_765.4), "98,765");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(100.0), "100");
        assert_eq!(time(Duration::from_micros(1500)), "1.50 ms");
        assert_eq!(time(Duration::from_nanos(350)), "350 ns");
    }
}

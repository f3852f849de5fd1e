//! The chart of a sale: holds a second over time, and the latencies of each step.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::SaleReport;
use super::stats::{BARS_MS, Second, Step, bars, ms};

const SIZE: (u32, u32) = (900, 720);
/// An opaque background, so that it reads the same on light and dark pages.
const PAPER: RGBColor = RGBColor(252, 252, 250);
const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(222, 222, 218);
const HELD: RGBColor = RGBColor(0, 114, 178);
const SOLD_OUT: RGBColor = RGBColor(213, 94, 0);
const FONT: &str = "sans-serif";

/// Draws a report into an SVG file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(report: &SaleReport, file: &Path) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&PAPER)?;
    let (above, below) = area.split_vertically(SIZE.1 / 2);
    over_time(report, &above)?;
    latencies(report, &below)?;
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn over_time(report: &SaleReport, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let seconds = &report.counts.seconds;
    let most = seconds.iter().map(|one| one.held.max(one.sold_out)).max().unwrap_or(0).max(1);
    let verdict = if report.is_clean() { "clean" } else { "NOT CLEAN" };
    let title = format!("{} buyers, audit and accounting: {verdict}", report.buyers);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..seconds.len().max(2) - 1, 0..most + most / 5 + 1)?;
    let text = (FONT, 13).into_font().color(&INK);
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(text.clone())
        .x_desc("seconds")
        .y_desc("answers a second")
        .draw()?;
    let points = |count: fn(&Second) -> u64| {
        seconds.iter().enumerate().map(|(at, one)| (at, count(one))).collect::<Vec<_>>()
    };
    for (name, colour, points) in
        [("held", HELD, points(|one| one.held)), ("sold out", SOLD_OUT, points(|one| one.sold_out))]
    {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(PAPER.mix(0.85))
        .border_style(GRID)
        .label_font(text)
        .draw()?;
    Ok(())
}

fn latencies(report: &SaleReport, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let mut all = [0; BARS_MS.len() + 1];
    for stats in report.counts.steps.values() {
        for (sum, count) in all.iter_mut().zip(bars(&stats.latency)) {
            *sum += count;
        }
    }
    let most = all.iter().copied().max().unwrap_or(0).max(1);
    let quantile = |step: Step, quantile| {
        let stats = report.counts.steps.get(&step).filter(|stats| stats.all() > 0);
        stats.map_or(0.0, |stats| ms(stats.latency.value_at_quantile(quantile)))
    };
    let title = format!(
        "latency of all requests; a hold: p50 {:.1} ms, p99 {:.1} ms",
        quantile(Step::Hold, 0.5),
        quantile(Step::Hold, 0.99)
    );
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((0..all.len() - 1).into_segmented(), 0..most + most / 10 + 1)?;
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => {
            BARS_MS.get(*at).map_or("more".to_owned(), ToString::to_string)
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 13).into_font().color(&INK))
        .x_labels(all.len())
        .x_label_formatter(&name)
        .x_desc("at most milliseconds, from when a request was due to its answer")
        .y_desc("requests")
        .draw()?;
    chart.draw_series(all.iter().enumerate().map(|(at, count)| {
        let (left, right) = (SegmentValue::Exact(at), SegmentValue::Exact(at + 1));
        let mut bar = Rectangle::new([(left, 0), (right, *count)], HELD.mix(0.8).filled());
        bar.set_margin(0, 0, 3, 3);
        bar
    }))?;
    Ok(())
}

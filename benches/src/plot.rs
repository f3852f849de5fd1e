//! The chart of the contention bench: holds per second by callers.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::results::{Group, Load, Report, Row};
use crate::table;

/// The size of one backend's panel.
const PANEL: (u32, u32) = (550, 520);
/// The backends, and the titles of their panels.
const PLACES: [(&str, &str); 3] =
    [("mariadb", "MariaDB with Redis"), ("mysql", "MySQL with Redis"), ("sqlite", "SQLite")];
/// An opaque background, so that it reads the same on light and dark pages.
const PAPER: RGBColor = RGBColor(252, 252, 250);
const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(222, 222, 218);
const FONT: &str = "sans-serif";
/// A palette for colour-blind readers.
const COLOURS: [RGBColor; 8] = [
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(90, 90, 90),
    RGBColor(150, 120, 60),
];

/// One contender's points.
struct Line {
    contender: String,
    colour: RGBColor,
    /// Callers and holds per second.
    points: Vec<(f64, f64)>,
}

/// Draws a report of the contention bench.
///
/// # Errors
/// When it has no closed loops or the file cannot be written.
pub fn contention(report: &Report, file: &Path) -> Result<(), Box<dyn Error>> {
    let names = contenders(report);
    let lines = PLACES.map(|(place, title)| (title, lines(report, place, &names)));
    let drawn: Vec<_> = lines.iter().filter(|(_, lines)| !lines.is_empty()).collect();
    let (width, height) = PANEL;
    let size = (width * u32::try_from(drawn.len())?, height);
    let area = SVGBackend::new(file, size).into_drawing_area();
    area.fill(&PAPER)?;
    for ((title, lines), panel) in drawn.iter().zip(area.split_evenly((1, drawn.len()))) {
        draw(&panel, title, lines)?;
    }
    area.present()?;
    Ok(())
}

fn closed(report: &Report) -> impl Iterator<Item = &Group> {
    report.groups.iter().filter(|group| group.load == Load::Closed)
}

/// In the order of their first run, so that colours match in all panels.
fn contenders(report: &Report) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for Row { contender, .. } in closed(report).flat_map(|group| &group.rows) {
        if !names.contains(contender) {
            names.push(contender.clone());
        }
    }
    names
}

fn lines(report: &Report, place: &str, names: &[String]) -> Vec<Line> {
    let line = |(at, name): (usize, &String)| {
        let points = closed(report).filter(|group| group.place == place).flat_map(|group| {
            let rows = group.rows.iter().filter(|row| row.contender == *name);
            rows.map(|row| (group.callers as f64, row.rate.median))
        });
        Line {
            contender: name.clone(),
            colour: COLOURS[at % COLOURS.len()],
            points: points.filter(|(_, rate)| *rate > 0.0).collect(),
        }
    };
    names.iter().enumerate().map(line).filter(|line| !line.points.is_empty()).collect()
}

fn draw<'a, B>(
    panel: &DrawingArea<B, plotters::coord::Shift>,
    title: &str,
    lines: &[Line],
) -> Result<(), Box<dyn Error>>
where
    B: DrawingBackend + 'a,
    B::ErrorType: 'static,
{
    let all = || lines.iter().flat_map(|line| &line.points);
    let most_callers = all().map(|point| point.0).fold(1.0, f64::max);
    let most = all().map(|point| point.1).fold(10.0, f64::max);
    let least = all().map(|point| point.1).fold(most, f64::min);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(84)
        .build_cartesian_2d(
            (1.0..most_callers * 1.2).log_scale().base(8.0),
            // Room above the lines for the legend.
            (decade(least)..most * 40.0).log_scale(),
        )?;
    let text = (FONT, 13).into_font().color(&INK);
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(text.clone())
        .x_desc("callers on one product")
        .y_desc("holds/s")
        .x_label_formatter(&|callers| format!("{callers:.0}"))
        .y_label_formatter(&|rate| table::number(*rate).trim_end_matches(".00").to_owned())
        .draw()?;
    for Line { contender, colour, points } in lines {
        let style = colour.stroke_width(2);
        let series = LineSeries::new(points.iter().copied(), style);
        chart
            .draw_series(series)?
            .label(contender)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(PAPER.mix(0.85))
        .border_style(GRID)
        .label_font(text)
        .draw()?;
    Ok(())
}

/// Returns the greatest power of ten that is not above a figure.
fn decade(figure: f64) -> f64 {
    10_f64.powf(figure.max(1.0).log10().floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Machine, SCHEMA, Spread};

    #[test]
    fn every_contender_is_in_the_picture() {
        let row = |contender: &str, rate| Row {
            contender: contender.to_owned(),
            rate: Spread::alone(rate),
            rounds: Vec::new(),
            intended: None,
            done: 0,
            refused: 0,
            failed: std::collections::BTreeMap::new(),
            latency: None,
            jain: None,
            longest_over_median: None,
        };
        let group = |place: &str, callers| Group {
            name: format!("contention/{place}/{callers}"),
            unit: "holds".to_owned(),
            place: place.to_owned(),
            callers,
            load: Load::Closed,
            rows: vec![row("stockade", 1000.0 * callers as f64), row("ceiling", 90_000.0)],
            ratios: Vec::new(),
            figures: Vec::new(),
        };
        let report = Report {
            schema: SCHEMA,
            bench: "contention".to_owned(),
            quick: true,
            at: 0,
            machine: Machine::default(),
            groups: PLACES.map(|(place, _)| [group(place, 1), group(place, 64)]).concat(),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plot.svg");
        contention(&report, &file).expect("drawn");
        let svg = std::fs::read_to_string(&file).expect("reads");
        for text in ["stockade", "ceiling", "callers on one product", "MySQL", "SQLite"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}

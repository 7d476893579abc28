//! Findings as a picture: what each variant costs, with its interval, on a scale of powers of ten.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::bench::calls::history;
use crate::bench::findings::{Findings, Table};
use crate::bench::method::statistics::Estimate;
use crate::bench::variant::Part;

/// Width of the picture, and heights of its parts, in pixels.
const WIDTH: u32 = 860;
const ROW: u32 = 22;
const HEAD: u32 = 64;
const FOOT: u32 = 48;
const NAMES: u32 = 190;

/// Stand for the colours of the page's text and lines, which are light on dark or dark on light.
const TEXT: RGBColor = RGBColor(1, 1, 1);
const LINE: RGBColor = RGBColor(2, 2, 2);

/// Colours of series, which have a contrast of 3 at least both to white and to the dark page.
const SERIES: [RGBColor; 3] = [RGBColor(10, 126, 164), RGBColor(200, 80, 12), RGBColor(139, 92, 246)];

/// Tables that share a panel: its head, and each with its word in the legend.
type Panel = (&'static str, &'static [(&'static str, &'static str)]);

const PANELS: [Panel; 3] = [
    (
        "What KVM_RUN takes more than without a filter",
        &[("exit/refused", "refused, warm"), ("exit/cold", "refused, cold"), ("exit/port", "port exit")],
    ),
    (
        "What a call of a loop of reads and writes takes more: four ways to confine a thread",
        &[(history::NAME, "a call"), (history::SWITCH, "a switch there and back")],
    ),
    ("What becoming confined takes", &[("confine/steps", "once"), ("confine/length", "by length")]),
];

/// The picture as SVG. `standalone`: a file of its own, which brings its colours; else it takes those of the page around it.
pub(super) fn svg(findings: &Findings, standalone: bool) -> String {
    let panels: Vec<(&str, Vec<Dots>)> = PANELS
        .iter()
        .map(|(head, tables)| (*head, dots(findings, tables)))
        .filter(|(_, dots)| dots.iter().any(|dots| !dots.values.is_empty()))
        .collect();
    let heights: Vec<u32> = panels.iter().map(|(_, dots)| HEAD + FOOT + ROW * rows(dots)).collect();
    let height = heights.iter().sum::<u32>().max(1);
    let mut svg = String::new();
    {
        let mut rest = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        for ((head, dots), height) in panels.iter().zip(&heights) {
            let (area, below) = rest.split_vertically(*height);
            // Drawing to a string cannot fail, and a scale is made of what is there.
            let _ = panel(&area, head, dots);
            rest = below;
        }
    }
    coloured(&svg, standalone)
}

/// A table's findings: for each of its rows the name, and the interval.
struct Dots {
    legend: &'static str,
    colour: RGBColor,
    values: Vec<(String, Estimate)>,
}

fn dots(findings: &Findings, tables: &[(&str, &'static str)]) -> Vec<Dots> {
    let of_table = |table: &Table| {
        let subjects = table.rows.iter().filter(|row| row.part == Part::Subject);
        subjects.filter_map(|row| Some((row.name.clone(), row.difference?))).collect()
    };
    let dots = tables.iter().zip(SERIES).map(|((name, legend), colour)| Dots {
        legend,
        colour,
        values: findings.table(name).map(of_table).unwrap_or_default(),
    });
    dots.filter(|dots| !dots.values.is_empty()).collect()
}

/// Each name once, in the order of the tables.
fn names(dots: &[Dots]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in dots.iter().flat_map(|dots| &dots.values) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

fn rows(dots: &[Dots]) -> u32 {
    u32::try_from(names(dots).len()).unwrap_or(u32::MAX / ROW)
}

/// What an interval that begins at nothing or below is drawn from: a scale of powers has no zero.
const LEAST: f64 = 1.0;

type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

#[expect(clippy::cast_precision_loss, reason = "a place among some dozens of rows")]
fn panel<'a>(area: &DrawingArea<SVGBackend<'a>, Shift>, head: &str, dots: &[Dots]) -> Result<(), Failed<'a>> {
    let names = names(dots);
    let all = || dots.iter().flat_map(|dots| &dots.values).map(|(_, estimate)| estimate);
    let least = all().map(|estimate| estimate.low).fold(f64::INFINITY, f64::min).max(LEAST);
    let most = all().map(|estimate| estimate.high).fold(LEAST, f64::max);
    let range = 10_f64.powf(least.log10().floor())..10_f64.powf(most.log10().ceil());
    let place = |row: usize| names.len() as f64 - row as f64 - 0.5;
    let mut chart = ChartBuilder::on(area)
        .margin_right(24)
        .margin_top(HEAD)
        .x_label_area_size(FOOT - 8)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(range.clone().log_scale(), 0.0..names.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_label_formatter(&|value| power(*value))
        .bold_line_style(LINE.mix(0.25))
        .light_line_style(LINE.mix(0.08))
        .axis_style(LINE.mix(0.5))
        .label_style(("sans-serif", 12).into_font().color(&TEXT))
        .draw()?;
    let title = ("sans-serif", 15).into_font().color(&TEXT);
    area.draw(&Text::new(head.to_owned(), (8, 10), title))?;
    let right =
        |size: u32| ("sans-serif", size).into_font().color(&TEXT).pos(Pos::new(HPos::Right, VPos::Center));
    let (_, top) = area.get_base_pixel();
    for (row, name) in names.iter().enumerate() {
        let (_, y) = chart.backend_coord(&(range.start, place(row)));
        let edge = i32::try_from(NAMES).unwrap_or(0) - 8;
        area.draw(&Text::new((*name).to_owned(), (edge, y - top), right(12)))?;
    }
    for (series, Dots { legend, colour, values }) in dots.iter().enumerate() {
        // Series of a row lie beside each other.
        let beside = (series as f64 - (dots.len() as f64 - 1.0) / 2.0) * -0.24;
        let points: Vec<_> = values
            .iter()
            .filter_map(|(name, estimate)| {
                let row = names.iter().position(|other| other == name)?;
                Some((place(row) + beside, *estimate))
            })
            .collect();
        chart.draw_series(points.iter().map(|(y, estimate)| {
            let (low, high) = (estimate.low.max(range.start), estimate.high.max(range.start));
            PathElement::new(vec![(low, *y), (high, *y)], colour.stroke_width(2))
        }))?;
        chart.draw_series(
            points
                .iter()
                .map(|(y, estimate)| Circle::new((estimate.median.max(range.start), *y), 4, colour.filled())),
        )?;
        if dots.len() > 1 {
            let x = i32::try_from(NAMES + 150 * u32::try_from(series).unwrap_or(0)).unwrap_or(0);
            area.draw(&Circle::new((x + 4, 44), 4, colour.filled()))?;
            let style = ("sans-serif", 12).into_font().color(&TEXT).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new((*legend).to_owned(), (x + 14, 44), style))?;
        }
    }
    Ok(())
}

/// A power of ten with its unit.
fn power(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        size if size < 1e3 => (nanoseconds, "ns"),
        size if size < 1e6 => (nanoseconds / 1e3, "us"),
        _ => (nanoseconds / 1e6, "ms"),
    };
    format!("{value:.0} {unit}")
}

/// The colours of a file of its own: what the reader has chosen.
const STYLE: &str = "<style>svg{color:#1b1f24}.page{fill:#ffffff}@media(prefers-color-scheme:dark){svg{color:#e6edf3}\
                     .page{fill:#0d1117}}</style><rect class=\"page\" width=\"100%\" height=\"100%\"/>";

/// Puts in the colours of text and lines.
fn coloured(svg: &str, standalone: bool) -> String {
    let svg = svg.replace("#010101", "currentColor").replace("#020202", "currentColor");
    let Some((head, rest)) = svg.split_once('>') else { return svg };
    // It is as wide as there is room for.
    let label =
        "role=\"img\" aria-label=\"What each variant costs, with its interval; the tables have the figures\"";
    let head = head.replacen("<svg", &format!("<svg {label}"), 1);
    if !standalone {
        return format!("{head}>{rest}");
    }
    format!("{head}>{STYLE}{rest}")
}

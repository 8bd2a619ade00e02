//! Charts as SVG, drawn by `plotters`. Colours come from the page's style sheet, and the figures are
//! also available as text.

mod bars;
mod lines;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::Pos;

pub use bars::{Bar, Bars, Group};
pub use lines::Lines;

/// Width of a chart in its own units, about half a pixel on a phone.
const WIDTH: u32 = 720;
/// Height of text.
const TEXT: i32 = 22;
/// Larger values are not drawn.
const MAX_VALUE: f64 = 1e15;
/// Number of series colours in the style sheet.
const COLOURS: usize = 6;
/// Classes of the style sheet. While drawing, each is represented by a unique colour.
const CLASSES: [&str; 21] = [
    "c0", "c1", "c2", "c3", "c4", "c5", "helped", "neutral", "hurt", "tick", "name", "value",
    "grid", "zero", "whisker", "curve c0", "curve c1", "curve c2", "curve c3", "curve c4",
    "curve c5",
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A figure with a title, a text description, the drawing and a legend.
fn figure(
    title: &str,
    description: &str,
    legend: &[(String, &str)],
    height: u32,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Markup {
    let Some(body) = drawing(height, draw) else { return html! {} };
    html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" {
                title { (title) }
                desc { (description) }
                (PreEscaped(body))
            }
            @if !legend.is_empty() {
                ul.legend aria-hidden="true" {
                    @for (name, class) in legend { li { span.swatch.(class) {} (name) } }
                }
            }
        }
    }
}

/// The elements of a drawing, without the enclosing tag and its namespace URL.
fn drawing(height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Option<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let drawn = draw(&root).and_then(|()| Ok(root.present()?));
    drop(root);
    drawn.ok()?;
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let body = body.rsplit_once("</svg>").map_or(body, |(body, _)| body);
    Some(with_classes(body))
}

/// Replaces the colours that represent classes.
fn with_classes(svg: &str) -> String {
    CLASSES.iter().enumerate().fold(svg.to_owned(), |svg, (i, class)| {
        let class = format!("class=\"{class}\"");
        ["fill", "stroke"].iter().fold(svg, |svg, attribute| {
            svg.replace(&format!("{attribute}=\"#0100{i:02X}\""), &class)
        })
    })
}

/// The colour that represents a class.
fn colour(class: &str) -> RGBColor {
    RGBColor(1, 0, CLASSES.iter().position(|one| *one == class).unwrap_or(0) as u8)
}

fn series_class(index: usize) -> &'static str {
    CLASSES[index % COLOURS]
}

fn text(class: &str) -> TextStyle<'static> {
    TextStyle {
        font: ("sans-serif", TEXT).into_font(),
        color: colour(class).to_backend_color(),
        pos: Pos::default(),
    }
}

fn drawable(v: f64) -> bool {
    v == 0.0 || (v.is_finite() && (1e-12..MAX_VALUE).contains(&v.abs()))
}

fn extent(values: &[f64]) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    values.iter().fold(start, |(a, b), v| (a.min(*v), b.max(*v)))
}

/// A short text for a tick.
fn label(v: f64) -> String {
    let (v, unit) = match v.abs() {
        size if size >= 1e6 => (v / 1e6, "M"),
        size if size >= 1e4 => (v / 1e3, "k"),
        _ => (v, ""),
    };
    let text = format!("{v:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { format!("{text}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        assert_eq!(["0", "0.2", "600", "12k", "2.5M"], {
            [0.0, 0.2, 600.0, 12_000.0, 2.5e6].map(label)
        });
    }
}

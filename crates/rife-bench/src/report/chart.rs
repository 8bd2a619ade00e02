//! Charts as SVG: small enough to read on a phone, coloured by the page's style, and each with its
//! figures as text for those who do not see it.

mod bars;
mod lines;
mod ticks;

pub use bars::{Bar, Bars, Group};
pub use lines::{Line, Lines};

/// Width of a chart in its own units, of which one is at least a pixel on a phone.
const WIDTH: f64 = 360.0;
/// Height of its letters.
const TEXT: f64 = 11.0;
/// Colours that a page's style has for series.
const COLOURS: usize = 6;
/// What is larger is no figure that can be drawn.
const LARGEST: f64 = 1e15;

/// Whether a figure can be drawn.
fn drawable(v: f64) -> bool {
    v.is_finite() && v.abs() < LARGEST
}

/// A coordinate: tenths are finer than any screen.
fn at(v: f64) -> String {
    let v = (10.0 * v).round() / 10.0;
    // No negative zero.
    format!("{}", v + 0.0)
}

/// A text cut so that it fits so many units.
fn cut(text: &str, width: f64) -> String {
    let most = (width / (0.56 * TEXT)).max(1.0) as usize;
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        let kept: String = text.chars().take(most.saturating_sub(1)).collect();
        format!("{}\u{2026}", kept.trim_end())
    }
}

//! Curves over an axis, either way linear or logarithmic.

use maud::{Markup, html};

use super::bars::legend;
use super::{COLOURS, WIDTH, at, drawable, ticks};
use crate::report::figures::three;

const HEIGHT: f64 = 230.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 34.0;
/// Room that a text below the axis needs.
const LABEL: f64 = 52.0;

/// A line chart.
pub struct Lines {
    /// What it shows.
    pub title: String,
    /// What is along the axis.
    pub across: String,
    /// What is up.
    pub up: String,
    /// Whether both axes are logarithmic.
    pub logarithmic: bool,
    /// Texts for places along the axis; round figures where there are none.
    pub places: Vec<(f64, String)>,
    /// The curves.
    pub lines: Vec<Line>,
}

/// A curve.
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

struct Axis {
    ticks: Vec<f64>,
    logarithmic: bool,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: &[f64], logarithmic: bool, from: f64, to: f64) -> Self {
        let (least, largest) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        let ticks = if logarithmic {
            ticks::logarithmic(least, largest)
        } else {
            ticks::linear(0.0, largest, 5)
        };
        Self { ticks, logarithmic, from, to }
    }

    /// As long as its values are, without round ends.
    fn tight(values: &[f64], logarithmic: bool, from: f64, to: f64) -> Self {
        let axis = Self::of(values, logarithmic, from, to);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if logarithmic && least < largest {
            Self { ticks: vec![least, largest], ..axis }
        } else {
            axis
        }
    }

    fn at(&self, v: f64) -> f64 {
        let on = |v: f64| if self.logarithmic { v.max(f64::MIN_POSITIVE).ln() } else { v };
        let first = on(self.ticks.first().copied().unwrap_or(0.0));
        let last = on(self.ticks.last().copied().unwrap_or(1.0));
        self.from + (self.to - self.from) * (on(v) - first) / (last - first)
    }
}

impl Lines {
    /// As SVG with its legend; nothing of no points.
    pub fn render(&self) -> Markup {
        let fits = |(x, y): &(f64, f64)| {
            drawable(*x)
                && drawable(*y)
                && *x >= 0.0
                && *y >= 0.0
                && (!self.logarithmic || (*x > 0.0 && *y > 0.0))
        };
        let lines: Vec<(&str, Vec<(f64, f64)>)> = self
            .lines
            .iter()
            .map(|line| (line.name.as_str(), line.points.iter().copied().filter(fits).collect()))
            .filter(|(_, points): &(_, Vec<_>)| !points.is_empty())
            .collect();
        if lines.is_empty() {
            return html! {};
        }
        let all = |f: fn(&(f64, f64)) -> f64| -> Vec<f64> {
            lines.iter().flat_map(|(_, points)| points.iter().map(f)).collect()
        };
        let (log, right) = (self.logarithmic, WIDTH - RIGHT);
        let up = Axis::of(&all(|p| p.1), log, HEIGHT - BOTTOM, TOP);
        let (across, marks) = if self.places.is_empty() {
            let axis = Axis::of(&all(|p| p.0), log, LEFT, right);
            let marks = axis.ticks.iter().map(|v| (axis.at(*v), ticks::label(*v))).collect();
            (axis, marks)
        } else {
            let axis = Axis::tight(&all(|p| p.0), log, LEFT + LABEL / 3.0, right - LABEL / 4.0);
            let marks = spaced(&axis, &self.places);
            (axis, marks)
        };
        let series: Vec<(String, String)> = lines
            .iter()
            .enumerate()
            .map(|(i, (name, _))| ((*name).to_owned(), format!("c{}", i % COLOURS)))
            .collect();
        html! {
            figure.chart {
                figcaption { (self.title) }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" {
                    title { (self.title) }
                    desc { (self.description(&lines)) }
                    @for tick in &up.ticks {
                        line.grid x1=(at(LEFT)) x2=(at(right)) y1=(at(up.at(*tick)))
                            y2=(at(up.at(*tick))) {}
                        text.tick x=(at(LEFT - 5.0)) y=(at(up.at(*tick) + 3.5)) text-anchor="end" {
                            (ticks::label(*tick))
                        }
                    }
                    @for (x, label) in &marks {
                        line.grid x1=(at(*x)) x2=(at(*x)) y1=(at(TOP)) y2=(at(HEIGHT - BOTTOM)) {}
                        text.tick x=(at(*x)) y=(at(HEIGHT - BOTTOM + 13.0)) text-anchor="middle" {
                            (label)
                        }
                    }
                    text.tick x="4" y="10" { (self.up) }
                    text.tick x=(at((LEFT + right) / 2.0)) y=(at(HEIGHT - 5.0))
                        text-anchor="middle" { (self.across) }
                    @for ((name, points), (_, class)) in lines.iter().zip(&series) {
                        polyline.curve.(class) points=(points
                            .iter()
                            .map(|(x, y)| format!("{},{}", at(across.at(*x)), at(up.at(*y))))
                            .collect::<Vec<_>>()
                            .join(" ")) {}
                        @for (x, y) in points {
                            circle.(class) cx=(at(across.at(*x))) cy=(at(up.at(*y))) r="3.2" {
                                title { (name) ": " (three(*y)) }
                            }
                        }
                    }
                }
                (legend(&series))
            }
        }
    }

    fn description(&self, lines: &[(&str, Vec<(f64, f64)>)]) -> String {
        let place = |x: f64| {
            let named = self.places.iter().find(|(at, _)| *at == x);
            named.map_or_else(|| three(x), |(_, name)| name.clone())
        };
        let line = |(name, points): &(&str, Vec<(f64, f64)>)| {
            let points = points.iter().map(|(x, y)| format!("{} at {}", three(*y), place(*x)));
            format!("{name}: {}", points.collect::<Vec<_>>().join(", "))
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        format!("{} over {}. {}.", self.up, self.across, lines.join("; "))
    }
}

/// Texts that do not run into each other.
fn spaced(axis: &Axis, places: &[(f64, String)]) -> Vec<(f64, String)> {
    let mut kept: Vec<(f64, String)> = Vec::new();
    for (v, label) in places {
        let x = axis.at(*v);
        if x.is_finite() && kept.last().is_none_or(|(last, _)| x - last >= LABEL) {
            kept.push((x, label.clone()));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_figures_every_coordinate_is_one() {
        for logarithmic in [false, true] {
            for points in [
                vec![(1.0, 2.0), (2.0, f64::NAN), (4.0, 1e300), (8.0, 0.0), (9.0, 3.0)],
                vec![(1.0, 1.0)],
                vec![(0.0, 0.0)],
                vec![],
            ] {
                let lines = vec![Line { name: "<i>".into(), points }];
                let places = vec![(1.0, "a".into()), (f64::NAN, "b".into()), (1.01, "c".into())];
                let chart = Lines {
                    title: String::new(),
                    across: "px".into(),
                    up: "ms".into(),
                    logarithmic,
                    places,
                    lines,
                };
                let svg = chart.render().into_string();
                assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<i>"));
            }
        }
    }
}

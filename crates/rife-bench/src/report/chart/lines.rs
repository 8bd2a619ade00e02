//! Line charts.

use maud::{Markup, html};
use plotters::coord::combinators::BindKeyPoints;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::{
    Area, CLASSES, COLOURS, Drawn, colour, drawable, extent, figure, label, series_class, text,
};
use crate::report::figures::three;

/// Height of a line chart.
const LINES_HEIGHT: u32 = 460;

/// A line chart.
pub struct Lines {
    pub title: String,
    /// Label of the horizontal axis.
    pub x: String,
    /// Label of the vertical axis.
    pub y: String,
    /// Whether both axes are logarithmic.
    pub logarithmic: bool,
    /// Named positions on the horizontal axis; default ticks if there are none.
    pub names: Vec<(f64, String)>,
    /// The lines: name, and points from left to right.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Lines {
    /// As SVG with a legend; nothing without points.
    pub fn render(&self) -> Markup {
        let fits = |(x, y): &(f64, f64)| {
            let valid = |v: f64| drawable(v) && (v > 0.0 || (v == 0.0 && !self.logarithmic));
            valid(*x) && valid(*y)
        };
        let lines: Vec<(&str, Vec<(f64, f64)>)> = self
            .lines
            .iter()
            .map(|(name, points)| (name.as_str(), points.iter().copied().filter(fits).collect()))
            .filter(|(_, points): &(_, Vec<_>)| !points.is_empty())
            .collect();
        if lines.is_empty() {
            return html! {};
        }
        let legend: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(i, (name, _))| ((*name).to_owned(), series_class(i)))
            .collect();
        figure(&self.title, &self.description(&lines), &legend, LINES_HEIGHT, |root| {
            let xs: Vec<f64> = lines.iter().flat_map(|(_, p)| p.iter().map(|p| p.0)).collect();
            let ys: Vec<f64> = lines.iter().flat_map(|(_, p)| p.iter().map(|p| p.1)).collect();
            let names = spaced(self.names.iter().map(|(x, _)| *x), &xs);
            match (self.logarithmic, names.is_empty()) {
                (false, _) => {
                    let range = |values: &[f64]| {
                        let largest = extent(values).1;
                        0.0..if largest > 0.0 { largest } else { 1.0 }
                    };
                    self.draw(root, &lines, range(&xs), range(&ys))
                }
                (true, true) => {
                    self.draw(root, &lines, widen(&xs).log_scale(), widen(&ys).log_scale())
                }
                (true, false) => {
                    let x = widen(&xs).log_scale().with_key_points(names);
                    self.draw(root, &lines, x, widen(&ys).log_scale())
                }
            }
        })
    }

    fn draw<X, Y>(&self, root: &Area<'_>, lines: &[(&str, Vec<(f64, f64)>)], x: X, y: Y) -> Drawn
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(root)
            .margin_top(40)
            .margin_right(50)
            .x_label_area_size(64)
            .y_label_area_size(80)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_labels(8)
            .y_labels(if self.logarithmic { 10 } else { 6 })
            .x_label_formatter(&|v| self.x_label(*v))
            .y_label_formatter(&|v| if self.logarithmic { log_label(*v) } else { label(*v) })
            .x_desc(self.x.as_str())
            .axis_style(colour("grid"))
            .bold_line_style(colour("grid"))
            .light_line_style(TRANSPARENT)
            .label_style(text("tick"))
            .axis_desc_style(text("tick"))
            .draw()?;
        root.draw(&Text::new(self.y.as_str(), (8, 6), text("tick")))?;
        for (i, (_, points)) in lines.iter().enumerate() {
            let line = colour(CLASSES[15 + i % COLOURS]).stroke_width(2);
            chart.draw_series([PathElement::new(points.clone(), line)])?;
            let dot = colour(series_class(i)).filled();
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 6, dot)))?;
        }
        Ok(())
    }

    /// A named position, or a count. Linear axes show counts, so that fractions have no label.
    fn x_label(&self, x: f64) -> String {
        let count = self.logarithmic || x.fract() == 0.0;
        let label = || if count { label(x) } else { String::new() };
        self.name_of(x).unwrap_or_else(label)
    }

    fn name_of(&self, x: f64) -> Option<String> {
        let near = |at: f64| (at - x).abs() <= 1e-9 * x.abs();
        self.names.iter().find(|(at, _)| near(*at)).map(|(_, name)| name.clone())
    }

    fn description(&self, lines: &[(&str, Vec<(f64, f64)>)]) -> String {
        let line = |(name, points): &(&str, Vec<(f64, f64)>)| {
            let place = |x: f64| self.name_of(x).unwrap_or_else(|| three(x));
            let points = points.iter().map(|(x, y)| format!("{} at {}", three(*y), place(*x)));
            format!("{name}: {}", points.collect::<Vec<_>>().join(", "))
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        format!("{} over {}. {}.", self.y, self.x, lines.join("; "))
    }
}

/// The extent of positive values with a margin for a logarithmic axis.
fn widen(values: &[f64]) -> std::ops::Range<f64> {
    let (least, largest) = extent(values);
    least / 1.15..largest * 1.15
}

/// Positions on a logarithmic axis that are far enough apart for their names.
fn spaced(positions: impl Iterator<Item = f64>, values: &[f64]) -> Vec<f64> {
    let range = widen(values);
    let gap = (range.end / range.start).ln() / 5.5;
    let mut kept: Vec<f64> = Vec::new();
    for x in positions.filter(|x| *x > 0.0) {
        if kept.last().is_none_or(|last| (x / last).ln() >= gap) {
            kept.push(x);
        }
    }
    kept
}

/// A label for a logarithmic axis, only for 1, 2 and 5 times powers of ten.
fn log_label(v: f64) -> String {
    let digit = v / 10f64.powf(v.log10().floor());
    let labelled = [1.0, 2.0, 5.0, 10.0].iter().any(|one| (digit - one).abs() < 1e-6);
    if labelled { label(v) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_points_have_valid_coordinates() {
        for logarithmic in [false, true] {
            for points in [
                vec![(1.0, 2.0), (2.0, f64::NAN), (4.0, 1e300), (8.0, 0.0), (9.0, 3.0)],
                vec![(1.0, 1.0)],
                vec![(0.0, 0.0)],
                vec![],
            ] {
                let names = vec![(1.0, "a".into()), (f64::NAN, "b".into()), (1.01, "c".into())];
                let chart = Lines {
                    title: String::new(),
                    x: "px".into(),
                    y: "ms".into(),
                    logarithmic,
                    names,
                    lines: vec![("<i>".into(), points)],
                };
                let svg = chart.render().into_string();
                assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<i>"));
            }
        }
    }

    #[test]
    fn logarithmic_axes_label_round_numbers() {
        assert_eq!(["1", "0.05", "", "200"], [1.0, 0.05, 30.0, 200.0].map(log_label));
    }
}

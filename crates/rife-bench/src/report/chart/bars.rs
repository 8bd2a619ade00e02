//! Horizontal bars: the name of each group above its bars, so that long names fit a phone.

use maud::{Markup, html};

use super::{COLOURS, TEXT, WIDTH, at, cut, drawable, ticks};
use crate::report::figures::three;

/// Height of a bar.
const BAR: f64 = 11.0;
/// From a bar to the next.
const GAP: f64 = 3.0;
/// Around a group.
const GROUP_GAP: f64 = 9.0;
/// Room for a figure behind the longest bar.
const FIGURE: f64 = 50.0;
/// Room for what the first and the last tick's text have beyond the axis.
const MARGIN: f64 = 8.0;

/// A bar chart.
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// What is along the axis.
    pub axis: String,
    /// What the colours mean: a name and the style's class; none to explain where it is one.
    pub series: Vec<(String, String)>,
    /// The groups of bars, from top to bottom.
    pub groups: Vec<Group>,
}

/// Bars that belong together.
pub struct Group {
    /// What they are of.
    pub name: String,
    /// One below the other.
    pub bars: Vec<Bar>,
}

/// A bar.
pub struct Bar {
    /// Which of the series it is.
    pub series: usize,
    /// Its length; a bar that cannot be drawn is a dash.
    pub value: f64,
    /// Between what half of the samples lie.
    pub spread: Option<(f64, f64)>,
    /// The value as text.
    pub text: String,
}

impl Bar {
    /// Of a value, which is its own text.
    pub fn of(series: usize, value: f64) -> Self {
        Self { series, value, spread: None, text: three(value) }
    }
}

impl Bars {
    /// Series in the style's own colours.
    pub fn series(names: &[&str]) -> Vec<(String, String)> {
        let class = |(i, name): (usize, &&str)| ((*name).to_owned(), format!("c{}", i % COLOURS));
        names.iter().enumerate().map(class).collect()
    }

    /// As SVG with its legend; nothing of no bars.
    pub fn render(&self) -> Markup {
        let values = || self.groups.iter().flat_map(|group| &group.bars);
        if values().next().is_none() {
            return html! {};
        }
        let ends = || {
            let spread = |bar: &Bar| bar.spread.map_or([bar.value; 2], |(a, b)| [a, b]);
            values().flat_map(move |bar| {
                let [a, b] = spread(bar);
                [bar.value, a, b]
            })
        };
        let ends = || ends().filter(|v| drawable(*v));
        let (least, largest) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
        let ticks = ticks::linear(least, largest, 4);
        let (first, last) = (ticks.first().copied(), ticks.last().copied());
        let (first, last) = (first.unwrap_or(0.0), last.unwrap_or(1.0));
        // Figures stand behind bars on either side of zero.
        let left = if least < 0.0 { FIGURE } else { MARGIN };
        let x = |v: f64| left + (WIDTH - left - FIGURE) * (v - first) / (last - first);

        let mut y = 4.0;
        let mut places = Vec::new();
        for group in &self.groups {
            let top = y;
            y += TEXT + 5.0 + group.bars.len() as f64 * (BAR + GAP) + GROUP_GAP;
            places.push((group, top));
        }
        let bottom = y;
        let height = bottom + 2.0 * TEXT + 14.0;
        let description = self.description();
        html! {
            figure.chart {
                figcaption { (self.title) }
                svg viewBox=(format!("0 0 {WIDTH} {}", at(height))) role="img" {
                    title { (self.title) }
                    desc { (description) }
                    @for tick in &ticks {
                        line .grid .zero[*tick == 0.0] x1=(at(x(*tick))) x2=(at(x(*tick)))
                            y1="2" y2=(at(bottom)) {}
                        text.tick x=(at(x(*tick))) y=(at(bottom + TEXT + 2.0))
                            text-anchor="middle" { (ticks::label(*tick)) }
                    }
                    text.tick x=(at(WIDTH / 2.0)) y=(at(height - 4.0)) text-anchor="middle" {
                        (self.axis)
                    }
                    @for (group, top) in &places {
                        text.name x="2" y=(at(top + TEXT)) { (cut(&group.name, WIDTH - 4.0)) }
                        @for (bar, index) in group.bars.iter().zip(0u16..) {
                            (self.bar(bar, top + TEXT + 5.0 + f64::from(index) * (BAR + GAP), &x))
                        }
                    }
                }
                @if self.series.len() > 1 { (legend(&self.series)) }
            }
        }
    }

    fn bar(&self, bar: &Bar, top: f64, x: &dyn Fn(f64) -> f64) -> Markup {
        let name = self.series.get(bar.series);
        let class = name.map_or("c0", |(_, class)| class);
        let middle = top + BAR / 2.0;
        let spread = bar.spread.filter(|(a, b)| drawable(*a) && drawable(*b));
        if !drawable(bar.value) {
            return html! {
                text.value x=(at(x(0.0) + 4.0)) y=(at(top + BAR - 1.5)) { (bar.text) }
            };
        }
        let (zero, end) = (x(0.0), x(bar.value));
        let (low, high) = spread.map_or((end, end), |(a, b)| (x(a.min(b)), x(a.max(b))));
        let behind = bar.value < 0.0;
        let figure = if behind { low.min(end) - 4.0 } else { high.max(end) + 4.0 };
        html! {
            rect .(class) x=(at(zero.min(end))) y=(at(top)) height=(at(BAR))
                width=(at((end - zero).abs().max(1.0))) rx="1.5" {}
            @if spread.is_some() && high > low {
                path.whisker d=(format!(
                    "M{l} {m}H{h}M{l} {t}V{b}M{h} {t}V{b}",
                    l = at(low), h = at(high), m = at(middle),
                    t = at(middle - 3.0), b = at(middle + 3.0)
                )) {}
            }
            text.value x=(at(figure)) y=(at(top + BAR - 1.5))
                text-anchor=(if behind { "end" } else { "start" }) { (bar.text) }
        }
    }

    fn description(&self) -> String {
        let mut parts = Vec::new();
        for group in &self.groups {
            let figures = group.bars.iter().map(|bar| match self.series.get(bar.series) {
                Some((name, _)) if self.series.len() > 1 => format!("{name} {}", bar.text),
                _ => bar.text.clone(),
            });
            parts.push(format!("{}: {}", group.name, figures.collect::<Vec<_>>().join(", ")));
        }
        format!("{}. {}.", self.axis, parts.join("; "))
    }
}

/// What colours mean.
pub fn legend(series: &[(String, String)]) -> Markup {
    html! {
        ul.legend aria-hidden="true" {
            @for (name, class) in series { li { span.swatch.(class) {} (name) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> String {
        let bar = |(i, v): (usize, &f64)| Group {
            name: format!("<b>{i}"),
            bars: vec![Bar { spread: Some((v * 0.9, v * 1.1)), ..Bar::of(0, *v) }],
        };
        let groups = values.iter().enumerate().map(bar).collect();
        let series = Bars::series(&["one"]);
        Bars { title: "T & <t>".into(), axis: "fps".into(), series, groups }.render().into_string()
    }

    #[test]
    fn whatever_the_figures_every_coordinate_is_one() {
        let odd = [1.0, -2.0, 0.0, f64::NAN, f64::INFINITY, 1e308, -1e-300];
        for values in [&odd[..], &odd[2..3], &odd[3..4], &odd[5..6]] {
            let svg = chart(values);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("&lt;b&gt;0") && svg.contains("T &amp; &lt;t&gt;"), "{svg}");
        }
        assert_eq!(chart(&[]), "");
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let svg = chart(&[10.0, 5.0]);
        let widths: Vec<f64> = svg
            .split("<rect")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        let [long, short] = widths[..] else { panic!("{svg}") };
        assert!((long / short - 2.0).abs() < 0.01, "{long} {short}");
        assert_eq!(svg.matches("class=\"whisker\"").count(), 2);
    }
}

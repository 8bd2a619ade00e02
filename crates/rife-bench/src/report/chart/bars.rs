//! Bar charts.

use maud::{Markup, PreEscaped, html};
use plotters::coord::CoordTranslate;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    Area, CLASSES, Drawn, TEXT, WIDTH, colour, drawable, drawing, extent, figure, label, text,
};
use crate::report::figures::three;

/// Height of an axis with its labels.
const AXIS_HEIGHT: u32 = 72;
const BAR: i32 = 22;
const BAR_GAP: i32 = 6;
const GROUP_GAP: i32 = 18;
/// Space for the text next to the longest bar.
const VALUE_WIDTH: u32 = 100;
/// Height of the title of a file.
const TITLE_HEIGHT: i32 = 44;
/// Style of a file, for light and dark pages.
const FILE_STYLE: &str = "text{font-family:sans-serif;font-size:20px;fill:#24292f}\
    .title{font-size:24px;font-weight:600}.tick{fill:#6e7781}.page{fill:#ffffff}\
    .grid{stroke:#d0d7de}.zero,.whisker{stroke:#6e7781}.c0{fill:#9a9fa6}.c1{fill:#1f6fb5}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#8b949e}.page{fill:#0d1117}\
    .grid{stroke:#30363d}.c0{fill:#7d848c}.c1{fill:#5aa9ec}}";

/// A chart of horizontal bars in groups, with the name of each group above its bars, so that long
/// names fit on a phone.
pub struct Bars {
    pub title: String,
    /// Label of the axis.
    pub axis: String,
    /// Name and class of each series.
    pub series: Vec<(&'static str, &'static str)>,
    /// Groups from top to bottom.
    pub groups: Vec<Group>,
}

pub struct Group {
    pub name: String,
    /// Bars from top to bottom.
    pub bars: Vec<Bar>,
}

pub struct Bar {
    /// Index of the series.
    pub series: usize,
    pub value: f64,
    /// Ends of the whisker.
    pub spread: Option<(f64, f64)>,
    /// Value as text.
    pub text: String,
}

impl Bar {
    /// A bar without whiskers.
    pub fn of(series: usize, value: f64) -> Self {
        Self { series, value, spread: None, text: three(value) }
    }
}

impl Bars {
    /// A chart of series in the default colours. Groups without bars are left out.
    pub fn new(
        title: impl Into<String>,
        axis: &str,
        series: &[&'static str],
        groups: impl IntoIterator<Item = Group>,
    ) -> Self {
        Self {
            title: title.into(),
            axis: axis.into(),
            series: series.iter().copied().zip(CLASSES).collect(),
            groups: groups.into_iter().filter(|group| !group.bars.is_empty()).collect(),
        }
    }

    /// As SVG with a legend; nothing without bars.
    pub fn render(&self) -> Markup {
        if self.groups.is_empty() {
            return html! {};
        }
        let height = self.height();
        let legend: &[_] = if self.series.len() > 1 { &self.series } else { &[] };
        let legend: Vec<_> = legend.iter().map(|(n, class)| ((*n).to_owned(), *class)).collect();
        let description = self.description();
        figure(&self.title, &description, &legend, height as u32 + AXIS_HEIGHT, |root| {
            self.draw(root, height)
        })
    }

    /// As a self-contained SVG file with its title and colours; nothing without bars.
    pub fn file(&self) -> Option<String> {
        if self.groups.is_empty() {
            return None;
        }
        let height = self.height();
        let total = height as u32 + AXIS_HEIGHT;
        let body = drawing(total, |root| self.draw(root, height))?;
        let markup = html! {
            svg xmlns="http://www.w3.org/2000/svg" role="img"
                viewBox=(format!("0 {} {WIDTH} {}", -TITLE_HEIGHT, total as i32 + TITLE_HEIGHT)) {
                title { (self.title) }
                desc { (self.description()) }
                style { (PreEscaped(FILE_STYLE)) }
                rect.page x="0" y=(-TITLE_HEIGHT) width=(WIDTH)
                    height=(total as i32 + TITLE_HEIGHT) {}
                text.title x="4" y=(-TITLE_HEIGHT + 28) { (self.title) }
                (PreEscaped(body))
            }
        };
        Some(markup.into_string() + "\n")
    }

    fn height(&self) -> i32 {
        let group_height =
            |g: &Group| TEXT + 10 + g.bars.len() as i32 * (BAR + BAR_GAP) + GROUP_GAP;
        self.groups.iter().map(group_height).sum()
    }

    fn draw(&self, root: &Area<'_>, height: i32) -> Drawn {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let ends = bars().flat_map(|bar| {
            let (low, high) = bar.spread.unwrap_or((bar.value, bar.value));
            [0.0, bar.value, low, high]
        });
        let ends: Vec<f64> = ends.filter(|v| drawable(*v)).collect();
        let (least, largest) = extent(&ends);
        let range = if least < largest { least..largest } else { 0.0..1.0 };
        let left = if least < 0.0 { VALUE_WIDTH } else { 16 };
        let mut chart = ChartBuilder::on(root)
            .margin_top(8)
            .margin_left(left)
            .margin_right(VALUE_WIDTH)
            .x_label_area_size(64)
            .build_cartesian_2d(range, 0f64..f64::from(height))?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(5)
            .x_label_formatter(&|v| label(*v))
            .x_desc(self.axis.as_str())
            .axis_style(colour("grid"))
            .bold_line_style(colour("grid"))
            .light_line_style(TRANSPARENT)
            .label_style(text("tick"))
            .axis_desc_style(text("tick"))
            .draw()?;
        chart.draw_series([PathElement::new(
            vec![(0.0, 0.0), (0.0, f64::from(height))],
            colour("zero"),
        )])?;
        let at = |x: f64, top: i32| {
            let (x, y) = chart.as_coord_spec().translate(&(x, f64::from(height - top)));
            (x, y)
        };
        let mut top = 0;
        for group in &self.groups {
            let name = shorten(&group.name, WIDTH as usize / 12);
            let (_, y) = at(0.0, top);
            root.draw(&Text::new(name, (4, y), text("name")))?;
            top += TEXT + 10;
            for bar in &group.bars {
                let spread = bar.spread.filter(|(a, b)| drawable(*a) && drawable(*b));
                let value = if drawable(bar.value) { bar.value } else { 0.0 };
                let (low, high) = spread.map_or((value, value), |(a, b)| (a.min(b), a.max(b)));
                let (zero, end) = (at(0.0, top), at(value, top + BAR));
                let middle = (zero.1 + end.1) / 2;
                let left = value < 0.0;
                if drawable(bar.value) {
                    let class = self.series.get(bar.series).map_or("c0", |(_, class)| class);
                    let corners =
                        [(zero.0.min(end.0), zero.1), (zero.0.max(end.0).max(zero.0 + 2), end.1)];
                    root.draw(&Rectangle::new(corners, colour(class).filled()))?;
                    let (low, high) = (at(low, top).0, at(high, top).0);
                    if high > low {
                        let cap = |x: i32| vec![(x, middle - 6), (x, middle + 6)];
                        for path in [vec![(low, middle), (high, middle)], cap(low), cap(high)] {
                            root.draw(&PathElement::new(path, colour("whisker").stroke_width(2)))?;
                        }
                    }
                }
                let (position, anchor) = if left {
                    ((at(low.min(value), top).0 - 8, middle), HPos::Right)
                } else {
                    ((at(high.max(value), top).0 + 8, middle), HPos::Left)
                };
                let style = text("value").pos(Pos::new(anchor, VPos::Center));
                root.draw(&Text::new(bar.text.as_str(), position, style))?;
                top += BAR + BAR_GAP;
            }
            top += GROUP_GAP;
        }
        Ok(())
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

/// A text of at most `length` characters.
fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    format!("{}\u{2026}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(values: &[f64]) -> String {
        let bar = |(i, v): (usize, &f64)| Group {
            name: format!("<b>{i}"),
            bars: vec![Bar { spread: Some((v * 0.9, v * 1.1)), ..Bar::of(0, *v) }],
        };
        let groups = values.iter().enumerate().map(bar);
        Bars::new("T & <t>", "fps", &["one"], groups).render().into_string()
    }

    #[test]
    fn bars_of_any_value_have_valid_coordinates() {
        let odd = [1.0, -2.0, 0.0, f64::NAN, f64::INFINITY, 1e308, -1e-300];
        for values in [&odd[..], &odd[2..3], &odd[3..4], &odd[5..6]] {
            let svg = bars(values);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("&lt;b&gt;0") && svg.contains("T &amp; &lt;t&gt;"), "{svg}");
            assert!(!svg.contains("#0100") && !svg.contains("http"), "{svg}");
        }
        assert_eq!(bars(&[]), "");
    }

    #[test]
    fn bars_are_proportional_to_their_values() {
        let svg = bars(&[10.0, 5.0]);
        let widths: Vec<f64> = svg
            .split("<rect")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        let [long, short] = widths[..] else { panic!("{svg}") };
        assert!((long / short - 2.0).abs() < 0.01, "{long} {short}");
        assert_eq!(svg.matches("class=\"whisker\"").count(), 6);
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!((shorten("abc", 3), shorten("abcd", 3)), ("abc".into(), "ab\u{2026}".into()));
    }
}

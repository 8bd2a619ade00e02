//! Charts as SVG, drawn by `plotters`. Colours come from the page's style sheet, and the figures are
//! also available as text.

use maud::{Markup, PreEscaped, html};
use plotters::coord::CoordTranslate;
use plotters::coord::Shift;
use plotters::coord::combinators::BindKeyPoints;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::three;

/// Width of a chart in its own units, about half a pixel on a phone.
const WIDTH: u32 = 720;
/// Height of text.
const TEXT: i32 = 22;
const BAR: i32 = 22;
const BAR_GAP: i32 = 6;
const GROUP_GAP: i32 = 18;
/// Space for the text next to the longest bar.
const VALUE_WIDTH: u32 = 100;
/// Height of a line chart.
const LINES_HEIGHT: u32 = 460;
/// Height of an axis with its labels.
const AXIS_HEIGHT: u32 = 72;
/// Height of the title of a file.
const TITLE_HEIGHT: i32 = 44;
/// Style of a file, for light and dark pages.
const FILE_STYLE: &str = "text{font-family:sans-serif;font-size:20px;fill:#24292f}\
    .title{font-size:24px;font-weight:600}.tick{fill:#6e7781}.page{fill:#ffffff}\
    .grid{stroke:#d0d7de}.zero,.whisker{stroke:#6e7781}.c0{fill:#9a9fa6}.c1{fill:#1f6fb5}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#8b949e}.page{fill:#0d1117}\
    .grid{stroke:#30363d}.c0{fill:#7d848c}.c1{fill:#5aa9ec}}";
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

/// A chart of horizontal bars in groups, with the name of each group above its bars, so that long
/// names fit on a phone.
pub struct Bars {
    /// Title.
    pub title: String,
    /// Label of the axis.
    pub axis: String,
    /// Name and class of each series.
    pub series: Vec<(&'static str, &'static str)>,
    /// Groups from top to bottom.
    pub groups: Vec<Group>,
}

/// A group of bars.
pub struct Group {
    /// Name.
    pub name: String,
    /// Bars from top to bottom.
    pub bars: Vec<Bar>,
}

/// A bar.
pub struct Bar {
    /// Index of the series.
    pub series: usize,
    /// Length.
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
    /// Series in the default colours.
    pub fn series(names: &[&'static str]) -> Vec<(&'static str, &'static str)> {
        names.iter().copied().zip(CLASSES).collect()
    }

    /// As SVG with a legend; nothing without bars.
    pub fn render(&self) -> Markup {
        if self.groups.iter().all(|group| group.bars.is_empty()) {
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
        if self.groups.iter().all(|group| group.bars.is_empty()) {
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

/// A line chart.
pub struct Lines {
    /// Title.
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
        let groups = values.iter().enumerate().map(bar).collect();
        let series = Bars::series(&["one"]);
        Bars { title: "T & <t>".into(), axis: "fps".into(), series, groups }.render().into_string()
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
    fn labels_are_short() {
        assert_eq!(["0", "0.2", "600", "12k", "2.5M"], {
            [0.0, 0.2, 600.0, 12_000.0, 2.5e6].map(label)
        });
        assert_eq!(["1", "0.05", "", "200"], [1.0, 0.05, 30.0, 200.0].map(log_label));
        assert_eq!((shorten("abc", 3), shorten("abcd", 3)), ("abc".into(), "ab\u{2026}".into()));
    }
}

//! A line chart as a self-contained SVG file, drawn by `plotters`.

use plotters::prelude::*;

use crate::Result;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 380;
const TITLE: &str = "Displacement of each output frame, a pan on threes at 24 fps doubled";

/// Colours in the light and dark mode of the reader. While drawing, a unique colour represents each
/// class.
const CLASSES: [&str; 4] = ["tick", "grid", "c0", "c1"];
const STYLE: &str = "text{font-family:sans-serif;font-size:17px;fill:#24292f}\
    .title{font-size:20px;font-weight:600}.tick{fill:#6e7781}.page{fill:#ffffff}\
    line.grid,polyline.grid{stroke:#d0d7de}polyline.c0{stroke:#d0711f}polyline.c1{stroke:#1f6fb5}\
    circle.c0,text.c0{fill:#d0711f}circle.c1,text.c1{fill:#1f6fb5}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#8b949e}.page{fill:#0d1117}\
    line.grid,polyline.grid{stroke:#30363d}polyline.c0{stroke:#f0934a}\
    polyline.c1{stroke:#5aa9ec}circle.c0,text.c0{fill:#f0934a}circle.c1,text.c1{fill:#5aa9ec}}";

fn class(number: u8) -> RGBColor {
    RGBColor(1, 0, number)
}

fn text(number: u8) -> TextStyle<'static> {
    ("sans-serif", 17).into_font().color(&class(number))
}

/// The chart of named lines, with one point per output frame.
pub fn svg(lines: &[(&str, Vec<f64>); 2]) -> Result<String> {
    let mut drawn = String::new();
    draw(lines, &mut drawn)?;
    let body = drawn.split_once('>').map_or("", |(_, body)| body);
    let body = (0u8..).zip(CLASSES).fold(body.to_owned(), |body, (number, class)| {
        let class = format!("class=\"{class}\"");
        ["fill", "stroke"].iter().fold(body, |body, attribute| {
            body.replace(&format!("{attribute}=\"#0100{number:02X}\""), &class)
        })
    });
    let series: Vec<_> = lines
        .iter()
        .map(|(name, values)| {
            let values: Vec<_> = values.iter().map(|v| format!("{v:.2}")).collect();
            format!("{name}: {}", values.join(", "))
        })
        .collect();
    let description = format!("Displacement from the frame before, in px. {}.", series.join("; "));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
         viewBox=\"0 -40 {WIDTH} {}\"><title>{TITLE}</title><desc>{description}</desc>\
         <style>{STYLE}</style><rect class=\"page\" x=\"0\" y=\"-40\" width=\"{WIDTH}\" \
         height=\"{}\"/><text class=\"title\" x=\"8\" y=\"-14\">{TITLE}</text>{body}\n",
        HEIGHT + 40,
        HEIGHT + 40,
    ))
}

fn draw(lines: &[(&str, Vec<f64>); 2], to: &mut String) -> Result<()> {
    let root = SVGBackend::with_string(to, (WIDTH, HEIGHT)).into_drawing_area();
    let count = lines.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let largest = lines.iter().flat_map(|(_, values)| values).fold(1.0f64, |a, b| a.max(*b));
    let mut chart = ChartBuilder::on(&root)
        .margin_top(44)
        .margin_right(24)
        .x_label_area_size(56)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..count as f64, 0.0..1.1 * largest)?;
    chart
        .configure_mesh()
        .x_labels(9)
        .y_labels(5)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .x_desc("output frame")
        .axis_style(class(1))
        .bold_line_style(class(1))
        .light_line_style(TRANSPARENT)
        .label_style(text(0))
        .axis_desc_style(text(0))
        .draw()?;
    root.draw(&Text::new("px", (14, 22), text(0)))?;
    for (number, (name, values)) in (2u8..).zip(lines) {
        let points = || (1u32..).zip(values).map(|(x, y)| (f64::from(x), *y));
        chart.draw_series([PathElement::new(points().collect::<Vec<_>>(), class(number))])?;
        chart.draw_series(points().map(|point| Circle::new(point, 3, class(number).filled())))?;
        let left = 80 + 200 * i32::from(number - 2);
        root.draw(&Circle::new((left - 12, 26), 5, class(number).filled()))?;
        root.draw(&Text::new(*name, (left, 18), text(number)))?;
    }
    root.present()?;
    Ok(())
}

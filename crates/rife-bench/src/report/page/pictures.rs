//! The worst frame of each comparison: interpolated, reference, and their difference.

use maud::{Markup, html};

use crate::measure::fidelity::Fidelity;
use crate::measure::worst_frame::WorstFramePictures;
use crate::record::Record;
use crate::report::figures::{db, of_255, three};

/// Red, green and blue of the error colours, from no error to the largest: from dark to light, so
/// that they are readable without colours.
const HEAT: [&str; 3] = ["0 .23 .58 .87 .99 1", "0 .04 .15 .35 .75 1", "0 .35 .40 .20 .35 1"];

/// The comparisons that have thumbnails, of the record with this number on the page.
pub fn section(record: &Record, number: usize) -> Markup {
    let own = record.measurements.iter().filter_map(|m| Some((m.name(), m.fidelity.as_ref()?)));
    let further = record.comparisons.iter().map(|one| (one.config.to_string(), &one.fidelity));
    let all: Vec<(String, &Fidelity, &WorstFramePictures)> = own
        .chain(further)
        .filter_map(|(name, fidelity)| Some((name, fidelity, fidelity.pictures.as_ref()?)))
        .filter(|(_, _, pictures)| are_valid(pictures))
        .collect();
    html! {
        @if !all.is_empty() {
            h3 { "Worst frames" }
            p.note { "Errors are the largest of each pixel's channels, scaled so that the worst is "
                "visible; each caption states the error shown as white." }
            (scale(number))
            @for (name, fidelity, pictures) in &all {
                (one(name, fidelity, pictures, number))
            }
        }
    }
}

fn one(name: &str, fidelity: &Fidelity, pictures: &WorstFramePictures, number: usize) -> Markup {
    let reference = format!("{} {}", fidelity.reference.engine, fidelity.reference.precision);
    let worst = fidelity
        .frames
        .get(pictures.frame)
        .map_or(fidelity.worst_frame_psnr_db, |frame| frame.psnr_db);
    let interpolated = format!("{name}, frame {}", pictures.frame);
    let expected = reference.clone();
    let error = format!(
        "error: {} dB; white = {}/255 ({} of full scale)",
        db(worst),
        of_255(pictures.error_white),
        three(pictures.error_white)
    );
    html! {
        h4 { (name) " against " (reference) }
        div.pictures {
            (picture(pictures, "jpeg", &pictures.interpolated, &interpolated, None))
            (picture(pictures, "jpeg", &pictures.reference, &expected, None))
            (picture(pictures, "png", &pictures.error, &error, Some(number)))
        }
    }
}

fn picture(
    pictures: &WorstFramePictures,
    kind: &str,
    base64: &str,
    caption: &str,
    heat: Option<usize>,
) -> Markup {
    html! {
        figure {
            img style=[heat.map(|number| format!("filter:url(#heat{number})"))] width=(pictures.size.width) height=(pictures.size.height) alt=(caption)
                src=(format!("data:image/{kind};base64,{base64}"));
            figcaption { (caption) }
        }
    }
}

/// Legend of the error colours, and the filter that applies them to the error images.
fn scale(number: usize) -> Markup {
    html! {
        svg.scale viewBox="0 0 360 34" role="img" {
            title { "Colours of the error" }
            desc { "From black (no error) through purple and orange to white (largest error)." }
            defs {
                linearGradient id=(format!("grey{number}")) {
                    stop offset="0" stop-color="#000" {}
                    stop offset="1" stop-color="#fff" {}
                }
                filter id=(format!("heat{number}")) color-interpolation-filters="sRGB" {
                    feComponentTransfer {
                        feFuncR type="table" tableValues=(HEAT[0]) {}
                        feFuncG type="table" tableValues=(HEAT[1]) {}
                        feFuncB type="table" tableValues=(HEAT[2]) {}
                    }
                }
            }
            rect x="0" y="2" width="360" height="14" fill=(format!("url(#grey{number})"))
                filter=(format!("url(#heat{number})")) {}
            text.tick x="0" y="29" { "no error" }
            text.tick x="360" y="29" text-anchor="end" { "largest error" }
        }
    }
}

/// Whether the thumbnails look valid, without decoding them.
fn are_valid(pictures: &WorstFramePictures) -> bool {
    let base64 = |text: &str| {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
        !text.is_empty() && text.bytes().all(fits)
    };
    [&pictures.interpolated, &pictures.reference, &pictures.error]
        .into_iter()
        .all(|text| base64(text))
        && pictures.size.width > 0
        && pictures.size.height > 0
}

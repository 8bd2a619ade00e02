//! The worst frame of each comparison: made, as it should be, and where they differ.

use maud::{Markup, html};

use crate::measure::fidelity::Fidelity;
use crate::measure::pictures::Pictures;
use crate::record::Record;
use crate::report::figures::{db, of_255, three};

/// Colours of the error from none to that which is white, red, green and blue: dark to light, so
/// that it reads without colours, too.
const HEAT: [&str; 3] = ["0 .23 .58 .87 .99 1", "0 .04 .15 .35 .75 1", "0 .35 .40 .20 .35 1"];

/// Every comparison that has pictures, of the record of this number on the page; nothing where none
/// has.
pub fn of(record: &Record, number: usize) -> Markup {
    let own = record.measurements.iter().filter_map(|m| Some((m.name(), m.fidelity.as_ref()?)));
    let further = record.comparisons.iter().map(|one| (one.case.to_string(), &one.fidelity));
    let all: Vec<(String, &Fidelity, &Pictures)> = own
        .chain(further)
        .filter_map(|(name, fidelity)| Some((name, fidelity, fidelity.pictures.as_ref()?)))
        .filter(|(_, _, pictures)| are_whole(pictures))
        .collect();
    html! {
        @if !all.is_empty() {
            h3 { "The worst frames" }
            p.note { "The largest error of each pixel's channels, scaled so that the worst shows; "
                "what is white is said with each." }
            (scale(number))
            @for (name, fidelity, pictures) in &all {
                (one(name, fidelity, pictures, number))
            }
        }
    }
}

fn one(name: &str, fidelity: &Fidelity, pictures: &Pictures, number: usize) -> Markup {
    let reference = format!("{} {}", fidelity.reference.engine, fidelity.reference.precision);
    let worst = fidelity
        .frames
        .get(pictures.frame)
        .map_or(fidelity.worst_frame_psnr_db, |frame| frame.psnr_db);
    let made = format!("made by {name}, frame {}", pictures.frame);
    let expected = format!("made by {reference}");
    let error = format!(
        "error: {} dB; white is {}/255 ({} of full scale)",
        db(worst),
        of_255(pictures.error_white),
        three(pictures.error_white)
    );
    html! {
        h4 { (name) " against " (reference) }
        div.pictures {
            (picture(pictures, "jpeg", &pictures.made, &made, None))
            (picture(pictures, "jpeg", &pictures.reference, &expected, None))
            (picture(pictures, "png", &pictures.error, &error, Some(number)))
        }
    }
}

fn picture(
    pictures: &Pictures,
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

/// What the colours mean, and, for the pictures, the filter that makes them.
fn scale(number: usize) -> Markup {
    html! {
        svg.scale viewBox="0 0 360 34" role="img" {
            title { "Colours of the error" }
            desc { "From black, no error, over purple and orange to white, the largest." }
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
            text.tick x="360" y="29" text-anchor="end" { "white: the largest" }
        }
    }
}

/// Whether these are pictures as far as can be told without decoding them.
fn are_whole(pictures: &Pictures) -> bool {
    let base64 = |text: &str| {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
        !text.is_empty() && text.bytes().all(fits)
    };
    [&pictures.made, &pictures.reference, &pictures.error].into_iter().all(|text| base64(text))
        && pictures.size.width > 0
        && pictures.size.height > 0
}

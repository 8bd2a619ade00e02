//! Scene detection, evaluated on clips whose cuts are known.

mod clips;
mod detect;
mod draw;
mod real;

use std::collections::BTreeMap;

use clips::Clip;
use detect::{Found, by_luma_difference, by_structure};
use draw::Format;

/// Seeds that constants were chosen by, and seeds that they were not.
const TUNING: std::ops::Range<u64> = 0..6;
const HELD_OUT: std::ops::Range<u64> = 2000..2006;

/// Cuts of clips, and what a detector made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    cuts: usize,
    found: usize,
    wrong: usize,
}

impl Count {
    fn add(&mut self, cuts: &[usize], found: &Found) {
        self.cuts += cuts.len();
        self.found += cuts.iter().filter(|cut| found.cuts.contains(cut)).count();
        self.wrong += found.cuts.iter().filter(|cut| !cuts.contains(cut)).count();
    }

    fn recall(&self) -> f64 {
        if self.cuts == 0 { 1.0 } else { self.found as f64 / self.cuts as f64 }
    }

    fn precision(&self) -> f64 {
        let all = self.found + self.wrong;
        if all == 0 { 1.0 } else { self.found as f64 / all as f64 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    before: Count,
    after: Count,
    /// The lowest score of a cut and the highest of another pair.
    lowest: Option<f64>,
    highest: f64,
}

fn evaluate(clips: impl Iterator<Item = Clip>) -> BTreeMap<&'static str, Row> {
    let mut rows = BTreeMap::<&str, Row>::new();
    for clip in clips {
        let frames: Vec<_> = clip.frames.iter().map(|frame| Format::Yuv8.frame(frame)).collect();
        let row = rows.entry(clip.kind).or_default();
        row.before.add(&clip.cuts, &by_luma_difference(&frames));
        let found = by_structure(&frames);
        row.after.add(&clip.cuts, &found);
        for (pair, score) in found.scores.iter().enumerate() {
            if clip.cuts.contains(&pair) {
                row.lowest = Some(row.lowest.unwrap_or(f64::INFINITY).min(*score));
            } else {
                row.highest = row.highest.max(*score);
            }
        }
    }
    rows
}

fn table(title: &str, rows: &BTreeMap<&'static str, Row>) -> String {
    let mut text = format!(
        "{title}\n{:<26}{:>6}{:>10}{:>8}{:>10}{:>8}{:>16}\n",
        "clips", "cuts", "luma: ok", "wrong", "now: ok", "wrong", "scores"
    );
    let (mut before, mut after) = (Count::default(), Count::default());
    for (kind, row) in rows {
        for (sum, count) in [(&mut before, row.before), (&mut after, row.after)] {
            sum.cuts += count.cuts;
            sum.found += count.found;
            sum.wrong += count.wrong;
        }
        let lowest = row.lowest.map_or("-".to_owned(), |score| format!("{score:.0}"));
        text += &format!(
            "{kind:<26}{:>6}{:>10}{:>8}{:>10}{:>8}{:>16}\n",
            row.after.cuts,
            row.before.found,
            row.before.wrong,
            row.after.found,
            row.after.wrong,
            format!("{:.0} / {lowest}", row.highest),
        );
    }
    for (name, count) in [("luma difference", before), ("structure", after)] {
        text +=
            &format!("{name}: recall {:.3}, precision {:.3}\n", count.recall(), count.precision());
    }
    text
}

/// Kinds of clips of which every cut must be found: hard cuts at all exposures, and those that
/// something makes harder.
const ALL_FOUND: &[&str] = &[
    "cut, exposure 1",
    "cut, exposure 0.5",
    "cut, exposure 0.2",
    "cut, exposure 0.1",
    "cut, exposure 0.05",
    "cut, bright to dark",
    "cut, grain",
    "cut, letterbox",
    "cut, both pan fast",
    "cut, still pictures",
    "cut to black and back",
    "cut to white and back",
];

/// Kinds of which nothing may be found.
const NONE_FOUND: &[&str] = &[
    "fade, black",
    "fade, white",
    "fade, grey",
    "cross-dissolve",
    "flash, white",
    "flash, overexposed",
    "flash, of a dark scene",
    "flash, black frame",
    "flash, lightning",
    "strobe",
    "exposure changes",
    "fast pan",
    "whip pan",
    "zoom",
    "object crosses",
    "object on even ground",
    "grain",
    "letterbox, pan",
];

/// Prints, for each kind of clip, the cuts found and the wrong ones, of the plain difference of
/// luma and of what is used; and the highest score of a pair that is no cut and the lowest of one
/// that is.
fn check(title: &str, seeds: std::ops::Range<u64>) {
    let rows = evaluate(seeds.flat_map(clips::all));
    println!("{}", table(title, &rows));
    let mut sum = Count::default();
    for (kind, row) in &rows {
        if ALL_FOUND.contains(kind) {
            assert_eq!(row.after.recall(), 1.0, "{title}: {kind}: {:?}", row.after);
        }
        if ALL_FOUND.contains(kind) || NONE_FOUND.contains(kind) {
            assert_eq!(row.after.wrong, 0, "{title}: {kind}: {:?}", row.after);
        }
        sum.cuts += row.after.cuts;
        sum.found += row.after.found;
        sum.wrong += row.after.wrong;
    }
    let known = |kind: &&str| rows.contains_key(kind);
    assert!(ALL_FOUND.iter().chain(NONE_FOUND).all(known), "a kind of clip is missing");
    // Of drawings with a few flat shapes some are alike, and some jump.
    assert!(sum.recall() >= 0.98 && sum.precision() >= 0.98, "{title}: {sum:?}");
}

#[test]
fn evaluate_on_the_clips_that_constants_were_chosen_by() {
    check("tuning", TUNING);
}

#[test]
fn evaluate_on_other_clips() {
    check("held out", HELD_OUT);
}

/// The same pictures measure about the same in every format, whatever their depth.
#[test]
fn formats_agree() {
    for clip in clips::all(7).into_iter().filter(|clip| !clip.cuts.is_empty()).take(6) {
        for format in Format::ALL {
            let frames: Vec<_> = clip.frames.iter().map(|frame| format.frame(frame)).collect();
            assert_eq!(by_structure(&frames).cuts, clip.cuts, "{}: {format:?}", clip.kind);
        }
    }
}

/// A job that is resumed judges all pairs anew, and has to come to the same result.
#[test]
fn judgements_are_reproducible() {
    let clip = clips::all(8).remove(0);
    let frames: Vec<_> = clip.frames.iter().map(|frame| Format::Yuv8.frame(frame)).collect();
    assert_eq!(by_structure(&frames), by_structure(&frames));
}

/// Frames that are too small for structure are no error.
#[test]
fn tiny_frames_are_judged() {
    for side in [1, 2, 3, 5, 16] {
        let size = rife_runtime::FrameSize::new(side, side);
        let samples = |level: u8| vec![level; 3 * side * side];
        let frame = |level: u8| rife_runtime::Frame::rgb8(size, samples(level)).unwrap();
        let frames: Vec<_> = [10, 10, 200, 90].map(frame).to_vec();
        let found = by_structure(&frames);
        assert!(found.scores.iter().all(|score| score.is_finite()), "{side}: {found:?}");
    }
}

/// Prints what a pair of 1080p frames takes, of a scene that pans and so needs the whole search.
#[test]
#[ignore = "measures time, which other work on the machine changes; run it alone"]
fn a_pair_of_full_hd_takes_less_than_a_millisecond() {
    let size = rife_runtime::FrameSize::new(1920, 1080);
    let format = rife_runtime::YuvFormat {
        chroma: rife_runtime::Chroma::Yuv420,
        depth: 8,
        matrix: rife_runtime::Matrix::Bt709,
        full_range: false,
        siting: rife_runtime::Siting::Left,
    };
    let frame = |i: usize| {
        let mut samples = vec![128; format.samples(size)];
        for (y, row) in samples[..size.pixels()].chunks_mut(size.width).enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let cell = ((x + 150 * i) / 90 * 7919) ^ (y / 90 * 104_729);
                *sample = 16 + (cell.wrapping_mul(2_654_435_761) >> 7 & 127) as u8;
            }
        }
        rife_runtime::Frame::yuv8(size, format, samples).unwrap()
    };
    let frames: Vec<_> = (0..24).map(frame).collect();
    let best = (0..5)
        .map(|_| {
            let start = std::time::Instant::now();
            std::hint::black_box(by_structure(&frames));
            start.elapsed().as_secs_f64() * 1e3 / 23.0
        })
        .fold(f64::INFINITY, f64::min);
    println!("{best:.3} ms a pair");
    assert!(best < 1.0, "{best:.3} ms");
}

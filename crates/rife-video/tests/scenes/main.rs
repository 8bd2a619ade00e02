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
const HELD_OUT: std::ops::Range<u64> = 2000..2009;

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
        text += &format!(
            "{name}: recall {:.3}, precision {:.3}\n",
            count.recall(),
            count.precision()
        );
    }
    text
}

/// Prints, for each kind of clip, the cuts found and the wrong ones, of the plain difference of
/// luma and of what is used; and the highest score of a pair that is no cut and the lowest of one
/// that is.
#[test]
fn hard_cuts_are_found_at_every_exposure_and_nothing_else_is() {
    for (title, seeds) in [("tuning", TUNING), ("held out", HELD_OUT)] {
        let rows = evaluate(seeds.flat_map(clips::all));
        println!("{}", table(title, &rows));
        for (kind, row) in &rows {
            assert_eq!(row.after.recall(), 1.0, "{title}: {kind}: {:?}", row.after);
            assert_eq!(row.after.wrong, 0, "{title}: {kind}: {:?}", row.after);
        }
    }
}

//! Formats differences for the user.

use crate::ffmpeg::feature::Feature;

/// Kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    Lost,
    Changed,
}

/// A difference to report.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) change: Change,
    pub(super) feature: Feature,
    pub(super) item: String,
    pub(super) reason: String,
}

/// One line per reason: what is lost, and why.
pub(super) fn report_lines(differences: &[Difference]) -> Vec<String> {
    let mut reasons: Vec<(Change, &str)> = Vec::new();
    for difference in differences {
        let reason = (difference.change, difference.reason.as_str());
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.sort_by_key(|(change, _)| *change);
    let line = |(change, reason): &(Change, &str)| {
        let of_reason = differences.iter().filter(|d| d.change == *change && d.reason == *reason);
        let mut features: Vec<(Feature, Vec<&str>)> = Vec::new();
        for difference in of_reason {
            match features.iter_mut().find(|(feature, _)| *feature == difference.feature) {
                Some((_, items)) => items.push(&difference.item),
                None => features.push((difference.feature, vec![&difference.item])),
            }
        }
        let parts: Vec<_> =
            features.iter().map(|(feature, items)| describe_feature(*feature, items)).collect();
        let change = if *change == Change::Lost { "lost" } else { "changed" };
        format!("{change}: {} - {reason}", parts.join(", "))
    };
    reasons.iter().map(line).collect()
}

/// `2 subtitle streams (ass, ass)`, `metadata tags (title, comment)`, `rotation (45 degrees)`.
fn describe_feature(feature: Feature, items: &[&str]) -> String {
    let name = feature.name(items.len() > 1);
    let counted = matches!(
        feature,
        Feature::Audio
            | Feature::Subtitles
            | Feature::Cover
            | Feature::Attachment
            | Feature::Data
            | Feature::OtherVideo
            | Feature::Chapters
    );
    let named: Vec<_> = items.iter().copied().filter(|item| !item.is_empty()).collect();
    let count = if counted { format!("{} ", items.len()) } else { String::new() };
    let list = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    format!("{count}{name}{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(change: Change, feature: Feature, item: &str, reason: &str) -> Difference {
        Difference { change, feature, item: item.into(), reason: reason.into() }
    }

    #[test]
    fn differences_are_grouped_by_reason_and_losses_come_first() {
        let differences = [
            difference(Change::Changed, Feature::Audio, "pcm_s16le to aac", "b"),
            difference(Change::Lost, Feature::Subtitles, "ass", "a"),
            difference(Change::Lost, Feature::Subtitles, "ass", "a"),
            difference(Change::Lost, Feature::Chapters, "", "a"),
            difference(Change::Lost, Feature::Orientation, "45 degrees", "c"),
        ];
        assert_eq!(
            report_lines(&differences),
            [
                "lost: 2 subtitle streams (ass, ass), 1 chapter - a",
                "lost: rotation (45 degrees) - c",
                "changed: 1 audio stream (pcm_s16le to aac) - b",
            ]
        );
        assert!(report_lines(&[]).is_empty());
    }
}

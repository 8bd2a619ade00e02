//! HEAD report

use crate::ffmpeg::feature::Feature;

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    Lost,
    Changed,
}

/// A difference that a user has to know of.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) how: How,
    pub(super) feature: Feature,
    pub(super) what: String,
    pub(super) why: String,
}

/// One line for each reason: what is lost, and why.
pub(super) fn lines(differences: &[Difference]) -> Vec<String> {
    let mut reasons: Vec<(How, &str)> = Vec::new();
    for difference in differences {
        let reason = (difference.how, difference.why.as_str());
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.sort_by_key(|(how, _)| *how);
    let line = |(how, why): &(How, &str)| {
        let of_reason = differences.iter().filter(|d| d.how == *how && d.why == *why);
        let mut features: Vec<(Feature, Vec<&str>)> = Vec::new();
        for difference in of_reason {
            match features.iter_mut().find(|(feature, _)| *feature == difference.feature) {
                Some((_, whats)) => whats.push(&difference.what),
                None => features.push((difference.feature, vec![&difference.what])),
            }
        }
        let parts: Vec<_> = features.iter().map(|(feature, whats)| part(*feature, whats)).collect();
        let how = if *how == How::Lost { "lost" } else { "changed" };
        format!("{how}: {} - {why}", parts.join(", "))
    };
    reasons.iter().map(line).collect()
}

/// `2 subtitle streams (ass, ass)`, `metadata tags (title, comment)`, `rotation (45 degrees)`.
fn part(feature: Feature, whats: &[&str]) -> String {
    let name = feature.name(whats.len() > 1);
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
    let named: Vec<_> = whats.iter().copied().filter(|what| !what.is_empty()).collect();
    let count = if counted { format!("{} ", whats.len()) } else { String::new() };
    let list = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    format!("{count}{name}{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(how: How, feature: Feature, what: &str, why: &str) -> Difference {
        Difference { how, feature, what: what.into(), why: why.into() }
    }

    #[test]
    fn differences_are_grouped_by_reason_and_losses_come_first() {
        let differences = [
            difference(How::Changed, Feature::Audio, "pcm_s16le to aac", "b"),
            difference(How::Lost, Feature::Subtitles, "ass", "a"),
            difference(How::Lost, Feature::Subtitles, "ass", "a"),
            difference(How::Lost, Feature::Chapters, "", "a"),
            difference(How::Lost, Feature::Orientation, "45 degrees", "c"),
        ];
        assert_eq!(
            lines(&differences),
            [
                "lost: 2 subtitle streams (ass, ass), 1 chapter - a",
                "lost: rotation (45 degrees) - c",
                "changed: 1 audio stream (pcm_s16le to aac) - b",
            ]
        );
        assert!(lines(&[]).is_empty());
    }
}

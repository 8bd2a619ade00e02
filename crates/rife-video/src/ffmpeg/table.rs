//! The table of features that each kind of output supports.

use crate::ffmpeg::feature::{Feature, Target};

/// Whether an output supports a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// Unchanged.
    Yes,
    /// If codec and name allow; otherwise for this reason.
    Partial(&'static str),
    /// Applied to the pixels, or converted to the new rate; the difference is intended.
    Converted,
    /// The difference is intended and invisible.
    Intended,
    /// Never, for this reason.
    No(&'static str),
}

use Support::{Converted, Intended, No, Partial, Yes};

/// A row of the table.
struct Row {
    feature: Feature,
    /// Singular and plural name.
    name: [&'static str; 2],
    /// In the order of [`TARGETS`].
    support: [Support; 9],
}

/// The columns of the table.
pub(super) const TARGETS: [Target; 9] = [
    Target::Mp4,
    Target::Mov,
    Target::Matroska,
    Target::WebM,
    Target::Avi,
    Target::Png,
    Target::Pictures,
    Target::Y4m,
    Target::Raw,
];

const PICTURES: Support = No("pictures hold no other streams and no metadata of the video");
const Y4M: Support = No("Y4M holds frames only");
const RAW: Support = No("raw video holds frames only");
const REENCODED: Support = No("it describes the encoded source frames");
const ONE_VIDEO: Support = No("only the main video stream is interpolated");
const CODEC: Support = Partial("the container does not hold this codec");
const NOT_WRITTEN: Support = No("ffmpeg cannot write it for this container");

const fn video_only(feature: Feature, name: [&'static str; 2], files: [Support; 5]) -> Row {
    let [mp4, mov, mkv, webm, avi] = files;
    Row { feature, name, support: [mp4, mov, mkv, webm, avi, PICTURES, PICTURES, Y4M, RAW] }
}

const fn colour(feature: Feature, name: [&'static str; 2], png: Support, y4m: Support) -> Row {
    const FILE: Support = Partial("neither the codec nor the container holds it");
    let avi = Partial("neither the codec nor AVI holds it");
    let pictures = if let Converted = png { Converted } else { No("only PNG holds it") };
    Row { feature, name, support: [FILE, FILE, FILE, FILE, avi, png, pictures, y4m, RAW] }
}

const fn lost_everywhere(feature: Feature, name: [&'static str; 2], why: Support) -> Row {
    Row { feature, name, support: [why; 9] }
}

/// The outputs that support each feature.
const TABLE: &[Row] = &[
    video_only(
        Feature::Audio,
        ["audio stream", "audio streams"],
        [CODEC, CODEC, CODEC, CODEC, CODEC],
    ),
    video_only(
        Feature::Subtitles,
        ["subtitle stream", "subtitle streams"],
        [
            Partial("MP4 holds text subtitles only"),
            Partial("MOV holds text subtitles only"),
            CODEC,
            Partial("WebM holds text subtitles only"),
            No("AVI holds no subtitles"),
        ],
    ),
    video_only(
        Feature::Cover,
        ["cover", "covers"],
        [
            Partial(
                "MP4 holds JPEG, PNG and BMP covers only, and none together with QuickTime \
             metadata",
            ),
            No("MOV holds no covers"),
            Partial("Matroska holds JPEG and PNG covers only"),
            No("WebM holds no covers"),
            No("AVI holds no covers"),
        ],
    ),
    video_only(
        Feature::Attachment,
        ["attachment", "attachments"],
        [
            No("MP4 holds no attachments"),
            No("MOV holds no attachments"),
            Yes,
            No("WebM holds no attachments"),
            No("AVI holds no attachments"),
        ],
    ),
    video_only(
        Feature::Data,
        ["data stream", "data streams"],
        [
            Partial("ffmpeg writes GoPro telemetry (gpmd) into MP4, and no other data"),
            Partial("ffmpeg writes GoPro telemetry (gpmd) into MOV, and no other data"),
            No("ffmpeg writes no data streams into Matroska"),
            No("ffmpeg writes no data streams into WebM"),
            No("ffmpeg writes no data streams into AVI"),
        ],
    ),
    lost_everywhere(Feature::OtherVideo, ["video stream", "video streams"], ONE_VIDEO),
    video_only(
        Feature::Chapters,
        ["chapter", "chapters"],
        [Yes, Yes, Yes, Yes, No("AVI holds no chapters")],
    ),
    lost_everywhere(
        Feature::Program,
        ["program name", "program names"],
        No("only MPEG-TS holds programs"),
    ),
    video_only(Feature::Timecode, ["timecode", "timecodes"], [Converted; 5]),
    video_only(
        Feature::Tag,
        ["metadata tag", "metadata tags"],
        [
            Partial("MP4 has no field for it, or none together with a cover"),
            Partial("MOV has no field for it"),
            Yes,
            Yes,
            Partial("AVI has no field for it"),
        ],
    ),
    video_only(
        Feature::StreamTag,
        ["stream metadata tag", "stream metadata tags"],
        [
            Partial("MP4 has no field for it"),
            Partial("MOV has no field for it"),
            Yes,
            Yes,
            Partial("AVI has no field for it"),
        ],
    ),
    video_only(
        Feature::Disposition,
        ["stream flag", "stream flags"],
        [
            Partial("MP4 has no such flag"),
            Partial("MOV has no such flag"),
            Partial("Matroska has no such flag"),
            Partial("WebM has no such flag"),
            No("AVI has no stream flags"),
        ],
    ),
    lost_everywhere(
        Feature::Alpha,
        ["transparency", "transparency"],
        No("RIFE interpolates opaque frames only"),
    ),
    Row {
        feature: Feature::Orientation,
        name: ["rotation", "rotation"],
        support: [
            Partial("only right angles are kept"),
            Partial("only right angles are kept"),
            Converted,
            Converted,
            Converted,
            Converted,
            Converted,
            Converted,
            Converted,
        ],
    },
    Row {
        feature: Feature::SampleAspect,
        name: ["pixel aspect ratio", "pixel aspect ratio"],
        support: [
            Yes,
            Yes,
            Yes,
            Yes,
            Partial("neither the codec nor AVI holds it"),
            No("pictures have square pixels; scale them for display"),
            No("pictures have square pixels; scale them for display"),
            Yes,
            RAW,
        ],
    },
    colour(Feature::Range, ["colour range", "colour range"], Converted, Yes),
    colour(Feature::Matrix, ["colour matrix", "colour matrix"], Converted, Y4M),
    colour(Feature::Primaries, ["colour primaries", "colour primaries"], Yes, Y4M),
    colour(Feature::Transfer, ["transfer characteristics", "transfer characteristics"], Yes, Y4M),
    colour(Feature::ChromaLocation, ["chroma location", "chroma location"], Converted, Y4M),
    colour(Feature::Mastering, ["mastering display", "mastering display"], Yes, Y4M),
    colour(Feature::LightLevels, ["light levels", "light levels"], Yes, Y4M),
    lost_everywhere(
        Feature::DolbyVision,
        ["Dolby Vision metadata", "Dolby Vision metadata"],
        REENCODED,
    ),
    lost_everywhere(
        Feature::DynamicHdr,
        ["dynamic HDR metadata", "dynamic HDR metadata"],
        REENCODED,
    ),
    lost_everywhere(
        Feature::IccProfile,
        ["ICC profile", "ICC profiles"],
        No("ICC profiles are copied between pictures only"),
    ),
    video_only(
        Feature::Stereo,
        ["stereoscopic layout", "stereoscopic layout"],
        [
            NOT_WRITTEN,
            NOT_WRITTEN,
            Partial("ffmpeg did not write it"),
            Partial("ffmpeg did not write it"),
            NOT_WRITTEN,
        ],
    ),
    video_only(
        Feature::Spherical,
        ["spherical projection", "spherical projection"],
        [NOT_WRITTEN; 5],
    ),
    lost_everywhere(Feature::ClosedCaptions, ["closed captions", "closed captions"], REENCODED),
    lost_everywhere(
        Feature::FilmGrain,
        ["film grain parameters", "film grain parameters"],
        Intended,
    ),
    lost_everywhere(
        Feature::FieldOrder,
        ["field order", "field order"],
        No("interlaced frames are interpolated as they are"),
    ),
    video_only(Feature::SideData, ["side data", "side data"], [NOT_WRITTEN; 5]),
];

impl Target {
    /// The target of a file extension; `None` if it is not a container.
    pub fn from_extension(container: &str) -> Option<Self> {
        Some(match container.to_ascii_lowercase().as_str() {
            "mp4" | "m4v" => Self::Mp4,
            "mov" => Self::Mov,
            "mkv" => Self::Matroska,
            "webm" => Self::WebM,
            "avi" => Self::Avi,
            _ => return None,
        })
    }

    /// Whether it is a container.
    pub(super) const fn is_container(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::Matroska | Self::WebM | Self::Avi)
    }

    /// Whether it supports a feature.
    pub(super) fn support(self, feature: Feature) -> Support {
        let column = TARGETS.iter().position(|target| *target == self);
        let row = TABLE.iter().find(|row| row.feature == feature);
        let cell = row.zip(column).and_then(|(row, column)| row.support.get(column));
        cell.copied().unwrap_or(No("it is not in the table of features"))
    }

    /// Whether frames must be rotated before they are written.
    pub fn rotates_pixels(self, orientation: crate::Orientation) -> bool {
        let upright = orientation == crate::Orientation::IDENTITY;
        // ffmpeg writes rotations as metadata, but not mirroring.
        !upright && (orientation.is_mirrored() || self.support(Feature::Orientation) == Converted)
    }
}

impl Feature {
    /// Singular or plural name.
    pub(super) fn name(self, several: bool) -> &'static str {
        let row = TABLE.iter().find(|row| row.feature == self);
        row.map_or("", |row| row.name[usize::from(several)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_exactly_one_row() {
        let all = (Feature::Audio as usize)..=(Feature::SideData as usize);
        let mut rows: Vec<_> = TABLE.iter().map(|row| row.feature as usize).collect();
        rows.sort_unstable();
        assert_eq!(rows, all.collect::<Vec<_>>());
    }

    #[test]
    fn pixels_are_rotated_if_the_target_has_no_rotation_metadata() {
        let quarter = crate::Orientation::from_degrees(90).unwrap();
        let mirror = crate::Orientation::from_matrix([-1, 0, 0, 1]).unwrap();
        for target in TARGETS {
            let metadata = matches!(target, Target::Mp4 | Target::Mov);
            assert_eq!(target.rotates_pixels(quarter), !metadata, "{target}");
            assert!(target.rotates_pixels(mirror), "{target}");
            assert!(!target.rotates_pixels(crate::Orientation::IDENTITY), "{target}");
        }
    }
}

//! Arguments that select a part of a video.

use std::path::Path;

use clap::Args;
use rife_video::{Part, Rational};

use super::values;

/// Stands for the output of a preview without --output.
pub(super) const PREVIEW_OUTPUT: &str = "NAME.preview.EXT";

/// A part of at most this length is interpolated again rather than resumed, in s.
const SHORT_S: i64 = 5;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Part")]
pub(crate) struct PartArgs {
    /// Start with the first frame at or after TIME of the input: seconds (90, 1.5) or a clock time
    /// (1:30, 0:01:30.5). Sound, subtitles and chapters are cut to the same part
    #[arg(long, value_name = "TIME", value_parser = values::time, allow_hyphen_values = true)]
    pub(crate) from: Option<Rational>,
    /// End with the last frame before TIME of the input
    #[arg(long, value_name = "TIME", value_parser = values::time, allow_hyphen_values = true,
        conflicts_with = "preview")]
    pub(crate) to: Option<Rational>,
    /// Interpolate only N seconds, starting at --from, with the encoder's fastest preset unless
    /// --preset is given. Without --output, writes NAME.preview.EXT in the working directory
    #[arg(long, value_name = "N", value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) preview: Option<Rational>,
}

impl PartArgs {
    /// Whether a file for a preview has to be chosen, instead of `output`.
    pub(crate) fn names_output(&self, output: &Path) -> bool {
        self.preview.is_some() && output == Path::new(PREVIEW_OUTPUT)
    }

    /// Whether so little is interpolated that it need not be resumed.
    pub(crate) fn is_short(&self) -> bool {
        let length = self.to.map(|to| to - self.from.unwrap_or_default());
        self.preview.is_some() || length.is_some_and(|length| length <= SHORT_S.into())
    }

    /// The part; `None` for the whole input.
    ///
    /// # Errors
    /// If it ends before it starts.
    pub(crate) fn part(&self) -> rife_video::Result<Option<Part>> {
        let from = self.from.unwrap_or_default();
        let to = self.to.or(self.preview.map(|length| from + length));
        if from == Rational::from(0) && to.is_none() {
            return Ok(None);
        }
        Part::new(from, to).map(Some)
    }
}

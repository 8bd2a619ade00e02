//! --preview: where the file is, and the fastest settings of the encoder.

use std::path::{Path, PathBuf};

use rife_video::Encoding;

use super::output;
use crate::args::InterpolateArgs;
use crate::paths;

/// Completes the arguments of a preview without --output, which replaces an earlier preview.
pub(super) fn complete(args: &mut InterpolateArgs) {
    if args.part.names_output(&args.output) {
        args.output = default_output(&args.input);
        args.overwrite = true;
    }
}

/// `NAME.preview.EXT` in the working directory, in the container of the input if it can be written.
fn default_output(input: &Path) -> PathBuf {
    let extension = paths::extension(input);
    let extension = match output::CONTAINERS.contains(&extension.as_str()) {
        true => extension,
        false => "mp4".to_owned(),
    };
    // The name of `.` and `..` is that of the folder.
    let canonical = input.canonicalize();
    let stem = input.file_stem().or_else(|| canonical.as_ref().ok()?.file_stem());
    let stem = stem.filter(|stem| *stem != "-").unwrap_or("stdin".as_ref());
    let mut name = stem.to_owned();
    name.push(format!(".preview.{extension}"));
    name.into()
}

/// The fastest preset of an encoder, for a preview without --preset.
pub(super) fn preset(args: &InterpolateArgs, encoding: &Encoding) -> Option<&'static str> {
    let wanted = args.part.preview.is_some() && args.video.preset.is_none();
    rife_video::fastest_preset(&encoding.encoder).filter(|_| wanted)
}

/// The line that says where the preview is.
pub(super) fn location(args: &InterpolateArgs) -> Option<String> {
    args.part.preview.filter(|_| !output::is_stdout(&args.output))?;
    let path = std::path::absolute(&args.output).unwrap_or_else(|_| args.output.clone());
    Some(format!("preview: {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preview_is_named_after_the_input() {
        for (input, output) in [
            ("clips/in.mkv", "in.preview.mkv"),
            ("in.TS", "in.preview.mp4"),
            ("frames/", "frames.preview.mp4"),
            ("-", "stdin.preview.mp4"),
        ] {
            assert_eq!(default_output(Path::new(input)), Path::new(output), "{input}");
        }
    }
}

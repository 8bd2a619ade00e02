//! The kind of a job's output, from the name of the output.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use rife_video::Target;

use super::pattern::NamePattern;
use crate::args::InterpolateArgs;
use crate::image_file::ImageFormat;
use crate::paths::{self, OutputFile};

/// Extensions of the containers that ffmpeg writes.
pub(super) const CONTAINERS: &[&str] = &["mp4", "m4v", "mov", "mkv", "webm", "avi"];

/// The default of --pattern.
const DEFAULT_PATTERN: &str = "%08d.png";

/// The output of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// A video in a container, through ffmpeg.
    Video(OutputFile),
    /// Y4M to a file, a pipe or a device.
    Y4m(OutputFile),
    /// Y4M to standard output.
    Y4mToStdout,
    /// Raw video to a file, a pipe or a device.
    RawVideo(OutputFile),
    /// Images in a folder.
    Images { folder: PathBuf, pattern: NamePattern },
}

impl Output {
    pub(super) fn from_args(args: &InterpolateArgs) -> Result<Self> {
        let path = &args.output;
        let images = |folder: &Path, pattern| Self::Images { folder: folder.to_owned(), pattern };
        if let Some(pattern) = &args.video.pattern {
            ensure!(
                path.is_dir() || !path.exists(),
                "{} is not a folder: --pattern names the images in a folder",
                path.display()
            );
            return Ok(images(path, NamePattern::parse(pattern)?));
        }
        if is_stdout(path) {
            return Ok(Self::Y4mToStdout);
        }
        let is_pipe_or_device = paths::is_pipe_or_device(path)?;
        let extension = paths::extension(path);
        let no_extension = path.extension().is_none();
        if path.is_dir() || (no_extension && !is_pipe_or_device) {
            return Ok(images(path, NamePattern::parse(DEFAULT_PATTERN)?));
        }
        let file = || OutputFile::resolve(path);
        match extension.as_str() {
            "y4m" => return file().map(Self::Y4m),
            _ if no_extension => return file().map(Self::Y4m),
            "yuv" | "raw" | "rgb" => return file().map(Self::RawVideo),
            container if CONTAINERS.contains(&container) => return file().map(Self::Video),
            _ => {}
        }
        if ImageFormat::from_path(path).is_ok() {
            // ffmpeg's notation: frames/%04d.png.
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Ok(pattern) = NamePattern::parse(name) {
                return Ok(images(paths::parent_folder(path), pattern));
            }
            bail!("{} is a single image: name a video, or a folder for images", path.display());
        }
        bail!(
            "unsupported extension of {}: expected .{}, .y4m or .yuv, or a folder for images",
            path.display(),
            CONTAINERS.join(", .")
        )
    }

    /// What the output can store; `None` for containers that are not in the table.
    pub(super) fn target(&self) -> Option<Target> {
        match self {
            Self::Video(file) => Target::from_extension(&paths::extension(&file.path)),
            Self::Y4m(_) | Self::Y4mToStdout => Some(Target::Y4m),
            Self::RawVideo(_) => Some(Target::Raw),
            Self::Images { pattern, .. } if pattern.format == ImageFormat::Png => Some(Target::Png),
            Self::Images { .. } => Some(Target::Pictures),
        }
    }

    /// The file to write; `None` for standard output and images.
    pub(super) fn file(&self) -> Option<&OutputFile> {
        match self {
            Self::Video(file) | Self::RawVideo(file) | Self::Y4m(file) => Some(file),
            Self::Y4mToStdout | Self::Images { .. } => None,
        }
    }

    /// Whether the output is a video in a container.
    pub(super) fn is_video(&self) -> bool {
        matches!(self, Self::Video(_))
    }
}

/// Whether --output names standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-" || paths::is_standard_output(path)
}

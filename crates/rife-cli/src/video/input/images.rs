//! A folder of images as the input of a job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rife_runtime::{Frame, FrameSize, PixelFormat};
use rife_video::{Error, Pool, Rational, Source, SourceFrame};

use crate::host::Host;
use crate::image_file::{self, ColourTags, ImageFormat};

/// The images of a folder, in natural order.
#[derive(Clone)]
pub(in crate::video) struct ImageFolder {
    files: Vec<PathBuf>,
    /// Colour tags of the first image, copied to output images.
    pub(in crate::video) colour_tags: ColourTags,
    /// Losses that were reported already.
    reported: Vec<&'static str>,
    host: Host,
}

impl ImageFolder {
    /// Lists the images of a folder, and reads the first.
    pub(super) fn open(folder: &Path, host: &Host) -> Result<(Self, Frame)> {
        let name = folder.display();
        let error = || format!("cannot read {name}");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(error)? {
            let path = entry.with_context(error)?.path();
            let hidden =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.is_file() && ImageFormat::from_path(&path).is_ok() {
                files.push(path);
            }
        }
        alphanumeric_sort::sort_path_slice(&mut files);
        let Some(first) = files.first() else {
            bail!("cannot read {name}: no images in this folder (PNG, JPEG, WebP, TIFF)");
        };
        let first = image_file::read(first)?;
        first.losses.iter().for_each(|loss| host.report(loss));
        let folder = Self {
            files,
            colour_tags: first.colour_tags,
            reported: first.losses,
            host: host.clone(),
        };
        Ok((folder, first.frame))
    }

    pub(in crate::video) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Reads the images from number `first` on, counted from 0, as frames of a size and a format,
    /// `frame_time` s apart.
    pub(super) fn source(
        &self,
        size: FrameSize,
        format: PixelFormat,
        frame_time: Rational,
        first: u64,
    ) -> ImageSource {
        let mut folder = self.clone();
        let first = usize::try_from(first).unwrap_or(usize::MAX).min(folder.files.len());
        folder.files.drain(..first);
        ImageSource {
            files: folder.files.into_iter(),
            colour_tags: folder.colour_tags,
            reported: folder.reported,
            host: folder.host,
            conflict_reported: false,
            size,
            format,
            frame_time,
            number: first as i64,
        }
    }
}

/// Reads images one after the other.
pub(super) struct ImageSource {
    files: std::vec::IntoIter<PathBuf>,
    colour_tags: ColourTags,
    reported: Vec<&'static str>,
    host: Host,
    /// Whether an image with other colour tags than the first was reported.
    conflict_reported: bool,
    size: FrameSize,
    format: PixelFormat,
    frame_time: Rational,
    /// Number of the next image.
    number: i64,
}

impl Source for ImageSource {
    fn next(&mut self, _: &Pool<'_>) -> rife_video::Result<Option<SourceFrame>> {
        let Some(path) = self.files.next() else { return Ok(None) };
        let image =
            image_file::read(&path).map_err(|error| Error::Refused(crate::describe(&error)))?;
        let size = image.frame.size();
        if size != self.size {
            let why = format!(
                "expected {} like the images before it, got {size}; all must be of one size",
                self.size
            );
            return Err(Error::Unusable { path, why });
        }
        for loss in image.losses {
            if !self.reported.contains(&loss) {
                self.host.report(loss);
                self.reported.push(loss);
            }
        }
        if !self.conflict_reported
            && let Some(line) = self.colour_tags.conflict_with(&image.colour_tags, &path)
        {
            self.host.report(&line);
            self.conflict_reported = true;
        }
        let frame = match image.frame.format() == self.format {
            true => image.frame,
            false => image.frame.converted(self.format)?,
        };
        let time = self.frame_time * self.number;
        self.number += 1;
        Ok(Some(SourceFrame { frame: Arc::new(frame), time, duration: Some(self.frame_time) }))
    }
}

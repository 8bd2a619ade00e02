//! Locates ffmpeg and ffprobe when they are first needed.

use std::path::Path;

use anyhow::Result;
use rife_video::Programs;

/// Locates the programs at most once. Images and Y4M need none.
pub(super) struct ProgramFinder<'a> {
    ffmpeg: Option<&'a Path>,
    found: Option<Programs>,
}

impl<'a> ProgramFinder<'a> {
    /// `ffmpeg` is the value of --ffmpeg; the default is to search PATH.
    pub(super) fn new(ffmpeg: Option<&'a Path>) -> Self {
        Self { ffmpeg, found: None }
    }

    pub(super) fn find(&mut self) -> Result<&Programs> {
        let programs = match self.found.take() {
            Some(programs) => programs,
            None => Programs::find(self.ffmpeg)?,
        };
        Ok(self.found.insert(programs))
    }

    /// The programs, if they were needed.
    pub(super) fn into_found(self) -> Option<Programs> {
        self.found
    }
}

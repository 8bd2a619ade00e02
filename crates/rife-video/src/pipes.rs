//! Frames from and to streams of bytes: Y4M and raw video.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use rife_runtime::Frame;

use crate::pool::Pool;
use crate::stream::{Sink, Source, SourceFrame};
use crate::{Error, Rational, Result, frames, y4m};

/// What frames of a stream lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeFormat {
    /// A line of text before each.
    Y4m,
    /// Nothing.
    Raw,
}

/// What a pipe is asked to hold: as much as a system gives to anyone.
#[cfg(target_os = "linux")]
const WIDE: usize = 1 << 20;

/// Lets a pipe hold more, so that whoever is at its other end waits less often. What is no pipe,
/// and a system that does not give more, stay as they are.
#[cfg(target_os = "linux")]
pub fn enlarge_pipe(pipe: impl std::os::fd::AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, WIDE);
}

/// Lets a pipe hold more, where the system can.
#[cfg(not(target_os = "linux"))]
pub fn widen<T>(_: T) {}

/// Frames of a constant rate from a stream.
pub struct PipeSource<R> {
    from: R,
    name: String,
    wrapping: PipeFormat,
    frame_time: Rational,
    read: i64,
}

impl<R> std::fmt::Debug for PipeSource<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipeSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: BufRead + Send> PipeSource<R> {
    /// A stream that stands at its first frame, named for errors.
    pub fn new(from: R, name: &str, wrapping: PipeFormat, rate: Rational) -> Self {
        Self { from, name: name.into(), wrapping, frame_time: rate.recip(), read: 0 }
    }
}

impl<R: BufRead + Send> Source for PipeSource<R> {
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        let frame = match self.wrapping {
            PipeFormat::Y4m => y4m::read_frame(&mut self.from, pool),
            PipeFormat::Raw => frames::read(&mut self.from, pool),
        };
        let frame = frame.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Unusable {
                path: self.name.clone().into(),
                why: format!("it ends within frame {}", self.read),
            },
            _ => Error::io(format!("cannot read {}", self.name))(error),
        })?;
        let time = self.frame_time * self.read;
        self.read += 1;
        let duration = Some(self.frame_time);
        Ok(frame.map(|frame| SourceFrame { frame: Arc::new(frame), time, duration }))
    }
}

/// Frames to a stream.
pub struct PipeSink<W> {
    to: W,
    name: String,
    wrapping: PipeFormat,
}

impl<W> std::fmt::Debug for PipeSink<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipeSink").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<W: Write + Send> PipeSink<W> {
    /// A stream, named for errors. `header` is written first where frames are Y4M.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn new(mut to: W, name: &str, header: Option<&y4m::Y4mHeader>) -> Result<Self> {
        let wrapping = if header.is_some() { PipeFormat::Y4m } else { PipeFormat::Raw };
        if let Some(header) = header {
            header.write(&mut to).map_err(Error::io(format!("cannot write {name}")))?;
        }
        Ok(Self { to, name: name.into(), wrapping })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W> {
        self.to.flush().map_err(Error::io(format!("cannot write {}", self.name)))?;
        Ok(self.to)
    }
}

impl<W: Write + Send> Sink for PipeSink<W> {
    fn put(&mut self, _: i64, _: i64, frame: &Frame, _: &Frame) -> Result<()> {
        match self.wrapping {
            PipeFormat::Y4m => y4m::write_frame(&mut self.to, frame),
            PipeFormat::Raw => frames::write(&mut self.to, frame),
        }
        .map_err(|error| Error::io(format!("cannot write {}", self.name))(error))
    }
}

//! Y4M and raw video over pipes.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use rife_runtime::Frame;

use crate::pool::Pool;
use crate::stream::{Sink, Source, SourceFrame};
use crate::{Error, Rational, Result, frames, y4m};

/// How frames are separated in a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeFormat {
    /// Each frame has a header line.
    Y4m,
    /// Frames follow each other without separator.
    Raw,
}

/// Requested pipe capacity in bytes: the most that Linux grants to unprivileged processes.
#[cfg(target_os = "linux")]
const PIPE_CAPACITY: usize = 1 << 20;

/// Enlarges the buffer of a pipe, so that both ends wait less. Does nothing if it is not a pipe, or
/// if the system refuses.
#[cfg(target_os = "linux")]
pub fn enlarge_pipe(pipe: impl std::os::fd::AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_CAPACITY);
}

/// Does nothing: only Linux can enlarge pipes.
#[cfg(not(target_os = "linux"))]
pub fn enlarge_pipe<T>(_: T) {}

/// Reads frames of a constant rate.
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
    /// Reads from `from`, positioned at the first frame. `name` appears in errors.
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
                why: format!("the stream ends within frame {}", self.read),
            },
            _ => Error::io(format!("cannot read {}", self.name))(error),
        })?;
        let time = self.frame_time * self.read;
        self.read += 1;
        let duration = Some(self.frame_time);
        Ok(frame.map(|frame| SourceFrame { frame: Arc::new(frame), time, duration }))
    }
}

/// Writes frames.
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
    /// Writes to `to`; `name` appears in errors. With a `header`, the output is Y4M, otherwise raw.
    ///
    /// # Errors
    /// If the header cannot be written.
    pub fn new(mut to: W, name: &str, header: Option<&y4m::Y4mHeader>) -> Result<Self> {
        let wrapping = if header.is_some() { PipeFormat::Y4m } else { PipeFormat::Raw };
        if let Some(header) = header {
            header.write(&mut to).map_err(Error::io(format!("cannot write {name}")))?;
        }
        Ok(Self { to, name: name.into(), wrapping })
    }

    /// Flushes, and returns the writer.
    ///
    /// # Errors
    /// If writing fails.
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

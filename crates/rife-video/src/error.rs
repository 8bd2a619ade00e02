//! Errors of video input and output.

use std::path::PathBuf;

/// An error of video input or output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A required program is missing.
    #[error("cannot find {program}")]
    NoProgram {
        /// Name of the program.
        program: String,
    },
    /// A program failed.
    #[error("{what}: {why}")]
    Program {
        /// What the program was run for.
        what: String,
        /// The reason that it printed.
        why: String,
    },
    /// A file or stream cannot be used.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// Path of the file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The content of an input is a playlist, and playlists are refused.
    #[error(
        "{}: the content is a playlist ({demuxer}), which can make other files of this machine \
         part of the output",
        path.display()
    )]
    Playlist {
        /// Path of the file.
        path: PathBuf,
        /// ffmpeg's name of the demuxer.
        demuxer: String,
    },
    /// The content of an input is raw video, which does not state its frame size and pixel format.
    #[error("{}: raw video does not state its frame size and pixel format", path.display())]
    RawVideo {
        /// Path of the file.
        path: PathBuf,
    },
    /// Another process holds the job folder.
    #[error("another rife process is writing to {}", path.display())]
    Busy {
        /// Path of the folder.
        path: PathBuf,
    },
    /// An unfinished job exists for the same output.
    #[error("{} contains an unfinished job with {frames} finished frames", path.display())]
    Unfinished {
        /// The job folder.
        path: PathBuf,
        /// Number of finished frames.
        frames: i64,
    },
    /// An unfinished job cannot be resumed: its settings or its input differ.
    #[error(
        "cannot resume the job in {}: its settings or input differ: {}",
        folder.display(),
        differences.join("; ")
    )]
    OtherSettings {
        /// The job folder.
        folder: PathBuf,
        /// One line per difference.
        differences: Vec<String>,
    },
    /// The request is invalid, or not supported.
    #[error("{0}")]
    Refused(String),
    /// The system cannot read or write.
    #[error("{what}: {source}")]
    Io {
        /// The operation that failed.
        what: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(Box<rife_runtime::Error>),
}

/// Result of video input and output.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<rife_runtime::Error> for Error {
    fn from(error: rife_runtime::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl Error {
    /// Returns a constructor for [`Error::Io`]; `what` names the operation that failed.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

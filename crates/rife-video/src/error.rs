//! The errors of reading and writing video.

use std::path::PathBuf;

/// What can go wrong between a video and the video made from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that is needed is not there.
    #[error(
        "{program} is not there: install ffmpeg (https://ffmpeg.org, or your system's package \
         ffmpeg), or say where it is with --ffmpeg; pictures and Y4M work without it"
    )]
    NoProgram {
        /// The program looked for.
        program: String,
    },
    /// A program failed.
    #[error("{what}: {why}")]
    Program {
        /// What it was to do.
        what: String,
        /// What it said of it.
        why: String,
    },
    /// A file or stream cannot be used.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Another process works in a folder.
    #[error("another rife process writes to {}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// An unfinished job is in the way of a new one.
    #[error("{} holds {frames} finished frames of an unfinished job", path.display())]
    Unfinished {
        /// The job's folder.
        path: PathBuf,
        /// Its finished frames.
        frames: i64,
    },
    /// An unfinished job cannot be resumed with these settings or this input.
    #[error(
        "the unfinished job in {} was started differently: {}",
        folder.display(),
        differences.join("; ")
    )]
    OtherSettings {
        /// The job's folder.
        folder: PathBuf,
        /// One difference each, in words.
        differences: Vec<String>,
    },
    /// What was asked for cannot be had.
    #[error("{0}")]
    Refused(String),
    /// The system refuses to read or write.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The network failed.
    #[error(transparent)]
    Engine(Box<rife_runtime::Error>),
}

/// The result of reading or writing video.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<rife_runtime::Error> for Error {
    fn from(error: rife_runtime::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl Error {
    /// An error of the system, with what was to be done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

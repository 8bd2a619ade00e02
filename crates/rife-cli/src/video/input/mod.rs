//! The input of a job: a file through ffmpeg, Y4M, raw video, an animated WebP, or a folder of
//! images.

mod animation;
mod hardware;
mod images;
mod open;
mod opened;
mod pipe;
mod stream;
mod webp;

pub(super) use self::open::open;
pub(super) use self::opened::{Input, InputKind, ScannedInput};

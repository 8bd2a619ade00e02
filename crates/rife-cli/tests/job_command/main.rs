//! `rife job` with the installed ffmpeg: segments that several processes encode.

mod damage;
mod documents;
mod processes;
mod results;
mod support;

//! Decoding, encoding of segments and joining with the installed ffmpeg.

mod colour;
mod encoders;
mod inventory;
mod probe;
mod reports;
mod samples;
mod streams;
mod support;
mod timestamps;

//! Video in and out, as its users meet it: real ffmpeg, real clips.

mod disk;
mod files;
mod jobs;
mod memory;
mod outputs;
mod pipes;
mod support;

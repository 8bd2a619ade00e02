//! Video in and out, as its users meet it: real ffmpeg, real clips.

mod files;
mod inputs;
mod jobs;
mod pipes;
mod support;

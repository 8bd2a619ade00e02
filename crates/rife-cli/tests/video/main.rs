//! Video in and out, as its users meet it: real ffmpeg, real clips.

mod damage;
mod disk;
mod files;
mod inputs;
mod jobs;
mod kept;
mod memory;
mod outputs;
mod pipes;
mod support;
mod timing;

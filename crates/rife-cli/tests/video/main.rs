//! Video in and out, as its users meet it: real ffmpeg, real clips.

mod damage;
mod files;
mod jobs;
mod kept;
mod pipes;
mod support;
mod timing;

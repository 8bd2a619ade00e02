//! Video input and output of the `rife` command with the installed ffmpeg.

mod animation;
mod containers;
mod damage;
mod disk;
mod frames;
mod hardware;
mod inputs;
mod jobs;
mod memory;
mod metadata;
mod outputs;
mod part;
mod pipes;
mod streams;
mod support;
mod timing;
mod variable_rate;

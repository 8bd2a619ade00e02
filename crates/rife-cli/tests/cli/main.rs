//! The command-line program, except for videos.

mod checkpoints;
mod doctor;
mod errors;
mod images;
mod info;
mod profiles;
#[cfg(unix)]
mod signals;
mod support;
mod weights;
#[cfg(unix)]
mod weights_fetch;

//! Shared by the tests of all crates: tolerances with their reasons, golden files, synthetic frames
//! and weights, and video clips.
//!
//! `tools/reference.py` generates the same synthetic frames and weights, so golden files do not
//! store them.
//!
//! ```
//! use rife_testkit::{lines, tolerance};
//!
//! let (width, height) = (32, 16);
//! let frame = lines(width, height, 0, 0);
//! assert_eq!(frame.len(), 3 * width * height);
//! assert_eq!(tolerance::max_error(&[0.5, 0.25], &[0.5, 0.0]), 0.25);
//! ```

pub mod ffmpeg;
mod golden;
pub mod process;
pub mod program;
mod synthetic;
pub mod tolerance;

pub use golden::{Golden, GoldenCase};
pub use synthetic::{lines, random_weights, write_random_weights};

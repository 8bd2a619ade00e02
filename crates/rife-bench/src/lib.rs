//! The RIFE benchmark. Data flows in one direction, and each stage imports only earlier ones:
//!
//! 1. [`args`]: the command line; `clip` and [`subject`]: the input frames and the engines;
//! 2. [`plan`]: validated settings;
//! 3. [`measure`]: measures and returns data, using [`metrics`] and [`stats`]; prints nothing;
//! 4. [`record`]: the JSON documents; [`benchmark`]: from a plan to a record;
//! 5. [`compare`] and [`report`]: text, Markdown and HTML computed from records alone.

#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod args;
pub mod benchmark;
mod child;
mod clip;
pub mod compare;
mod distinct;
mod files;
mod hash;
pub mod measure;
pub mod metrics;
pub mod mode;
pub mod plan;
pub mod progress;
pub mod record;
pub mod report;
pub mod stats;
pub mod subject;

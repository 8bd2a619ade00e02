//! The benchmark: cases become measurements, measurements become reports, strictly in that
//! order. Measuring returns data and prints nothing; reports are made of records alone.
//!
//! - [`args`] what was typed, [`plan`] what is valid;
//! - [`subject`] the door to the engines, [`clip`] (of [`scene`] or [`pictures`]) their input;
//! - [`measure`] runs a plan, with [`metrics`] and [`stats`];
//! - [`record`] the JSON document, [`report`] what people read;
//! - [`kernels`] the same way, for the launches of a frame.

#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod args;
pub mod child;
pub mod clip;
pub mod compare;
mod hash;
pub mod kernels;
pub mod measure;
pub mod metrics;
pub mod mode;
pub mod pictures;
pub mod plan;
pub mod progress;
pub mod record;
pub mod report;
pub mod scene;
pub mod stats;
pub mod streaming;
pub mod subject;
pub mod video;

//! The benchmark: cases become measurements, measurements become reports, strictly in that
//! order.

pub mod clip;
mod hash;
pub mod metrics;
pub mod pictures;
pub mod scene;
pub mod stats;
pub mod subject;

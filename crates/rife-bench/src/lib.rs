//! The benchmark: cases become measurements, measurements become reports, strictly in that
//! order.

mod hash;
pub mod metrics;
pub mod subject;

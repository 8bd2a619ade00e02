//! Video in and out of RIFE: what is read and written, at which times frames are made, where
//! scenes end, and how a long job is kept in segments. Networks are [`rife_runtime`]'s business.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod error;
mod format;

pub use error::{Error, Result};
pub use format::{Colour, Planes, RawFormat};

/// An exact time in seconds, or an exact rate a second.
pub type Rational = num_rational::Ratio<i64>;

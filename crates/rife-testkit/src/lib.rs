//! What the tests of every crate share: tolerances with their reasons, golden files, frames and
//! weights drawn by formula.
//!
//! The formulas are those of `tools/reference.py`: what is drawn alike on both sides is not stored.

mod drawn;
mod golden;
pub mod process;
pub mod tolerance;

pub use drawn::{lines, random_weights};
pub use golden::{Case, Golden};

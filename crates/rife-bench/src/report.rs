//! What people read. Every report is computed from a [`crate::record::Record`] alone, so that it
//! can be made again from the file.

pub mod terminal;
pub mod warnings;

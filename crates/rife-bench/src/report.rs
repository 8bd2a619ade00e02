//! What people read. Every report is computed from a [`crate::record::Record`] alone (of launches
//! from a [`crate::kernels::KernelRecord`]), so that it can be made again from the file.

mod ablation;
mod further;
pub mod kernels;
mod layout;
mod peers;
pub mod terminal;
pub mod verdicts;
pub mod warnings;

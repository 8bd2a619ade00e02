//! What people read. Every report is computed from a [`crate::record::Record`] alone (of launches
//! from a [`crate::kernels::KernelRecord`]), so that it can be made again from the file.

mod ablation;
mod chart;
pub mod compare;
mod facts;
mod figures;
mod further;
mod grid;
pub mod kernels;
mod layout;
mod optimizations;
pub mod page;
mod peers;
pub mod readme;
pub mod sources;
mod tables;
pub mod terminal;
pub mod verdicts;
pub mod warnings;

//! Reports for people, computed from records alone, so that they can be regenerated at any time.

mod chart;
pub mod compare;
mod facts;
mod figures;
mod grid;
pub mod images;
pub mod kernels;
mod optimizations;
pub mod page;
pub mod pairs;
pub mod readme;
pub mod records;
mod tables;
pub mod terminal;
mod text;
pub mod video;
pub mod warnings;

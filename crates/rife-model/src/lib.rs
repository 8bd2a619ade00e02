//! RIFE's IFNet on candle-nn.
pub mod convert;
pub mod spec;

pub use spec::{MaskUpdate, ModelSpec, ModelVersion, UnknownVersion};

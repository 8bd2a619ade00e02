//! RIFE's IFNet on candle-nn.
mod blocks;
pub mod convert;
mod error;
mod ifnet;
mod scale;
mod spec;
mod warp;
pub mod weights;

pub use error::{Misshapen, ModelError, StateDictMismatch, UnknownScale};
pub use ifnet::{IfNet, Input, Trace, check_state_dict};
pub use scale::{Padding, Scale};
pub use spec::{MaskUpdate, ModelSpec, ModelVersion, UnknownVersion};
pub use warp::{warp, warp_pair};

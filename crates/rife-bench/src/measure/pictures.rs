//! What a comparison's worst frame looks like, small enough for a record.

use serde::{Deserialize, Serialize};

use crate::subject::Size;

/// The worst frame of a comparison, scaled down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// Which of the compared frames it is, from 0.
    pub frame: usize,
    /// Size of these pictures.
    pub size: Size,
    /// The frame that was made: JPEG, base64.
    pub made: String,
    /// The reference's: JPEG, base64.
    pub reference: String,
    /// The largest error of each pixel and, scaled down, of its cell: 8-bit grey PNG, base64.
    pub error: String,
    /// The error that is white, full scale being 1.
    pub error_white: f64,
}

//! RIFE's IFNet, versions 4.6, 4.25 and 4.26, on candle: what the networks are, plain and obviously
//! right. Whatever runs them faster is held to what this crate computes, and this crate to PyTorch.
//!
//! - [`IfNet`] is the network: load it by `state_dict` path, run any batch at any timestep.
//! - [`ModelSpec`] is what distinguishes a version, as one row of data.
//! - [`weights`] finds, fetches and verifies the published weights.
//! - [`convert`] turns a PyTorch checkpoint into safetensors without changing a bit of it.
//!
//! # Example
//!
//! ```no_run
//! use candle_core::{DType, Device, Tensor};
//! use rife_model::weights::Store;
//! use rife_model::{IfNet, Input, ModelVersion, Padding, Scale};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let version = ModelVersion::V4_25;
//! let weights = Store::locate(None)?.obtain(version, &mut |line| eprintln!("{line}"))?;
//! let net = IfNet::from_weights(&weights.read()?, version, DType::F32, &Device::Cpu)?;
//!
//! let (height, width) = (1080, 1920);
//! let frame = Tensor::zeros((1, 3, height, width), DType::F32, &Device::Cpu)?;
//! let padding = Padding::new(height, width, net.spec(), Scale::One);
//! let (image0, image1) = (padding.pad(&frame)?, padding.pad(&frame)?);
//!
//! // A frame's features depend on the frame alone: encode each once, use it for both its pairs.
//! let (f0, f1) = (net.encode(&image0)?, net.encode(&image1)?);
//! let input = Input { features: Some((&f0, &f1)), ..Input::new(&image0, &image1, &[0.5]) };
//! let middle = padding.crop(&net.forward(&input)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! Two timesteps between the same frames, as a batch of two:
//!
//! ```
//! # use candle_core::{DType, Device, Tensor};
//! # use candle_nn::VarBuilder;
//! # use rife_model::{IfNet, Input, ModelError, ModelVersion};
//! # fn main() -> Result<(), ModelError> {
//! # let mut tensors = std::collections::HashMap::new();
//! # for (name, shape) in ModelVersion::V4_6.spec().tensors() {
//! #     tensors.insert(name, Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
//! # }
//! // `tensors` maps the `state_dict` paths to tensors.
//! let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
//! let net = IfNet::load(ModelVersion::V4_6, vb)?;
//! let frame = Tensor::rand(0f32, 1.0, (2, 3, 64, 64), &Device::Cpu)?;
//! let between = net.forward(&Input::new(&frame, &frame, &[0.25, 0.75]))?;
//! assert_eq!(between.dims(), [2, 3, 64, 64]);
//! # Ok(())
//! # }
//! ```

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod accumulate;
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
pub use spec::{
    ENCODER_WIDTH, LEAKY_SLOPE, MaskUpdate, ModelSpec, ModelVersion, RES_CONVS, UnknownVersion,
};
pub use warp::{warp, warp_pair};

//! RIFE's IFNet, versions 4.6, 4.25, 4.26 and four lite and heavy ones, on
//! [Candle](https://github.com/huggingface/candle).
//!
//! This crate is the reference implementation: simple rather than fast, and validated against
//! PyTorch with the published weights. The optimized engines of `rife-runtime` are validated
//! against it.
//!
//! - [`IfNet`] is the network. It loads by `state_dict` path and interpolates batches of frames at
//!   any timestep.
//! - [`ModelSpec`] describes a version as one row of data.
//! - [`weights`] finds, fetches and verifies the published weights.
//! - [`convert`] converts PyTorch checkpoints to safetensors, bit for bit.
//!
//! # Example
//!
//! Two frames between the same pair, at timesteps 0.25 and 0.75, as a batch of two:
//!
//! ```
//! # use candle_core::{DType, Device, Tensor};
//! # use candle_nn::VarBuilder;
//! # use rife_model::{IfNet, Input, ModelVersion};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut tensors = std::collections::HashMap::new();
//! # for (name, shape) in ModelVersion::V4_6.spec().tensors() {
//! #     tensors.insert(name, Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
//! # }
//! // `tensors` maps `state_dict` paths to tensors.
//! let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
//! let net = IfNet::load(ModelVersion::V4_6, vb)?;
//!
//! let frame = Tensor::rand(0f32, 1.0, (2, 3, 64, 64), &Device::Cpu)?;
//! let interpolated = net.forward(&Input::new(&frame, &frame, &[0.25, 0.75]))?;
//! assert_eq!(interpolated.dims(), [2, 3, 64, 64]);
//! # Ok(())
//! # }
//! ```
//!
//! With the published weights, frames of any size, and features that are computed once per frame:
//!
//! ```no_run
//! use candle_core::{DType, Device, Tensor};
//! use rife_model::weights::Weights;
//! use rife_model::{IfNet, Input, ModelVersion, Padding, Scale};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Downloads the weights when they are not in the default folder yet.
//! let version = ModelVersion::V4_25;
//! let weights = Weights::fetch(version, &mut |line| eprintln!("{line}"))?;
//! let net = IfNet::from_weights(&weights.read()?, version, DType::F32, &Device::Cpu)?;
//!
//! let (height, width) = (1080, 1920);
//! let frame = Tensor::zeros((1, 3, height, width), DType::F32, &Device::Cpu)?;
//! let padding = Padding::new(height, width, net.spec(), Scale::One);
//! let (image0, image1) = (padding.pad(&frame)?, padding.pad(&frame)?);
//!
//! // Features depend on one frame only: encode each frame once and use them for both its pairs.
//! let (f0, f1) = (net.encode(&image0)?, net.encode(&image1)?);
//! let input = Input { features: Some((&f0, &f1)), ..Input::new(&image0, &image1, &[0.5]) };
//! let middle = padding.crop(&net.forward(&input)?)?;
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

pub use error::{ModelError, ShapeMismatch, StateDictMismatch, UnknownScale};
pub use ifnet::{IfNet, Input, Trace, check_state_dict};
pub use scale::{Padding, Scale};
pub use spec::{LEAKY_SLOPE, MaskUpdate, ModelSpec, ModelVersion, RES_CONVS, UnknownVersion};
pub use warp::{warp, warp_pair};

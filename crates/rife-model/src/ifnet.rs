//! IFNet: interpolates the frame at a timestep between two frames.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use safetensors::SafeTensors;

use crate::blocks::{Estimate, Head, IfBlock};
use crate::error::{ShapeMismatch, StateDictMismatch};
use crate::warp::sample_pair;
use crate::weights::VerifiedBytes;
use crate::{MaskUpdate, ModelError, ModelSpec, ModelVersion, Scale};

/// The input of [`IfNet::forward`].
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The earlier frame: `(B, 3, H, W)`, RGB in [0, 1], sides a multiple of
    /// [`Scale::pad_multiple`] (see [`crate::Padding`]).
    pub image0: &'a Tensor,
    /// The later frame, with the same shape.
    pub image1: &'a Tensor,
    /// The timestep of the interpolated frame, in (0, 1): one for the whole batch, or one per item.
    pub timesteps: &'a [f32],
    /// The resolution at which flow is estimated.
    pub scale: Scale,
    /// Average the estimate of every block with that of the reversed pair (4.6 only).
    pub ensemble: bool,
    /// The features of both frames from [`IfNet::encode`], if already computed.
    pub features: Option<(&'a Tensor, &'a Tensor)>,
}

impl<'a> Input<'a> {
    /// The published defaults: scale 1, no ensemble, features computed by the network.
    pub fn new(image0: &'a Tensor, image1: &'a Tensor, timesteps: &'a [f32]) -> Self {
        Self { image0, image1, timesteps, scale: Scale::One, ensemble: false, features: None }
    }
}

/// An interpolated frame with the intermediate results.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `(B, 3, H, W)`, F32, RGB.
    pub image: Tensor,
    /// The flow after each block, `(B, 4, H, W)`, F32, in px: the offset of each pixel's source in
    /// `image0` (channels 0, 1: x, y) and in `image1` (2, 3).
    pub flows: Vec<Tensor>,
    /// The mask after the last block, `(B, 1, H, W)`, F32, before the sigmoid.
    pub mask: Tensor,
}

/// A RIFE network with its weights.
///
/// Convolutions run in the dtype of the weights and accumulate in F32, also on a CPU. Resizing,
/// warping, blending, flow and mask are always F32.
#[derive(Clone, Debug)]
pub struct IfNet {
    spec: &'static ModelSpec,
    encode: Option<Head>,
    blocks: Vec<IfBlock>,
    device: Device,
    dtype: DType,
}

impl IfNet {
    /// Builds the network from the tensors of `vb`, addressed by `state_dict` path, with the dtype
    /// and device of `vb`.
    ///
    /// # Errors
    /// [`ModelError::StateDict`] lists every tensor that is missing or has a wrong shape. A
    /// `VarBuilder` cannot list its tensors, so unexpected tensors are not detected here;
    /// [`IfNet::from_safetensors`] reports those too.
    pub fn load(version: ModelVersion, vb: VarBuilder) -> Result<Self, ModelError> {
        Self::with_spec(version.spec(), vb)
    }

    /// As [`IfNet::load`], for an architecture that is not one of [`ModelVersion::ALL`]. Errors name
    /// [`ModelSpec::version`].
    ///
    /// # Errors
    /// As [`IfNet::load`].
    pub fn with_spec(spec: &'static ModelSpec, vb: VarBuilder) -> Result<Self, ModelError> {
        check_dtype(vb.dtype(), vb.device())?;
        let mut found = HashMap::new();
        for (name, _) in spec.tensors() {
            if vb.contains_tensor(&name) {
                let tensor = vb.get_unchecked(&name).map_err(ModelError::Candle)?;
                found.insert(name, tensor);
            }
        }
        check_state_dict(spec, found.iter().map(|(n, t)| (n.as_str(), t.dims())))?;
        Self::build(spec, VarBuilder::from_tensors(found, vb.dtype(), vb.device()))
            .map_err(ModelError::Candle)
    }

    fn build(spec: &'static ModelSpec, vb: VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            spec,
            encode: match spec.has_encoder() {
                true => Some(Head::load(spec, vb.pp("encode"))?),
                false => None,
            },
            blocks: (0..spec.block_channels.len())
                .map(|i| IfBlock::load(spec, i, vb.pp(format!("block{i}"))))
                .collect::<candle_core::Result<_>>()?,
            device: vb.device().clone(),
            dtype: vb.dtype(),
        })
    }

    /// Loads a converted weights file.
    ///
    /// # Errors
    /// [`ModelError::Read`] or [`ModelError::Safetensors`] when the file cannot be read.
    /// [`ModelError::StateDict`] lists every difference when its tensors are not exactly those of
    /// the version, ignoring training-only tensors (see [`ModelSpec::ignored_prefixes`]).
    pub fn from_safetensors(
        path: impl AsRef<Path>,
        version: ModelVersion,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, path, version, dtype, device)
    }

    /// Loads verified weights: the loaded bytes are the hashed bytes.
    ///
    /// # Errors
    /// As [`IfNet::from_safetensors`].
    pub fn from_weights(
        bytes: &VerifiedBytes,
        version: ModelVersion,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::from_bytes(bytes.as_slice(), bytes.path(), version, dtype, device)
    }

    fn from_bytes(
        bytes: &[u8],
        path: &Path,
        version: ModelVersion,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| ModelError::Safetensors { path: path.to_owned(), source })?;
        let tensors: Vec<_> = file.iter().map(|(n, t)| (n, t.shape().to_vec())).collect();
        check_state_dict(version.spec(), tensors.iter().map(|(n, s)| (*n, s.as_slice())))?;
        let vb =
            VarBuilder::from_slice_safetensors(bytes, dtype, device).map_err(ModelError::Candle)?;
        Self::load(version, vb)
    }

    /// The description of the version.
    pub fn spec(&self) -> &'static ModelSpec {
        self.spec
    }

    /// The dtype of the convolutions.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of the weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The features of a frame: `(B, 3, H, W)` to `(B, encoder_channels, H, W)`, F32. They depend on that frame
    /// only, so one call serves every timestep and both pairs that contain the frame.
    ///
    /// # Errors
    /// [`ModelError::NoEncoder`] for 4.6; [`ModelError::Input`] when the shape is wrong.
    pub fn encode(&self, image: &Tensor) -> Result<Tensor, ModelError> {
        let Some(encode) = &self.encode else {
            return Err(ModelError::NoEncoder { version: self.spec.version });
        };
        match image.dims() {
            [_, 3, h, w] if *h > 0 && *w > 0 && h % 2 == 0 && w % 2 == 0 => {}
            got => {
                return Err(ModelError::input(
                    "IfNet::encode",
                    "(batch, 3, height, width) with even sides",
                    format!("{got:?}"),
                ));
            }
        }
        self.features(encode, image).map_err(ModelError::Candle)
    }

    fn features(&self, encode: &Head, image: &Tensor) -> candle_core::Result<Tensor> {
        encode.forward(&image.to_dtype(self.dtype)?)?.to_dtype(DType::F32)
    }

    /// The interpolated frames: `(B, 3, H, W)`, F32.
    ///
    /// # Errors
    /// [`ModelError::Input`] for shapes, sizes and timesteps that [`Input`] does not allow;
    /// [`ModelError::NoEnsemble`] and [`ModelError::NoEncoder`] for features that the version does
    /// not have.
    pub fn forward(&self, input: &Input) -> Result<Tensor, ModelError> {
        Ok(self.run(input, |_| ())?.0)
    }

    /// As [`IfNet::forward`], with the flow after each block and the mask.
    ///
    /// # Errors
    /// As [`IfNet::forward`].
    pub fn forward_traced(&self, input: &Input) -> Result<Trace, ModelError> {
        let mut flows = Vec::new();
        let (image, mask) = self.run(input, |flow| flows.push(flow.clone()))?;
        Ok(Trace { image, flows, mask })
    }

    fn run(
        &self,
        input: &Input,
        after_block: impl FnMut(&Tensor),
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.check(input)?;
        self.interpolate(input, after_block).map_err(ModelError::Candle)
    }

    /// As [`Self::run`], for input that has been validated.
    fn interpolate(
        &self,
        input: &Input,
        mut after_block: impl FnMut(&Tensor),
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let (b, _, h, w) = input.image0.dims4()?;
        let timestep =
            Tensor::from_slice(input.timesteps, (input.timesteps.len(), 1, 1, 1), &self.device)?
                .broadcast_as((b, 1, h, w))?
                .contiguous()?;
        let image0 = input.image0.to_dtype(DType::F32)?;
        let image1 = input.image1.to_dtype(DType::F32)?;
        let features = match (&self.encode, input.features) {
            (None, _) => None,
            (Some(_), Some((f0, f1))) => Some((f0.to_dtype(DType::F32)?, f1.to_dtype(DType::F32)?)),
            (Some(encode), None) => {
                Some((self.features(encode, &image0)?, self.features(encode, &image1)?))
            }
        };

        let mut state: Option<State> = None;
        for (i, block) in self.blocks.iter().enumerate() {
            let divisor = input.scale.block_divisor(self.spec, i);
            let view = View::new(&image0, &image1, features.as_ref(), &timestep, state.as_ref())?;
            let mut estimate = view.estimate(block, divisor)?;
            if input.ensemble {
                let reversed = view.reversed()?.estimate(block, divisor)?;
                estimate.flow = ((estimate.flow + swap_flow(&reversed.flow)?)? * 0.5)?;
                estimate.mask = ((estimate.mask - reversed.mask)? * 0.5)?;
            }
            let next = match state {
                None => {
                    State { flow: estimate.flow, mask: estimate.mask, feature: estimate.feature }
                }
                Some(s) => State {
                    flow: (s.flow + estimate.flow)?,
                    mask: match self.spec.mask_update {
                        MaskUpdate::Add => (s.mask + estimate.mask)?,
                        MaskUpdate::Replace => estimate.mask,
                    },
                    feature: estimate.feature,
                },
            };
            after_block(&next.flow);
            state = Some(next);
        }
        let Some(State { flow, mask, .. }) = state else {
            candle_core::bail!("the network has no blocks");
        };
        let (warped0, warped1) = sample_pair(&image0, &image1, &flow)?;
        let weight0 = candle_nn::ops::sigmoid(&mask)?;
        let image = (warped0.broadcast_mul(&weight0)?
            + warped1.broadcast_mul(&weight0.affine(-1.0, 1.0)?)?)?;
        Ok((image, mask))
    }

    fn check(&self, input: &Input) -> Result<(), ModelError> {
        const OP: &str = "IfNet::forward";
        let multiple = input.scale.pad_multiple(self.spec);
        let dims = input.image0.dims();
        let &[b, 3, h, w] = dims else {
            return Err(ModelError::input(OP, "image0 of (batch, 3, H, W)", format!("{dims:?}")));
        };
        if b == 0 || h == 0 || w == 0 || h % multiple != 0 || w % multiple != 0 {
            return Err(ModelError::input(
                OP,
                format!(
                    "width and height to be multiples of {multiple} px at scale {} (see Padding)",
                    input.scale
                ),
                format!("{w}x{h}"),
            ));
        }
        if input.image1.dims() != dims {
            return Err(ModelError::input(
                OP,
                format!("image1 of the shape of image0, {dims:?}"),
                format!("{:?}", input.image1.dims()),
            ));
        }
        let t = input.timesteps;
        if (t.len() != 1 && t.len() != b) || !t.iter().all(|t| 0.0 < *t && *t < 1.0) {
            return Err(ModelError::input(
                OP,
                format!("1 or {b} timesteps in (0, 1)"),
                format!("{t:?}"),
            ));
        }
        if input.ensemble && !self.spec.supports_ensemble {
            return Err(ModelError::NoEnsemble { version: self.spec.version });
        }
        if let Some((f0, f1)) = input.features {
            if !self.spec.has_encoder() {
                return Err(ModelError::NoEncoder { version: self.spec.version });
            }
            let expected = [b, self.spec.encoder_channels, h, w];
            if let Some(f) = [f0, f1].into_iter().find(|f| f.dims() != expected) {
                return Err(ModelError::input(
                    OP,
                    format!("features of {expected:?}"),
                    format!("{:?}", f.dims()),
                ));
            }
        }
        Ok(())
    }
}

/// The state after a block.
struct State {
    flow: Tensor,
    mask: Tensor,
    feature: Option<Tensor>,
}

/// The inputs of a block at full size.
struct View {
    image0: Tensor,
    image1: Tensor,
    features: Option<(Tensor, Tensor)>,
    timestep: Tensor,
    mask: Option<Tensor>,
    feature: Option<Tensor>,
    flow: Option<Tensor>,
}

impl View {
    /// The frames and features, warped by the flow so far.
    fn new(
        image0: &Tensor,
        image1: &Tensor,
        features: Option<&(Tensor, Tensor)>,
        timestep: &Tensor,
        state: Option<&State>,
    ) -> candle_core::Result<Self> {
        let timestep = timestep.clone();
        let Some(State { flow, mask, feature }) = state else {
            return Ok(Self {
                image0: image0.clone(),
                image1: image1.clone(),
                features: features.cloned(),
                timestep,
                mask: None,
                feature: None,
                flow: None,
            });
        };
        let (image0, image1) = sample_pair(image0, image1, flow)?;
        Ok(Self {
            image0,
            image1,
            features: match features {
                Some((f0, f1)) => Some(sample_pair(f0, f1, flow)?),
                None => None,
            },
            timestep,
            mask: Some(mask.clone()),
            feature: feature.clone(),
            flow: Some(flow.clone()),
        })
    }

    /// The inputs for the reversed pair: frames exchanged, timestep and mask reversed.
    fn reversed(&self) -> candle_core::Result<Self> {
        Ok(Self {
            image0: self.image1.clone(),
            image1: self.image0.clone(),
            features: self.features.as_ref().map(|(f0, f1)| (f1.clone(), f0.clone())),
            timestep: self.timestep.affine(-1.0, 1.0)?,
            mask: self.mask.as_ref().map(Tensor::neg).transpose()?,
            feature: self.feature.clone(),
            flow: self.flow.as_ref().map(swap_flow).transpose()?,
        })
    }

    fn estimate(&self, block: &IfBlock, divisor: f64) -> candle_core::Result<Estimate> {
        let mut images = vec![&self.image0, &self.image1];
        if let Some((f0, f1)) = &self.features {
            images.extend([f0, f1]);
        }
        images.push(&self.timestep);
        images.extend(&self.mask);
        images.extend(&self.feature);
        block.forward(&images, self.flow.as_ref(), divisor)
    }
}

/// Exchanges the flow to `image0` and the flow to `image1`.
fn swap_flow(flow: &Tensor) -> candle_core::Result<Tensor> {
    Tensor::cat(&[flow.narrow(1, 2, 2)?, flow.narrow(1, 0, 2)?], 1)
}

fn check_dtype(dtype: DType, device: &Device) -> Result<(), ModelError> {
    match (dtype, device) {
        (DType::F32 | DType::F16, _) => Ok(()),
        (DType::BF16, Device::Cpu) => {
            // Candle's CPU backend has no BF16 convolution.
            Err(ModelError::DType { dtype, device: "the CPU", expected: "F32 or F16" })
        }
        (DType::BF16, _) => Ok(()),
        _ => Err(ModelError::DType { dtype, device: "any device", expected: "F32, F16 or BF16" }),
    }
}

/// Compares the names and shapes of a whole `state_dict` with the tensors that `spec` needs.
///
/// # Errors
/// Lists every missing tensor, unexpected tensor and wrong shape.
pub fn check_state_dict<'a>(
    spec: &ModelSpec,
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> Result<(), StateDictMismatch> {
    let mut expected: std::collections::BTreeMap<_, _> = spec.tensors().into_iter().collect();
    let mut mismatch = StateDictMismatch {
        version: spec.version,
        missing: Vec::new(),
        unexpected: Vec::new(),
        shapes: Vec::new(),
    };
    for (name, shape) in tensors {
        match expected.remove(name) {
            Some(required) if required == shape => {}
            Some(expected) => mismatch.shapes.push(ShapeMismatch {
                name: name.to_owned(),
                expected,
                got: shape.to_vec(),
            }),
            None if spec.ignored_prefixes.iter().any(|p| name.starts_with(p)) => {}
            None => mismatch.unexpected.push(name.to_owned()),
        }
    }
    mismatch.missing = expected.into_keys().collect();
    mismatch.unexpected.sort();
    mismatch.shapes.sort_by(|a, b| a.name.cmp(&b.name));
    if mismatch.is_empty() { Ok(()) } else { Err(mismatch) }
}

//! IFNet: two frames and a timestep in, the frame between them out.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use safetensors::SafeTensors;

use crate::blocks::{Estimate, Head, IfBlock};
use crate::error::{Misshapen, StateDictMismatch};
use crate::warp::{warp, warp_pair};
use crate::weights::VerifiedBytes;
use crate::{MaskUpdate, ModelError, ModelSpec, ModelVersion, Scale};

/// What [`IfNet::forward`] takes.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The earlier frame, `(B, 3, H, W)`, RGB in [0, 1], sides a multiple of
    /// [`Scale::pad_multiple`] (see [`crate::Padding`]).
    pub image0: &'a Tensor,
    /// The later frame, likewise.
    pub image1: &'a Tensor,
    /// Where the new frame lies between the two, 0 < t < 1: one for the whole batch, or one a
    /// batch item.
    pub timesteps: &'a [f32],
    /// The resolution that flow is estimated at.
    pub scale: Scale,
    /// Average every block with its run on the swapped pair (4.6 only).
    pub ensemble: bool,
    /// Both frames' features as [`IfNet::encode`] made them, where the caller has them already.
    pub features: Option<(&'a Tensor, &'a Tensor)>,
}

impl<'a> Input<'a> {
    /// The published recipe: scale 1, no ensemble, features made on the way.
    pub fn new(image0: &'a Tensor, image1: &'a Tensor, timesteps: &'a [f32]) -> Self {
        Self { image0, image1, timesteps, scale: Scale::One, ensemble: false, features: None }
    }
}

/// A made frame, and how the network came to it.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `(B, 3, H, W)`, F32, RGB.
    pub image: Tensor,
    /// The flow after each block, `(B, 4, H, W)`, F32, px: where in `image0` (channels 0, 1:
    /// x, y) and in `image1` (2, 3) each pixel comes from.
    pub flows: Vec<Tensor>,
    /// The mask after the last block, `(B, 1, H, W)`, F32, before the sigmoid.
    pub mask: Tensor,
}

/// One of RIFE's networks with its weights.
///
/// Convolutions run in the dtype it was loaded with and accumulate in F32, on the CPU too; frames are
/// resized, warped and blended, and flow and mask kept, in F32 always.
#[derive(Clone, Debug)]
pub struct IfNet {
    spec: &'static ModelSpec,
    encode: Option<Head>,
    blocks: Vec<IfBlock>,
    device: Device,
    dtype: DType,
}

impl IfNet {
    /// Builds the network from the tensors of `vb`, by their `state_dict` paths, in the dtype and
    /// on the device of `vb`.
    ///
    /// # Errors
    /// [`ModelError::StateDict`] names every tensor that is missing or misshapen. A `VarBuilder`
    /// cannot list what it holds, so tensors beyond the version's go unseen here;
    /// [`IfNet::from_safetensors`] reports those too.
    pub fn load(version: ModelVersion, vb: VarBuilder) -> Result<Self, ModelError> {
        let spec = version.spec();
        check_dtype(vb.dtype(), vb.device())?;
        let mut found = HashMap::new();
        for (name, _) in spec.tensors() {
            if vb.contains_tensor(&name) {
                let tensor = vb.get_unchecked(&name)?;
                found.insert(name, tensor);
            }
        }
        check_state_dict(spec, found.iter().map(|(n, t)| (n.as_str(), t.dims())))?;
        let vb = VarBuilder::from_tensors(found, vb.dtype(), vb.device());
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

    /// Reads a converted weights file.
    ///
    /// # Errors
    /// When the file cannot be read or is not safetensors; [`ModelError::StateDict`] when its
    /// tensors are not exactly the version's (training-only tensors aside, see
    /// [`ModelSpec::ignored_prefixes`]), naming all that differ.
    pub fn from_safetensors(
        path: impl AsRef<Path>,
        version: ModelVersion,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Self::from_bytes(&bytes, shown, version, dtype, device),
            Err(cause) => Err(ModelError::Read { path: shown, cause }),
        }
    }

    /// As [`IfNet::from_safetensors`], from weights that were verified: what is loaded is what
    /// was hashed.
    ///
    /// # Errors
    /// As [`IfNet::from_safetensors`].
    pub fn from_weights(
        bytes: &VerifiedBytes,
        version: ModelVersion,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let shown = bytes.path().display().to_string();
        Self::from_bytes(bytes.as_slice(), shown, version, dtype, device)
    }

    fn from_bytes(
        bytes: &[u8],
        path: String,
        version: ModelVersion,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|cause| ModelError::Safetensors { path, cause })?;
        let tensors: Vec<_> = file.iter().map(|(n, t)| (n, t.shape().to_vec())).collect();
        check_state_dict(version.spec(), tensors.iter().map(|(n, s)| (*n, s.as_slice())))?;
        Self::load(version, VarBuilder::from_slice_safetensors(bytes, dtype, device)?)
    }

    /// The version's row of data.
    pub fn spec(&self) -> &'static ModelSpec {
        self.spec
    }

    /// The dtype that convolutions run in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device that the weights are on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A frame's features, `(B, 3, H, W)` to `(B, 4, H, W)`, in F32. They depend on the frame
    /// alone, so that one call serves both pairs the frame is in and every timestep.
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
        Ok(encode.forward(&image.to_dtype(self.dtype)?)?.to_dtype(DType::F32)?)
    }

    /// The frame at `timesteps` between two frames: `(B, 3, H, W)`, F32.
    ///
    /// # Errors
    /// [`ModelError::Input`] for shapes, sizes and timesteps that [`Input`] does not allow;
    /// [`ModelError::NoEnsemble`] and [`ModelError::NoEncoder`] for what the version lacks.
    pub fn forward(&self, input: &Input) -> Result<Tensor, ModelError> {
        Ok(self.run(input, |_| ())?.0)
    }

    /// As [`IfNet::forward`], with each block's flow kept.
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
        mut after_block: impl FnMut(&Tensor),
    ) -> Result<(Tensor, Tensor), ModelError> {
        let timestep = self.check(input)?;
        let image0 = input.image0.to_dtype(DType::F32)?;
        let image1 = input.image1.to_dtype(DType::F32)?;
        let features = match (self.spec.has_encoder(), input.features) {
            (false, _) => None,
            (true, Some((f0, f1))) => Some((f0.to_dtype(DType::F32)?, f1.to_dtype(DType::F32)?)),
            (true, None) => Some((self.encode(&image0)?, self.encode(&image1)?)),
        };

        let mut state: Option<State> = None;
        for (i, block) in self.blocks.iter().enumerate() {
            let divisor = input.scale.block_divisor(self.spec, i);
            let view = View::new(&image0, &image1, features.as_ref(), &timestep, state.as_ref())?;
            let mut estimate = view.estimate(block, divisor)?;
            if input.ensemble {
                let mirrored = view.swapped()?.estimate(block, divisor)?;
                estimate.flow = ((estimate.flow + swap_flow(&mirrored.flow)?)? * 0.5)?;
                estimate.mask = ((estimate.mask - mirrored.mask)? * 0.5)?;
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
            return Err(ModelError::input("IfNet::forward", "at least one block", "none"));
        };
        let (warped0, warped1) = warp_pair(&image0, &image1, &flow)?;
        let weight0 = candle_nn::ops::sigmoid(&mask)?;
        let image = (warped0.broadcast_mul(&weight0)?
            + warped1.broadcast_mul(&weight0.affine(-1.0, 1.0)?)?)?;
        Ok((image, mask))
    }

    /// Validates `input` and returns its timesteps as a plane, `(B, 1, H, W)`.
    fn check(&self, input: &Input) -> Result<Tensor, ModelError> {
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
                    "sides that are a multiple of {multiple} px at scale {} (see Padding)",
                    input.scale
                ),
                format!("{w}x{h}"),
            ));
        }
        if input.image1.dims() != dims {
            return Err(ModelError::input(
                OP,
                format!("image1 of {dims:?}, as image0"),
                format!("{:?}", input.image1.dims()),
            ));
        }
        let t = input.timesteps;
        if (t.len() != 1 && t.len() != b) || !t.iter().all(|t| 0.0 < *t && *t < 1.0) {
            return Err(ModelError::input(
                OP,
                format!("1 or {b} timesteps between 0 and 1"),
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
        Ok(Tensor::from_slice(t, (t.len(), 1, 1, 1), &self.device)?
            .broadcast_as((b, 1, h, w))?
            .contiguous()?)
    }
}

/// What is known after a block.
struct State {
    flow: Tensor,
    mask: Tensor,
    feature: Option<Tensor>,
}

/// Everything a block sees at full size.
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
    /// The frames and features as they are, or warped by the flow so far.
    fn new(
        image0: &Tensor,
        image1: &Tensor,
        features: Option<&(Tensor, Tensor)>,
        timestep: &Tensor,
        state: Option<&State>,
    ) -> Result<Self, ModelError> {
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
        let (image0, image1) = warp_pair(image0, image1, flow)?;
        Ok(Self {
            image0,
            image1,
            features: match features {
                Some((f0, f1)) => {
                    Some((warp(f0, &flow.narrow(1, 0, 2)?)?, warp(f1, &flow.narrow(1, 2, 2)?)?))
                }
                None => None,
            },
            timestep,
            mask: Some(mask.clone()),
            feature: feature.clone(),
            flow: Some(flow.clone()),
        })
    }

    /// The same moment seen from the other end: frames exchanged, time and mask reversed.
    fn swapped(&self) -> Result<Self, ModelError> {
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

    fn estimate(&self, block: &IfBlock, divisor: f64) -> Result<Estimate, ModelError> {
        let mut images = vec![&self.image0, &self.image1];
        if let Some((f0, f1)) = &self.features {
            images.extend([f0, f1]);
        }
        images.push(&self.timestep);
        images.extend(&self.mask);
        images.extend(&self.feature);
        Ok(block.forward(&images, self.flow.as_ref(), divisor)?)
    }
}

/// Exchanges the two halves of a flow.
fn swap_flow(flow: &Tensor) -> candle_core::Result<Tensor> {
    Tensor::cat(&[flow.narrow(1, 2, 2)?, flow.narrow(1, 0, 2)?], 1)
}

fn check_dtype(dtype: DType, device: &Device) -> Result<(), ModelError> {
    match (dtype, device) {
        (DType::F32 | DType::F16, _) => Ok(()),
        (DType::BF16, Device::Cpu) => {
            // Candle's CPU backend has no BF16 convolution.
            Err(ModelError::DType { dtype, device: "the CPU", instead: "F32 or F16" })
        }
        (DType::BF16, _) => Ok(()),
        _ => Err(ModelError::DType { dtype, device: "any device", instead: "F32, F16 or BF16" }),
    }
}

/// Compares a whole `state_dict`, as names and shapes, with what `spec` needs.
///
/// # Errors
/// Names every missing, unknown and misshapen tensor at once.
pub fn check_state_dict<'a>(
    spec: &ModelSpec,
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> Result<(), StateDictMismatch> {
    let mut expected: std::collections::BTreeMap<_, _> = spec.tensors().into_iter().collect();
    let mut mismatch = StateDictMismatch {
        version: spec.version,
        missing: Vec::new(),
        extra: Vec::new(),
        misshapen: Vec::new(),
    };
    for (name, shape) in tensors {
        match expected.remove(name) {
            Some(wanted) if wanted == shape => {}
            Some(expected) => mismatch.misshapen.push(Misshapen {
                name: name.to_owned(),
                expected,
                got: shape.to_vec(),
            }),
            None if spec.ignored_prefixes.iter().any(|p| name.starts_with(p)) => {}
            None => mismatch.extra.push(name.to_owned()),
        }
    }
    mismatch.missing = expected.into_keys().collect();
    mismatch.extra.sort();
    mismatch.misshapen.sort_by(|a, b| a.name.cmp(&b.name));
    if mismatch.is_empty() { Ok(()) } else { Err(mismatch) }
}

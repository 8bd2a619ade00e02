//! The building blocks of IFNet. Each loads from its sub-path of the published `state_dict`.

use candle_core::{DType, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, Module, VarBuilder};

use crate::ModelSpec;
use crate::accumulate::{InF32, conv_transpose2d, conv2d};
use crate::spec::{LEAKY_SLOPE, RES_CONVS};

const HALVING: Conv2dConfig =
    Conv2dConfig { padding: 1, stride: 2, dilation: 1, groups: 1, cudnn_fwd_algo: None };
const SAME: Conv2dConfig =
    Conv2dConfig { padding: 1, stride: 1, dilation: 1, groups: 1, cudnn_fwd_algo: None };
const DOUBLING: ConvTranspose2dConfig =
    ConvTranspose2dConfig { padding: 1, output_padding: 0, stride: 2, dilation: 1 };

/// LeakyReLU: for a slope below 1 it is the larger of `x` and `slope · x`.
fn leaky_relu(x: &Tensor) -> candle_core::Result<Tensor> {
    x.maximum(&(x * LEAKY_SLOPE)?)
}

/// Bilinear resize of a `(B, C, H, W)` tensor, as
/// `F.interpolate(scale_factor=factor, mode="bilinear", align_corners=False)`.
pub(crate) fn resize(x: &Tensor, factor: f64) -> candle_core::Result<Tensor> {
    if factor == 1.0 {
        Ok(x.clone())
    } else {
        x.upsample_bilinear2d_with_scale(factor, factor, false)
    }
}

/// The frame encoder: `(B, 3, H, W)` to `(B, encoder_channels, H, W)`.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    cnn0: InF32<Conv2d>,
    cnn1: InF32<Conv2d>,
    cnn2: InF32<Conv2d>,
    cnn3: InF32<ConvTranspose2d>,
}

impl Head {
    pub(crate) fn load(spec: &ModelSpec, vb: VarBuilder) -> candle_core::Result<Self> {
        let width = spec.encoder_width;
        Ok(Self {
            cnn0: conv2d(3, width, 3, HALVING, vb.pp("cnn0"))?,
            cnn1: conv2d(width, width, 3, SAME, vb.pp("cnn1"))?,
            cnn2: conv2d(width, width, 3, SAME, vb.pp("cnn2"))?,
            cnn3: conv_transpose2d(width, spec.encoder_channels, 4, DOUBLING, vb.pp("cnn3"))?,
        })
    }
}

impl Module for Head {
    fn forward(&self, frame: &Tensor) -> candle_core::Result<Tensor> {
        let x = leaky_relu(&self.cnn0.forward(frame)?)?;
        let x = leaky_relu(&self.cnn1.forward(&x)?)?;
        let x = leaky_relu(&self.cnn2.forward(&x)?)?;
        self.cnn3.forward(&x)
    }
}

/// `leaky(conv(x) · beta + x)`
#[derive(Clone, Debug)]
struct ResConv {
    conv: InF32<Conv2d>,
    beta: Tensor,
}

impl ResConv {
    fn load(channels: usize, vb: VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            conv: conv2d(channels, channels, 3, SAME, vb.pp("conv"))?,
            beta: vb.get((1, channels, 1, 1), "beta")?,
        })
    }
}

impl Module for ResConv {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        leaky_relu(&(self.conv.forward(x)?.broadcast_mul(&self.beta)? + x)?)
    }
}

/// The output of an [`IfBlock`], F32, at the size of its input.
#[derive(Clone, Debug)]
pub(crate) struct Estimate {
    /// `(B, 4, H, W)`, in px: a correction of the flow.
    pub(crate) flow: Tensor,
    /// `(B, 1, H, W)`, before the sigmoid.
    pub(crate) mask: Tensor,
    /// `(B, 8, H, W)`, for versions whose blocks pass a feature to the next block.
    pub(crate) feature: Option<Tensor>,
}

/// One refinement of flow and mask, at `1 / divisor` of the frame size.
#[derive(Clone, Debug)]
pub(crate) struct IfBlock {
    conv0: [InF32<Conv2d>; 2],
    convblock: Vec<ResConv>,
    lastconv: InF32<ConvTranspose2d>,
    feature_channels: usize,
    dtype: DType,
}

impl IfBlock {
    pub(crate) fn load(
        spec: &ModelSpec,
        index: usize,
        vb: VarBuilder,
    ) -> candle_core::Result<Self> {
        let (inputs, c) = (spec.block_inputs(index), spec.block_channels[index]);
        let conv0 = vb.pp("conv0");
        Ok(Self {
            conv0: [
                conv2d(inputs, c / 2, 3, HALVING, conv0.pp("0").pp("0"))?,
                conv2d(c / 2, c, 3, HALVING, conv0.pp("1").pp("0"))?,
            ],
            convblock: (0..RES_CONVS)
                .map(|k| ResConv::load(c, vb.pp("convblock").pp(k)))
                .collect::<candle_core::Result<_>>()?,
            lastconv: conv_transpose2d(
                c,
                4 * spec.block_outputs,
                4,
                DOUBLING,
                vb.pp("lastconv").pp("0"),
            )?,
            feature_channels: spec.feature_channels,
            dtype: vb.dtype(),
        })
    }

    /// `images` are the inputs other than flow: `(B, _, H, W)`, F32. `flow` is `(B, 4, H, W)`,
    /// F32, in px. Resizing and flow arithmetic are F32; only the convolutions run in the dtype of
    /// the block, with F32 sums.
    pub(crate) fn forward(
        &self,
        images: &[&Tensor],
        flow: Option<&Tensor>,
        divisor: f64,
    ) -> candle_core::Result<Estimate> {
        let mut inputs = vec![resize(&Tensor::cat(images, 1)?, 1.0 / divisor)?];
        if let Some(flow) = flow {
            inputs.push((resize(flow, 1.0 / divisor)? / divisor)?);
        }
        let mut x = Tensor::cat(&inputs, 1)?.to_dtype(self.dtype)?;
        drop(inputs);
        for conv in &self.conv0 {
            x = leaky_relu(&conv.forward(&x)?)?;
        }
        for conv in &self.convblock {
            x = conv.forward(&x)?;
        }
        let x = candle_nn::ops::pixel_shuffle(&self.lastconv.forward(&x)?, 2)?;
        let x = resize(&x.to_dtype(DType::F32)?, divisor)?;
        Ok(Estimate {
            flow: (x.narrow(1, 0, 4)? * divisor)?,
            mask: x.narrow(1, 4, 1)?.contiguous()?,
            feature: match self.feature_channels {
                0 => None,
                n => Some(x.narrow(1, 5, n)?.contiguous()?),
            },
        })
    }
}

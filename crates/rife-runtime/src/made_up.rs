//! A version is only a row of data: a made-up one, which the tests of every engine run.

use candle_core::{DType, Device as Candle, Tensor};
use candle_nn::VarBuilder;
use rife_model::weights::VerifiedBytes;
use rife_model::{IfNet, Input, ModelSpec, Padding, Scale};
use rife_testkit::tolerance::{F32_IMAGE, max_error, psnr_db};

use crate::engine::{EngineImpl, Load};
use crate::goldens::{self, RANDOM_PSNR_DB};
use crate::{Frame, FrameSize, Optimizations, PixelFormat, Precision};

/// Channels that are no multiple of 16 or 8, of which half is odd; scales that skip a power of two;
/// another encoder.
pub(crate) static MADE_UP: ModelSpec = ModelSpec {
    block_channels: &[40, 36, 18],
    block_scales: &[8, 2, 1],
    encoder_width: 12,
    encoder_channels: 6,
    ..ModelSpec::V4_25
};

pub(crate) const SIZE: FrameSize = FrameSize::new(75, 41);
pub(crate) const TIMESTEP: f32 = 0.4;

pub(crate) fn frames() -> [Frame; 2] {
    [0, 3].map(|pan| {
        let samples = rife_testkit::lines(SIZE.width, SIZE.height, pan, -1);
        let samples = samples.into_iter().map(|v| f32::from(v) / 255.0).collect();
        Frame::planar_f32(SIZE, samples).unwrap()
    })
}

/// Random weights, as a safetensors file.
pub(crate) fn random_weights() -> Vec<u8> {
    goldens::random(&MADE_UP, |_, _| ())
}

/// Options to load an engine with. `unused`: [`Load`] requires published weights.
pub(crate) fn load(
    unused: &VerifiedBytes,
    precision: Precision,
    scale: Scale,
    optimizations: Optimizations,
) -> Load<'_> {
    Load {
        spec: &MADE_UP,
        weights: unused,
        index: 0,
        precision,
        scale,
        ensemble: false,
        optimizations,
        batch: 1,
        threads: Some(2),
    }
}

fn net(bytes: &[u8]) -> IfNet {
    let vb = VarBuilder::from_slice_safetensors(bytes, DType::F32, &Candle::Cpu).unwrap();
    IfNet::with_spec(&MADE_UP, vb).unwrap()
}

/// The output of the reference network.
pub(crate) fn expected(bytes: &[u8], scale: Scale) -> Vec<f32> {
    let padding = Padding::new(SIZE.height, SIZE.width, &MADE_UP, scale);
    let [a, b] = frames().map(|frame| {
        let samples = frame.as_planar_f32().unwrap().to_vec();
        let shape = (1, 3, SIZE.height, SIZE.width);
        padding.pad(&Tensor::from_vec(samples, shape, &Candle::Cpu).unwrap()).unwrap()
    });
    let image = net(bytes).forward(&Input { scale, ..Input::new(&a, &b, &[TIMESTEP]) }).unwrap();
    padding.crop(&image).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The output of an engine.
pub(crate) fn interpolated(engine: &dyn EngineImpl) -> Vec<f32> {
    let mut session = engine.session(SIZE).unwrap();
    for frame in frames() {
        session.push(&frame.view()).unwrap();
    }
    let mut out = Frame::black(SIZE, PixelFormat::PlanarF32).unwrap();
    session.at_into(TIMESTEP, &mut out.view_mut()).unwrap();
    out.as_planar_f32().unwrap().to_vec()
}

pub(crate) const SCALES: [Scale; 3] = [Scale::Half, Scale::One, Scale::Four];

/// Random weights amplify rounding errors, those of tensor cores in F32 included.
pub(crate) fn assert_close(precision: Precision, image: &[f32], expected: &[f32], what: &str) {
    let (off, psnr) = (max_error(image, expected), psnr_db(image, expected));
    match precision {
        Precision::F32 => assert!(off <= 2.0 * F32_IMAGE, "{what} in {precision}: off by {off}"),
        _ => assert!(psnr >= RANDOM_PSNR_DB, "{what} in {precision}: {psnr:.1} dB"),
    }
}

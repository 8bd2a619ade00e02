//! Reference outputs from PyTorch, for tests that need access to the internals of an engine: to
//! load random weights, and to read the flow after each block.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use rife_model::weights::VerifiedBytes;
use rife_model::{ModelSpec, ModelVersion, Padding, Scale};
use rife_testkit::{Golden, GoldenCase, random_weights};

use crate::engine::EngineSession;
use crate::test_weights::{self, SEED};
use crate::{Frame, FrameSize, PixelFormat};

/// The versions with golden files, and the names of the files. 4.25 has the architecture of 4.26.
const FILES: [(ModelVersion, &str); 6] = [
    (ModelVersion::V4_6, "rife46"),
    (ModelVersion::V4_22Lite, "rife422_lite"),
    (ModelVersion::V4_25Lite, "rife425_lite"),
    (ModelVersion::V4_25Heavy, "rife425_heavy"),
    (ModelVersion::V4_26, "rife426"),
    (ModelVersion::V4_26Heavy, "rife426_heavy"),
];

/// The lowest PSNR of the image with random weights in F16 or TF32. All layers have weights of the
/// same magnitude, so rounding errors grow from layer to layer, where the published weights damp
/// them. PyTorch in F16 reaches 53 dB in the worst case.
pub(crate) const RANDOM_PSNR_DB: f64 = 50.0;

/// The same in BF16. It has three fewer bits of mantissa, at 6 dB each.
pub(crate) const RANDOM_BF16_PSNR_DB: f64 = RANDOM_PSNR_DB - 18.0;

/// The weights that a reference was computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// The published weights.
    Published,
    /// Random weights of the same magnitude in every layer, so that every misplaced weight changes
    /// the output.
    Random,
}

/// The goldens of one version and one set of weights.
pub(crate) struct Goldens {
    pub(crate) version: ModelVersion,
    pub(crate) weights: Weights,
    /// See [`weights`]. [`crate::engine::Load`] requires them in any case.
    pub(crate) published: VerifiedBytes,
    /// The random weights as a safetensors file.
    random: Vec<u8>,
    cases: Vec<GoldenCase>,
}

impl Goldens {
    /// All goldens with these weights.
    pub(crate) fn all(weights: Weights) -> Vec<Self> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rife-model/tests/data");
        let load = |(version, file): (ModelVersion, &str)| {
            let golden = Golden::load(data.join(format!("golden_{file}.safetensors")));
            let matches = |case: &GoldenCase| case.random_weights == (weights == Weights::Random);
            let cases: Vec<GoldenCase> = golden.cases.into_iter().filter(matches).collect();
            let random = random(version.spec(), |_, _| ());
            Self { version, weights, published: self::weights(version), random, cases }
        };
        let all: Vec<_> = FILES.into_iter().map(load).collect();
        let all: Vec<_> = all.into_iter().filter(|goldens| !goldens.cases.is_empty()).collect();
        // Not every version has published weights that can be downloaded.
        let expected = if weights == Weights::Published { 2 } else { FILES.len() };
        assert_eq!(all.len(), expected, "versions with goldens for {weights:?} weights");
        all
    }

    /// The weights, as the bytes of a safetensors file.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.weights {
            Weights::Published => self.published.as_slice(),
            Weights::Random => &self.random,
        }
    }

    /// Every reference frame.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let version = self.version;
        self.cases.iter().flat_map(move |case| {
            let timesteps = case.timesteps.iter().enumerate();
            timesteps.map(move |(item, t)| Run { version, case, item, timestep: *t })
        })
    }
}

/// The bytes of [`test_weights::weights`].
pub(crate) fn weights(version: ModelVersion) -> VerifiedBytes {
    test_weights::weights(version).read().unwrap_or_else(|e| panic!("{e}"))
}

/// The random weights as a safetensors file, after `change` has modified the values of each tensor,
/// which it receives with their name.
pub(crate) fn random(spec: &ModelSpec, change: impl Fn(&str, &mut [f32])) -> Vec<u8> {
    let tensors: HashMap<String, Tensor> = spec
        .tensors()
        .into_iter()
        .map(|(name, shape)| {
            let mut values = random_weights(&name, &shape, SEED);
            change(&name, &mut values);
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("random.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    std::fs::read(path).unwrap()
}

/// One reference frame: a pair of frames, a timestep, and the outputs of PyTorch.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    version: ModelVersion,
    pub(crate) case: &'a GoldenCase,
    /// The index of the frame in the case's batch.
    item: usize,
    pub(crate) timestep: f32,
}

impl Run<'_> {
    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        format!("RIFE {}, {} at {}", self.version, self.case.name, self.timestep)
    }

    /// The flow's scale.
    pub(crate) fn scale(&self) -> Scale {
        self.case.scale.to_string().parse().unwrap()
    }

    /// The size of the frames.
    pub(crate) fn size(&self) -> FrameSize {
        let (_, _, height, width) = self.case.frames[0].dims4().unwrap();
        FrameSize::new(width, height)
    }

    /// The two frames.
    pub(crate) fn frames(&self) -> [Frame; 2] {
        let frame = |tensor| Frame::planar_f32(self.size(), values(tensor)).unwrap();
        self.case.frames.each_ref().map(frame)
    }

    /// Interpolates, and returns the columns that are in the golden file.
    pub(crate) fn image(&self, session: &mut dyn EngineSession) -> Vec<f32> {
        for frame in self.frames() {
            session.push(&frame.view()).unwrap();
        }
        let mut out = Frame::black(self.size(), PixelFormat::PlanarF32).unwrap();
        session.at_into(self.timestep, &mut out.view_mut()).unwrap();
        self.columns_of(out.as_planar_f32().unwrap())
    }

    /// Selects the columns that are in the golden file from planar samples.
    pub(crate) fn columns_of(&self, planar: &[f32]) -> Vec<f32> {
        let first = self.case.first_column;
        let columns = first..first + self.case.image.dim(3).unwrap();
        let rows = planar.chunks_exact(self.size().width);
        rows.flat_map(|row| &row[columns.clone()]).copied().collect()
    }

    /// The expected result of [`Run::image`].
    pub(crate) fn golden_image(&self) -> Vec<f32> {
        values(&self.case.image.get(self.item).unwrap())
    }

    /// The flow after each block, summed from the blocks' estimates, at the samples that are in the
    /// golden file.
    pub(crate) fn flows(&self, estimates: &[BlockFlow]) -> Vec<Vec<f32>> {
        let size = self.size();
        let padding = Padding::new(size.height, size.width, self.version.spec(), self.scale());
        let (first, step) = (self.case.first_column, self.case.flow_step);
        let columns = first..first + self.case.image.dim(3).unwrap();
        let mut sum = vec![0.0; 4 * size.height.div_ceil(step) * columns.len().div_ceil(step)];
        let after = |estimate: &BlockFlow| {
            let mut sums = sum.iter_mut();
            for channel in 0..4 {
                for y in (0..size.height).step_by(step) {
                    for x in columns.clone().step_by(step) {
                        *sums.next().unwrap() += estimate.at(&padding, (y, x), channel);
                    }
                }
            }
            sum.iter().map(|v| *v as f32).collect()
        };
        estimates.iter().map(after).collect()
    }

    /// The expected result of [`Run::flows`] after one block.
    pub(crate) fn golden_flow(&self, block: usize) -> Vec<f32> {
        values(&self.case.flows.get(block).unwrap().get(self.item).unwrap())
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// What a block adds to the flow, at the block's own resolution.
#[derive(Debug)]
pub(crate) struct BlockFlow {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `(height, width, 4)`, in px of the frame.
    pub(crate) flow: Vec<f32>,
}

impl BlockFlow {
    /// A channel at a pixel of the frame, resized like PyTorch's bilinear `interpolate` with
    /// `align_corners=False`.
    fn at(&self, padding: &Padding, (y, x): (usize, usize), channel: usize) -> f64 {
        let axis = |from: usize, to: usize, i: usize| {
            let position = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
            let first = (position as usize).min(from - 1);
            (first, (first + 1).min(from - 1), position - first as f64)
        };
        let (y0, y1, fy) = axis(self.height, padding.padded_height, y);
        let (x0, x1, fx) = axis(self.width, padding.padded_width, x);
        let value = |y: usize, x: usize| f64::from(self.flow[(y * self.width + x) * 4 + channel]);
        (1.0 - fy) * ((1.0 - fx) * value(y0, x0) + fx * value(y0, x1))
            + fy * ((1.0 - fx) * value(y1, x0) + fx * value(y1, x1))
    }
}

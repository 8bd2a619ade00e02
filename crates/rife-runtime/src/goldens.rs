//! The golden runs of the oracle, for tests of engines from inside: with weights that are in no file,
//! and of the flow after each block, which no engine hands out.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use rife_model::weights::{Store, VerifiedBytes};
use rife_model::{ModelVersion, Padding, Scale};
use rife_testkit::{Case, Golden, random_weights};

use crate::engine::EngineSession;
use crate::{Frame, FrameSize, PixelFormat};

/// The versions that there are goldens of, with their files.
const FILES: [(ModelVersion, &str); 2] =
    [(ModelVersion::V4_6, "rife46"), (ModelVersion::V4_26, "rife426")];

/// The seed of the oracle's random weights.
const SEED: u64 = 7;

/// Random weights in F16 or TF32, least PSNR of the image. Every layer is as large as any other there:
/// what is rounded off grows on its way, where the published weights damp it. The reference's own F16
/// is at 53 dB in the worst case.
pub(crate) const RANDOM_PSNR_DB: f64 = 50.0;

/// The same in BF16, which has three bits of mantissa less, each of them 6 dB.
pub(crate) const RANDOM_BF16_PSNR_DB: f64 = RANDOM_PSNR_DB - 18.0;

/// Which weights a golden run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// As published.
    Published,
    /// From a seed, as large in every layer: a weight in another's place shows.
    Random,
}

/// The goldens of one version and one set of weights.
pub(crate) struct Goldens {
    pub(crate) version: ModelVersion,
    pub(crate) weights: Weights,
    /// The published weights, which an engine is loaded with in any case.
    pub(crate) published: VerifiedBytes,
    /// Random weights as a safetensors file.
    random: Vec<u8>,
    cases: Vec<Case>,
}

impl Goldens {
    /// All goldens with these weights.
    pub(crate) fn all(weights: Weights) -> Vec<Self> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rife-model/tests/data");
        let load = |(version, file)| {
            let golden = Golden::load(data.join(format!("golden_{file}.safetensors")));
            let wanted = |case: &Case| case.random_weights == (weights == Weights::Random);
            let cases: Vec<Case> = golden.cases.into_iter().filter(wanted).collect();
            assert!(!cases.is_empty(), "RIFE {version} has no goldens with {weights:?} weights");
            let random = random(version, |_, _| ());
            Self { version, weights, published: published(version), random, cases }
        };
        FILES.map(load).into()
    }

    /// The weights, as the bytes of a safetensors file.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.weights {
            Weights::Published => self.published.as_slice(),
            Weights::Random => &self.random,
        }
    }

    /// Every frame of the oracle.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let version = self.version;
        self.cases.iter().flat_map(move |case| {
            let timesteps = case.timesteps.iter().enumerate();
            timesteps.map(move |(item, t)| Run { version, case, item, timestep: *t })
        })
    }
}

fn published(version: ModelVersion) -> VerifiedBytes {
    Store::locate(None)
        .and_then(|store| store.obtain(version, &mut |line| eprintln!("{line}")))
        .and_then(|weights| weights.read())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// The oracle's random weights as a safetensors file, after `change` of each tensor's name and values.
pub(crate) fn random(version: ModelVersion, change: impl Fn(&str, &mut [f32])) -> Vec<u8> {
    let tensors: HashMap<String, Tensor> = version
        .spec()
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

/// One frame of the oracle.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    version: ModelVersion,
    pub(crate) case: &'a Case,
    /// The frame's place in the case's batch.
    item: usize,
    pub(crate) timestep: f32,
}

impl Run<'_> {
    /// For messages.
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

    /// Interpolates, and gives the columns that the golden holds.
    pub(crate) fn image(&self, session: &mut dyn EngineSession) -> Vec<f32> {
        for frame in self.frames() {
            session.push(&frame.view()).unwrap();
        }
        let mut out = Frame::black(self.size(), PixelFormat::PlanarF32).unwrap();
        session.at_into(self.timestep, &mut out.view_mut()).unwrap();
        self.columns_of(out.as_planar_f32().unwrap())
    }

    /// The columns that the golden holds, of planar samples.
    pub(crate) fn columns_of(&self, planar: &[f32]) -> Vec<f32> {
        let first = self.case.first_column;
        let columns = first..first + self.case.image.dim(3).unwrap();
        let rows = planar.chunks_exact(self.size().width);
        rows.flat_map(|row| &row[columns.clone()]).copied().collect()
    }

    /// What [`Run::image`] should be.
    pub(crate) fn golden_image(&self) -> Vec<f32> {
        values(&self.case.image.get(self.item).unwrap())
    }

    /// The samples that the golden holds of the flow after each block, of the blocks' estimates.
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

    /// What [`Run::flows`] should be after one block.
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
    /// A channel at a pixel of the frame, resized as PyTorch's `interpolate` does bilinearly without
    /// aligned corners.
    fn at(&self, padding: &Padding, (y, x): (usize, usize), channel: usize) -> f64 {
        let axis = |from: usize, to: usize, i: usize| {
            let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
            let first = (at as usize).min(from - 1);
            (first, (first + 1).min(from - 1), at - first as f64)
        };
        let (y0, y1, fy) = axis(self.height, padding.padded_height, y);
        let (x0, x1, fx) = axis(self.width, padding.padded_width, x);
        let value = |y: usize, x: usize| f64::from(self.flow[(y * self.width + x) * 4 + channel]);
        (1.0 - fy) * ((1.0 - fx) * value(y0, x0) + fx * value(y0, x1))
            + fy * ((1.0 - fx) * value(y1, x0) + fx * value(y1, x1))
    }
}

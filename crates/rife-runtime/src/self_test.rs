//! A self-test of the engines against the reference network, and the record of failed ones.

mod verdict;

use std::time::{Duration, Instant};

use candle_core::{DType, Device as Candle, Tensor};
use rife_model::weights::Weights;
use rife_model::{IfNet, Input, ModelError, Padding, Scale};

pub(crate) use self::verdict::{FOLDER, Verdict};
use crate::{Device, Engine, Error, Frame, FrameSize, Interpolator, Precision, Result, machine};

/// Size of the frames: small, and not a multiple of the block size of any version.
const SIZE: FrameSize = FrameSize { width: 200, height: 120 };

/// The frames that are timed, after one to warm up.
const TIMED: u32 = 3;

/// Compares engines with the reference network of `rife-model` in F32 on the CPU, on two small
/// frames with a known motion.
///
/// [`Device::Auto`] does not choose an engine whose last self-test failed with the same device,
/// driver and version of this crate. The record is kept in the cache folder of this crate.
///
/// ```no_run
/// use rife_model::weights::Store;
/// use rife_runtime::{ModelVersion, SelfTest, engines};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let weights = Store::locate(None)?.find(ModelVersion::V4_6)?;
/// let test = SelfTest::new(&weights)?;
/// for available in engines().into_iter().filter(|available| available.state.is_ok()) {
///     for precision in available.precisions {
///         let outcome = test.run(available.engine, available.device, precision)?;
///         println!("{}: {:.1} dB", available.engine, outcome.psnr_db);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SelfTest {
    weights: Weights,
    frames: [Frame; 2],
    reference: Vec<f32>,
}

/// The result of a self-test of one engine.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SelfTestOutcome {
    /// PSNR against the reference in dB; infinite if they are equal, NaN if the engine returned
    /// NaN.
    pub psnr_db: f64,
    /// The largest difference from the reference, in steps of 8 bits.
    pub max_error: f32,
    /// Time of one interpolated frame.
    pub time: Duration,
    /// Whether the differences are within the tolerance of the precision.
    pub passed: bool,
}

impl SelfTest {
    /// Computes the reference.
    ///
    /// # Errors
    /// [`Error::Weights`] if the weights cannot be read, [`Error::Model`] if they do not fit.
    pub fn new(weights: &Weights) -> Result<Self> {
        let version = weights.requested;
        let bytes = weights.read().map_err(|cause| Error::Weights { version, cause })?;
        let net = IfNet::from_weights(&bytes, version, DType::F32, &Candle::Cpu)?;
        let frames = [frame(0.0)?, frame(6.0)?];
        let reference = interpolate(&net, &frames)?;
        Ok(Self { weights: weights.clone(), frames, reference })
    }

    /// Runs an engine, compares it with the reference, and records whether it passed.
    ///
    /// # Errors
    /// Any error of loading or running the engine. A fault of the engine is recorded as a failure,
    /// an unsupported request is not.
    pub fn run(
        &self,
        engine: Engine,
        device: Device,
        precision: Precision,
    ) -> Result<SelfTestOutcome> {
        let builder = Interpolator::builder(self.weights.requested)
            .engine(engine)
            .device(device)
            .precision(precision);
        builder.check()?;
        let verdict = machine::identity(engine, device)
            .map(|identity| Verdict::new(&identity, engine, precision));
        let outcome = builder.load_weights(&self.weights).and_then(|rife| self.measure(&rife));
        if let Some(verdict) = verdict {
            match &outcome {
                Ok(SelfTestOutcome { passed: true, .. }) => verdict.clear(),
                Ok(outcome) => verdict.record(&format!("{:.1} dB", outcome.psnr_db)),
                // Other programs may have used the memory.
                Err(Error::OutOfMemory { .. }) => (),
                Err(error) => verdict.record(&error.to_string()),
            }
        }
        outcome
    }

    fn measure(&self, rife: &Interpolator) -> Result<SelfTestOutcome> {
        let [a, b] = &self.frames;
        let run = || rife.interpolate(&a.view(), &b.view(), 0.5);
        let result = run()?;
        let start = Instant::now();
        for _ in 0..TIMED {
            run()?;
        }
        let time = start.elapsed() / TIMED;
        let samples = result.as_planar_f32().unwrap_or_default();
        let (psnr_db, max_error) = compare(samples, &self.reference);
        let passed = is_close(rife.info().precision, psnr_db, max_error);
        Ok(SelfTestOutcome { psnr_db, max_error: max_error * 255.0, time, passed })
    }
}

/// Whether the differences from the reference are within the tolerance of a precision. NaN is not.
fn is_close(precision: Precision, psnr_db: f64, max_error: f32) -> bool {
    match precision {
        // Another order of summation changes a few 1e-6.
        Precision::F32 => max_error <= 1e-4,
        Precision::Bf16 => psnr_db >= 50.0,
        Precision::Auto | Precision::Tf32 | Precision::F16 => psnr_db >= 65.0,
    }
}

/// PSNR in dB and the largest difference, for values in [0, 1].
fn compare(got: &[f32], expected: &[f32]) -> (f64, f32) {
    if got.len() != expected.len() {
        return (f64::NAN, f32::NAN);
    }
    let (mut squares, mut largest) = (0.0, 0.0f32);
    for (got, expected) in got.iter().zip(expected) {
        let error = (got - expected).abs();
        squares += f64::from(error).powi(2);
        largest = if error.is_nan() { f32::NAN } else { largest.max(error) };
        if error.is_nan() {
            break;
        }
    }
    (10.0 * (expected.len() as f64 / squares).log10(), largest)
}

/// Waves and a disc, moved to the right by `shift` px.
fn frame(shift: f32) -> Result<Frame> {
    let FrameSize { width, height } = SIZE;
    let mut samples = Vec::with_capacity(3 * width * height);
    for channel in 0..3 {
        for y in 0..height {
            for x in 0..width {
                let (x, y) = (x as f32 - shift, y as f32);
                let phase = channel as f32;
                let waves = 0.2 * (0.11 * x + phase).sin() + 0.15 * (0.07 * y - 0.05 * x).sin();
                let disc = (x - 90.0).hypot(y - 60.0) < 25.0;
                samples.push(0.5 + waves + if disc { 0.12 } else { 0.0 });
            }
        }
    }
    Frame::planar_f32(SIZE, samples)
}

/// Runs the reference network on padded frames, and crops the result.
fn interpolate(net: &IfNet, frames: &[Frame; 2]) -> std::result::Result<Vec<f32>, ModelError> {
    let FrameSize { width, height } = SIZE;
    let padding = Padding::new(height, width, net.spec(), Scale::One);
    let tensor = |frame: &Frame| {
        let samples = frame.as_planar_f32().unwrap_or_default().to_vec();
        let tensor = Tensor::from_vec(samples, (1, 3, height, width), net.device());
        padding.pad(&tensor.map_err(ModelError::Candle)?)
    };
    let [a, b] = [tensor(&frames[0])?, tensor(&frames[1])?];
    let image = net.forward(&Input::new(&a, &b, &[0.5]))?;
    let image = padding.crop(&image)?.flatten_all().map_err(ModelError::Candle)?;
    image.to_vec1().map_err(ModelError::Candle)
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;
    use rife_model::weights::Store;

    use super::*;

    #[test]
    fn every_available_engine_passes() {
        for version in [ModelVersion::V4_6, ModelVersion::V4_26] {
            let store = Store::locate(None).unwrap();
            let test = SelfTest::new(&store.fetch(version, &mut |_| ()).unwrap()).unwrap();
            for available in machine::engines().iter().filter(|engine| engine.state.is_ok()) {
                for precision in &available.precisions {
                    let outcome = test.run(available.engine, available.device, *precision).unwrap();
                    assert!(outcome.passed, "RIFE {version} {available:?} {precision} {outcome:?}");
                    assert!(outcome.time > Duration::ZERO);
                }
            }
        }
    }

    #[test]
    fn wrong_images_fail_in_every_precision() {
        let expected = [0.5; 8];
        for precision in [Precision::F32, Precision::Tf32, Precision::F16, Precision::Bf16] {
            for wrong in [[0.55; 8], [f32::NAN; 8], [f32::INFINITY; 8]] {
                let (psnr_db, max_error) = compare(&wrong, &expected);
                assert!(!is_close(precision, psnr_db, max_error), "{precision} {wrong:?}");
            }
            let (psnr_db, max_error) = compare(&expected, &expected);
            assert!(psnr_db == f64::INFINITY && is_close(precision, psnr_db, max_error));
        }
    }
}

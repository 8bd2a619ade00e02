//! The public door.

use std::path::Path;
use std::sync::Mutex;

use candle_core::DType;
use rife_model::weights::{Store, Weights};
use rife_model::{IfNet, ModelError, ModelVersion, Scale};

use crate::baseline::{Baseline, Recipe};
use crate::engine::{EngineImpl, EngineSession};
use crate::{
    Device, Engine, Error, Frame, FrameSize, FrameView, FrameViewMut, PixelFormat, Precision,
    Result,
};

/// What is to be run, before anything is loaded.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it loads"]
pub struct InterpolatorBuilder {
    version: ModelVersion,
    engine: Engine,
    device: Device,
    precision: Precision,
    scale: Scale,
    ensemble: bool,
}

impl InterpolatorBuilder {
    /// Which implementation runs the network.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Where it runs.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// What convolutions compute in.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The resolution that flow is estimated at: [`Scale::Half`] for 4K.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Average in the swapped pair (4.6 only): about twice the work.
    pub fn ensemble(mut self, ensemble: bool) -> Self {
        self.ensemble = ensemble;
        self
    }

    /// Whether this machine and build can run what was chosen, without touching any weights.
    ///
    /// # Errors
    /// [`Error::NoDevice`] and [`Error::NoEngine`] when they lack what was asked for;
    /// [`Error::Model`] when the version has no ensemble.
    pub fn check(&self) -> Result<()> {
        self.open().map(drop)
    }

    /// Loads the weights from a folder, fetching them into it when they are missing. What is
    /// fetched, and what should be known of the weights, is told through `tracing`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the weights cannot be had; otherwise as
    /// [`InterpolatorBuilder::load_weights`].
    pub fn load(self, weights: impl AsRef<Path>) -> Result<Interpolator> {
        self.check()?;
        let version = self.version;
        let weights = Store::at(weights.as_ref())
            .obtain(version, &mut |line| tracing::info!("{line}"))
            .map_err(|cause| Error::Weights { version, cause })?;
        if let Some(note) = &weights.note {
            tracing::warn!("{note}");
        }
        self.load_weights(&weights)
    }

    /// Loads weights that are at hand.
    ///
    /// # Errors
    /// As [`InterpolatorBuilder::check`]; [`Error::OtherWeights`] when the weights were obtained
    /// for another version, [`Error::Weights`] when they have changed since they were obtained.
    pub fn load_weights(self, weights: &Weights) -> Result<Interpolator> {
        let version = self.version;
        if weights.requested != version {
            return Err(Error::OtherWeights { expected: version, got: weights.requested });
        }
        let (device, precision) = self.open()?;
        let dtype = if precision == Precision::F16 { DType::F16 } else { DType::F32 };
        let bytes = weights.read().map_err(|cause| Error::Weights { version, cause })?;
        let net = IfNet::from_weights(&bytes, version, dtype, &device)?;
        tracing::debug!(
            "RIFE {version}: {} in {precision} on {}",
            weights.path.display(),
            describe(&device)
        );
        let recipe = Recipe { scale: self.scale, ensemble: self.ensemble };
        Ok(Interpolator {
            info: EngineInfo {
                model: version,
                weights: weights.clone(),
                engine: Engine::Baseline,
                device: describe(&device),
                precision,
                scale: self.scale,
                ensemble: self.ensemble,
            },
            engine: Box::new(Baseline::new(net, recipe)),
            pair: Mutex::new(None),
        })
    }

    /// The device, and the precision that [`Precision::Auto`] comes down to on it.
    fn open(&self) -> Result<(candle_core::Device, Precision)> {
        if self.ensemble && !self.version.spec().supports_ensemble {
            return Err(ModelError::NoEnsemble { version: self.version }.into());
        }
        let device = open_device(self.device)?;
        if self.engine == Engine::Optimized {
            return Err(Error::NoEngine { engine: self.engine, device: self.device.resolve()? });
        }
        let precision = match self.precision {
            Precision::Auto if device.is_cuda() => Precision::F16,
            Precision::Auto => Precision::F32,
            chosen => chosen,
        };
        Ok((device, precision))
    }
}

/// What runs, as it was resolved from what was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineInfo {
    /// The version that was asked for.
    pub model: ModelVersion,
    /// The weights that it runs with; for 4.25 they may be 4.26's, see [`Weights::note`].
    pub weights: Weights,
    /// The engine, never [`Engine::Auto`].
    pub engine: Engine,
    /// The device, as a person would name it.
    pub device: String,
    /// The precision, never [`Precision::Auto`].
    pub precision: Precision,
    /// The flow's scale.
    pub scale: Scale,
    /// Whether the ensemble runs.
    pub ensemble: bool,
}

/// A model loaded on a device: makes frames between frames.
///
/// ```no_run
/// use rife_runtime::{Frame, FrameSize, Interpolator, ModelVersion, PixelFormat};
///
/// # fn main() -> rife_runtime::Result<()> {
/// let rife = Interpolator::builder(ModelVersion::V4_6).load("weights")?;
/// let size = FrameSize::new(1920, 1080);
/// let (a, b) = (Frame::black(size, PixelFormat::Rgb8)?, Frame::black(size, PixelFormat::Rgb8)?);
///
/// // One pair:
/// let middle = rife.interpolate(&a.view(), &b.view(), 0.5)?;
///
/// // A stream: each frame is handed over once.
/// let mut session = rife.session(size)?;
/// session.push(&a.view())?;
/// session.push(&b.view())?;
/// let third = session.at(1.0 / 3.0)?;
/// # Ok(())
/// # }
/// ```
pub struct Interpolator {
    info: EngineInfo,
    engine: Box<dyn EngineImpl>,
    /// The session that serves single pairs, kept for the next pair of its size.
    pair: Mutex<Option<Session>>,
}

impl std::fmt::Debug for Interpolator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interpolator").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Interpolator {
    /// Starts choosing how to run a version.
    pub fn builder(version: ModelVersion) -> InterpolatorBuilder {
        InterpolatorBuilder {
            version,
            engine: Engine::Auto,
            device: Device::Auto,
            precision: Precision::Auto,
            scale: Scale::One,
            ensemble: false,
        }
    }

    /// What runs.
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// The frame at `timestep` between two, in the earlier frame's format.
    ///
    /// # Errors
    /// As [`Interpolator::interpolate_into`].
    pub fn interpolate(
        &self,
        earlier: &FrameView<'_>,
        later: &FrameView<'_>,
        timestep: f32,
    ) -> Result<Frame> {
        let mut out = Frame::black(earlier.size(), earlier.format())?;
        self.interpolate_into(earlier, later, timestep, &mut out.view_mut())?;
        Ok(out)
    }

    /// As [`Interpolator::interpolate`], into a buffer of the caller's.
    ///
    /// # Errors
    /// [`Error::Size`] when the three frames differ in size, [`Error::Timestep`] when `timestep`
    /// is not between 0 and 1, [`Error::Model`] when the device fails.
    pub fn interpolate_into(
        &self,
        earlier: &FrameView<'_>,
        later: &FrameView<'_>,
        timestep: f32,
        out: &mut FrameViewMut<'_>,
    ) -> Result<()> {
        // Before the session that is kept is taken: a mistake of the caller's must not cost it.
        let size = earlier.size();
        for got in [later.size(), out.size()] {
            if got != size {
                return Err(Error::Size { op: "Interpolator::interpolate", expected: size, got });
            }
        }
        check_timestep(timestep)?;
        // A panic in another thread leaves at worst a session that the reset below clears.
        let mut kept = self.pair.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut session = match kept.take() {
            Some(session) if session.size == earlier.size() => session,
            _ => self.session(earlier.size())?,
        };
        session.reset();
        session.push(earlier)?;
        session.push(later)?;
        session.at_into(timestep, out)?;
        session.reset();
        *kept = Some(session);
        Ok(())
    }

    /// Starts a stream of frames of one size.
    ///
    /// # Errors
    /// When the size is out of range or the device cannot hold it.
    pub fn session(&self, size: FrameSize) -> Result<Session> {
        let inner = self.engine.session(size.check("session")?)?;
        Ok(Session { size, pushed: 0, format: PixelFormat::Rgb8, inner })
    }
}

/// A stream of frames of one size, with whatever the engine keeps from one frame to the next.
pub struct Session {
    size: FrameSize,
    /// Frames held, at most 2.
    pushed: usize,
    /// Of the last frame pushed.
    format: PixelFormat,
    inner: Box<dyn EngineSession>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Session");
        out.field("size", &self.size).field("pushed", &self.pushed).finish_non_exhaustive()
    }
}

impl Session {
    /// The size of the stream's frames.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Takes the next frame of the stream.
    ///
    /// # Errors
    /// [`Error::Size`] when the frame is not of the session's size; [`Error::Model`] when the
    /// device fails. The session holds what it held before.
    pub fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        self.check_size("Session::push", frame.size())?;
        self.inner.push(frame)?;
        self.pushed = (self.pushed + 1).min(2);
        self.format = frame.format();
        Ok(())
    }

    /// The frame at `timestep` between the last two pushed, in the given format. May be called
    /// any number of times for a pair.
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn at_as(&mut self, timestep: f32, format: PixelFormat) -> Result<Frame> {
        let mut out = Frame::black(self.size, format)?;
        self.at_into(timestep, &mut out.view_mut())?;
        Ok(out)
    }

    /// As [`Session::at_as`], in the format of the last frame pushed.
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn at(&mut self, timestep: f32) -> Result<Frame> {
        self.at_as(timestep, self.format)
    }

    /// As [`Session::at_as`], into a buffer of the caller's and in its format.
    ///
    /// # Errors
    /// [`Error::NotReady`] before two frames were pushed, [`Error::Timestep`] when `timestep` is
    /// not between 0 and 1, [`Error::Size`] when the buffer is not of the session's size,
    /// [`Error::Model`] when the device fails. The session survives each of them.
    pub fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        self.check_size("Session::at", out.size())?;
        check_timestep(timestep)?;
        if self.pushed < 2 {
            return Err(Error::NotReady(self.pushed));
        }
        self.inner.at_into(timestep, out)
    }

    /// Forgets every frame: after a scene cut, or before another stream of the same size.
    pub fn reset(&mut self) {
        self.pushed = 0;
        self.inner.reset();
    }

    fn check_size(&self, op: &'static str, got: FrameSize) -> Result<()> {
        if got == self.size {
            return Ok(());
        }
        Err(Error::Size { op, expected: self.size, got })
    }
}

fn check_timestep(timestep: f32) -> Result<()> {
    if timestep > 0.0 && timestep < 1.0 { Ok(()) } else { Err(Error::Timestep(timestep)) }
}

pub(crate) fn open_device(asked: Device) -> Result<candle_core::Device> {
    let cuda = |index| candle_core::Device::new_cuda(index);
    match asked {
        Device::Cpu => Ok(candle_core::Device::Cpu),
        Device::Auto if !candle_core::utils::cuda_is_available() => Ok(candle_core::Device::Cpu),
        Device::Auto => cuda(0).or_else(|error| {
            tracing::warn!("no usable GPU ({}); using the CPU", one_line(&error));
            Ok(candle_core::Device::Cpu)
        }),
        Device::Cuda(_) if !candle_core::utils::cuda_is_available() => Err(Error::NoDevice {
            device: asked,
            reason: "this build has no CUDA engine (the feature candle-cuda brings candle's)"
                .into(),
        }),
        Device::Cuda(index) => {
            cuda(index).map_err(|error| Error::NoDevice { device: asked, reason: one_line(&error) })
        }
    }
}

fn one_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or("unknown reason").to_owned()
}

fn describe(device: &candle_core::Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        _ => "cpu".into(),
    }
}

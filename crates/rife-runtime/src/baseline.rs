//! The baseline engine: runs the reference network without optimizations. For every interpolated
//! frame, both frames are converted, uploaded and encoded, the network runs, and the result is
//! downloaded. Only the two frames and submitted results are kept.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::{DType, Device as Candle, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rife_model::{IfNet, Input, ModelError, Padding, Scale};

use crate::engine::{Description, EngineImpl, EngineSession, Load};
use crate::probe::{Probe, Unavailable};
use crate::{
    Error, Frame, FrameSize, FrameView, FrameViewMut, Optimizations, PixelFormat, Precision, Result,
};

/// The options of the network.
#[derive(Clone, Copy, Debug)]
struct NetOptions {
    scale: Scale,
    ensemble: bool,
}

struct Baseline {
    net: Arc<IfNet>,
    options: NetOptions,
    precision: Precision,
    pool: Option<Arc<ThreadPool>>,
}

/// Whether candle can use the GPU of this index.
pub(crate) fn probe_cuda(index: usize) -> Probe {
    if !candle_core::utils::cuda_is_available() {
        let reason = "this build has no GPU support for it (feature candle-cuda)";
        return Err(Unavailable::NotBuilt(reason.into()));
    }
    match Candle::new_cuda(index) {
        Ok(_) => Ok("candle's own CUDA kernels".into()),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().next().unwrap_or("unknown reason").to_owned();
            let missing = ["CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_INVALID_DEVICE"];
            let missing = missing.iter().any(|name| error.contains(name));
            Err(if missing { Unavailable::NoDevice(reason) } else { Unavailable::Broken(reason) })
        }
    }
}

pub(crate) fn load(load: &Load<'_>, device: Candle) -> Result<Box<dyn EngineImpl>> {
    let dtype = if load.precision == Precision::F16 { DType::F16 } else { DType::F32 };
    let net = IfNet::from_weights(load.weights, load.spec.version, dtype, &device)?;
    Ok(Box::new(Baseline::new(load, net)?))
}

impl Baseline {
    fn new(load: &Load<'_>, net: IfNet) -> Result<Self> {
        // Candle and its matrix products run on the rayon pool that they are called in. A GPU needs
        // no pool.
        let pool = net.device().is_cpu().then(|| pool(load.threads)).transpose()?;
        Ok(Self {
            net: Arc::new(net),
            options: NetOptions { scale: load.scale, ensemble: load.ensemble },
            precision: load.precision,
            pool,
        })
    }
}

/// A pool with a number of threads. The default is that of rayon: one per CPU, or
/// `RAYON_NUM_THREADS`.
fn pool(threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .thread_name(|i| format!("rife-base-{i}"))
        .build()
        .map_err(|cause| {
            let threads = threads.unwrap_or_else(rayon::current_num_threads);
            Error::Threads { threads, cause: cause.into() }
        })?;
    Ok(Arc::new(pool))
}

impl EngineImpl for Baseline {
    fn info(&self) -> Description {
        let device = match self.net.device().location() {
            candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            _ => "cpu".into(),
        };
        let f16 = self.precision == Precision::F16;
        let convolutions = if f16 { "F16 (F32 accumulation)" } else { "F32" };
        Description {
            device,
            precision: self.precision,
            arithmetic: format!("{convolutions} convolutions by candle, F32 warp"),
            optimizations: Optimizations::none(),
            threads: self.pool.as_ref().map(|pool| pool.current_num_threads()),
        }
    }

    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>> {
        let padding = Padding::new(size.height, size.width, self.net.spec(), self.options.scale);
        Ok(Box::new(BaselineSession {
            net: Arc::clone(&self.net),
            pool: self.pool.clone(),
            options: self.options,
            padding,
            frames: [None, None],
            finished: VecDeque::new(),
        }))
    }
}

struct BaselineSession {
    net: Arc<IfNet>,
    pool: Option<Arc<ThreadPool>>,
    options: NetOptions,
    padding: Padding,
    /// The earlier and the later frame, as planar F32.
    frames: [Option<Frame>; 2],
    /// Submitted frames, which are computed at once: planes of the padded size.
    finished: VecDeque<Vec<f32>>,
}

impl BaselineSession {
    fn upload(&self, frame: &Frame) -> Result<Tensor, ModelError> {
        let Padding { padded_height: h, padded_width: w, .. } = self.padding;
        let mut planes = vec![0.0; 3 * h * w];
        frame.view().write_planes(&mut planes, w, h);
        Tensor::from_vec(planes, (1, 3, h, w), self.net.device()).map_err(ModelError::Candle)
    }

    fn interpolate(
        &self,
        frame0: &Frame,
        frame1: &Frame,
        timestep: f32,
    ) -> Result<Vec<f32>, ModelError> {
        let image0 = self.upload(frame0)?;
        let image1 = self.upload(frame1)?;
        let timesteps = [timestep];
        let image = self.net.forward(&Input {
            scale: self.options.scale,
            ensemble: self.options.ensemble,
            ..Input::new(&image0, &image1, &timesteps)
        })?;
        let samples = image.to_dtype(DType::F32).and_then(|image| image.flatten_all()?.to_vec1());
        samples.map_err(ModelError::Candle)
    }
}

impl EngineSession for BaselineSession {
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        let mut own = Frame::black(frame.size(), PixelFormat::PlanarF32)?;
        own.copy_from(frame);
        self.frames.swap(0, 1);
        self.frames[1] = Some(own);
        Ok(())
    }

    fn reset(&mut self) {
        self.frames = [None, None];
        self.finished.clear();
    }

    fn depth(&self) -> usize {
        2
    }

    fn submit(&mut self, timestep: f32, _format: PixelFormat) -> Result<()> {
        let [Some(frame0), Some(frame1)] = &self.frames else {
            return Err(Error::NotReady(self.frames.iter().flatten().count()));
        };
        let run = || self.interpolate(frame0, frame1, timestep);
        let planes = match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        }?;
        self.finished.push_back(planes);
        Ok(())
    }

    fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()> {
        let planes = self.finished.pop_front().ok_or(Error::NothingPending)?;
        out.read_planes(&planes, self.padding.padded_width, self.padding.padded_height);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_nn::VarBuilder;
    use rife_testkit::tolerance::{F32_IMAGE, max_error, psnr_db};

    use super::*;
    use crate::goldens::{Goldens, RANDOM_PSNR_DB, Weights};

    fn assert_matches_pytorch(device: &Candle) {
        for goldens in Goldens::all(Weights::Random) {
            for precision in [Precision::F32, Precision::F16] {
                let dtype = if precision == Precision::F16 { DType::F16 } else { DType::F32 };
                let bytes = goldens.bytes().to_vec();
                let vb = VarBuilder::from_buffered_safetensors(bytes, dtype, device).unwrap();
                let net = IfNet::load(goldens.version, vb).unwrap();
                for run in goldens.runs() {
                    let load = Load {
                        spec: goldens.version.spec(),
                        weights: &goldens.published,
                        index: 0,
                        precision,
                        scale: run.scale(),
                        ensemble: run.case.ensemble,
                        optimizations: Optimizations::none(),
                        batch: 1,
                        threads: Some(2),
                    };
                    let engine = Baseline::new(&load, net.clone()).unwrap();
                    let mut session = engine.session(run.size()).unwrap();
                    let image = run.image(session.as_mut());
                    let golden = run.golden_image();
                    let (off, psnr) = (max_error(&image, &golden), psnr_db(&image, &golden));
                    let name = format!("{} in {precision}", run.name());
                    println!("{name}: off by {off:.1e}, {psnr:.1} dB");
                    assert!(psnr >= RANDOM_PSNR_DB, "{name}: {psnr:.1} dB");
                    let exact = precision == Precision::F32;
                    assert!(off <= F32_IMAGE || !exact, "{name}: off by {off:.1e}");
                }
            }
        }
    }

    #[test]
    fn matches_pytorch_with_random_weights_on_the_cpu() {
        assert_matches_pytorch(&Candle::Cpu);
    }

    #[cfg(feature = "candle-cuda")]
    #[test]
    #[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
    fn matches_pytorch_with_random_weights_on_a_gpu() {
        assert_matches_pytorch(&Candle::new_cuda(0).unwrap());
    }
}

//! The honest baseline: the reference network behind the door, run as a plain script runs it.
//! For every frame made, both frames are converted and uploaded, both are encoded, the network
//! runs, the result is downloaded. Nothing is kept but the two frames themselves.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use rife_model::{IfNet, Input, Padding, Scale};

use crate::engine::{EngineImpl, EngineSession};
use crate::{Frame, FrameSize, FrameView, FrameViewMut, PixelFormat, Result};

/// How the baseline runs its network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) scale: Scale,
    pub(crate) ensemble: bool,
}

pub(crate) struct Baseline {
    net: Arc<IfNet>,
    recipe: Recipe,
}

impl Baseline {
    pub(crate) fn new(net: IfNet, recipe: Recipe) -> Self {
        Self { net: Arc::new(net), recipe }
    }
}

impl EngineImpl for Baseline {
    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>> {
        let padding = Padding::new(size.height, size.width, self.net.spec(), self.recipe.scale);
        Ok(Box::new(BaselineSession {
            net: Arc::clone(&self.net),
            recipe: self.recipe,
            padding,
            frames: [None, None],
        }))
    }
}

struct BaselineSession {
    net: Arc<IfNet>,
    recipe: Recipe,
    padding: Padding,
    /// The earlier and the later frame, as planar F32.
    frames: [Option<Frame>; 2],
}

impl BaselineSession {
    fn upload(&self, frame: &Frame) -> Result<Tensor> {
        let Padding { padded_height: h, padded_width: w, .. } = self.padding;
        let mut planes = vec![0.0; 3 * h * w];
        frame.view().write_planes(&mut planes, w, h);
        Ok(Tensor::from_vec(planes, (1, 3, h, w), self.net.device())?)
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

    fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        let [Some(frame0), Some(frame1)] = &self.frames else {
            return Err(crate::Error::NotReady(self.frames.iter().flatten().count()));
        };
        let image0 = self.upload(frame0)?;
        let image1 = self.upload(frame1)?;
        let timesteps = [timestep];
        let image = self.net.forward(&Input {
            scale: self.recipe.scale,
            ensemble: self.recipe.ensemble,
            ..Input::new(&image0, &image1, &timesteps)
        })?;
        let planes = image.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        out.read_planes(&planes, self.padding.padded_width, self.padding.padded_height);
        Ok(())
    }

    fn reset(&mut self) {
        self.frames = [None, None];
    }
}

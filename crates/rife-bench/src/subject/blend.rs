//! Blending the two frames: no network, no weights. It exercises the whole benchmark in
//! milliseconds, and it is the quality that any interpolation has to beat.

use anyhow::{Context, Result, bail, ensure};

use super::{
    Case, Device, DeviceChoice, Engine, Engines, Precision, Size, Stream, Subject, SubjectInfo,
};
use crate::metrics::to_8_bit;

/// Blending in the place of every engine, on the CPU.
#[derive(Debug, Default)]
pub struct BlendEngines;

impl Engines for BlendEngines {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(_) => bail!("blending runs on the CPU alone"),
        }
    }

    fn offered(&self, _device: Device) -> Vec<(Engine, Precision)> {
        vec![(Engine::Baseline, Precision::F32), (Engine::Baseline, Precision::F16)]
    }

    fn load(&self, case: Case, _device: Device) -> Result<Box<dyn Subject>> {
        ensure!(case.engine == Engine::Baseline, "blending has no {} engine", case.engine);
        Ok(Box::new(Blend(case)))
    }
}

struct Blend(Case);

impl Subject for Blend {
    fn info(&self) -> SubjectInfo {
        SubjectInfo {
            weights: self.0.model,
            weights_sha256: String::new(),
            note: Some("blending, no network".into()),
            engine: "blend".into(),
            device: "cpu".into(),
            arithmetic: String::new(),
        }
    }

    fn session(&self, size: Size) -> Result<Box<dyn Stream + '_>> {
        Ok(Box::new(BlendStream { size, precision: self.0.precision, last: None, pair: None }))
    }
}

struct BlendStream {
    size: Size,
    precision: Precision,
    last: Option<Vec<u8>>,
    pair: Option<(Vec<u8>, Vec<u8>)>,
}

impl BlendStream {
    /// One blended sample in \[0, 1\]. "Half precision" keeps half's 11 significant bits near 1.
    fn blend(&self, a: u8, b: u8, t: f32) -> f32 {
        let v = (f32::from(a) * (1.0 - t) + f32::from(b) * t) / 255.0;
        match self.precision {
            Precision::F32 | Precision::Tf32 => v,
            Precision::F16 => (v * 2048.0).round() / 2048.0,
        }
    }
}

impl Stream for BlendStream {
    fn push(&mut self, rgb8: &[u8]) -> Result<()> {
        ensure!(rgb8.len() == self.size.samples(), "a frame of another size");
        let next = rgb8.to_vec();
        if let Some(last) = self.last.replace(next.clone()) {
            self.pair = Some((last, next));
        }
        Ok(())
    }

    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()> {
        let (a, b) = self.pair.as_ref().context("two frames must be pushed first")?;
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = to_8_bit(self.blend(a, b, t));
        }
        Ok(())
    }

    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()> {
        let (a, b) = self.pair.as_ref().context("two frames must be pushed first")?;
        for (channel, plane) in out.chunks_exact_mut(self.size.pixels()).enumerate() {
            for (i, out) in plane.iter_mut().enumerate() {
                *out = self.blend(a[3 * i + channel], b[3 * i + channel], t);
            }
        }
        Ok(())
    }
}

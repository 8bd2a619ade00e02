//! The output does not depend on threads, optimizations or instruction sets.

use rife_model::weights::VerifiedBytes;
use rife_model::{ModelVersion, Scale};
use rife_testkit::tolerance::{F32_IMAGE, max_error};

use super::super::engine::CpuEngine;
use super::super::level::Level;
use crate::engine::{EngineImpl, EngineSession, Load};
use crate::goldens::weights;
use crate::{Frame, FrameSize, Optimization, Optimizations, PixelFormat, Precision};

/// Not a multiple of the sizes of patches, tiles and their groups, and larger than all of them.
const SIZE: FrameSize = FrameSize::new(149, 75);

/// A frame of a scene that moves by `pan` pixels.
fn frame(size: FrameSize, pan: i64) -> Frame {
    let samples = rife_testkit::lines(size.width, size.height, pan, -pan / 2);
    let samples = samples.into_iter().map(|v| f32::from(v) / 255.0).collect();
    Frame::planar_f32(size, samples).unwrap()
}

/// Options to load an engine with, see [`Load`].
#[derive(Clone, Copy)]
struct Setup {
    level: Level,
    threads: usize,
    ensemble: bool,
    scale: Scale,
    optimizations: Optimizations,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            level: Level::detected(),
            threads: 2,
            ensemble: false,
            scale: Scale::One,
            optimizations: Optimizations::all(),
        }
    }
}

impl Setup {
    fn session(
        self,
        weights: &VerifiedBytes,
        version: ModelVersion,
        size: FrameSize,
    ) -> Box<dyn EngineSession> {
        let load = Load {
            spec: version.spec(),
            weights,
            index: 0,
            precision: Precision::F32,
            scale: self.scale,
            ensemble: self.ensemble,
            optimizations: self.optimizations,
            batch: 1,
            threads: Some(self.threads),
        };
        CpuEngine::load(&load, self.level).unwrap().session(size).unwrap()
    }

    /// Interpolates a stream of three frames: one frame between each two.
    fn frames(self, weights: &VerifiedBytes, version: ModelVersion) -> Vec<f32> {
        let mut session = self.session(weights, version, SIZE);
        let mut all = Vec::new();
        for pan in [0, 5, -3] {
            session.push(&frame(SIZE, pan).view()).unwrap();
            if pan != 0 {
                let mut out = Frame::black(SIZE, PixelFormat::PlanarF32).unwrap();
                session.at_into(0.4, &mut out.view_mut()).unwrap();
                all.extend_from_slice(out.as_planar_f32().unwrap());
            }
        }
        all
    }
}

/// The largest difference between two results that are both within [`F32_IMAGE`] of the exact one.
const BETWEEN_TWO: f32 = 2.0 * F32_IMAGE;

const VERSIONS: [ModelVersion; ModelVersion::ALL.len()] = ModelVersion::ALL;

#[test]
fn output_does_not_depend_on_the_number_of_threads() {
    for version in VERSIONS {
        let weights = weights(version);
        for (scale, ensemble) in
            [(Scale::One, false), (Scale::Two, version.spec().supports_ensemble)]
        {
            let setup = Setup { scale, ensemble, ..Setup::default() };
            let single_threaded = Setup { threads: 1, ..setup }.frames(&weights, version);
            for threads in [2, 3, 7] {
                let frames = Setup { threads, ..setup }.frames(&weights, version);
                assert!(
                    frames == single_threaded,
                    "RIFE {version} at {scale} on {threads} threads"
                );
            }
        }
    }
}

#[test]
fn optimizations_do_not_change_the_output() {
    for version in VERSIONS {
        let weights = weights(version);
        let all = Setup::default().frames(&weights, version);
        for one in Optimization::ALL {
            let optimizations = Optimizations::all().without(one);
            let without = Setup { optimizations, ..Setup::default() }.frames(&weights, version);
            let name = one.as_str();
            if one == Optimization::Winograd {
                let off = max_error(&without, &all);
                assert!(off > 0.0 && off <= BETWEEN_TWO, "RIFE {version} without {name}: {off}");
            } else {
                assert!(without == all, "RIFE {version} without {name}");
            }
        }
        let setup = Setup { optimizations: Optimizations::none(), ..Setup::default() };
        let off = max_error(&setup.frames(&weights, version), &all);
        assert!(off <= BETWEEN_TWO, "RIFE {version} without any: {off}");
    }
}

#[test]
fn every_instruction_set_interpolates_the_same_frames() {
    for version in VERSIONS {
        let weights = weights(version);
        let best = Setup::default().frames(&weights, version);
        for level in Level::ALL.into_iter().filter(|level| *level < Level::detected()) {
            let frames = Setup { level, ..Setup::default() }.frames(&weights, version);
            let off = max_error(&frames, &best);
            assert!(off <= BETWEEN_TWO, "RIFE {version} on {level}: {off}");
        }
    }
}

/// No state leaks from one frame into later ones, and memory does not grow.
#[test]
fn long_stream_keeps_its_output_and_memory() {
    let version = ModelVersion::V4_6;
    let (weights, size) = (weights(version), FrameSize::new(50, 31));
    let mut session = Setup::default().session(&weights, version, size);
    let mut out = Frame::black(size, PixelFormat::PlanarF32).unwrap();
    let mut first = None;
    let frames = [0, 4].map(|pan| frame(size, pan));
    let noise = (0..3 * size.pixels()).map(|i| (i * 7919 % 256) as f32 / 255.0).collect();
    let noise = Frame::planar_f32(size, noise).unwrap();
    for i in 0..500 {
        if i % 100 == 0 {
            session.push(&noise.view()).unwrap();
            session.push(&frames[0].view()).unwrap();
        }
        session.push(&frames[(i + 1) % 2].view()).unwrap();
        session.at_into(0.5, &mut out.view_mut()).unwrap();
        if i % 2 == 0 {
            let seen = (session.memory(), out.clone());
            assert!(*first.get_or_insert_with(|| seen.clone()) == seen, "frame {i}");
        }
    }
}

//! A version with unusual channels and scales.

use super::super::driver::Gpu;
use super::super::engine::CudaEngine;
use super::super::plan::{Plan, Request};
use super::reference::{Weights, run_plan};
use super::{PRECISIONS, request, weights};
use crate::Optimizations;
use crate::made_up::{
    MADE_UP, SCALES, SIZE, TIMESTEP, assert_close, expected, frames, interpolated, load,
    random_weights,
};

#[test]
fn plans_of_a_made_up_version_compute_the_network() {
    let bytes = random_weights();
    let layers = Weights::read(&bytes);
    let frames = frames().map(|frame| frame.as_planar_f32().unwrap().to_vec());
    for scale in SCALES {
        let expected = expected(&bytes, scale);
        for precision in PRECISIONS {
            for optimizations in [Optimizations::all(), Optimizations::none()] {
                let of = request(MADE_UP.version, precision, SIZE);
                let plan = Plan::new(&Request { spec: &MADE_UP, scale, optimizations, ..of });
                let requests = [(0, 1, TIMESTEP)];
                let image = run_plan(&plan, SIZE, &layers, &frames, &requests, false).remove(0);
                assert_close(precision, &image, &expected, &format!("scale {scale}"));
            }
        }
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn made_up_version_matches_the_network_on_a_gpu() {
    let (bytes, unused) = (random_weights(), weights(MADE_UP.version));
    for scale in SCALES {
        let expected = expected(&bytes, scale);
        for precision in PRECISIONS {
            for optimizations in [Optimizations::all(), Optimizations::none()] {
                let load = load(&unused, precision, scale, optimizations);
                let gpu = Gpu::open(0).unwrap();
                let engine = CudaEngine::with_weights(gpu, &load, &bytes).unwrap();
                let what = format!("scale {scale}");
                assert_close(precision, &interpolated(&engine), &expected, &what);
            }
        }
    }
}

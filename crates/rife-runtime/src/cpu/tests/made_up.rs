//! A version with unusual channels and scales.

use super::super::engine::CpuEngine;
use super::super::level::Level;
use crate::goldens::weights;
use crate::made_up::{MADE_UP, SCALES, assert_close, expected, interpolated, load, random_weights};
use crate::{Optimizations, Precision};

#[test]
fn made_up_version_matches_the_network_at_every_level() {
    let (bytes, unused) = (random_weights(), weights(MADE_UP.version));
    for scale in SCALES {
        let expected = expected(&bytes, scale);
        for optimizations in [Optimizations::all(), Optimizations::none()] {
            let load = load(&unused, Precision::F32, scale, optimizations);
            for level in Level::ALL.into_iter().filter(|level| *level <= Level::detected()) {
                let engine = CpuEngine::with_weights(&load, &bytes, level).unwrap();
                let what = format!("scale {scale} on {level}");
                assert_close(Precision::F32, &interpolated(&engine), &expected, &what);
            }
        }
    }
}

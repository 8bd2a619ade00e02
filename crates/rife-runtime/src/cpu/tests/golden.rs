//! Compares the engine with reference outputs from PyTorch: the flow after each block, and frames
//! with random weights.

use rife_testkit::tolerance::{F32_FLOW_PX, F32_IMAGE, max_error, psnr_db};

use super::super::engine::CpuEngine;
use super::super::kernels::picture::ESTIMATE;
use super::super::level::Level;
use super::super::session::CpuSession;
use crate::engine::Load;
use crate::goldens::{self, BlockFlow, Goldens, RANDOM_BF16_PSNR_DB, Run, Weights};
use crate::{Optimization, Optimizations, Precision};

fn session(
    goldens: &Goldens,
    weights: &[u8],
    run: &Run<'_>,
    precision: Precision,
    optimizations: Optimizations,
    level: Level,
) -> CpuSession {
    let load = Load {
        spec: goldens.version.spec(),
        weights: &goldens.published,
        index: 0,
        precision,
        scale: run.scale(),
        ensemble: run.case.ensemble,
        optimizations,
        batch: 1,
        threads: Some(2),
    };
    let engine = CpuEngine::with_weights(&load, weights, level).unwrap();
    engine.cpu_session(run.size()).unwrap()
}

/// The estimate of each block for the last frame, as stored in the arena. A last block that is
/// fused with blending stores nothing.
fn estimates(session: &CpuSession) -> Vec<BlockFlow> {
    let (plan, arena) = session.plan_and_arena();
    let arena = arena.expect("the arena is preallocated");
    let stored =
        plan.blocks.iter().filter_map(|block| Some((block, plan.offsets[block.estimate?])));
    stored
        .map(|(block, offset)| {
            let pixels = block.height * block.width;
            let floats = arena[offset..][..pixels * ESTIMATE].chunks_exact(ESTIMATE);
            BlockFlow {
                height: block.height,
                width: block.width,
                flow: floats.flat_map(|pixel| &pixel[..4]).copied().collect(),
            }
        })
        .collect()
}

fn assert_matches_pytorch(goldens: &Goldens, optimizations: Optimizations, level: Level) {
    let blocks = goldens.version.spec().block_channels.len();
    for run in goldens.runs() {
        let mut session =
            session(goldens, goldens.bytes(), &run, Precision::F32, optimizations, level);
        let name = format!("{} on {level}", run.name());
        let off = max_error(&run.image(&mut session), &run.golden_image());
        println!("{name}: image off by {off:.1e}");
        assert!(off <= F32_IMAGE, "{name}: image off by {off:.1e}");
        let flows = run.flows(&estimates(&session));
        let fused = optimizations.has(Optimization::FusedKernels);
        assert!(flows.len() == blocks || (fused && flows.len() + 1 == blocks), "{name}");
        for (block, flow) in flows.iter().enumerate() {
            let off = max_error(flow, &run.golden_flow(block));
            println!("    flow of block {block} off by {off:.1e} px");
            assert!(off <= F32_FLOW_PX, "{name}: flow of block {block} off by {off:.1e} px");
        }
    }
}

/// Without fused kernels every block is compared; with them, all but the last one.
fn each_flow_matches_pytorch(weights: Weights) {
    for goldens in Goldens::all(weights) {
        let all = Optimizations::all();
        assert_matches_pytorch(&goldens, all, Level::detected());
        assert_matches_pytorch(
            &goldens,
            all.without(Optimization::FusedKernels),
            Level::detected(),
        );
        // Without Winograd.
        let direct = all.without(Optimization::Winograd).without(Optimization::FusedKernels);
        assert_matches_pytorch(&goldens, direct, Level::detected());
    }
}

#[test]
fn flow_after_each_block_matches_pytorch_with_published_weights() {
    each_flow_matches_pytorch(Weights::Published);
}

#[test]
fn flow_after_each_block_and_image_match_pytorch_with_random_weights() {
    each_flow_matches_pytorch(Weights::Random);
}

#[test]
fn each_level_matches_pytorch_with_random_weights() {
    for goldens in Goldens::all(Weights::Random) {
        for level in Level::ALL.into_iter().filter(|level| *level < Level::detected()) {
            assert_matches_pytorch(&goldens, Optimizations::all(), level);
        }
    }
}

#[test]
#[cfg_attr(not(bf16_here), ignore = "this CPU has no AVX512-BF16")]
fn bf16_is_close_to_pytorch_with_random_weights() {
    for goldens in Goldens::all(Weights::Random) {
        for run in goldens.runs() {
            let (all, level) = (Optimizations::all(), Level::detected());
            let bytes = goldens.bytes();
            let mut session = session(&goldens, bytes, &run, Precision::Bf16, all, level);
            let psnr = psnr_db(&run.image(&mut session), &run.golden_image());
            println!("{}: {psnr:.1} dB", run.name());
            assert!(psnr >= RANDOM_BF16_PSNR_DB, "{}: {psnr:.1} dB", run.name());
        }
    }
}

/// Checks the test itself: exchanging two output channels of any layer exceeds the F32 tolerance.
#[test]
fn exchanged_channels_of_random_weights_exceed_the_f32_tolerance() {
    let all = Goldens::all(Weights::Random);
    for goldens in
        all.iter().filter(|goldens| crate::test_weights::has_published_weights(goldens.version))
    {
        let run = goldens.runs().next().unwrap();
        let (all, level) = (Optimizations::all(), Level::detected());
        for (tensor, shape) in goldens.version.spec().tensors() {
            if shape.len() != 4 || !tensor.ends_with(".weight") {
                continue;
            }
            let channel: usize = shape[1..].iter().product();
            let weights = goldens::random(goldens.version.spec(), |name, values| {
                if name == tensor {
                    let (first, second) = values.split_at_mut(channel);
                    first.swap_with_slice(&mut second[..channel]);
                }
            });
            let mut session = session(goldens, &weights, &run, Precision::F32, all, level);
            let off = max_error(&run.image(&mut session), &run.golden_image());
            println!("{}, {tensor}: off by {off:.1e}", run.name());
            assert!(off > 10.0 * F32_IMAGE, "{}, {tensor}: off by {off:.1e}", run.name());
        }
    }
}

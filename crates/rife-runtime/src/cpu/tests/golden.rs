//! The engine against the golden runs of the oracle: the flow after each block, and random weights.

use rife_testkit::tolerance::{F32_FLOW_PX, F32_IMAGE, max_error, psnr_db};

use super::super::engine::CpuEngine;
use super::super::kernels::picture::ESTIMATE;
use super::super::level::Level;
use super::super::session::CpuSession;
use crate::engine::Load;
use crate::goldens::{self, BlockFlow, Goldens, RANDOM_BF16_PSNR_DB, RANDOM_PSNR_DB, Run, Weights};
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
        version: goldens.version,
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

/// What each block estimated for the frame before, as far as it is stored: a last block that is
/// fused with blending stores nothing.
fn estimates(session: &CpuSession) -> Vec<BlockFlow> {
    let (plan, arena) = session.plan_and_arena();
    let arena = arena.expect("buffers are kept");
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

fn equals_the_oracle(goldens: &Goldens, optimizations: Optimizations, level: Level) {
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

/// Every block is compared without fused kernels, all but the last one with them.
fn each_flow_equals_the_oracle(weights: Weights) {
    for goldens in Goldens::all(weights) {
        let all = Optimizations::all();
        equals_the_oracle(&goldens, all, Level::detected());
        equals_the_oracle(&goldens, all.without(Optimization::FusedKernels), Level::detected());
        // The other ways of computing a 3x3 convolution.
        let direct = all.without(Optimization::Winograd).without(Optimization::FusedKernels);
        equals_the_oracle(&goldens, direct, Level::detected());
    }
}

#[test]
fn flow_after_each_block_equals_pytorch_with_the_published_weights() {
    each_flow_equals_the_oracle(Weights::Published);
}

#[test]
fn flow_after_each_block_and_image_equal_pytorch_with_random_weights() {
    each_flow_equals_the_oracle(Weights::Random);
}

#[test]
fn each_level_equals_pytorch_with_random_weights() {
    for goldens in Goldens::all(Weights::Random) {
        for level in Level::ALL.into_iter().filter(|level| *level < Level::detected()) {
            equals_the_oracle(&goldens, Optimizations::all(), level);
        }
    }
}

#[test]
#[cfg_attr(not(bf16_here), ignore = "this processor has no AVX512-BF16")]
fn random_weights_give_nearly_the_oracles_image_in_bf16() {
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

/// What the least PSNR of random weights is worth: two channels of any layer in each other's place give
/// less.
#[test]
fn two_exchanged_channels_of_random_weights_show_in_every_precision() {
    let mut hidden = Vec::new();
    for goldens in Goldens::all(Weights::Random) {
        let run = goldens.runs().next().unwrap();
        let (all, level) = (Optimizations::all(), Level::detected());
        for (tensor, shape) in goldens.version.spec().tensors() {
            if shape.len() != 4 || !tensor.ends_with(".weight") {
                continue;
            }
            let channel: usize = shape[1..].iter().product();
            let weights = goldens::random(goldens.version, |name, values| {
                if name == tensor {
                    let (first, second) = values.split_at_mut(channel);
                    first.swap_with_slice(&mut second[..channel]);
                }
            });
            let mut session = session(&goldens, &weights, &run, Precision::F32, all, level);
            let psnr = psnr_db(&run.image(&mut session), &run.golden_image());
            println!("{}, {tensor}: {psnr:.1} dB", run.name());
            if psnr >= RANDOM_PSNR_DB {
                hidden.push(format!("{}, {tensor}: {psnr:.1} dB", run.name()));
            }
        }
    }
    assert!(hidden.is_empty(), "{}", hidden.join("\n"));
}

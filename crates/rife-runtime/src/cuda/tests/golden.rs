//! Compares the engine with reference outputs from PyTorch: on a GPU, the flow after each block and
//! frames with random weights; without a GPU, the plans run by the reference implementations.

use rife_testkit::tolerance::{F32_FLOW_PX, F32_IMAGE, max_error, psnr_db};

use super::super::driver::Gpu;
use super::super::engine::CudaEngine;
use super::super::session::CudaSession;
use crate::engine::Load;
use crate::goldens::{BlockFlow, Goldens, RANDOM_PSNR_DB, Run, Weights};
use crate::{Optimization, Optimizations, Precision};

/// The largest error of the image in strict F32 with random weights. Tensor cores truncate sums, a
/// bias of about 2⁻²² in each layer. The same bias in the reference implementation (weights times 1
/// - 2⁻²²) raises its error from 2.1e-5 to 1.2e-4; unbiased noise of that size raises it to 2.6e-5.
const RANDOM_IMAGE: f32 = 2e-4;

fn session(
    goldens: &Goldens,
    run: &Run<'_>,
    precision: Precision,
    optimizations: Optimizations,
) -> CudaSession {
    let load = Load {
        spec: goldens.version.spec(),
        weights: &goldens.published,
        index: 0,
        precision,
        scale: run.scale(),
        ensemble: run.case.ensemble,
        optimizations,
        batch: 1,
        threads: None,
    };
    let engine = CudaEngine::with_weights(Gpu::open(0).unwrap(), &load, goldens.bytes()).unwrap();
    engine.cuda_session(run.size()).unwrap()
}

/// The estimate of each block for the last frame, as stored in the arena. A last block that is
/// fused with blending stores nothing.
fn estimates(session: &CudaSession) -> Vec<BlockFlow> {
    let (plan, arena) = session.plan_and_arena();
    let arena = arena.unwrap().expect("the arena is preallocated");
    let mut stored: Vec<_> = plan.network.iter().filter_map(|step| step.estimate).collect();
    // With the ensemble, two steps write each estimate.
    stored.dedup();
    stored
        .iter()
        .map(|estimate| {
            let offset = plan.buffers[estimate.flow].offset;
            // The first item. With the ensemble, the second one is the same with flows swapped.
            let bytes = &arena[offset..][..estimate.h * estimate.w * 16];
            let floats = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            BlockFlow { height: estimate.h, width: estimate.w, flow: floats.collect() }
        })
        .collect()
}

/// In strict F32. Without fused kernels every block is compared; with them, all but the last one.
fn each_flow_matches_pytorch(weights: Weights, image_tolerance: f32, flow_tolerance_px: f32) {
    let all = Optimizations::all();
    for goldens in Goldens::all(weights) {
        let blocks = goldens.version.spec().block_channels.len();
        for optimizations in [all, all.without(Optimization::FusedKernels)] {
            for run in goldens.runs() {
                let mut session = session(&goldens, &run, Precision::F32, optimizations);
                let fused = optimizations.has(Optimization::FusedKernels);
                let name = format!("{}, {}", run.name(), if fused { "fused" } else { "not fused" });
                let off = max_error(&run.image(&mut session), &run.golden_image());
                println!("{name}: image off by {off:.1e}");
                assert!(off <= image_tolerance, "{name}: image off by {off:.1e}");
                let flows = run.flows(&estimates(&session));
                assert!(flows.len() == blocks || (fused && flows.len() + 1 == blocks), "{name}");
                for (block, flow) in flows.iter().enumerate() {
                    let off = max_error(flow, &run.golden_flow(block));
                    println!("    flow of block {block} off by {off:.1e} px");
                    let name = format!("{name}: flow of block {block}");
                    assert!(off <= flow_tolerance_px, "{name} off by {off:.1e} px");
                }
            }
        }
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn flow_after_each_block_matches_pytorch_with_published_weights() {
    each_flow_matches_pytorch(Weights::Published, F32_IMAGE, F32_FLOW_PX);
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn flow_after_each_block_and_image_match_pytorch_with_random_weights() {
    each_flow_matches_pytorch(Weights::Random, RANDOM_IMAGE, F32_FLOW_PX);
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn f16_and_tf32_are_close_to_pytorch_with_random_weights() {
    for goldens in Goldens::all(Weights::Random) {
        for precision in [Precision::F16, Precision::Tf32] {
            for run in goldens.runs() {
                let mut session = session(&goldens, &run, precision, Optimizations::all());
                let psnr = psnr_db(&run.image(&mut session), &run.golden_image());
                let name = format!("{} in {precision}", run.name());
                println!("{name}: {psnr:.1} dB");
                assert!(psnr >= RANDOM_PSNR_DB, "{name}: {psnr:.1} dB");
            }
        }
    }
}

/// Runs the plans with the kernels' reference implementations, on the CPU.
#[test]
fn plans_are_close_to_pytorch_with_random_weights_in_every_precision() {
    use super::super::plan::{Plan, Request};
    use super::reference::{Weights as Layers, run_plan};
    for goldens in Goldens::all(Weights::Random) {
        let layers = Layers::read(goldens.bytes());
        for precision in super::PRECISIONS {
            for run in goldens.runs() {
                let size = run.size();
                let request = super::request(goldens.version, precision, size);
                let ensemble = run.case.ensemble;
                let plan = Plan::new(&Request { scale: run.scale(), ensemble, ..request });
                let frames = run.frames().map(|frame| frame.as_planar_f32().unwrap().to_vec());
                let requests = [(0, 1, run.timestep)];
                let image = run_plan(&plan, size, &layers, &frames, &requests, false).remove(0);
                let (image, golden) = (run.columns_of(&image), run.golden_image());
                let (off, psnr) = (max_error(&image, &golden), psnr_db(&image, &golden));
                let name = format!("{} in {precision}", run.name());
                println!("{name}: off by {off:.1e}, {psnr:.1} dB");
                assert!(psnr >= RANDOM_PSNR_DB, "{name}: {psnr:.1} dB");
                if precision == Precision::F32 {
                    assert!(off <= F32_IMAGE, "{name}: off by {off:.1e}");
                }
            }
        }
    }
}

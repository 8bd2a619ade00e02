//! Invariants of every plan, for any request.

use proptest::prelude::*;
use rife_model::{ModelVersion, Scale};

use super::super::candidates::tiles;
use super::super::kernel::Kernel;
use super::super::plan::{Buffer, Plan, Request, Step};
use super::super::tile::{Card, Extent, Tile};
use super::reference::{reads, writes};
use super::{A100, B200, FULL_HD, H100, PRECISIONS, RTX_3090, RTX_4090, request};
use crate::{FrameSize, Optimization, Optimizations, Precision};

const CARDS: [Card; 5] = [H100, A100, B200, RTX_3090, RTX_4090];
/// Registers of a thread.
const THREAD_REGISTERS: usize = 255;
/// Registers of an SM.
const SM_REGISTERS: usize = 65536;

/// Checks that a GPU can run a kernel with a tile.
fn check_tile(kernel: &Kernel, tile: Tile, plan: &Plan, card: Card) -> Result<(), String> {
    let variant = &plan.variant;
    let kernel = kernel.with_tile(tile);
    let fail = |what: &str| Err(format!("{what}: {} on {card:?}", kernel.describe()));
    let threads = kernel.threads();
    if threads == 0 || threads > 1024 {
        return fail("threads");
    }
    let shared = kernel.shared(variant);
    // The driver reserves 1 KiB of shared memory per thread block.
    if shared > card.shared_per_block || tile.blocks * (shared + 1024) > card.shared_per_sm {
        return fail("shared memory");
    }
    let pixels = tile.rows * tile.columns;
    if !pixels.is_multiple_of(16 * tile.warps_m) || !tile.columns.is_multiple_of(8) {
        return fail("pixels of a warp");
    }
    // Each thread holds four sums per 16 pixels and 8 channels of its warp.
    let sums = match kernel {
        Kernel::Conv { cout, .. } => {
            if !cout.is_multiple_of(tile.channels)
                || !tile.channels.is_multiple_of(16 * tile.warps_n)
            {
                return fail("channels");
            }
            pixels / 16 / tile.warps_m * (tile.channels / tile.warps_n / 8) * 4
        }
        Kernel::Deconv { columns, .. } => {
            let phases = tile.channels / columns;
            if !tile.channels.is_multiple_of(columns)
                || ![1, 2, 4].contains(&phases)
                || !phases.is_multiple_of(tile.warps_n)
                || tile.stages > 1
            {
                return fail("phases");
            }
            pixels / 16 / tile.warps_m * (phases / tile.warps_n) * (columns / 8) * 4
        }
        _ => 0,
    };
    if sums >= THREAD_REGISTERS || sums * threads * tile.blocks > SM_REGISTERS {
        return fail("registers");
    }
    Ok(())
}

/// Checks the lifetimes and the offsets of the buffers of a list of steps.
fn check_buffers(plan: &Plan, steps: &[Step]) -> Result<(), String> {
    let mut written = vec![false; plan.buffers.len()];
    let mut life: Vec<Option<(usize, usize)>> = vec![None; plan.buffers.len()];
    for (at, step) in steps.iter().enumerate() {
        for id in reads(step) {
            if !written[id] {
                return Err(format!(
                    "{} reads {} before it is written",
                    step.name, plan.buffers[id].name
                ));
            }
        }
        let outputs = writes(step);
        for id in &outputs {
            written[*id] = true;
        }
        for id in reads(step).into_iter().chain(outputs) {
            let (first, _) = life[id].unwrap_or((at, at));
            life[id] = Some((first, at));
        }
    }
    let used: Vec<(&Buffer, (usize, usize))> =
        plan.buffers.iter().zip(&life).filter_map(|(b, l)| Some((b, (*l)?))).collect();
    for (i, (b, life)) in used.iter().enumerate() {
        if b.offset % 256 != 0 || b.bytes == 0 || b.offset + b.bytes > plan.arena {
            return Err(format!(
                "{} has an invalid offset {} in an arena of {} bytes",
                b.name, b.offset, plan.arena
            ));
        }
        for (other, other_life) in &used[..i] {
            let in_use_together = life.0 <= other_life.1 && other_life.0 <= life.1;
            let disjoint =
                b.offset + b.bytes <= other.offset || other.offset + other.bytes <= b.offset;
            if in_use_together && !disjoint {
                return Err(format!("{} and {} overlap", b.name, other.name));
            }
        }
    }
    Ok(())
}

/// Checks that every step has the buffers and the tile that it needs.
fn check(plan: &Plan, card: Card) -> Result<(), String> {
    check_buffers(plan, &plan.encoder)?;
    check_buffers(plan, &plan.network)?;
    let (_, weights) = plan.weight_offsets();
    if weights % 256 != 0 {
        return Err("weights".into());
    }
    for step in plan.steps() {
        if let Some(tile) = step.kernel.tile() {
            let best = tiles(&step.kernel, &plan.variant, step.extent(), card);
            check_tile(&step.kernel, tile, plan, card)
                .map_err(|e| format!("{}: {e}", step.name))?;
            if best.first() != Some(&tile) {
                return Err(format!(
                    "{}: {tile} is not the first of {} tiles",
                    step.name,
                    best.len()
                ));
            }
        }
    }
    // A step without output buffers writes the frame: only the last one does.
    let writes_frame = |step: &Step| writes(step).is_empty();
    if plan.network.iter().filter(|s| writes_frame(s)).count() != 1
        || !plan.network.last().is_some_and(writes_frame)
    {
        return Err("the frame is not written by the last step alone".into());
    }
    Ok(())
}

fn requests() -> impl Strategy<Value = Request> {
    let version = prop::sample::select(ModelVersion::ALL.to_vec());
    let scale = prop::sample::select(Scale::ALL.to_vec());
    let precision = prop::sample::select(PRECISIONS.to_vec());
    let card = prop::sample::select(CARDS.to_vec());
    let size = (1usize..=4200, 1usize..=2200);
    let off = prop::collection::vec(prop::sample::select(Optimization::ALL.to_vec()), 0..4);
    let optimizations =
        off.prop_map(|off| off.into_iter().fold(Optimizations::all(), |all, one| all.without(one)));
    (version, scale, precision, card, size, any::<bool>(), 1usize..=16, optimizations).prop_map(
        |(version, scale, precision, card, (w, h), ensemble, batch, optimizations)| Request {
            spec: version.spec(),
            size: FrameSize::new(w, h),
            scale,
            precision,
            ensemble: ensemble && version.spec().supports_ensemble,
            batch,
            optimizations,
            card,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_plan_is_valid(request in requests()) {
        let plan = Plan::new(&request);
        if let Err(error) = check(&plan, request.card) {
            prop_assert!(false, "{error}");
        }
    }
}

/// The extent only ranks tiles, so any extent covers all tiles.
#[test]
fn every_kernel_has_valid_tiles_on_every_gpu() {
    let mut empty = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for version in ModelVersion::ALL {
        for precision in PRECISIONS {
            for (optimizations, scale) in [
                (Optimizations::all(), Scale::One),
                (Optimizations::all(), Scale::Two),
                (Optimizations::none(), Scale::One),
            ] {
                let of = request(version, precision, FrameSize::new(64, 64));
                let plan = Plan::new(&Request { optimizations, scale, ..of });
                for step in plan.steps().filter(|s| s.kernel.tile().is_some()) {
                    for card in CARDS {
                        if !seen.insert((step.kernel.with_tile(Tile::BLANK), plan.variant, card)) {
                            continue;
                        }
                        let extent = Extent { rows: 272, columns: 480, batch: 1 };
                        let found = tiles(&step.kernel, &plan.variant, extent, card);
                        if found.is_empty() {
                            let what = step.kernel.with_tile(Tile::BLANK);
                            empty.push(format!("{what:?}, {:?}, {card:?}", plan.variant));
                        }
                        for tile in found {
                            check_tile(&step.kernel, tile, &plan, card).unwrap();
                        }
                    }
                }
            }
        }
    }
    assert!(empty.is_empty(), "no tile for:\n{}", empty.join("\n"));
    assert!(seen.len() > 200);
}

#[test]
fn full_hd_in_f16_takes_less_than_200_mib_or_twice_that_for_heavy_versions() {
    for version in ModelVersion::ALL {
        let plan = Plan::new(&request(version, Precision::F16, FULL_HD));
        // A session has three images, two uploads and two downloads.
        let frames = 3 * plan.image_bytes() + 4 * 3 * FULL_HD.pixels();
        let bytes = plan.arena + frames + plan.weight_offsets().1;
        println!("RIFE {version}: {:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let heavy = [ModelVersion::V4_25Heavy, ModelVersion::V4_26Heavy].contains(&version);
        assert!(bytes < (if heavy { 400 } else { 200 }) << 20, "RIFE {version}: {bytes} bytes");
    }
}

#[test]
fn bytes_of_a_step_include_tensors_weights_and_frames() {
    let bytes = |version, precision, name: &str| {
        let plan = Plan::new(&request(version, precision, FULL_HD));
        plan.steps().find(|s| s.name == name).unwrap().bytes
    };
    // The frame is padded to 1920x1088.
    let pixels = (1920 * 1088) as f64;
    let output = (3 * 1920 * 1080) as f64;
    let levels = |up_to: usize| -> f64 {
        let finer = [8.0, 4.0, 2.0, 1.0];
        finer[..up_to].iter().map(|d| pixels / (d * d) * (16.0 + 4.0)).sum()
    };
    let (v4_6, v4_25) = (ModelVersion::V4_6, ModelVersion::V4_25);
    for (precision, element) in [(Precision::F16, 2.0), (Precision::F32, 4.0)] {
        let images = 2.0 * pixels * 4.0 * element;
        // 24 columns of 16 taps, with the input at a quarter of the size.
        let blend =
            images + output + levels(3) + element * (16.0 * 64.0 * 24.0 + pixels / 16.0 * 64.0);
        assert_eq!(bytes(v4_6, precision, "block3.lastconv"), blend, "{precision}");
        let first = images + levels(3) + element * (9.0 * 16.0 * 32.0 + pixels / 4.0 * 32.0);
        assert_eq!(bytes(v4_6, precision, "block3.conv0"), first, "{precision}");
        // The coarsest block reads 4 of each 64 pixels.
        let coarse = bytes(v4_6, precision, "block0.conv0");
        assert!(coarse > images / 16.0 && coarse < images / 2.0, "{precision}: {coarse}");
        let encoded = bytes(v4_25, precision, "encode.cnn0");
        let padded = if precision == Precision::F16 { 16.0 } else { 8.0 };
        let expected = images / 2.0 + element * (9.0 * padded * 16.0 + pixels / 4.0 * 16.0);
        assert_eq!(encoded, expected, "{precision}");
    }
}

#[test]
fn invalid_plan_is_detected() {
    let card = H100;
    let good = Plan::new(&request(ModelVersion::V4_6, Precision::F16, FULL_HD));
    assert_eq!(check(&good, card), Ok(()));

    let mut overlapping = good.clone();
    overlapping.buffers.iter_mut().for_each(|b| b.offset = 0);
    assert!(check(&overlapping, card).is_err());

    let mut outside = good.clone();
    outside.arena -= 256;
    assert!(check(&outside, card).is_err());

    let mut unwritten = good.clone();
    unwritten.network.remove(1);
    assert!(check(&unwritten, card).is_err());

    let mut too_large = good;
    too_large.retile(|step| step.kernel.tile().map(|t| Tile { rows: 8 * t.rows, ..t }));
    assert!(check(&too_large, card).is_err());
}

#[test]
fn plan_beyond_the_index_range_is_detected() {
    let of = |side, scale, batch, optimizations| {
        let of = request(ModelVersion::V4_6, Precision::F16, FrameSize::new(side, side));
        Plan::new(&Request { scale, batch, optimizations, ..of })
    };
    let all = Optimizations::all();
    assert!(of(4096, Scale::One, 16, all).is_countable());
    assert!(of(32768, Scale::One, 1, all).is_countable());
    assert!(!of(32768, Scale::One, 2, all).is_countable());
    assert!(!of(32768, Scale::Two, 1, all).is_countable());
    // The input of the last block has four times as many rows, and is computed by a separate
    // kernel.
    assert!(!of(16384, Scale::Four, 1, Optimizations::none()).is_countable());
}

//! Compares every kernel with its reference implementation on a GPU, for ordinary and extreme
//! values and various tiles.
//!
//! Tolerances are computed per value, see `reference`. Conversions of frames and items must be
//! exact. Elsewhere the tolerance is the accumulated rounding of F32 and of the tensor cores' sums,
//! widened to the adjacent stored values.

mod cases;
mod gpu;

use std::collections::HashSet;

use rife_model::ModelVersion;

use super::super::abi::{self, Args, Items, MAX_ITEMS};
use super::super::kernel::{Kernel, PLAIN_THREADS};
use super::super::plan::{Plan, Step};
use super::super::source::Shared as _;
use super::super::tile::{Card, Tile};
use super::super::variant::Layout;
use super::reference::{Approx, Element, Output, POISON, Place, Simulation, Weights};
use super::{H100, PRECISIONS, Random, layouts, request, weights};
use crate::{FrameSize, Precision, SampleType};
use cases::{Case, Filling, cases, fill, new_simulation};
use gpu::{item_bytes, places};

pub(super) use gpu::TestGpu;

/// Compares the content of every place that a step could access with the reference. Returns the
/// differences.
fn compare(
    simulation: &Simulation<'_>,
    expected: &[Output],
    actual: &[(Place, Vec<u8>)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, after) in actual {
        let before = simulation.bytes(*place);
        let result = match expected.iter().find(|o| o.place == *place) {
            Some(output) => output.check(before, after),
            None if before == after => Ok(()),
            None => Err(format!("{place:?} was written to")),
        };
        wrong.extend(result.err());
    }
    wrong
}

fn every_step_matches_its_reference(version: ModelVersion, precision: Precision) {
    let gpu = TestGpu::new(version, precision);
    let (plans, cases) = cases(version, precision, gpu.gpu().card);
    assert!(cases.len() > 20, "{}", cases.len());

    // Compile all kernels at once, to use all cores.
    for layout in [Layout::ChannelsLast, Layout::Planar] {
        let with_layout: Vec<&Case> =
            cases.iter().filter(|c| plans[c.plan].0.variant.layout == layout).collect();
        let Some(first) = with_layout.first() else { continue };
        let kernels = with_layout.iter().flat_map(|c| c.kernels());
        gpu.shared.load_modules(kernels, &plans[first.plan].0.variant).unwrap();
    }

    let mut wrong: Vec<String> = Vec::new();
    let mut random = Random(7);
    for case in &cases {
        let planned = &plans[case.plan];
        for filling in case.fillings() {
            let name = case.name(planned, *filling);
            let mut simulation = new_simulation(&planned.0, planned.1, &gpu.weights);
            fill(&mut simulation, &case.step, *filling, &mut random);
            let expected = simulation.run(&case.step);
            let mut first: Option<Vec<(Place, Vec<u8>)>> = None;
            // With one SM, a persistent block computes many tiles.
            let all_sms = gpu.gpu().card.sms;
            for (kernel, sms) in case.kernels().into_iter().flat_map(|k| [(k, all_sms), (k, 1)]) {
                let step = Step { kernel, ..case.step.clone() };
                let actual = gpu.run(&simulation, &step, case.encoder, sms);
                if let Some(first) = &first {
                    if *first != actual {
                        let tile = kernel.tile();
                        wrong.push(format!("{name}: different result with {tile:?} on {sms} SMs"));
                    }
                    continue;
                }
                let describe = |error| format!("{name}, {:?}: {error}", kernel.tile());
                wrong.extend(compare(&simulation, &expected, &actual).into_iter().map(describe));
                first = Some(actual);
            }
        }
    }
    println!("RIFE {version}, {precision:?}: {} steps", cases.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// With one SM, a few thread blocks compute all tiles of a layer, so that one tile's input is
/// fetched while another one is multiplied. Otherwise each block has only one tile of a small
/// frame. The test is short enough for racecheck, see `tools/check-gpu-memory.sh`.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn persistent_blocks_keep_their_inputs_apart() {
    let (persistent, card) = compare_with_one_sm(Precision::F16);
    // Cover one and two input buffers of `mma.sync`, and on Hopper all numbers of input buffers of
    // several `wgmma` warpgroups.
    for halos in 1..=2 {
        assert!(persistent.contains(&(0, halos)), "{persistent:?}");
    }
    let rings = persistent.iter().filter(|(groups, _)| *groups > 1).count();
    assert!(rings >= 3 || !card.wgmma, "{persistent:?}");
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn persistent_f32_blocks_keep_their_inputs_apart() {
    let (persistent, _) = compare_with_one_sm(Precision::Tf32);
    assert!(!persistent.is_empty());
}

/// Compares persistent kernels on one SM. Returns the numbers of warpgroups and input buffers of
/// those whose blocks computed more tiles than they have buffers.
fn compare_with_one_sm(precision: Precision) -> (HashSet<(usize, usize)>, Card) {
    let gpu = TestGpu::new(ModelVersion::V4_26, precision);
    let card = gpu.gpu().card;
    let (plans, cases) = cases(ModelVersion::V4_26, precision, card);
    let mut random = Random(11);
    let mut persistent: HashSet<(usize, usize)> = HashSet::new();
    for case in &cases {
        let (plan, size) = &plans[case.plan];
        let Kernel::Conv { cin: ..=64, .. } = case.step.kernel else { continue };
        let persistent_tiles: Vec<Tile> =
            case.tiles.iter().copied().filter(Tile::is_persistent).collect();
        let kernels = persistent_tiles.iter().map(|t| case.step.kernel.with_tile(*t));
        gpu.shared.load_modules(kernels, &plan.variant).unwrap();
        let mut simulation = new_simulation(plan, *size, &gpu.weights);
        fill(&mut simulation, &case.step, Filling::Ordinary, &mut random);
        let expected = simulation.run(&case.step);
        for tile in persistent_tiles {
            let step = Step { kernel: case.step.kernel.with_tile(tile), ..case.step.clone() };
            let actual = gpu.run(&simulation, &step, case.encoder, 1);
            let wrong = compare(&simulation, &expected, &actual);
            assert!(wrong.is_empty(), "{}, {tile:?}: {}", step.name, wrong.join("\n"));
            let function = gpu.shared.function(step.kernel, &step.name, &plan.variant).unwrap();
            let extent = step.extent();
            let tiles = extent.rows.div_ceil(tile.rows) * extent.columns.div_ceil(tile.columns);
            let blocks = (function.occupancy.max(1) / step.kernel.splits()).max(1);
            if tiles * extent.batch > tile.halos * blocks {
                persistent.insert((tile.warpgroups, tile.halos));
            }
        }
    }
    (persistent, card)
}

macro_rules! steps {
    ($($name:ident: $version:ident, $precision:ident;)*) => {
        $(
            #[test]
            #[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
            fn $name() {
                every_step_matches_its_reference(
                    ModelVersion::$version,
                    Precision::$precision,
                );
            }
        )*
    };
}

steps! {
    each_step_of_4_6_in_f16: V4_6, F16;
    each_step_of_4_6_in_tf32: V4_6, Tf32;
    each_step_of_4_6_in_f32: V4_6, F32;
    each_step_of_4_26_in_f16: V4_26, F16;
    each_step_of_4_26_in_tf32: V4_26, Tf32;
    each_step_of_4_26_in_f32: V4_26, F32;
    each_step_of_4_22_lite_in_f16: V4_22Lite, F16;
    each_step_of_4_25_lite_in_f16: V4_25Lite, F16;
    each_step_of_4_25_lite_in_tf32: V4_25Lite, Tf32;
    each_step_of_4_25_lite_in_f32: V4_25Lite, F32;
    each_step_of_4_25_heavy_in_f16: V4_25Heavy, F16;
    each_step_of_4_25_heavy_in_tf32: V4_25Heavy, Tf32;
    each_step_of_4_25_heavy_in_f32: V4_25Heavy, F32;
    each_step_of_4_26_heavy_in_f16: V4_26Heavy, F16;
    each_step_of_4_26_heavy_in_tf32: V4_26Heavy, Tf32;
    each_step_of_4_26_heavy_in_f32: V4_26Heavy, F32;
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn uploaded_frames_are_converted_exactly() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_26, ModelVersion::V4_26Heavy] {
        for precision in PRECISIONS {
            let gpu = TestGpu::new(version, precision);
            for (w, h) in [(1, 1), (72, 40), (257, 3), (64, 64)] {
                let size = FrameSize::new(w, h);
                let plan = Plan::new(&request(version, precision, size));
                for (layout, bytes) in layouts(size) {
                    let mut random = Random(w as u64);
                    let special =
                        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40, 1.5, -2.0];
                    let mut value = || match random.below(4) {
                        0 => special[random.below(special.len())],
                        _ => random.unit() as f32,
                    };
                    let samples: Vec<u8> = match layout.sample {
                        SampleType::F32 => {
                            (0..bytes / 4).flat_map(|_| value().to_le_bytes()).collect()
                        }
                        SampleType::F16 => (0..bytes / 2)
                            .flat_map(|_| crate::f16::from_f32(value()).to_le_bytes())
                            .collect(),
                        _ => (0..bytes).map(|_| random.bits() as u8).collect(),
                    };
                    let simulation = Simulation::new(&plan, size, &gpu.weights, 1, false);
                    let expected = simulation.convert_frame(&samples, layout, 0);
                    let src = gpu.upload(&samples);
                    let image = gpu.upload(&simulation.images[0]);
                    let kernel = Kernel::Frame;
                    let function = gpu.shared.function(kernel, "frame", &plan.variant).unwrap();
                    let (full_h, full_w) = (plan.padding.padded_height, plan.padding.padded_width);
                    let args = Args {
                        src: src.address(),
                        dst: image.address(),
                        full_h: full_h as i32,
                        full_w: full_w as i32,
                        frame_h: h as i32,
                        frame_w: w as i32,
                        sample: layout.sample.code(),
                        row: layout.row,
                        pixel: layout.pixel,
                        channel: layout.channel,
                        ..Args::default()
                    };
                    let grid = (full_w.div_ceil(PLAIN_THREADS) as u32, full_h as u32, 1);
                    // SAFETY: `frame` takes `Args`; the memory lives until it is read below.
                    unsafe { gpu.stream.launch(&function, grid, &args) }.unwrap();
                    let actual = gpu.read(&image);
                    expected.check(&simulation.images[0], &actual).unwrap_or_else(|e| {
                        panic!("RIFE {version}, {precision:?}, {layout:?} at {size}: {e}")
                    });
                }
            }
        }
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn items_are_written_exactly() {
    let gpu = TestGpu::new(ModelVersion::V4_6, Precision::F16);
    let plan = Plan::new(&request(ModelVersion::V4_6, Precision::F16, FrameSize::new(8, 8)));
    let function = gpu.shared.function(Kernel::Items, "items", &plan.variant).unwrap();
    for count in [1, 5, MAX_ITEMS] {
        let mut random = Random(count as u64);
        let item = std::array::from_fn(|_| abi::Item {
            image0: random.bits(),
            image1: random.bits(),
            out: random.bits(),
            t: random.unit() as f32,
            sample: random.bits() as i32,
            row: random.bits() as i64,
            pixel: random.bits() as i64,
            channel: random.bits() as i64,
        });
        let size = size_of::<abi::Item>();
        let memory = gpu.upload(&vec![POISON; MAX_ITEMS * size]);
        let args = Items { to: memory.address(), count: count as i32, unused: 0, item };
        // SAFETY: `items` takes `Items`; the memory has room for all and lives until it is read.
        unsafe { gpu.stream.launch(&function, (1, 1, 1), &args) }.unwrap();
        let actual = gpu.read(&memory);
        let mut expected: Vec<u8> = item[..count].iter().flat_map(item_bytes).collect();
        expected.resize(MAX_ITEMS * size, POISON);
        assert!(actual == expected, "{count} items");
    }
}

/// Checks the comparison of the tests above, without a GPU: for every kind of step, the output of
/// the reference passes, and any change to it fails.
#[test]
fn reference_accepts_its_own_output_and_rejects_changes() {
    let versions = [
        ModelVersion::V4_6,
        ModelVersion::V4_26,
        ModelVersion::V4_25Lite,
        ModelVersion::V4_26Heavy,
    ];
    for version in versions {
        let bytes = weights(version);
        let weights = Weights::read(bytes.as_slice());
        let precision = Precision::F16;
        let (plans, cases) = cases(version, precision, H100);
        let mut random = Random(7);
        let mut kinds = HashSet::new();
        for case in &cases {
            let planned = &plans[case.plan];
            for filling in case.fillings() {
                let name = case.name(planned, *filling);
                let mut before = new_simulation(&planned.0, planned.1, &weights);
                fill(&mut before, &case.step, *filling, &mut random);
                let expected = before.run(&case.step);
                let mut after = new_simulation(&planned.0, planned.1, &weights);
                (after.memory, after.images) = (before.memory.clone(), before.images.clone());
                after.commit(&expected);
                let places = places(&before, &case.step);
                let contents = |simulation: &Simulation<'_>| -> Vec<(Place, Vec<u8>)> {
                    places.iter().map(|p| (*p, simulation.bytes(*p).to_vec())).collect()
                };
                let wrong = compare(&before, &expected, &contents(&after));
                assert!(wrong.is_empty(), "{name}: {wrong:?}");
                // A missing output is detected, and so is a single wrong element.
                if *filling == Filling::Ordinary {
                    assert!(!compare(&before, &expected, &contents(&before)).is_empty(), "{name}");
                    for output in &expected {
                        let known = |v: &Option<Approx>| v.is_some_and(|v| v.e.is_finite());
                        let last = output.values.iter().rposition(known).unwrap();
                        let element = output.format.at(last);
                        let to = &mut after.bytes_mut(output.place)[last * element.bytes()..];
                        let v = element.read(&to[..element.bytes()]);
                        let change = match element {
                            Element::U8 => 3.0,
                            Element::U16 => 1000.0,
                            _ => 0.02 * v.abs().max(1.0),
                        };
                        let change = if v > 1.0 { -change } else { change };
                        element.write(v + change, &mut to[..element.bytes()]);
                    }
                    let wrong = compare(&before, &expected, &contents(&after));
                    assert_eq!(wrong.len(), expected.len(), "{name}: {wrong:?}");
                }
            }
            kinds.insert(std::mem::discriminant(&case.step.kernel));
        }
        // Conv, Deconv, Input, Pointwise and Blend, and Merge with an ensemble.
        let merge = usize::from(version.spec().supports_ensemble);
        assert_eq!(kinds.len(), 5 + merge);
        println!("RIFE {version}: {} steps", cases.len());
    }
}

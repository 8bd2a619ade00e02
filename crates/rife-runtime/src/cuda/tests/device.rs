//! On a GPU, every kernel matches its reference, on ordinary and on extreme numbers and with any
//! tile.
//!
//! The error bound is computed value by value, see `reference`: none where frames are converted and
//! items written; elsewhere the accumulated rounding of F32 and of the tensor cores' sums, and then
//! the two numbers that the storage rounds the bounds to.

use std::collections::HashSet;
use std::sync::Arc;

use rife_model::{ModelVersion, Scale};

use super::super::abi::{self, Args, Items, MAX_ITEMS};
use super::super::candidates::tiles;
use super::super::context::Shared;
use super::super::driver::{Gpu, Memory, Stream};
use super::super::engine::CudaEngine;
use super::super::kernel::{Kernel, PLAIN_THREADS};
use super::super::launch::{Addresses, launch};
use super::super::plan::{Plan, Request, Step};
use super::super::samples::format_code;
use super::super::tile::{Card, Tile};
use super::super::variant::{Layout, Variant};
use super::reference::{
    Approx, Element, Format, Item, Output, POISON, Place, Weights, World, reads, writes,
};
use super::{H100, PRECISIONS, Random, published, request};
use crate::engine::Load;
use crate::{FrameSize, Optimization, Optimizations, PixelFormat, Precision};

/// Tiles that are compared, of either kind of product.
const TILES: usize = 6;

const FORMATS: [PixelFormat; 3] = [PixelFormat::Rgb8, PixelFormat::Rgb16, PixelFormat::PlanarF32];

pub(super) struct Bench {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Stream,
    weights: Weights,
}

impl Bench {
    pub(super) fn new(version: ModelVersion, precision: Precision) -> Self {
        let gpu = Gpu::open(0).unwrap();
        let stream = gpu.stream().unwrap();
        let bytes = published(version);
        let load = Load {
            version,
            weights: &bytes,
            index: 0,
            precision,
            scale: Scale::One,
            ensemble: false,
            optimizations: Optimizations::all(),
            batch: 1,
            threads: None,
        };
        let shared = CudaEngine::load(gpu, &load).unwrap().shared;
        Self { shared, stream, weights: Weights::read(bytes.as_slice()) }
    }

    fn gpu(&self) -> &Gpu {
        &self.shared.gpu
    }

    /// Device memory with this content when the stream's next work begins.
    pub(super) fn holding(&self, bytes: &[u8]) -> Memory {
        let memory = self.gpu().memory(bytes.len()).unwrap();
        // SAFETY: both are as long as `bytes`, which lives until the copy is done, below.
        unsafe { self.stream.upload(memory.address(), bytes.as_ptr(), bytes.len()) }.unwrap();
        self.stream.synchronize().unwrap();
        memory
    }

    pub(super) fn read(&self, memory: &Memory) -> Vec<u8> {
        self.stream.synchronize().unwrap();
        let mut bytes = vec![0; memory.bytes()];
        memory.read(&mut bytes).unwrap();
        bytes
    }

    /// Runs one step on the content of a world, as on a GPU with that many SMs; returns every place
    /// that it could have written.
    fn run(
        &self,
        world: &World<'_>,
        step: &Step,
        encoder: bool,
        sms: usize,
    ) -> Vec<(Place, Vec<u8>)> {
        let places = places(world, step);
        let memory: Vec<Memory> = places.iter().map(|p| self.holding(world.bytes(*p))).collect();
        let address = |place: Place| {
            let found = places.iter().position(|p| *p == place);
            found.map_or(0, |i| memory[i].address())
        };
        let mut items = Vec::new();
        if encoder {
            items.push(abi::Item {
                image0: address(Place::Image(world.encoded)),
                ..abi::Item::default()
            });
        }
        items.extend(world.items.iter().map(|item| abi::Item {
            image0: address(Place::Image(item.image0)),
            image1: address(Place::Image(item.image1)),
            out: address(Place::Out(item.out)),
            t: item.t,
            format: format_code(item.format),
            pitch: item.pitch as i64,
            plane: item.plane as i64,
        }));
        let items = self.holding(&items.iter().flat_map(item_bytes).collect::<Vec<u8>>());
        let addresses = Addresses {
            buffers: (0..world.plan.buffers.len()).map(|id| address(Place::Buffer(id))).collect(),
            weights: self.shared.weights.address(),
            layers: Arc::clone(&self.shared.layers),
            items: items.address(),
        };
        let variant = &world.plan.variant;
        let function = self.shared.function(step.kernel, &step.name, variant).unwrap();
        let card = Card { sms, ..self.gpu().card };
        let launch = launch(world.plan, world.size, step, &function, &addresses, card);
        // SAFETY: the memory lives until it is read, after the launch is done.
        unsafe { launch.queue(&self.stream) }.unwrap();
        places.iter().copied().zip(memory.iter().map(|m| self.read(m))).collect()
    }
}

/// The bytes of an item.
fn item_bytes(item: &abi::Item) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<abi::Item>());
    for address in [item.image0, item.image1, item.out] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend(item.t.to_le_bytes());
    bytes.extend(item.format.to_le_bytes());
    bytes.extend(item.pitch.to_le_bytes());
    bytes.extend(item.plane.to_le_bytes());
    bytes
}

/// Every place that a step can access.
fn places(world: &World<'_>, step: &Step) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let buffers = step.buffers().map(Place::Buffer);
    let images = (0..world.images.len()).map(Place::Image);
    for place in buffers.chain(images).chain((0..world.outs.len()).map(Place::Out)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The content of a step's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    Ordinary,
    /// Activations near the limit of F16, black and white pixels, flow far outside of the frame.
    Extreme,
    /// Infinite or NaN flow and mask.
    NotFinite,
}

/// The content of a buffer.
#[derive(Clone, Copy)]
enum Role {
    Flow,
    Mask,
    Activation,
}

fn fill(world: &mut World<'_>, step: &Step, filling: Filling, random: &mut Random) {
    let variant = world.plan.variant;
    let extreme = filling == Filling::Extreme;
    let activations = match (extreme, variant.precision) {
        (false, _) => 2.0,
        (true, Precision::F16) => 60000.0,
        (true, _) => 1e6,
    };
    let activation_value = |random: &mut Random| {
        let v = random.within(activations);
        if extreme { v.signum() * (activations - v.abs() / 1000.0) } else { v }
    };
    let format = Format::image(&variant);
    let step_of_pixel = if variant.features { 8 } else { 4 };
    for image in 0..world.images.len() {
        let size = format.at(0).bytes();
        for (i, to) in world.images[image].chunks_exact_mut(size).enumerate() {
            let element = format.at(i);
            let v = match i % step_of_pixel {
                3 => 0.0,
                c if c > 3 => activation_value(random),
                _ => {
                    let v = random.unit();
                    let v = if extreme { v.round() } else { v };
                    v * if element == Element::U16 { 65535.0 } else { 1.0 }
                }
            };
            element.write(v, to);
        }
    }
    let flow_ids: Vec<_> =
        step.levels.iter().chain(&step.estimate).map(|e| (e.flow, e.mask)).collect();
    for id in reads(step) {
        let role = if flow_ids.iter().any(|(flow, _)| *flow == id) {
            Role::Flow
        } else if flow_ids.iter().any(|(_, mask)| *mask == id) {
            Role::Mask
        } else {
            Role::Activation
        };
        let format = match role {
            Role::Activation => world.activation(step, id),
            _ => Format::All(Element::Float),
        };
        // Some neighbours are equal: between different ones, the bound of an extreme flow is too
        // wide.
        let mut kept = [0.0; 4];
        let bytes = world.bytes_mut(Place::Buffer(id));
        let mut value = |i: usize, random: &mut Random| {
            let one_of = |random: &mut Random, of: &[f64]| of[random.below(of.len())];
            match (role, filling) {
                (Role::Activation, _) => activation_value(random),
                (Role::Flow, Filling::Ordinary) => random.within(20.0),
                (Role::Mask, Filling::Ordinary) => random.within(4.0),
                (Role::Flow, Filling::Extreme) => {
                    if i % 64 < 4 {
                        let of = [0.0, 1e9, -1e9, 300.5, -70.25, 1e30, -1e30, 0.999_999_94, -1e-9];
                        kept[i % 4] = one_of(random, &of);
                    }
                    kept[i % 4]
                }
                (Role::Mask, Filling::Extreme) => {
                    if i.is_multiple_of(16) {
                        kept[0] = one_of(random, &[0.0, 200.0, -200.0, 1e30, -1e30]);
                    }
                    kept[0]
                }
                (_, Filling::NotFinite) => {
                    one_of(random, &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.5])
                }
            }
        };
        let count = format.count(bytes.len());
        let values: Vec<_> = (0..count).map(|i| Some(value(i, random))).collect();
        format.write(&values, bytes);
    }
}

/// A poisoned world with a frame of each format to interpolate.
fn world<'a>(plan: &'a Plan, size: FrameSize, weights: &'a Weights) -> World<'a> {
    let mut world = World::new(plan, size, weights, 3, false);
    world.encoded = 1;
    for out in 0..plan.items / plan.item_step {
        let format = FORMATS[(out + plan.items) % 3];
        // Gaps between rows and planes, which must not be written.
        let (pitch, plane) = match format {
            PixelFormat::Rgb8 => (3 * size.width + 5, 0),
            PixelFormat::Rgb16 => (6 * size.width + 10, 0),
            PixelFormat::PlanarF32 => {
                (4 * size.width + 12, (4 * size.width + 12) * size.height + 20)
            }
            PixelFormat::Yuv(_) => panic!("no kernel of a plan makes it"),
        };
        let bytes = if plane > 0 { 3 * plane } else { pitch * size.height };
        let (image0, image1) = (out % 2, 2);
        let t = 0.3 + 0.25 * out as f32;
        let item = Item { image0, image1, out, t, format, pitch, plane };
        world.items.push(item);
        if plan.item_step == 2 {
            world.items.push(Item { image0: image1, image1: image0, t: 1.0 - t, ..item });
        }
        world.outs.push(vec![POISON; bytes]);
    }
    world
}

/// A key that distinguishes kernels: everything but the tile, and in the usual configuration also
/// the channels.
fn kind(step: &Step, variant: &Variant, usual: bool) -> String {
    let of = match step.kernel.with_tile(Tile::BLANK) {
        Kernel::Conv { stride, source, epilogue, terms, .. } if !usual => {
            format!("conv {stride} {source:?} {epilogue:?} {terms:?}")
        }
        Kernel::Deconv { columns, epilogue, .. } if !usual => {
            format!("deconv {columns} {epilogue:?}")
        }
        Kernel::Pointwise { terms, .. } => {
            format!("pointwise {terms} {}", step.residual.is_some())
        }
        kernel => format!("{kernel:?}"),
    };
    // A block that works above the frame's size reads, and is read, differently.
    format!("{of} {variant:?} {}", step.divisor < 1.0)
}

type Planned = (Plan, FrameSize);

/// A step that represents its kind.
struct Case {
    plan: usize,
    step: Step,
    encoder: bool,
    tiles: Vec<Tile>,
}

/// Every kind of step of small plans, and some tiles for each.
fn cases(version: ModelVersion, precision: Precision, card: Card) -> (Vec<Planned>, Vec<Case>) {
    let all = Optimizations::all();
    let unfused = all.without(Optimization::FusedKernels);
    let small = FrameSize::new(72, 40);
    let mut plans: Vec<Planned> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut seen = HashSet::new();
    for (size, scale, optimizations) in [
        (small, Scale::One, all),
        (small, Scale::Two, all),
        (small, Scale::One, unfused),
        (small, Scale::Two, unfused),
        (small, Scale::One, all.without(Optimization::ChannelsLast)),
        (small, Scale::One, unfused.without(Optimization::ChannelsLast)),
        (FrameSize::new(1, 1), Scale::One, all),
        (FrameSize::new(1, 1), Scale::One, unfused),
    ] {
        for ensemble in [false, true] {
            if ensemble && !version.spec().supports_ensemble {
                continue;
            }
            // A batch of three where frames are written, one of each format; else of two.
            for batch in [2, 3] {
                let of = request(version, precision, size);
                let plan =
                    Plan::new(&Request { scale, optimizations, ensemble, batch, card, ..of });
                let encoder = plan.encoder.len();
                for (i, step) in plan.steps().enumerate() {
                    let makes_frames = i >= encoder && writes(step).is_empty();
                    let kind = kind(step, &plan.variant, optimizations == all);
                    if makes_frames != (batch == 3) || !seen.insert((kind, size)) {
                        continue;
                    }
                    let offered = tiles(&step.kernel, &plan.variant, step.extent(), card);
                    let count = if size == small { TILES } else { 1 };
                    let mut chosen: Vec<Tile> = Vec::new();
                    // For either kind of product the first, the last, and some between; and every
                    // combination of warpgroups and ring.
                    let (wgmma, sync): (Vec<Tile>, Vec<Tile>) =
                        offered.iter().partition(|tile| tile.warpgroups > 0);
                    let some = |of: &[Tile]| -> Vec<Tile> {
                        let last = of.len().saturating_sub(1);
                        let at = (0..count).map(|k| k * last / (count - 1).max(1));
                        at.filter_map(|at| of.get(at).copied()).collect()
                    };
                    let mut rings = HashSet::new();
                    let of_each_ring =
                        wgmma.iter().filter(|t| count > 1 && rings.insert((t.warpgroups, t.halos)));
                    for tile in
                        some(&sync).into_iter().chain(some(&wgmma)).chain(of_each_ring.copied())
                    {
                        if !chosen.contains(&tile) {
                            chosen.push(tile);
                        }
                    }
                    assert_eq!(chosen.is_empty(), step.kernel.tile().is_none(), "{}", step.name);
                    cases.push(Case {
                        plan: plans.len(),
                        step: step.clone(),
                        encoder: i < encoder,
                        tiles: chosen,
                    });
                }
                plans.push((plan, size));
            }
        }
    }
    (plans, cases)
}

impl Case {
    /// The contents to test with, one after the other.
    fn fillings(&self) -> &'static [Filling] {
        let all = &[Filling::Ordinary, Filling::Extreme, Filling::NotFinite];
        // Only steps that read flow are tested with values that are not finite.
        let sampled = !self.step.levels.is_empty() || self.step.kernel == Kernel::Merge;
        if sampled { all } else { &all[..2] }
    }

    fn name(&self, (plan, size): &Planned, filling: Filling) -> String {
        let kernel = self.step.kernel.with_tile(Tile::BLANK).describe();
        format!("{} at {size}, {filling:?}, {:?}: {kernel}", self.step.name, plan.variant)
    }

    fn kernels(&self) -> Vec<Kernel> {
        match self.tiles.is_empty() {
            true => vec![self.step.kernel],
            false => self.tiles.iter().map(|t| self.step.kernel.with_tile(*t)).collect(),
        }
    }
}

/// Compares everything that a step could access with the reference.
fn compare(world: &World<'_>, expected: &[Output], made: &[(Place, Vec<u8>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, made) in made {
        let before = world.bytes(*place);
        let result = match expected.iter().find(|o| o.place == *place) {
            Some(output) => output.check(before, made),
            None if before == made => Ok(()),
            None => Err(format!("{place:?} was written")),
        };
        wrong.extend(result.err());
    }
    wrong
}

fn every_step_matches_its_reference(version: ModelVersion, precision: Precision) {
    let bench = Bench::new(version, precision);
    let (plans, cases) = cases(version, precision, bench.gpu().card);
    assert!(cases.len() > 20, "{}", cases.len());

    // Compiled together, on all cores.
    for layout in [Layout::ChannelsLast, Layout::Planar] {
        let of_layout: Vec<&Case> =
            cases.iter().filter(|c| plans[c.plan].0.variant.layout == layout).collect();
        let Some(first) = of_layout.first() else { continue };
        let kernels = of_layout.iter().flat_map(|c| c.kernels());
        bench.shared.load_modules(kernels, &plans[first.plan].0.variant).unwrap();
    }

    let mut wrong: Vec<String> = Vec::new();
    let mut random = Random(7);
    for case in &cases {
        let planned = &plans[case.plan];
        for filling in case.fillings() {
            let name = case.name(planned, *filling);
            let mut world = world(&planned.0, planned.1, &bench.weights);
            fill(&mut world, &case.step, *filling, &mut random);
            let expected = world.run(&case.step);
            let mut first: Option<Vec<(Place, Vec<u8>)>> = None;
            // With one SM, a persistent block computes many tiles.
            let all = bench.gpu().card.sms;
            for (kernel, on) in case.kernels().into_iter().flat_map(|k| [(k, all), (k, 1)]) {
                let step = Step { kernel, ..case.step.clone() };
                let made = bench.run(&world, &step, case.encoder, on);
                if let Some(first) = &first {
                    if *first != made {
                        let tile = kernel.tile();
                        wrong.push(format!("{name}: another result with {tile:?} on {on}"));
                    }
                    continue;
                }
                let of = |why| format!("{name}, {:?}: {why}", kernel.tile());
                wrong.extend(compare(&world, &expected, &made).into_iter().map(of));
                first = Some(made);
            }
        }
    }
    println!("RIFE {version}, {precision:?}: {} steps", cases.len());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Small frames give each block only one tile. With one SM, its blocks compute all tiles of a
/// layer, so that inputs are overwritten while others are still multiplied. It is short enough for
/// racecheck, see `tools/check-gpu-memory.sh`.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn persistent_blocks_keep_their_inputs_apart() {
    let (persistent, card) = compare_with_one_sm(Precision::F16);
    // For `mma.sync` one and two input buffers; for `wgmma` (Hopper) every ring of several
    // warpgroups.
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

/// Returns the warpgroups and input buffers of the kernels whose blocks computed more tiles than
/// they have buffers.
fn compare_with_one_sm(precision: Precision) -> (HashSet<(usize, usize)>, Card) {
    let bench = Bench::new(ModelVersion::V4_26, precision);
    let card = bench.gpu().card;
    let (plans, cases) = cases(ModelVersion::V4_26, precision, card);
    let mut random = Random(11);
    let mut persistent: HashSet<(usize, usize)> = HashSet::new();
    for case in &cases {
        let (plan, size) = &plans[case.plan];
        let Kernel::Conv { cin: ..=64, .. } = case.step.kernel else { continue };
        let stay: Vec<Tile> = case.tiles.iter().copied().filter(|t| t.stages == 0).collect();
        let kernels = stay.iter().map(|t| case.step.kernel.with_tile(*t));
        bench.shared.load_modules(kernels, &plan.variant).unwrap();
        let mut world = world(plan, *size, &bench.weights);
        fill(&mut world, &case.step, Filling::Ordinary, &mut random);
        let expected = world.run(&case.step);
        for tile in stay {
            let step = Step { kernel: case.step.kernel.with_tile(tile), ..case.step.clone() };
            let made = bench.run(&world, &step, case.encoder, 1);
            let wrong = compare(&world, &expected, &made);
            assert!(wrong.is_empty(), "{}, {tile:?}: {}", step.name, wrong.join("\n"));
            let function = bench.shared.function(step.kernel, &step.name, &plan.variant).unwrap();
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
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn uploaded_frames_are_converted_exactly() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_26] {
        for precision in PRECISIONS {
            let bench = Bench::new(version, precision);
            for (w, h) in [(1, 1), (72, 40), (257, 3), (64, 64)] {
                let size = FrameSize::new(w, h);
                let plan = Plan::new(&request(version, precision, size));
                for format in FORMATS {
                    let mut random = Random(w as u64);
                    let sample = [1, 2, 4][format_code(format) as usize];
                    let planar = format == PixelFormat::PlanarF32;
                    let pitch = sample * (if planar { w } else { 3 * w } + 3);
                    let plane = if planar { pitch * h + 4 * sample } else { 0 };
                    let bytes = if planar { 3 * plane } else { pitch * h };
                    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40, 1.5, -2.0];
                    let samples: Vec<u8> = if planar {
                        let value = |_| match random.below(4) {
                            0 => odd[random.below(odd.len())],
                            _ => random.unit() as f32,
                        };
                        (0..bytes / 4).map(value).flat_map(f32::to_le_bytes).collect()
                    } else {
                        (0..bytes).map(|_| random.bits() as u8).collect()
                    };
                    let world = World::new(&plan, size, &bench.weights, 1, false);
                    let expected = world.take(&samples, format, (pitch, plane), 0);
                    let src = bench.holding(&samples);
                    let image = bench.holding(&world.images[0]);
                    let kernel = Kernel::Frame;
                    let function = bench.shared.function(kernel, "frame", &plan.variant).unwrap();
                    let (full_h, full_w) = (plan.padding.padded_height, plan.padding.padded_width);
                    let args = Args {
                        src: src.address(),
                        dst: image.address(),
                        full_h: full_h as i32,
                        full_w: full_w as i32,
                        frame_h: h as i32,
                        frame_w: w as i32,
                        source: format_code(format),
                        pitch: pitch as i64,
                        plane: plane as i64,
                        ..Args::default()
                    };
                    let grid = (full_w.div_ceil(PLAIN_THREADS) as u32, full_h as u32, 1);
                    // SAFETY: `frame` takes `Args`; the memory lives until it is read below.
                    unsafe { bench.stream.launch(&function, grid, &args) }.unwrap();
                    let made = bench.read(&image);
                    expected.check(&world.images[0], &made).unwrap_or_else(|e| {
                        panic!("RIFE {version}, {precision:?}, {format:?} at {size}: {e}")
                    });
                }
            }
        }
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn items_are_written_exactly() {
    let bench = Bench::new(ModelVersion::V4_6, Precision::F16);
    let plan = Plan::new(&request(ModelVersion::V4_6, Precision::F16, FrameSize::new(8, 8)));
    let function = bench.shared.function(Kernel::Items, "items", &plan.variant).unwrap();
    for count in [1, 5, MAX_ITEMS] {
        let mut random = Random(count as u64);
        let item = std::array::from_fn(|_| abi::Item {
            image0: random.bits(),
            image1: random.bits(),
            out: random.bits(),
            t: random.unit() as f32,
            format: random.bits() as i32,
            pitch: random.bits() as i64,
            plane: random.bits() as i64,
        });
        let size = size_of::<abi::Item>();
        let memory = bench.holding(&vec![POISON; MAX_ITEMS * size]);
        let args = Items { to: memory.address(), count: count as i32, unused: 0, item };
        // SAFETY: `items` takes `Items`; the memory has room for all and lives until it is read.
        unsafe { bench.stream.launch(&function, (1, 1, 1), &args) }.unwrap();
        let made = bench.read(&memory);
        let mut expected: Vec<u8> = item[..count].iter().flat_map(item_bytes).collect();
        expected.resize(MAX_ITEMS * size, POISON);
        assert!(made == expected, "{count} items");
    }
}

/// The comparison of the tests above, with the reference in place of the kernel: it passes, and any
/// difference fails. For every kind of step, without a GPU.
#[test]
fn reference_accepts_its_own_output_and_rejects_changes() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_26] {
        let bytes = published(version);
        let weights = Weights::read(bytes.as_slice());
        let precision = Precision::F16;
        let (plans, cases) = cases(version, precision, H100);
        let mut random = Random(7);
        let mut kinds = HashSet::new();
        for case in &cases {
            let planned = &plans[case.plan];
            for filling in case.fillings() {
                let name = case.name(planned, *filling);
                let mut before = world(&planned.0, planned.1, &weights);
                fill(&mut before, &case.step, *filling, &mut random);
                let expected = before.run(&case.step);
                let mut after = world(&planned.0, planned.1, &weights);
                (after.memory, after.images) = (before.memory.clone(), before.images.clone());
                after.commit(&expected);
                let places = places(&before, &case.step);
                let made = |world: &World<'_>| -> Vec<(Place, Vec<u8>)> {
                    places.iter().map(|p| (*p, world.bytes(*p).to_vec())).collect()
                };
                let wrong = compare(&before, &expected, &made(&after));
                assert!(wrong.is_empty(), "{name}: {wrong:?}");
                // An untouched output is detected, and so is a single wrong element.
                if *filling == Filling::Ordinary {
                    assert!(!compare(&before, &expected, &made(&before)).is_empty(), "{name}");
                    for output in &expected {
                        let known = |v: &Option<Approx>| v.is_some_and(|v| v.e.is_finite());
                        let last = output.values.iter().rposition(known).unwrap();
                        let element = output.format.at(last);
                        let to = &mut after.bytes_mut(output.place)[last * element.bytes()..];
                        let v = element.read(&to[..element.bytes()]);
                        let by = match element {
                            Element::U8 => 3.0,
                            Element::U16 => 1000.0,
                            _ => 0.02 * v.abs().max(1.0),
                        };
                        let off = if v > 1.0 { -by } else { by };
                        element.write(v + off, &mut to[..element.bytes()]);
                    }
                    let wrong = compare(&before, &expected, &made(&after));
                    assert_eq!(wrong.len(), expected.len(), "{name}: {wrong:?}");
                }
            }
            kinds.insert(std::mem::discriminant(&case.step.kernel));
        }
        // All but the kernels that write frames and items, and the mean of an ensemble.
        let merges = usize::from(version.spec().supports_ensemble);
        assert_eq!(kinds.len(), 5 + merges);
        println!("RIFE {version}: {} steps", cases.len());
    }
}

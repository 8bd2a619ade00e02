//! Runs single kernels on a GPU.

use std::sync::Arc;

use rife_model::{ModelVersion, Scale};

use crate::cuda::abi;
use crate::cuda::context::Shared;
use crate::cuda::driver::{Gpu, Memory, Stream};
use crate::cuda::engine::CudaEngine;
use crate::cuda::launch::{Addresses, launch};
use crate::cuda::plan::Step;
use crate::cuda::source::Shared as _;
use crate::cuda::tests::reference::{Place, Simulation, Weights};
use crate::cuda::tests::weights;
use crate::cuda::tile::Card;
use crate::engine::Load;
use crate::{Optimizations, Precision};

/// A GPU with a loaded engine, to run single kernels.
pub(in crate::cuda::tests) struct TestGpu {
    pub(in crate::cuda::tests) shared: Arc<Shared>,
    pub(in crate::cuda::tests) stream: Stream,
    pub(super) weights: Weights,
}

impl TestGpu {
    pub(in crate::cuda::tests) fn new(version: ModelVersion, precision: Precision) -> Self {
        let gpu = Gpu::open(0).unwrap();
        let stream = gpu.stream().unwrap();
        let bytes = weights(version);
        let load = Load {
            spec: version.spec(),
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

    pub(super) fn gpu(&self) -> &Gpu {
        &self.shared.gpu
    }

    /// Uploads bytes to new device memory.
    pub(in crate::cuda::tests) fn upload(&self, bytes: &[u8]) -> Memory {
        let memory = self.gpu().memory(bytes.len()).unwrap();
        // SAFETY: both are as long as `bytes`, which lives until the copy is done below.
        unsafe { self.stream.upload(memory.address(), bytes.as_ptr(), bytes.len()) }.unwrap();
        self.stream.synchronize().unwrap();
        memory
    }

    /// Reads device memory, after the queued work is done.
    pub(in crate::cuda::tests) fn read(&self, memory: &Memory) -> Vec<u8> {
        self.stream.synchronize().unwrap();
        let mut bytes = vec![0; memory.bytes()];
        memory.read(&mut bytes).unwrap();
        bytes
    }

    /// Runs one step on the content of a simulation, launched as on a GPU with `sms` SMs. Returns
    /// the content of every place that it could have written.
    pub(super) fn run(
        &self,
        simulation: &Simulation<'_>,
        step: &Step,
        encoder: bool,
        sms: usize,
    ) -> Vec<(Place, Vec<u8>)> {
        let places = places(simulation, step);
        let memory: Vec<Memory> =
            places.iter().map(|p| self.upload(simulation.bytes(*p))).collect();
        let address = |place: Place| {
            let found = places.iter().position(|p| *p == place);
            found.map_or(0, |i| memory[i].address())
        };
        let mut items = Vec::new();
        if encoder {
            items.push(abi::Item {
                image0: address(Place::Image(simulation.encoded)),
                ..abi::Item::default()
            });
        }
        items.extend(simulation.items.iter().map(|item| abi::Item {
            image0: address(Place::Image(item.image0)),
            image1: address(Place::Image(item.image1)),
            out: address(Place::Out(item.out)),
            t: item.t,
            sample: item.layout.sample.code(),
            row: item.layout.row,
            pixel: item.layout.pixel,
            channel: item.layout.channel,
        }));
        let items = self.upload(&items.iter().flat_map(item_bytes).collect::<Vec<u8>>());
        let addresses = Addresses {
            buffers: (0..simulation.plan.buffers.len())
                .map(|id| address(Place::Buffer(id)))
                .collect(),
            weights: self.shared.weights.address(),
            layers: Arc::clone(&self.shared.layers),
            items: items.address(),
        };
        let variant = &simulation.plan.variant;
        let function = self.shared.function(step.kernel, &step.name, variant).unwrap();
        let card = Card { sms, ..self.gpu().card };
        let launch = launch(simulation.plan, simulation.size, step, &function, &addresses, card);
        // SAFETY: the memory lives until it is read, after the launch is done.
        unsafe { launch.queue(&self.stream) }.unwrap();
        places.iter().copied().zip(memory.iter().map(|m| self.read(m))).collect()
    }
}

/// The bytes of an item.
pub(super) fn item_bytes(item: &abi::Item) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<abi::Item>());
    for address in [item.image0, item.image1, item.out] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend(item.t.to_le_bytes());
    bytes.extend(item.sample.to_le_bytes());
    for stride in [item.row, item.pixel, item.channel] {
        bytes.extend(stride.to_le_bytes());
    }
    bytes
}

/// Every place that a step can access.
pub(super) fn places(simulation: &Simulation<'_>, step: &Step) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let buffers = step.buffers().map(Place::Buffer);
    let images = (0..simulation.images.len()).map(Place::Image);
    for place in buffers.chain(images).chain((0..simulation.outs.len()).map(Place::Out)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

//! The launches of a plan on the memory of a session, as CUDA graphs if enabled.

use std::sync::Arc;

use super::abi::Item;
use super::context::Shared;
use super::driver::{Function, Graph, Memory, Stream};
use super::launch::{Addresses, Compiled, Launch, launch};
use super::plan::Step;
use crate::{Optimization, Result};

/// A part of a plan that runs as a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Encoder,
    Network,
}

/// The launches of one part.
#[derive(Default)]
struct Launches {
    /// Empty without an arena, since the addresses are then known only at run time.
    launches: Vec<Launch>,
    graph: Option<Graph>,
}

/// The launches of a plan on the memory of a session.
pub(super) struct Program {
    pub(super) compiled: Arc<Compiled>,
    encoder: Launches,
    network: Launches,
}

impl Program {
    pub(super) fn new(
        shared: &Shared,
        compiled: Arc<Compiled>,
        arena: Option<&Memory>,
        items: &Memory,
        stream: &Stream,
    ) -> Result<Self> {
        let plan = &compiled.plan;
        let mut program = Self {
            encoder: Launches::default(),
            network: Launches::default(),
            compiled: Arc::clone(&compiled),
        };
        let Some(arena) = arena else { return Ok(program) };
        let buffers = plan.buffers.iter().map(|b| arena.address() + b.offset as u64).collect();
        let at = addresses(shared, items, buffers);
        program.encoder.launches = program.launches(shared, Part::Encoder, &at);
        program.network.launches = program.launches(shared, Part::Network, &at);
        if shared.optimizations.has(Optimization::CudaGraph) {
            let capture = |launches: &[Launch]| {
                stream.capture(|| {
                    // SAFETY: the addresses are the session's, which drops the graph before its
                    // memory.
                    launches.iter().try_for_each(|l| unsafe { l.queue(stream) })
                })
            };
            if !program.encoder.launches.is_empty() {
                program.encoder.graph = Some(capture(&program.encoder.launches)?);
            }
            program.network.graph = Some(capture(&program.network.launches)?);
        }
        Ok(program)
    }

    /// Every launch: those of the encoder, then those of the network. Empty without an arena.
    pub(super) fn all(&self) -> impl Iterator<Item = &Launch> {
        self.encoder.launches.iter().chain(&self.network.launches)
    }

    /// The steps of a part, and the kernel of each.
    fn steps(&self, part: Part) -> (&[Step], &[Function]) {
        let compiled = &self.compiled;
        match part {
            Part::Encoder => (&compiled.plan.encoder, &compiled.encoder),
            Part::Network => (&compiled.plan.network, &compiled.network),
        }
    }

    fn launches(&self, shared: &Shared, part: Part, at: &Addresses) -> Vec<Launch> {
        let mut at = at.clone();
        // The item of the encoder precedes those of the network.
        if part == Part::Network {
            at.items += size_of::<Item>() as u64;
        }
        let compiled = &self.compiled;
        let (steps, functions) = self.steps(part);
        steps
            .iter()
            .zip(functions)
            .map(|(s, f)| launch(&compiled.plan, compiled.size, s, f, &at, shared.gpu.card))
            .collect()
    }

    /// Queues a part.
    pub(super) fn run(
        &self,
        part: Part,
        shared: &Shared,
        items: &Memory,
        stream: &Stream,
    ) -> Result<()> {
        let Launches { launches, graph } = match part {
            Part::Encoder => &self.encoder,
            Part::Network => &self.network,
        };
        match graph {
            Some(graph) => stream.replay(graph),
            None if !launches.is_empty() => {
                // SAFETY: the addresses are memory of the session.
                launches.iter().try_for_each(|l| unsafe { l.queue(stream) })
            }
            None => self.run_without_arena(part, shared, items, stream),
        }
    }

    /// Queues a part with every buffer allocated for this run and freed after it.
    fn run_without_arena(
        &self,
        part: Part,
        shared: &Shared,
        items: &Memory,
        stream: &Stream,
    ) -> Result<()> {
        let plan = &self.compiled.plan;
        let mut buffers = vec![0; plan.buffers.len()];
        let mut work = || -> Result<()> {
            for id in self.steps(part).0.iter().flat_map(Step::buffers) {
                if buffers[id] == 0 {
                    buffers[id] = stream.allocate(plan.buffers[id].bytes)?;
                }
            }
            let at = addresses(shared, items, buffers.clone());
            let launches = self.launches(shared, part, &at);
            // SAFETY: the buffers are freed below, after the launches in stream order.
            launches.iter().try_for_each(|l| unsafe { l.queue(stream) })
        };
        let mut result = work();
        for at in buffers.into_iter().filter(|at| *at != 0) {
            // SAFETY: allocated above; nothing queued after this uses it.
            let freed = unsafe { stream.free(at) };
            result = result.and(freed);
        }
        result
    }
}

fn addresses(shared: &Shared, items: &Memory, buffers: Vec<u64>) -> Addresses {
    Addresses {
        buffers,
        weights: shared.weights.address(),
        layers: Arc::clone(&shared.layers),
        items: items.address(),
    }
}

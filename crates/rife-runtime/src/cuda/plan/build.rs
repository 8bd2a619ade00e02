//! Builds a plan: the steps in order, then the offsets of their buffers.

mod network;

use rife_model::Padding;

use super::{
    ALIGNMENT, Buffer, BufferId, ChannelOrder, Estimate, Layer, LayerKind, Plan, Request, Step,
};
use crate::Optimization;
use crate::arena::{self, Lifetime};
use crate::cuda::candidates::tiles;
use crate::cuda::kernel::{ConvInput, DeconvEpilogue, Epilogue, Kernel, Terms};
use crate::cuda::tile::Tile;
use crate::cuda::variant::{Layout, Variant};

/// Builds the plan of a request.
pub(super) fn build(request: &Request) -> Plan {
    Builder::new(request).build()
}

struct Builder<'a> {
    request: &'a Request,
    variant: Variant,
    padding: Padding,
    items: usize,
    layers: Vec<Layer>,
    steps: Vec<Step>,
    buffers: Vec<Buffer>,
}

/// A 3x3 convolution, with its input and what follows it.
struct Conv<'a> {
    name: String,
    path: String,
    beta: Option<String>,
    src: Option<BufferId>,
    /// Published input channels.
    cin: usize,
    /// Input channels of the kernel.
    padded: usize,
    /// Published output channels.
    cout: usize,
    /// Rows and columns of the input.
    input: (usize, usize),
    stride: usize,
    source: ConvInput,
    epilogue: Epilogue,
    terms: Terms,
    order: ChannelOrder,
    levels: &'a [Estimate],
    divisor: f64,
    batch: usize,
}

impl Default for Conv<'_> {
    /// A convolution of a tensor with stride 1.
    fn default() -> Self {
        Self {
            name: String::new(),
            path: String::new(),
            beta: None,
            src: None,
            cin: 0,
            padded: 0,
            cout: 0,
            input: (0, 0),
            stride: 1,
            source: ConvInput::Tensor,
            epilogue: Epilogue::Leaky,
            terms: Terms::ONE,
            order: ChannelOrder::Published,
            levels: &[],
            divisor: 1.0,
            batch: 1,
        }
    }
}

impl<'a> Builder<'a> {
    fn new(request: &'a Request) -> Self {
        let layout = if request.optimizations.has(Optimization::ChannelsLast) {
            Layout::ChannelsLast
        } else {
            Layout::Planar
        };
        let size = request.size;
        let wgmma = request.card.wgmma && request.optimizations.has(Optimization::Wgmma);
        Self {
            request,
            variant: Variant::new(request.spec, request.scale, request.precision, layout, wgmma),
            padding: Padding::new(size.height, size.width, request.spec, request.scale),
            items: request.batch * if request.ensemble { 2 } else { 1 },
            layers: Vec::new(),
            steps: Vec::new(),
            buffers: Vec::new(),
        }
    }

    fn build(mut self) -> Plan {
        let spec = self.request.spec;
        if spec.has_encoder() {
            self.encoder();
        }
        let encoder = std::mem::take(&mut self.steps);
        let encoder_buffers = self.buffers.len();
        self.network();
        let network = std::mem::take(&mut self.steps);
        // The encoder and the network never run at the same time, so each can use the whole arena.
        let reuse = self.request.optimizations.has(Optimization::ReusedBuffers);
        let arena = if reuse {
            let (encoder, network) = self.buffers.split_at_mut(encoder_buffers);
            place(encoder, true).max(place(network, true))
        } else {
            place(&mut self.buffers, false)
        };
        Plan {
            variant: self.variant,
            padding: self.padding,
            items: self.items,
            item_step: if self.request.ensemble { 2 } else { 1 },
            layers: self.layers,
            encoder,
            network,
            buffers: self.buffers,
            arena,
        }
    }

    fn buffer(&mut self, name: &str, bytes: usize) -> BufferId {
        self.buffers.push(Buffer {
            name: name.into(),
            bytes,
            first: usize::MAX,
            last: 0,
            offset: 0,
        });
        self.buffers.len() - 1
    }

    /// Adds a step with the tile of the least estimated cost, and extends the lifetimes of its
    /// buffers.
    fn step(&mut self, mut step: Step) {
        let at = self.steps.len();
        for id in step.buffers().collect::<Vec<_>>() {
            let buffer = &mut self.buffers[id];
            buffer.first = buffer.first.min(at);
            buffer.last = buffer.last.max(at);
            step.bytes += buffer.bytes as f64;
        }
        step.bytes += self.bytes_of_frames(&step) as f64;
        if step.kernel.tile().is_some() {
            let all = tiles(&step.kernel, &self.variant, step.extent(), self.request.card);
            if let Some(best) = all.first() {
                step.kernel = step.kernel.with_tile(*best);
            }
        }
        self.steps.push(step);
    }

    /// Bytes of frames that a step reads and writes, counting each byte once. Interpolated frames
    /// are counted as 8-bit RGB, and a batch as one pair of input frames.
    fn bytes_of_frames(&self, step: &Step) -> usize {
        let pixels = self.padding.padded_height * self.padding.padded_width;
        let colours = 4 * self.variant.element();
        // A coarse block reads `taps` pixels of the frame for each of its pixels.
        let read = |taps: usize| {
            let (h, w) = step.input;
            2 * pixels.min(taps * h * w) * self.variant.pixel()
        };
        let written = self.request.batch * self.request.size.pixels() * 3;
        match step.kernel {
            Kernel::Conv { source: ConvInput::Image { .. }, .. } => pixels * colours,
            Kernel::Conv { source: ConvInput::Block { taps, .. }, .. }
            | Kernel::Input { taps, .. } => read(taps),
            Kernel::Deconv { epilogue: DeconvEpilogue::Blend { .. }, .. }
            | Kernel::Blend { .. } => 2 * pixels * colours + written,
            _ => 0,
        }
    }

    fn fused(&self) -> bool {
        self.request.optimizations.has(Optimization::FusedKernels)
    }

    fn layer(&mut self, path: String, beta: Option<String>, kind: LayerKind) -> Option<usize> {
        self.layers.push(Layer { path, beta, kind });
        Some(self.layers.len() - 1)
    }

    /// Adds a convolution, and a separate activation if kernels are not fused. Returns its output.
    fn conv(&mut self, conv: Conv<'_>) -> BufferId {
        let Conv { name, cin, padded, cout, input, stride, source, epilogue, terms, .. } = conv;
        let output = (input.0 / stride, input.1 / stride);
        let columns = in_memory(cout);
        let order = conv.order;
        let kind = LayerKind::Conv { cin, padded, outputs: cout, columns, order, stride };
        let layer = self.layer(conv.path, conv.beta, kind);
        let pixels = conv.batch * output.0 * output.1;
        let dst = self.buffer(&name, pixels * terms.output * columns * self.variant.element());
        let fused = self.fused();
        let kernel = Kernel::Conv {
            cin: padded,
            cout: columns,
            stride,
            source,
            epilogue: if fused { epilogue } else { Epilogue::Bias },
            terms,
            tile: Tile::UNCHOSEN,
        };
        self.step(Step {
            layer,
            src: conv.src,
            dst: Some(dst),
            levels: conv.levels.to_vec(),
            output,
            divisor: conv.divisor,
            flops: 2.0 * (pixels * 9 * cin * cout) as f64,
            bytes: (9 * padded * columns * self.variant.element()) as f64,
            ..Step::new(name.clone(), kernel, input, conv.batch)
        });
        if !fused {
            let kernel = Kernel::Pointwise { channels: columns, terms: terms.output };
            self.step(Step {
                dst: Some(dst),
                residual: conv.src.filter(|_| epilogue == Epilogue::Residual),
                divisor: conv.divisor,
                ..Step::new(format!("{name}.act"), kernel, output, conv.batch)
            });
        }
        dst
    }
}

/// Channels of a tensor in memory: whole steps of the tensor cores, also in F16.
fn in_memory(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

/// Sets the offsets of buffers in the arena, and returns the size of the arena in bytes.
fn place(buffers: &mut [Buffer], share: bool) -> usize {
    let lifetime = |b: &Buffer| Lifetime { len: b.bytes, first: b.first, last: b.last };
    let lives: Vec<Lifetime> = buffers.iter().map(lifetime).collect();
    let placed = if share { arena::place } else { arena::place_separately };
    let (offsets, end) = placed(&lives, ALIGNMENT);
    buffers.iter_mut().zip(offsets).for_each(|(buffer, at)| buffer.offset = at);
    end
}

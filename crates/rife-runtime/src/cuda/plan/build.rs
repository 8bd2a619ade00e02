//! From a request to a plan: the layers in order, then the memory of their buffers.

use rife_model::{ENCODER_WIDTH, Padding, RES_CONVS};

use super::{
    ALIGNMENT, Buffer, BufferId, ChannelOrder, Estimate, Layer, LayerKind, Plan, Request, Step,
};
use crate::arena::{self, Life};
use crate::cuda::candidates::tiles;
use crate::cuda::kernel::{ConvInput, DeconvEpilogue, Epilogue, Kernel, RoundingResiduals, Terms};
use crate::cuda::tile::Tile;
use crate::cuda::variant::{Layout, Variant};
use crate::{Optimization, Precision};

/// The plan of a request.
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

/// A 3x3 convolution and its surroundings.
struct Conv<'a> {
    name: String,
    path: String,
    beta: Option<String>,
    src: Option<BufferId>,
    /// Published input channels, those of the kernel, and output channels.
    cin: usize,
    padded: usize,
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
        // The encoder and the network never run at the same time: each may use the whole arena.
        let reuse = self.request.optimizations.has(Optimization::ReusedBuffers);
        let arena = if reuse {
            let (for_encoder, for_network) = self.buffers.split_at_mut(encoder_buffers);
            place(for_encoder, true).max(place(for_network, true))
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

    /// Adds a step with the tile of the least estimated cost, and extends the lives of its buffers.
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

    /// Bytes that a step reads and writes of frames, each once. Interpolated frames count as 8-bit
    /// RGB, and all of a batch as between the same two.
    fn bytes_of_frames(&self, step: &Step) -> usize {
        let pixels = self.padding.padded_height * self.padding.padded_width;
        let colours = 4 * self.variant.element();
        // A coarse block reads `taps` pixels of the frame for each of its own.
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

    /// Which channels of a block's input carry their rounding residual, see "What F16 loses" in
    /// `docs/cuda.md`: all in the blocks whose flow the next ones refine, else those that there
    /// are spare channels for.
    fn residuals(&self, block: usize) -> RoundingResiduals {
        let last_with_all = if self.request.spec.has_encoder() { 0 } else { 2 };
        match self.variant.precision {
            Precision::F16 if block <= last_with_all => RoundingResiduals::All,
            Precision::F16 => RoundingResiduals::Flow,
            _ => RoundingResiduals::None,
        }
    }

    /// How many F16 values store each output of a block's first convolution.
    fn terms(&self, block: usize) -> usize {
        let coarse = !self.request.spec.has_encoder() && block < 2;
        if coarse && self.variant.precision == Precision::F16 { 2 } else { 1 }
    }

    fn fused(&self) -> bool {
        self.request.optimizations.has(Optimization::FusedKernels)
    }

    fn layer(&mut self, path: String, beta: Option<String>, kind: LayerKind) -> Option<usize> {
        self.layers.push(Layer { path, beta, kind });
        Some(self.layers.len() - 1)
    }

    /// Adds a convolution with what follows it, and returns its output.
    fn conv(&mut self, conv: Conv<'_>) -> BufferId {
        let Conv { name, cin, padded, cout, input, stride, source, epilogue, terms, .. } = conv;
        let output = (input.0 / stride, input.1 / stride);
        let kind = LayerKind::Conv { cin, padded, cout, order: conv.order, stride };
        let layer = self.layer(conv.path, conv.beta, kind);
        let pixels = conv.batch * output.0 * output.1;
        let dst = self.buffer(&name, pixels * terms.output * cout * self.variant.element());
        let fused = self.fused();
        let kernel = Kernel::Conv {
            cin: padded,
            cout,
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
            bytes: (9 * padded * cout * self.variant.element()) as f64,
            ..Step::new(name.clone(), kernel, input, conv.batch)
        });
        if !fused {
            let kernel = Kernel::Pointwise { channels: cout, terms: terms.output };
            self.step(Step {
                dst: Some(dst),
                residual: conv.src.filter(|_| epilogue == Epilogue::Residual),
                divisor: conv.divisor,
                ..Step::new(format!("{name}.act"), kernel, output, conv.batch)
            });
        }
        dst
    }

    fn encoder(&mut self) {
        let (h, w) = (self.padding.padded_height, self.padding.padded_width);
        let width = ENCODER_WIDTH;
        let narrow = self.variant.step();
        let residuals = match self.variant.precision {
            Precision::F16 => RoundingResiduals::All,
            _ => RoundingResiduals::None,
        };
        let mut x = self.conv(Conv {
            name: "encode.cnn0".into(),
            path: "encode.cnn0".into(),
            cin: 3,
            padded: 3usize.next_multiple_of(narrow),
            cout: width,
            input: (h, w),
            stride: 2,
            source: ConvInput::Image { residuals },
            order: ChannelOrder::Image(residuals),
            ..Conv::default()
        });
        let half = (h / 2, w / 2);
        for i in 1..=2 {
            x = self.conv(Conv {
                name: format!("encode.cnn{i}"),
                path: format!("encode.cnn{i}"),
                src: Some(x),
                cin: width,
                padded: width,
                cout: width,
                input: half,
                ..Conv::default()
            });
        }
        let (outputs, columns) = (self.request.spec.encoder_channels, 8);
        let kind = LayerKind::Deconv { cin: width, outputs, columns, shuffled: false };
        let layer = self.layer("encode.cnn3".into(), None, kind);
        let epilogue = DeconvEpilogue::Features;
        let kernel = Kernel::Deconv { cin: width, columns, epilogue, tile: Tile::UNCHOSEN };
        self.step(Step {
            layer,
            src: Some(x),
            output: (h, w),
            flops: 2.0 * (half.0 * half.1 * 16 * width * outputs) as f64,
            bytes: (h * w * 4 * self.variant.element()) as f64,
            ..Step::new("encode.cnn3", kernel, half, 1)
        });
    }

    fn network(&mut self) {
        let spec = self.request.spec;
        let mut levels: Vec<Estimate> = Vec::new();
        for block in 0..spec.block_channels.len() {
            let estimate = self.block(block, &levels);
            levels.extend(estimate);
        }
        let blocks = spec.block_channels.len();
        // The last block blends by itself if it is fused.
        if levels.len() == blocks {
            let full = (self.padding.padded_height, self.padding.padded_width);
            self.step(Step {
                levels,
                divisor: self.request.scale.block_divisor(spec, blocks - 1),
                ..Step::new("blend", Kernel::Blend { levels: blocks }, full, self.items)
            });
        }
    }

    /// Adds a block after those that made `levels`, and returns its output; `None` if it blends.
    fn block(&mut self, i: usize, levels: &[Estimate]) -> Option<Estimate> {
        let Request { spec, scale, ensemble, .. } = *self.request;
        let (items, c) = (self.items, spec.block_channels[i]);
        let divisor = scale.block_divisor(spec, i);
        let at = |full: usize| (full as f64 / divisor) as usize;
        let (h, w) = (at(self.padding.padded_height), at(self.padding.padded_width));
        let cin = spec.block_inputs(i);
        let residuals = self.residuals(i);
        // The residuals of flow alone fit in the channels that padding leaves.
        let twice = if residuals == RoundingResiduals::All { 2 } else { 1 };
        let padded = (twice * cin).next_multiple_of(16);
        let taps = if divisor == 1.0 { 1 } else { 4 };
        let path = |rest: &str| format!("block{i}.{rest}");

        let (src, source, before) = if self.fused() {
            (None, ConvInput::Block { levels: i, taps, residuals }, levels)
        } else {
            let name = path("input");
            let dst = self.buffer(&name, items * h * w * padded * self.variant.element());
            let kernel = Kernel::Input { cin: padded, levels: i, taps, residuals };
            self.step(Step {
                dst: Some(dst),
                levels: levels.to_vec(),
                divisor,
                ..Step::new(name, kernel, (h, w), items)
            });
            (Some(dst), ConvInput::Tensor, &[][..])
        };
        let terms = self.terms(i);
        let mut x = self.conv(Conv {
            name: path("conv0"),
            path: path("conv0.0.0"),
            src,
            cin,
            padded,
            cout: c / 2,
            input: (h, w),
            stride: 2,
            source,
            terms: Terms { output: terms, ..Terms::ONE },
            order: ChannelOrder::Block(residuals),
            levels: before,
            divisor,
            batch: items,
            ..Conv::default()
        });
        x = self.conv(Conv {
            name: path("conv1"),
            path: path("conv0.1.0"),
            src: Some(x),
            cin: c / 2,
            padded: c / 2,
            cout: c,
            input: (h / 2, w / 2),
            stride: 2,
            terms: Terms { input: terms, ..Terms::ONE },
            divisor,
            batch: items,
            ..Conv::default()
        });
        let quarter = (h / 4, w / 4);
        for k in 0..RES_CONVS {
            x = self.conv(Conv {
                name: path(&format!("res{k}")),
                path: path(&format!("convblock.{k}.conv")),
                beta: Some(path(&format!("convblock.{k}.beta"))),
                src: Some(x),
                cin: c,
                padded: c,
                cout: c,
                input: quarter,
                epilogue: Epilogue::Residual,
                divisor,
                batch: items,
                ..Conv::default()
            });
        }

        let last = i + 1 == spec.block_channels.len();
        let channels = if last || spec.feature_channels == 0 { 6 } else { 14 };
        let columns = 4 * channels;
        let outputs = 4 * spec.block_outputs;
        let kind = LayerKind::Deconv { cin: c, outputs, columns, shuffled: true };
        let layer = self.layer(path("lastconv.0"), None, kind);
        let blended = last && divisor == 1.0 && self.fused() && !ensemble;
        let n = items * h * w;
        let estimate = (!blended).then(|| Estimate {
            flow: self.buffer(&path("flow"), n * 16),
            mask: self.buffer(&path("mask"), n * 4),
            feat: (columns == 56)
                .then(|| self.buffer(&path("feat"), n * 8 * self.variant.element())),
            h,
            w,
            divisor,
        });
        let epilogue =
            if blended { DeconvEpilogue::Blend { levels: i } } else { DeconvEpilogue::Estimate };
        let kernel = Kernel::Deconv { cin: c, columns, epilogue, tile: Tile::UNCHOSEN };
        let step = Step {
            layer,
            src: Some(x),
            estimate,
            levels: if blended { levels.to_vec() } else { Vec::new() },
            output: (h, w),
            divisor,
            flops: 2.0 * (items * quarter.0 * quarter.1 * 16 * c * outputs) as f64,
            bytes: (16 * c * columns * self.variant.element()) as f64,
            ..Step::new(path("lastconv"), kernel, quarter, items)
        };
        self.step(step);
        if ensemble {
            self.step(Step {
                estimate,
                input: quarter,
                divisor,
                ..Step::new(path("merge"), Kernel::Merge, (h, w), items)
            });
        }
        estimate
    }
}

/// Places buffers in the arena, and returns its bytes.
fn place(buffers: &mut [Buffer], share: bool) -> usize {
    let life = |b: &Buffer| Life { len: b.bytes, first: b.first, last: b.last };
    let lives: Vec<Life> = buffers.iter().map(life).collect();
    let placed = if share { arena::place } else { arena::place_apart };
    let (offsets, end) = placed(&lives, ALIGNMENT);
    buffers.iter_mut().zip(offsets).for_each(|(buffer, at)| buffer.offset = at);
    end
}

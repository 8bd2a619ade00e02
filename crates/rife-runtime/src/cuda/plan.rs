//! What is launched to take a frame in and to make one: kernels, shapes, and where every buffer
//! lies. Plain arithmetic, the same on a machine without a GPU.

use rife_model::{ENCODER_WIDTH, ModelSpec, Padding, RES_CONVS, Scale};

use super::kernel::{
    Card, Epilogue, Extent, Kernel, Layout, Outcome, Products, Rests, Source, Terms, Tile, Variant,
    tiles,
};
use crate::arena::{self, Life};
use crate::{FrameSize, Optimization, Optimizations, Precision};

/// A layer's weights as the kernels take them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layer {
    /// The layer's place in the published files.
    pub(crate) path: String,
    /// The tensor that scales its output, if any.
    pub(crate) beta: Option<String>,
    pub(crate) kind: LayerKind,
}

/// The order that a layer's weights are packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LayerKind {
    /// Channels, published and as the kernel takes them.
    Conv { cin: usize, padded: usize, cout: usize, input: Input, stride: usize },
    /// `columns` of each phase. `shuffled`: column 8j + 2t + e is channel 2j + e of sub-pixel t.
    Deconv { cin: usize, outputs: usize, columns: usize, shuffled: bool },
}

/// In which order a kernel takes a convolution's channels, see `input_channels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// As they were published.
    Published,
    /// Colours, and what rounding leaves of them.
    Colours(Rests),
    /// A block's input, as the kernels make it.
    Halves(Rests),
}

impl LayerKind {
    /// Elements of the packed weights.
    pub(crate) fn weights(&self) -> usize {
        match *self {
            Self::Conv { padded, cout, .. } => 9 * padded * cout,
            Self::Deconv { cin, columns, .. } => 16 * cin * columns,
        }
    }

    /// Weights of an input and an output channel.
    pub(crate) fn taps(&self) -> usize {
        match self {
            Self::Conv { .. } => 9,
            Self::Deconv { .. } => 16,
        }
    }

    /// What its products are computed in, see [`Variant::products`].
    pub(crate) fn products(&self, precision: Precision) -> Products {
        let delicate = !matches!(self, Self::Conv { stride: 1, .. });
        Products::of(precision, delicate)
    }

    /// Elements of the packed bias.
    pub(crate) fn biases(&self) -> usize {
        match *self {
            Self::Conv { cout, .. } => cout,
            Self::Deconv { columns, .. } => columns,
        }
    }
}

/// A buffer of the arena, by its place in [`Plan::buffers`].
pub(crate) type BufferId = usize;

/// A buffer of the arena.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    /// The steps that write it first and read it last.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Where it lies in the arena.
    pub(crate) offset: usize,
}

/// What a block made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) flow: BufferId,
    pub(crate) mask: BufferId,
    pub(crate) feat: Option<BufferId>,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) divisor: f64,
}

/// One launch.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// For people: `block2.res5`.
    pub(crate) name: String,
    pub(crate) kernel: Kernel,
    pub(crate) layer: Option<usize>,
    pub(crate) src: Option<BufferId>,
    pub(crate) dst: Option<BufferId>,
    pub(crate) residual: Option<BufferId>,
    /// What it makes of flow, mask and feature.
    pub(crate) estimate: Option<Estimate>,
    /// What the blocks before made.
    pub(crate) levels: Vec<Estimate>,
    pub(crate) input: (usize, usize),
    pub(crate) output: (usize, usize),
    pub(crate) divisor: f64,
    /// Multiplications and additions of the layer as published, and the bytes of its tensors, its
    /// weights, and what it reads and writes of frames.
    pub(crate) flops: f64,
    pub(crate) bytes: f64,
}

impl Step {
    /// What it reads and writes.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = BufferId> {
        let estimates = self.estimate.iter().chain(&self.levels);
        let of = |e: &Estimate| [Some(e.flow), Some(e.mask), e.feat];
        [self.src, self.dst, self.residual].into_iter().chain(estimates.flat_map(of)).flatten()
    }
}

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) size: FrameSize,
    pub(crate) scale: Scale,
    pub(crate) precision: Precision,
    pub(crate) ensemble: bool,
    /// Frames made by one run.
    pub(crate) batch: usize,
    pub(crate) optimizations: Optimizations,
    pub(crate) card: Card,
}

/// The launches of an engine for frames of one size.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) variant: Variant,
    pub(crate) padding: Padding,
    /// Items of a run: twice the batch with the ensemble.
    pub(crate) items: usize,
    /// Items from one frame to the next.
    pub(crate) item_step: usize,
    pub(crate) layers: Vec<Layer>,
    /// The frame encoder.
    pub(crate) encoder: Vec<Step>,
    /// The network.
    pub(crate) network: Vec<Step>,
    pub(crate) buffers: Vec<Buffer>,
    /// Bytes of the arena that holds every buffer.
    pub(crate) arena: usize,
}

/// Every buffer begins at a multiple of this.
const ALIGNMENT: usize = 256;

impl Plan {
    /// Plans for a request, with the tiles that are expected to be fastest.
    pub(crate) fn new(request: &Request) -> Self {
        Builder::new(request).build()
    }

    /// Whether the kernels can count what they work on: their indices are of 32 bits, and the
    /// driver takes so many rows.
    pub(crate) fn is_countable(&self) -> bool {
        const MOST: usize = i32::MAX as usize;
        const ROWS: usize = 65535;
        let pixels = self.padding.padded_height * self.padding.padded_width;
        let cells = |e: &Estimate| self.items * e.h * e.w;
        pixels <= MOST
            && self.steps().all(|step| {
                let rows = if step.kernel.tile().is_some() { 1 } else { step.output.0 };
                rows <= ROWS
                    && step.levels.iter().chain(&step.estimate).all(|e| cells(e) <= MOST)
                    && self.items * step.output.0 * step.output.1 <= MOST
            })
    }

    /// Bytes of a frame as the network reads it.
    pub(crate) fn image_bytes(&self) -> usize {
        self.padding.padded_height * self.padding.padded_width * self.variant.pixel()
    }

    /// Where each layer's weights and bias lie among the packed ones, and the bytes of them all.
    pub(crate) fn weight_offsets(&self) -> (Vec<(usize, usize)>, usize) {
        let mut end = 0;
        let mut take = |bytes: usize| {
            let at = end;
            end += bytes.next_multiple_of(ALIGNMENT);
            at
        };
        let element = self.variant.element();
        let offsets = self
            .layers
            .iter()
            .map(|l| (take(l.kind.weights() * element), take(l.kind.biases() * 4)))
            .collect();
        (offsets, end)
    }

    /// Every step: the encoder's, then the network's.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.encoder.iter().chain(&self.network)
    }

    /// The outputs of a step, by which its tile is chosen.
    pub(crate) fn extent(&self, step: &Step) -> Extent {
        let batch = if step.name.starts_with("encode") { 1 } else { self.items };
        // A transposed convolution's tiles cover its input.
        let (rows, columns) = match step.kernel {
            Kernel::Deconv { .. } => step.input,
            _ => step.output,
        };
        Extent { rows, columns, batch }
    }

    /// Puts other tiles in, as the tuner found them.
    pub(crate) fn retile(&mut self, choose: impl Fn(&Step, Extent) -> Option<Tile>) {
        let extents: Vec<Extent> = self.steps().map(|s| self.extent(s)).collect();
        for (step, extent) in self.encoder.iter_mut().chain(&mut self.network).zip(extents) {
            if let Some(tile) = choose(step, extent) {
                step.kernel = step.kernel.with_tile(tile);
            }
        }
    }
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

impl<'a> Builder<'a> {
    fn new(request: &'a Request) -> Self {
        let layout = if request.optimizations.has(Optimization::ChannelsLast) {
            Layout::ChannelsLast
        } else {
            Layout::Planes
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

    /// Adds a step, and what it uses to the lives of its buffers.
    fn step(&mut self, mut step: Step, items: usize) {
        let at = self.steps.len();
        for id in step.buffers().collect::<Vec<_>>() {
            let buffer = &mut self.buffers[id];
            buffer.first = buffer.first.min(at);
            buffer.last = buffer.last.max(at);
            step.bytes += buffer.bytes as f64;
        }
        step.bytes += self.bytes_of_frames(&step) as f64;
        if step.kernel.tile().is_some() {
            let (rows, columns) = match step.kernel {
                Kernel::Deconv { .. } => step.input,
                _ => step.output,
            };
            let extent = Extent { rows, columns, batch: items };
            if let Some(best) =
                tiles(&step.kernel, &self.variant, extent, self.request.card).first()
            {
                step.kernel = step.kernel.with_tile(*best);
            }
        }
        self.steps.push(step);
    }

    /// Bytes that a step reads and writes of frames, each once. A frame that is made is of 8 bits, and
    /// all of a batch are made between the same two.
    fn bytes_of_frames(&self, step: &Step) -> usize {
        let pixels = self.padding.padded_height * self.padding.padded_width;
        let colours = 4 * self.variant.element();
        // A coarse block reads some of the pixels: so many for each of its own.
        let read = |taps: usize| {
            let (h, w) = step.input;
            2 * pixels.min(taps * h * w) * self.variant.pixel()
        };
        let made = self.request.batch * self.request.size.pixels() * 3;
        match step.kernel {
            Kernel::Conv { source: Source::Image { .. }, .. } => pixels * colours,
            Kernel::Conv { source: Source::Input { taps, .. }, .. }
            | Kernel::Input { taps, .. } => read(taps),
            Kernel::Deconv { outcome: Outcome::Blend { .. }, .. } | Kernel::Blend { .. } => {
                2 * pixels * colours + made
            }
            _ => 0,
        }
    }

    /// Of which channels of a block's input what rounding leaves is multiplied too, see "What F16
    /// loses" in `docs/cuda.md`: of all in the blocks whose flow others start from, else of what has
    /// room.
    fn rests(&self, block: usize) -> Rests {
        let all = if self.request.spec.has_encoder() { 0 } else { 2 };
        match self.variant.precision {
            Precision::F16 if block <= all => Rests::All,
            Precision::F16 => Rests::Flow,
            _ => Rests::None,
        }
    }

    /// As how many halves what a block's first convolution makes is stored.
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
    #[expect(clippy::too_many_arguments, reason = "a layer has that many properties")]
    fn conv(
        &mut self,
        name: &str,
        (path, beta): (String, Option<String>),
        src: Option<BufferId>,
        (cin, padded, cout): (usize, usize, usize),
        (input, stride): ((usize, usize), usize),
        (source, epilogue, terms): (Source, Epilogue, Terms),
        order: Input,
        (levels, divisor): (&[Estimate], f64),
        items: usize,
    ) -> BufferId {
        let output = (input.0 / stride, input.1 / stride);
        let kind = LayerKind::Conv { cin, padded, cout, input: order, stride };
        let layer = self.layer(path, beta, kind);
        let bytes = items * output.0 * output.1 * terms.output * cout * self.variant.element();
        let dst = self.buffer(name, bytes);
        let fused = self.fused();
        let step = Step {
            name: name.into(),
            kernel: Kernel::Conv {
                cin: padded,
                cout,
                stride,
                source,
                epilogue: if fused { epilogue } else { Epilogue::Bias },
                terms,
                tile: UNPLACED,
            },
            layer,
            src,
            dst: Some(dst),
            residual: None,
            estimate: None,
            levels: levels.to_vec(),
            input,
            output,
            divisor,
            flops: 2.0 * (items * output.0 * output.1 * 9 * cin * cout) as f64,
            bytes: (9 * padded * cout * self.variant.element()) as f64,
        };
        self.step(step.clone(), items);
        if !fused {
            let residual = src.filter(|_| epilogue == Epilogue::Residual);
            let kernel = Kernel::Pointwise { channels: cout, terms: terms.output };
            let name = format!("{name}.act");
            let input = output;
            self.step(
                Step {
                    name,
                    kernel,
                    layer: None,
                    src: None,
                    residual,
                    input,
                    flops: 0.0,
                    bytes: 0.0,
                    levels: Vec::new(),
                    ..step
                },
                items,
            );
        }
        dst
    }

    fn encoder(&mut self) {
        let (h, w) = (self.padding.padded_height, self.padding.padded_width);
        let path = |i: usize| (format!("encode.cnn{i}"), None);
        let width = ENCODER_WIDTH;
        let narrow = self.variant.step();
        let rests = if self.variant.precision == Precision::F16 { Rests::All } else { Rests::None };
        let padded = 3usize.next_multiple_of(narrow);
        let mut x = self.conv(
            "encode.cnn0",
            path(0),
            None,
            (3, padded, width),
            ((h, w), 2),
            (Source::Image { rests }, Epilogue::Leaky, Terms::ONE),
            Input::Colours(rests),
            (&[], 1.0),
            1,
        );
        let half = (h / 2, w / 2);
        for i in 1..=2 {
            x = self.conv(
                &format!("encode.cnn{i}"),
                path(i),
                Some(x),
                (width, width, width),
                (half, 1),
                (Source::Tensor, Epilogue::Leaky, Terms::ONE),
                Input::Published,
                (&[], 1.0),
                1,
            );
        }
        let (outputs, columns) = (self.request.spec.encoder_channels, 8);
        let kind = LayerKind::Deconv { cin: width, outputs, columns, shuffled: false };
        let layer = self.layer("encode.cnn3".into(), None, kind);
        self.step(
            Step {
                name: "encode.cnn3".into(),
                kernel: Kernel::Deconv {
                    cin: width,
                    columns,
                    outcome: Outcome::Features,
                    tile: UNPLACED,
                },
                layer,
                src: Some(x),
                dst: None,
                residual: None,
                estimate: None,
                levels: Vec::new(),
                input: half,
                output: (h, w),
                divisor: 1.0,
                flops: 2.0 * (half.0 * half.1 * 16 * width * outputs) as f64,
                bytes: (h * w * 4 * self.variant.element()) as f64,
            },
            1,
        );
    }

    fn network(&mut self) {
        let Request { spec, scale, ensemble, .. } = *self.request;
        let (full_h, full_w) = (self.padding.padded_height, self.padding.padded_width);
        let items = self.items;
        let mut levels: Vec<Estimate> = Vec::new();
        let blocks = spec.block_channels.len();
        for (i, &c) in spec.block_channels.iter().enumerate() {
            let divisor = scale.block_divisor(spec, i);
            let at = |full: usize| (full as f64 / divisor) as usize;
            let (h, w) = (at(full_h), at(full_w));
            let cin = spec.block_inputs(i);
            let rests = self.rests(i);
            // Flow has room where all else has.
            let twice = if rests == Rests::All { 2 } else { 1 };
            let padded = (twice * cin).next_multiple_of(16);
            let taps = if divisor == 1.0 { 1 } else { 4 };
            let path = |rest: &str| (format!("block{i}.{rest}"), None);

            let made = Source::Input { levels: i, taps, rests };
            let terms = self.terms(i);
            let (src, source, before) = if self.fused() {
                (None, made, levels.as_slice())
            } else {
                let bytes = items * h * w * padded * self.variant.element();
                let dst = self.buffer(&format!("block{i}.input"), bytes);
                self.step(
                    Step {
                        name: format!("block{i}.input"),
                        kernel: Kernel::Input { cin: padded, levels: i, taps, rests },
                        layer: None,
                        src: None,
                        dst: Some(dst),
                        residual: None,
                        estimate: None,
                        levels: levels.clone(),
                        input: (h, w),
                        output: (h, w),
                        divisor,
                        flops: 0.0,
                        bytes: 0.0,
                    },
                    items,
                );
                (Some(dst), Source::Tensor, &[][..])
            };
            let mut x = self.conv(
                &format!("block{i}.conv0"),
                path("conv0.0.0"),
                src,
                (cin, padded, c / 2),
                ((h, w), 2),
                (source, Epilogue::Leaky, Terms { output: terms, ..Terms::ONE }),
                Input::Halves(rests),
                (before, divisor),
                items,
            );
            x = self.conv(
                &format!("block{i}.conv1"),
                path("conv0.1.0"),
                Some(x),
                (c / 2, c / 2, c),
                ((h / 2, w / 2), 2),
                (Source::Tensor, Epilogue::Leaky, Terms { input: terms, ..Terms::ONE }),
                Input::Published,
                (&[], divisor),
                items,
            );
            let quarter = (h / 4, w / 4);
            for k in 0..RES_CONVS {
                let beta = Some(format!("block{i}.convblock.{k}.beta"));
                x = self.conv(
                    &format!("block{i}.res{k}"),
                    (format!("block{i}.convblock.{k}.conv"), beta),
                    Some(x),
                    (c, c, c),
                    (quarter, 1),
                    (Source::Tensor, Epilogue::Residual, Terms::ONE),
                    Input::Published,
                    (&[], divisor),
                    items,
                );
            }

            let last = i + 1 == blocks;
            let channels = if last || spec.feature_channels == 0 { 6 } else { 14 };
            let columns = 4 * channels;
            let outputs = 4 * spec.block_outputs;
            let kind = LayerKind::Deconv { cin: c, outputs, columns, shuffled: true };
            let layer = self.layer(path("lastconv.0").0, None, kind);
            let blended = last && divisor == 1.0 && self.fused() && !ensemble;
            let n = items * h * w;
            let estimate = (!blended).then(|| Estimate {
                flow: self.buffer(&format!("block{i}.flow"), n * 16),
                mask: self.buffer(&format!("block{i}.mask"), n * 4),
                feat: (columns == 56).then(|| {
                    self.buffer(&format!("block{i}.feat"), n * 8 * self.variant.element())
                }),
                h,
                w,
                divisor,
            });
            let step = Step {
                name: format!("block{i}.lastconv"),
                kernel: Kernel::Deconv {
                    cin: c,
                    columns,
                    outcome: if blended { Outcome::Blend { levels: i } } else { Outcome::Estimate },
                    tile: UNPLACED,
                },
                layer,
                src: Some(x),
                dst: None,
                residual: None,
                estimate,
                levels: if blended { levels.clone() } else { Vec::new() },
                input: quarter,
                output: (h, w),
                divisor,
                flops: 2.0 * (items * quarter.0 * quarter.1 * 16 * c * outputs) as f64,
                bytes: (16 * c * columns * self.variant.element()) as f64,
            };
            self.step(step.clone(), items);
            if ensemble {
                let name = format!("block{i}.merge");
                let merge = Step {
                    name,
                    kernel: Kernel::Merge,
                    layer: None,
                    src: None,
                    flops: 0.0,
                    bytes: 0.0,
                    ..step
                };
                self.step(merge, items);
            }
            levels.extend(estimate);
        }
        if levels.len() == blocks {
            let divisor = scale.block_divisor(spec, blocks - 1);
            self.step(
                Step {
                    name: "blend".into(),
                    kernel: Kernel::Blend { levels: blocks },
                    layer: None,
                    src: None,
                    dst: None,
                    residual: None,
                    estimate: None,
                    levels,
                    input: (full_h, full_w),
                    output: (full_h, full_w),
                    divisor,
                    flops: 0.0,
                    bytes: 0.0,
                },
                items,
            );
        }
    }
}

/// Before a tile is chosen.
pub(crate) const UNPLACED: Tile = Tile {
    rows: 8,
    columns: 8,
    channels: 16,
    warps_m: 1,
    warps_n: 1,
    stages: 2,
    halos: 1,
    blocks: 1,
    groups: 0,
};

/// Places buffers in the arena, and returns its bytes.
fn place(buffers: &mut [Buffer], share: bool) -> usize {
    let life = |b: &Buffer| Life { len: b.bytes, first: b.first, last: b.last };
    let lives: Vec<Life> = buffers.iter().map(life).collect();
    let placed = if share { arena::place } else { arena::place_apart };
    let (offsets, end) = placed(&lives, ALIGNMENT);
    buffers.iter_mut().zip(offsets).for_each(|(buffer, at)| buffer.offset = at);
    end
}

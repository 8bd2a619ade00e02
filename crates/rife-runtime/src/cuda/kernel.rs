//! The kernels and their variants: what distinguishes one compiled kernel from another, and how
//! each is launched.

use rife_model::{MaskUpdate, ModelSpec, Scale};
use serde::{Deserialize, Serialize};

use super::nvrtc::Unit;
use crate::Precision;

/// How activations lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// NHWC.
    ChannelsLast,
    /// NCHW.
    Planes,
}

/// What the products of a convolution are computed in. Sums are F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Products {
    /// Operands of 11 bits in F16's range.
    F16,
    /// Operands of 11 bits in F32's range.
    Tf32,
    /// Three of BF16 for each: an operand is the sum of two, 16 bits in F32's range. Half the time
    /// of three of TF32.
    ThreeOfBf16,
    /// Three of TF32 for each: as exact as F32.
    ThreeOfTf32,
}

impl Products {
    /// Of a layer, which is `delicate` where TF32 loses too much.
    pub(crate) const fn of(precision: Precision, delicate: bool) -> Self {
        match precision {
            Precision::F16 => Self::F16,
            Precision::Tf32 if delicate => Self::ThreeOfBf16,
            Precision::Tf32 => Self::Tf32,
            _ => Self::ThreeOfTf32,
        }
    }
}

/// What all kernels of an engine have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    /// F16, TF32 or F32.
    pub(crate) precision: Precision,
    pub(crate) layout: Layout,
    /// Whether pixels carry encoder features and blocks hand a feature on.
    pub(crate) features: bool,
    /// Whether a block's mask replaces the one before.
    pub(crate) mask_replaced: bool,
    /// The logarithm to base 2 of the first block's divisor; each next block's is half.
    pub(crate) coarsest: i32,
    /// Whether `wgmma` multiplies where it can: halves, channels last.
    pub(crate) wgmma: bool,
}

impl Variant {
    pub(crate) fn new(
        spec: &ModelSpec,
        scale: Scale,
        precision: Precision,
        layout: Layout,
        wgmma: bool,
    ) -> Self {
        Self {
            wgmma: wgmma && precision == Precision::F16 && layout == Layout::ChannelsLast,
            precision,
            layout,
            features: spec.has_encoder(),
            mask_replaced: spec.mask_update == MaskUpdate::Replace,
            coarsest: scale.block_divisor(spec, 0).log2() as i32,
        }
    }

    /// What a kernel's products are computed in. What TF32 loses, it loses almost all where a
    /// block's input is reduced and where flow comes out, which is a small part of the work: there,
    /// and where the encoder reduces and enlarges, operands keep 16 bits.
    pub(crate) const fn products(&self, kernel: &Kernel) -> Products {
        let delicate = matches!(kernel, Kernel::Deconv { .. } | Kernel::Conv { stride: 2, .. });
        Products::of(self.precision, delicate)
    }

    /// Bytes of an activation's element.
    pub(crate) const fn element(&self) -> usize {
        if matches!(self.precision, Precision::F16) { 2 } else { 4 }
    }

    /// Channels of one tensor-core step: 32 bytes of them.
    pub(crate) const fn step(&self) -> usize {
        32 / self.element()
    }

    /// Bytes of a frame's pixel as the network reads it.
    pub(crate) const fn pixel(&self) -> usize {
        4 * self.element() * if self.features { 2 } else { 1 }
    }

    /// Input channels whose products are summed before the next tap's, see [`Kernel`].
    pub(crate) const fn part(&self, cin: usize) -> usize {
        let (most, step) = (128 / self.element(), self.step());
        let mut parts = cin.div_ceil(most);
        while !(cin.is_multiple_of(parts) && (cin / parts).is_multiple_of(step)) {
            parts += 1;
        }
        cin / parts
    }
}

/// Where a convolution's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A tensor.
    Tensor,
    /// Made in the kernel: a block's input after `levels` blocks. `taps` is 1 where the block
    /// works at the frame's size, else 4.
    Input { levels: usize, taps: usize, rests: Rests },
    /// A frame's colours.
    Image { rests: Rests },
}

/// Which channels of an input that a kernel makes have what is left of them after rounding to
/// halves in channels of their own, which would be zeros otherwise: the same weights multiply both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rests {
    None,
    Flow,
    All,
}

/// How many halves stand for each number that a convolution reads or writes, in F16: one, or two
/// where the rounding to one would show in the frame, which are the number rounded and what is left
/// of it, rounded too. Of a pixel, what is left of all channels lies behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) input: usize,
    pub(crate) output: usize,
}

impl Terms {
    pub(crate) const ONE: Self = Self { input: 1, output: 1 };
}

/// What follows a convolution's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Epilogue {
    /// Bias, LeakyReLU.
    Leaky,
    /// Bias, the convolution's own input added, LeakyReLU.
    Residual,
    /// Bias.
    Bias,
}

/// What becomes of a transposed convolution's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Flow, mask and feature of a block.
    Estimate,
    /// The frame itself, after `levels` blocks before this one.
    Blend { levels: usize },
    /// Encoder features, into the frame's pixels.
    Features,
}

/// How a convolution is cut into the work of thread blocks. No choice changes the result: the
/// order of every sum is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Tile {
    /// Rows of output pixels.
    pub(crate) rows: usize,
    /// Columns of output pixels: a multiple of 8.
    pub(crate) columns: usize,
    /// Output channels of a thread block (of a transposed convolution: columns of all the phases
    /// that it computes).
    pub(crate) channels: usize,
    /// Warps across pixels.
    pub(crate) warps_m: usize,
    /// Warps across channels (of a transposed convolution: across phases).
    pub(crate) warps_n: usize,
    /// Slabs of weights in flight (of a transposed convolution: 1); 0 where all weights stay in
    /// shared memory.
    pub(crate) stages: usize,
    /// Inputs in shared memory: 2 where the next tile's is fetched during this one's sums.
    pub(crate) halos: usize,
    /// Thread blocks that a multiprocessor is to hold at once.
    pub(crate) blocks: usize,
    /// Groups of four warps that multiply with `wgmma`, a tile each, beside one that fetches: the
    /// warps above are one group's then. 0 where each warp multiplies with `mma.sync`.
    pub(crate) groups: usize,
}

impl Tile {
    /// No tile, where kernels are told apart by the rest.
    pub(crate) const BLANK: Self = Self {
        rows: 0,
        columns: 0,
        channels: 0,
        warps_m: 0,
        warps_n: 0,
        stages: 0,
        halos: 0,
        blocks: 0,
        groups: 0,
    };
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, columns, channels, warps_m, warps_n, stages, halos, blocks, groups } =
            self;
        write!(f, "{rows}x{columns}x{channels} ")?;
        match groups {
            0 => write!(f, "w{warps_m}x{warps_n} s{stages} h{halos} b{blocks}"),
            n => write!(f, "wgmma x{n} h{halos} b{blocks}"),
        }
    }
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    /// 3x3, padding 1.
    Conv {
        cin: usize,
        cout: usize,
        stride: usize,
        source: Source,
        epilogue: Epilogue,
        terms: Terms,
        tile: Tile,
    },
    /// Transposed 4x4, stride 2, padding 1; `columns` of each phase are computed.
    Deconv { cin: usize, columns: usize, outcome: Outcome, tile: Tile },
    /// A frame as it came into the pixels that the network reads.
    Frame,
    /// As [`Kernel::Frame`], of a YUV frame.
    YuvIn,
    /// YUV frames from planes of floats.
    YuvOut,
    /// A block's input as a tensor.
    Input { cin: usize, levels: usize, taps: usize, rests: Rests },
    /// LeakyReLU, of a sum or not; of one of two terms not.
    Pointwise { channels: usize, terms: usize },
    /// The frame itself, from every block's estimate.
    Blend { levels: usize },
    /// The mean of the ensemble's two.
    Merge,
    /// Writes the items.
    Items,
    /// Nothing but products.
    Peak,
}

/// Rows and columns of the input that a tile of a 3x3 convolution reads.
const fn halo(tile: Tile, stride: usize) -> (usize, usize) {
    ((tile.rows - 1) * stride + 3, (tile.columns - 1) * stride + 3)
}

/// Threads of the kernels that have no tile.
pub(crate) const PLAIN_THREADS: usize = 256;

impl Kernel {
    /// Threads of a block.
    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Conv { tile, .. } if tile.groups > 0 => 128 * (tile.groups + 1),
            Self::Conv { tile, .. } | Self::Deconv { tile, .. } => 32 * tile.warps_m * tile.warps_n,
            Self::Items => super::abi::MAX_ITEMS,
            _ => PLAIN_THREADS,
        }
    }

    /// Bytes of dynamic shared memory.
    pub(crate) fn shared(&self, v: &Variant) -> usize {
        let halo_bytes = |cin: usize, terms: Terms, tile, stride| {
            let (h, w) = halo(tile, stride);
            h * w * (terms.input * cin * v.element() + 16)
        };
        match *self {
            Self::Conv { cin, tile, .. } if tile.groups > 0 => {
                let weights = 9 * cin * tile.channels * 2;
                // As `conv_wgmma.cu` lays it out: in planes of eight channels.
                let (h, w) = halo(tile, 1);
                let plane = (h * w + 6) / 8 * 8 + 1;
                let halos = tile.halos * (plane * cin * 2).next_multiple_of(128);
                weights + halos + 8 * (2 * tile.halos + tile.groups + 1)
            }
            Self::Conv { cin, stride, terms, tile, .. } => {
                let weights = match tile.stages {
                    0 => 9 * cin * tile.channels * v.element(),
                    n => n * tile.channels * v.part(cin) * v.element(),
                };
                tile.halos * halo_bytes(cin, terms, tile, stride) + weights
            }
            Self::Deconv { cin, tile, outcome, .. } => {
                let channels = if tile.stages == 0 { cin } else { v.part(cin) };
                // Flow and mask of the 16 pixels that one of the input becomes.
                let staged = match outcome {
                    Outcome::Blend { .. } => 16 * tile.rows * tile.columns * 20,
                    _ => 0,
                };
                let weights = 4 * tile.channels * channels * v.element();
                weights + (tile.halos * halo_bytes(cin, Terms::ONE, tile, 1)).max(staged)
            }
            _ => 0,
        }
    }

    /// Thread blocks that share the channels, or the phases, of a tile.
    pub(crate) fn splits(&self) -> usize {
        match self {
            Self::Conv { cout, tile, .. } => cout / tile.channels,
            Self::Deconv { columns, tile, .. } => 4 * columns / tile.channels,
            _ => 1,
        }
    }

    /// The tile of a kernel that has one.
    pub(crate) fn tile(&self) -> Option<Tile> {
        match self {
            Self::Conv { tile, .. } | Self::Deconv { tile, .. } => Some(*tile),
            _ => None,
        }
    }

    /// In a few words, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Conv { cin, cout, stride, terms, tile, .. } => {
                format!("conv {}{cin}>{cout} s{stride} {tile}", times(*terms))
            }
            Self::Deconv { cin, columns, tile, .. } => format!("deconv {cin}>{columns} {tile}"),
            other => format!("{other:?}"),
        }
    }

    /// The same kernel, cut in another way.
    pub(crate) fn with_tile(self, to: Tile) -> Self {
        match self {
            Self::Conv { cin, cout, stride, source, epilogue, terms, .. } => {
                Self::Conv { cin, cout, stride, source, epilogue, terms, tile: to }
            }
            Self::Deconv { cin, columns, outcome, .. } => {
                Self::Deconv { cin, columns, outcome, tile: to }
            }
            other => other,
        }
    }

    /// The text and the definitions that it is compiled from.
    pub(crate) fn unit(&self, v: &Variant) -> Unit {
        let mut defines: Vec<(&str, usize)> = vec![
            (
                "PREC",
                match v.products(self) {
                    Products::F16 => 0,
                    Products::Tf32 => 1,
                    Products::ThreeOfTf32 => 2,
                    Products::ThreeOfBf16 => 3,
                },
            ),
            ("LAYOUT", usize::from(v.layout == Layout::Planes)),
            ("FEATURES", v.features.into()),
            ("MASK_REPLACED", v.mask_replaced.into()),
        ];
        let tiled = |t: Tile| {
            [
                ("TH", t.rows),
                ("TW", t.columns),
                ("WM", t.warps_m),
                ("WN", t.warps_n),
                ("STAGES", t.stages),
                ("BLOCKS", t.blocks),
            ]
        };
        let in_terms = |t: Terms| [("IN_TERMS", t.input), ("OUT_TERMS", t.output)];
        let halo = include_str!("kernels/halo.cuh");
        let wgmma = include_str!("kernels/wgmma.cuh");
        let (file, with, text) = match *self {
            Self::Conv { cin, cout, stride, source, epilogue, terms, tile } => {
                defines.extend(tiled(tile));
                defines.extend(in_terms(terms));
                let (source, levels, taps, rests) = match source {
                    Source::Tensor => (0, 0, 0, Rests::None),
                    Source::Input { levels, taps, rests } => (1, levels, taps, rests),
                    Source::Image { rests } => (2, 0, 0, rests),
                };
                defines.push(("RESTS", rests as usize));
                if taps > 0 {
                    defines.extend([("LEVELS", levels), ("TAPS", taps)]);
                }
                defines.extend([
                    ("CIN", cin),
                    ("COUT", cout),
                    ("STRIDE", stride),
                    ("NT", tile.channels),
                    ("KP", v.part(cin)),
                    ("RESIDENT", (tile.stages == 0).into()),
                    ("HALOS", tile.halos),
                    ("SOURCE", source),
                    (
                        "EPILOGUE",
                        match epilogue {
                            Epilogue::Leaky => 0,
                            Epilogue::Residual => 1,
                            Epilogue::Bias => 2,
                        },
                    ),
                ]);
                if tile.groups > 0 {
                    defines.push(("GROUPS", tile.groups));
                    ("conv_wgmma", Some(wgmma), include_str!("kernels/conv_wgmma.cu"))
                } else {
                    ("conv", Some(halo), include_str!("kernels/conv.cu"))
                }
            }
            Self::Deconv { cin, columns, outcome, tile } => {
                defines.extend(tiled(tile));
                let (outcome, levels) = match outcome {
                    Outcome::Estimate => (0, 0),
                    Outcome::Blend { levels } => (1, levels),
                    Outcome::Features => (2, 0),
                };
                defines.extend([
                    ("CIN", cin),
                    ("STRIDE", 1),
                    ("NP", columns),
                    ("NT", tile.channels),
                    ("KP", v.part(cin)),
                    ("RESIDENT", (tile.stages == 0).into()),
                    ("HALOS", tile.halos),
                    ("EPILOGUE", outcome),
                    ("LEVELS", levels),
                ]);
                ("deconv", Some(halo), include_str!("kernels/deconv.cu"))
            }
            Self::Frame => ("frame", None, include_str!("kernels/frame.cu")),
            Self::YuvIn => ("yuv_in", None, include_str!("kernels/yuv_in.cu")),
            Self::YuvOut => ("yuv_out", None, include_str!("kernels/yuv_out.cu")),
            Self::Input { cin, levels, taps, rests } => {
                defines.extend([("CIN", cin), ("LEVELS", levels), ("TAPS", taps)]);
                defines.push(("RESTS", rests as usize));
                ("input", None, include_str!("kernels/input.cu"))
            }
            Self::Pointwise { channels, terms } => {
                defines.extend([("COUT", channels), ("OUT_TERMS", terms)]);
                ("pointwise", None, include_str!("kernels/pointwise.cu"))
            }
            Self::Blend { levels } => {
                defines.push(("LEVELS", levels));
                ("blend", None, include_str!("kernels/blend.cu"))
            }
            Self::Merge => ("merge", None, include_str!("kernels/merge.cu")),
            Self::Items => ("items", None, include_str!("kernels/items.cu")),
            Self::Peak if v.wgmma => {
                defines.push(("NT", 64));
                ("peak_wgmma", Some(wgmma), include_str!("kernels/peak_wgmma.cu"))
            }
            Self::Peak => ("peak", None, include_str!("kernels/peak.cu")),
        };
        let yuv = match self {
            Self::YuvIn | Self::YuvOut => include_str!("kernels/yuv.cuh"),
            _ => "",
        };
        let (prelude, sample) =
            (include_str!("kernels/prelude.cuh"), include_str!("kernels/sample.cuh"));
        let parts = [prelude, with.unwrap_or_default(), sample, yuv, text];
        let mut defines: Vec<(String, String)> =
            defines.into_iter().map(|(k, n)| (k.into(), n.to_string())).collect();
        defines.push(("COARSEST".into(), format!("({})", v.coarsest)));
        Unit { name: file.into(), source: parts.concat().into(), defines }
    }
}

/// How often a kernel multiplies, for people: nothing of once.
fn times(terms: Terms) -> String {
    match terms.input {
        1 => String::new(),
        n => format!("{n}x "),
    }
}

/// What a card offers that tiles are chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Card {
    /// Multiprocessors.
    pub(crate) processors: usize,
    /// The most dynamic shared memory that a block may have, bytes.
    pub(crate) shared_per_block: usize,
    /// Shared memory of a multiprocessor, bytes.
    pub(crate) shared_per_processor: usize,
    /// Whether it has Hopper's `wgmma`.
    pub(crate) wgmma: bool,
}

/// Outputs of a kernel, for choosing its tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) batch: usize,
}

/// Every tile that a kernel can run with on a card, the one expected to be fastest first.
pub(crate) fn tiles(kernel: &Kernel, v: &Variant, extent: Extent, card: Card) -> Vec<Tile> {
    let mut found: Vec<(f64, Tile)> = Vec::new();
    let mut consider = |tile: Tile| {
        let candidate = kernel.with_tile(tile);
        if let Some(cost) = cost(&candidate, v, extent, card) {
            found.push((cost, tile));
        }
    };
    let pixels = [(2, 16), (4, 8), (4, 16), (8, 8), (8, 16), (8, 32), (16, 16), (4, 32), (16, 32)];
    match *kernel {
        Kernel::Conv { cout, source, .. } => {
            for (rows, columns) in pixels {
                for channels in [16, 32, 48, 64, 96, 128, 192] {
                    if cout % channels != 0 {
                        continue;
                    }
                    for (warps_m, warps_n) in
                        [(1, 4), (2, 2), (4, 1), (2, 4), (4, 2), (8, 1), (1, 8), (1, 2), (2, 1)]
                    {
                        for stages in [0, 2, 3, 4] {
                            for halos in [1, 2] {
                                for blocks in [1, 2, 3, 4, 6] {
                                    // Only a walk over several tiles has a next one to fetch,
                                    // and an input that is made here needs the weights there.
                                    let made = source != Source::Tensor;
                                    if (halos == 2 && (stages > 0 || made)) || (made && stages > 0)
                                    {
                                        continue;
                                    }
                                    consider(Tile {
                                        rows,
                                        columns,
                                        channels,
                                        warps_m,
                                        warps_n,
                                        stages,
                                        halos,
                                        blocks,
                                        groups: 0,
                                    });
                                }
                            }
                        }
                    }
                }
            }
            if v.wgmma {
                wgmma_tiles(kernel).for_each(consider);
            }
        }
        Kernel::Deconv { columns: np, outcome, .. } => {
            for (rows, columns) in pixels {
                for phases in [4, 2, 1] {
                    for (warps_m, warps_n) in
                        [(1, 4), (2, 2), (4, 1), (2, 4), (4, 2), (8, 1), (1, 2), (2, 1), (1, 1)]
                    {
                        for (stages, halos) in [(0, 1), (0, 2), (1, 1)] {
                            for blocks in [1, 2, 3, 4, 6] {
                                // A frame is blended from whole pixels, over the input's memory.
                                let blended = matches!(outcome, Outcome::Blend { .. });
                                if blended && (phases < 4 || halos == 2) {
                                    continue;
                                }
                                consider(Tile {
                                    rows,
                                    columns,
                                    channels: phases * np,
                                    warps_m,
                                    warps_n,
                                    stages,
                                    halos,
                                    blocks,
                                    groups: 0,
                                });
                            }
                        }
                    }
                }
            }
        }
        _ => {}
    }
    // No shape was seen that is faster without `wgmma` where it has it.
    found.sort_by(|(a, s), (b, t)| {
        (s.groups == 0).cmp(&(t.groups == 0)).then(a.total_cmp(b)).then(s.cmp(t))
    });
    found.into_iter().map(|(_, tile)| tile).collect()
}

/// The tiles that `conv_wgmma.cu` can be compiled for, of a convolution that it can compute.
fn wgmma_tiles(kernel: &Kernel) -> impl Iterator<Item = Tile> + use<> {
    let cout = match *kernel {
        Kernel::Conv { cout, stride: 1, source: Source::Tensor, terms: Terms::ONE, .. } => cout,
        _ => 0,
    };
    let pixels = [(8, 8), (8, 16), (16, 8), (8, 32), (16, 16)];
    let channels = [32, 64, 96, 128].into_iter().filter(move |n| cout >= *n && cout % n == 0);
    channels.flat_map(move |channels| {
        pixels.into_iter().flat_map(move |(rows, columns)| {
            (1..=4).flat_map(move |halos| {
                // No more groups than inputs: see the kernel.
                let groups = (1..=halos.min(3)).flat_map(|groups| [(groups, 1), (groups, 2)]);
                groups.map(move |(groups, blocks)| Tile {
                    rows,
                    columns,
                    channels,
                    warps_m: 4,
                    warps_n: 1,
                    stages: 0,
                    halos,
                    blocks,
                    groups,
                })
            })
        })
    })
}

/// Constants of [`cost`], fitted to timings on an H100, some 2300 of halves and 4500 of floats, such
/// that the fastest of a shape's tiles is among the first.
struct Fit {
    /// Cycles of a product on the tensor cores; three of BF16 and of TF32 take more.
    product: [f64; 3],
    /// Cycles of a load from shared memory, and the share of the lesser of products and loads that
    /// the greater does not hide.
    reads: f64,
    lesser: f64,
    /// Instructions for each 16 bytes of the input and for two outputs.
    fetch: f64,
    store: f64,
    /// Cycles for each byte that comes from outside, and how much more one of the weights takes.
    memory: f64,
    streamed: f64,
    /// Cycles from a step to the next, and the power to which warps that share a multiprocessor
    /// lessen them.
    latency: f64,
    hiding: f64,
    /// The share of the waits for the input that is left: where the next one is fetched
    /// meanwhile, and the power to which blocks that share a multiprocessor lessen it. Cycles of
    /// such a wait beside those for its bytes.
    doubled: f64,
    together: f64,
    wait: f64,
    /// Cycles of waiting for a slab of weights.
    slab: f64,
    /// How much longer than its instructions it takes to make an input and to blend, and, as a
    /// number of warps, how many must share a multiprocessor before they hide most of the waits.
    input: f64,
    blending: f64,
    sampling: f64,
}

impl Fit {
    /// Elements of two bytes.
    const HALVES: Self = Self {
        product: [1.8, 0.0, 0.0],
        reads: 1.0,
        lesser: 0.41,
        fetch: 20.0,
        store: 5.8,
        memory: 0.0274,
        streamed: 1.0,
        latency: 283.0,
        hiding: 1.35,
        doubled: 0.29,
        together: 1.66,
        wait: 450.0,
        slab: 295.0,
        input: 0.5,
        blending: 6.5,
        sampling: 8.8,
    };
    /// Of four.
    const FLOATS: Self = Self {
        product: [1.71, 2.6, 5.0],
        reads: 0.9,
        lesser: 0.39,
        fetch: 24.0,
        store: 4.7,
        memory: 0.0226,
        streamed: 1.45,
        latency: 177.0,
        hiding: 1.0,
        doubled: 0.12,
        together: 2.5,
        wait: 900.0,
        slab: 41.0,
        input: 1.0,
        blending: 1.0,
        sampling: 0.0,
    };
}

/// An estimate of a kernel's time in clock cycles; `None` where it cannot run. A ranking, nothing
/// more: the tuner times the first few.
fn cost(kernel: &Kernel, v: &Variant, extent: Extent, card: Card) -> Option<f64> {
    let (cin, tile, stride, terms) = match *kernel {
        Kernel::Conv { cin, tile, stride, terms, .. } => (cin, tile, stride, terms),
        Kernel::Deconv { cin, tile, .. } => (cin, tile, 1, Terms::ONE),
        _ => return None,
    };
    let pixels = tile.rows * tile.columns;
    if pixels % (16 * tile.warps_m) != 0 {
        return None;
    }
    let shared = kernel.shared(v);
    if shared > card.shared_per_block || tile.blocks * (shared + 1024) > card.shared_per_processor {
        return None;
    }
    if tile.groups > 0 {
        return wgmma_cost(kernel, extent, card);
    }
    let threads = kernel.threads();
    let m_tiles = pixels / 16 / tile.warps_m;
    // Products of a warp and step, eight columns each, and what it reads of weights.
    let (fragments, passes) = match *kernel {
        Kernel::Conv { .. } => {
            let warp = tile.channels / tile.warps_n;
            if tile.channels % tile.warps_n != 0 || warp % 16 != 0 {
                return None;
            }
            (warp / 8, 9.0)
        }
        // Four taps a phase instead of nine.
        Kernel::Deconv { columns, .. } => {
            let phases = tile.channels / columns;
            if phases % tile.warps_n != 0 {
                return None;
            }
            (phases / tile.warps_n * columns / 8, 4.0)
        }
        _ => return None,
    };
    // F32 sums a slab apart from the rest.
    let products_in = v.products(kernel);
    let apart = if products_in == Products::ThreeOfTf32 { 2 } else { 1 };
    let accumulators = m_tiles * fragments * 4 * apart;
    let registers = match *kernel {
        // The sums begin when the input has been made, the blending when they have ended.
        Kernel::Conv { source: Source::Input { .. }, .. } => (accumulators + 56).max(72),
        Kernel::Deconv { outcome: Outcome::Blend { .. }, .. } => (accumulators + 56).max(64),
        _ => accumulators + 56,
    };
    if registers > 240 || registers * threads * tile.blocks > 65536 {
        return None;
    }
    let steps = (terms.input * cin / v.step()) as f64;
    let warps = (threads / 32) as f64;
    let (m, f) = (m_tiles as f64, fragments as f64);
    let resident = tile.stages == 0;
    let splits = kernel.splits();
    let tiles =
        extent.batch * extent.rows.div_ceil(tile.rows) * extent.columns.div_ceil(tile.columns);
    let blocks = (tiles * splits) as f64;
    let at_once = (card.processors * tile.blocks) as f64;
    let waves = (blocks / at_once).ceil();
    // Blocks of one multiprocessor share it, and hide each other's waits.
    let together = tile.blocks.min((blocks / card.processors as f64).ceil() as usize) as f64;

    let fit = if v.element() == 2 { &Fit::HALVES } else { &Fit::FLOATS };
    let per_product = match products_in {
        Products::F16 | Products::Tf32 => fit.product[0],
        Products::ThreeOfBf16 => fit.product[1],
        Products::ThreeOfTf32 => fit.product[2],
    };
    // Cycles of a block on the tensor cores, and for what it reads of shared memory.
    let products = warps * passes * steps * m * f * per_product;
    let reads = fit.reads * warps * steps * passes * (m * 4.0 + f * 2.0);
    let (halo_h, halo_w) = halo(tile, stride);
    let input_bytes = (halo_h * halo_w * terms.input * cin * v.element()) as f64;
    let weight_bytes = passes * (cin * tile.channels * v.element()) as f64;
    let streamed = if resident { 0.0 } else { weight_bytes };
    // What a kernel computes beside the convolution, on the ordinary cores.
    let (fetched, made) = match *kernel {
        Kernel::Conv { source: Source::Input { levels, taps, .. }, .. } => {
            let samples = (halo_h * halo_w * taps) as f64;
            (0.0, fit.input * samples * (180.0 + 90.0 * levels as f64) / 128.0)
        }
        Kernel::Conv { source: Source::Image { .. }, .. } => {
            (0.0, fit.input * (halo_h * halo_w) as f64 * 40.0 / 128.0)
        }
        Kernel::Deconv { outcome: Outcome::Blend { levels }, .. } => {
            let made = (16 * pixels) as f64 * (180.0 + 70.0 * levels as f64) / 128.0;
            (input_bytes, fit.blending * made)
        }
        _ => (input_bytes, 0.0),
    };
    let outputs = (pixels * tile.channels) as f64;
    let instructions =
        (fetched / 16.0 * fit.fetch + streamed / 16.0) / 128.0 + outputs / 2.0 * fit.store / 128.0;
    let latency = fit.latency * (warps * together).powf(-fit.hiding) * passes * steps;
    let busy = together
        * (products.max(reads)
            + fit.lesser * products.min(reads)
            + instructions
            + fit.memory * (fetched + fit.streamed * streamed)
            + made * (1.0 + fit.sampling / (warps * together))
            + latency);
    let hidden = if tile.halos == 2 { fit.doubled } else { together.powf(-fit.together) };
    let waits = hidden * (fetched / 11.3 + fit.wait)
        + if resident { 0.0 } else { passes * (cin / v.part(cin)) as f64 * fit.slab / together };
    let start = 2100.0 + if resident { weight_bytes / 57.8 } else { 0.0 };
    Some(waves * (busy + waits) + start)
}

/// As [`cost`], of a tile with groups: the cores take 64 pixels and a step of 16 channels in 32
/// cycles for 64 columns, or in the time that shared memory needs to give both operands. Fitted to
/// 270 timings on an H100, which it meets within 7 %.
fn wgmma_cost(kernel: &Kernel, extent: Extent, card: Card) -> Option<f64> {
    let Kernel::Conv { cin, tile, .. } = *kernel else { return None };
    let squares = tile.rows * tile.columns / 64;
    // Sums, what is added to them, and what else a thread holds.
    let registers = squares * tile.channels * 3 / 4 + 60;
    if registers > 240 || registers * kernel.threads() * tile.blocks > 65536 {
        return None;
    }
    let tiles =
        extent.batch * extent.rows.div_ceil(tile.rows) * extent.columns.div_ceil(tile.columns);
    let blocks = (card.processors * tile.blocks / kernel.splits()).max(1);
    // Of a multiprocessor, whose blocks share the cores.
    let each = (tiles.div_ceil(blocks) * tile.blocks) as f64;
    let (halo_h, halo_w) = halo(tile, 1);
    let (columns, steps) = (tile.channels as f64, (9 * cin / 16) as f64);
    let products = steps * (columns / 2.0).max(16.0 + columns / 4.0);
    // What goes through shared memory beside the operands waits for them.
    let input = 6.8 * (halo_h * halo_w * cin) as f64 / 64.0;
    let output = if tile.groups * tile.blocks > 1 { 7.7 * columns } else { 7.7 * columns + 80.0 };
    // A longer ring is never slower, if mostly not faster.
    let ring = 1.0 + 0.02 / tile.halos as f64;
    Some(each * 1.15 * ring * (squares as f64 * (products + output) + input) + 4800.0)
}

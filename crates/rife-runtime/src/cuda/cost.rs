//! An estimate of a kernel's run time, to rank tiles by.

use super::kernel::{ConvInput, DeconvEpilogue, Kernel, Terms, halo};
use super::tile::{Card, Extent};
use super::variant::{Products, Variant};

/// Constants of [`cost`], fitted to about 2300 timings of F16 kernels and 4500 of F32 kernels on an
/// H100, such that the fastest tile of a shape ranks among the first.
struct Fit {
    /// Cycles of a product on the tensor cores: one product, three of BF16, three of TF32.
    product: [f64; 3],
    /// Cycles of a load from shared memory; and the share of the shorter one of products and loads
    /// that is not hidden by the longer one.
    reads: f64,
    overlap_loss: f64,
    /// Instructions per 16 bytes of input, and per two outputs.
    fetch: f64,
    store: f64,
    /// Cycles per byte from global memory, and the factor for a byte of weights.
    memory: f64,
    streamed: f64,
    /// Latency of a step in cycles, and the exponent with which concurrent warps of an SM reduce
    /// it.
    latency: f64,
    hiding: f64,
    /// The share of waits for input that remains with double buffering; the exponent with which
    /// concurrent blocks of an SM reduce waits; and the fixed cycles of a wait.
    doubled: f64,
    concurrent: f64,
    wait: f64,
    /// Cycles of a wait for a slab of weights.
    slab: f64,
    /// Time to compute an input and to blend, relative to the instruction count; and the number of
    /// warps per SM that hides most of the latency of samples.
    input: f64,
    blending: f64,
    sampling: f64,
}

impl Fit {
    /// 2-byte elements.
    const F16: Self = Self {
        product: [1.8, 0.0, 0.0],
        reads: 1.0,
        overlap_loss: 0.41,
        fetch: 20.0,
        store: 5.8,
        memory: 0.0274,
        streamed: 1.0,
        latency: 283.0,
        hiding: 1.35,
        doubled: 0.29,
        concurrent: 1.66,
        wait: 450.0,
        slab: 295.0,
        input: 0.5,
        blending: 6.5,
        sampling: 8.8,
    };
    /// 4-byte elements.
    const F32: Self = Self {
        product: [1.71, 2.6, 5.0],
        reads: 0.9,
        overlap_loss: 0.39,
        fetch: 24.0,
        store: 4.7,
        memory: 0.0226,
        streamed: 1.45,
        latency: 177.0,
        hiding: 1.0,
        doubled: 0.12,
        concurrent: 2.5,
        wait: 900.0,
        slab: 41.0,
        input: 1.0,
        blending: 1.0,
        sampling: 0.0,
    };
}

/// An estimate of a kernel's time in clock cycles; `None` if it cannot run. It only ranks tiles:
/// the tuner times the first few.
pub(super) fn cost(kernel: &Kernel, v: &Variant, extent: Extent, card: Card) -> Option<f64> {
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
    if shared > card.shared_per_block || tile.blocks * (shared + 1024) > card.shared_per_sm {
        return None;
    }
    if tile.warpgroups > 0 {
        return wgmma_cost(kernel, extent, card);
    }
    let threads = kernel.threads();
    let m_tiles = pixels / 16 / tile.warps_m;
    // Products of a warp per step, eight columns each, and taps per output.
    let (fragments, passes) = match *kernel {
        Kernel::Conv { .. } => {
            let warp = tile.channels / tile.warps_n;
            if tile.channels % tile.warps_n != 0 || warp % 16 != 0 {
                return None;
            }
            (warp / 8, 9.0)
        }
        // Four taps per phase instead of nine.
        Kernel::Deconv { columns, .. } => {
            let phases = tile.channels / columns;
            if phases % tile.warps_n != 0 {
                return None;
            }
            (phases / tile.warps_n * columns / 8, 4.0)
        }
        _ => return None,
    };
    // F32 keeps a separate sum per slab.
    let products_in = v.products(kernel);
    let sums = if products_in == Products::ThreeOfTf32 { 2 } else { 1 };
    let accumulators = m_tiles * fragments * 4 * sums;
    let registers = match *kernel {
        // Computing the input and blending do not overlap with the sums, so they share registers.
        Kernel::Conv { source: ConvInput::Block { .. }, .. } => (accumulators + 56).max(72),
        Kernel::Deconv { epilogue: DeconvEpilogue::Blend { .. }, .. } => {
            (accumulators + 56).max(64)
        }
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
    let at_once = (card.sms * tile.blocks) as f64;
    let waves = (blocks / at_once).ceil();
    // Blocks on the same SM hide each other's latency.
    let concurrent = tile.blocks.min((blocks / card.sms as f64).ceil() as usize) as f64;

    let fit = if v.element() == 2 { &Fit::F16 } else { &Fit::F32 };
    let per_product = match products_in {
        Products::F16 | Products::Tf32 => fit.product[0],
        Products::ThreeOfBf16 => fit.product[1],
        Products::ThreeOfTf32 => fit.product[2],
    };
    // Cycles of a block on the tensor cores, and for its reads from shared memory.
    let products = warps * passes * steps * m * f * per_product;
    let reads = fit.reads * warps * steps * passes * (m * 4.0 + f * 2.0);
    let (halo_h, halo_w) = halo(tile, stride);
    let input_bytes = (halo_h * halo_w * terms.input * cin * v.element()) as f64;
    let weight_bytes = passes * (cin * tile.channels * v.element()) as f64;
    let streamed = if resident { 0.0 } else { weight_bytes };
    // Work on the CUDA cores, besides the convolution.
    let (fetched, computed) = match *kernel {
        Kernel::Conv { source: ConvInput::Block { levels, taps, .. }, .. } => {
            let samples = (halo_h * halo_w * taps) as f64;
            (0.0, fit.input * samples * (180.0 + 90.0 * levels as f64) / 128.0)
        }
        Kernel::Conv { source: ConvInput::Image { .. }, .. } => {
            (0.0, fit.input * (halo_h * halo_w) as f64 * 40.0 / 128.0)
        }
        Kernel::Deconv { epilogue: DeconvEpilogue::Blend { levels }, .. } => {
            let computed = (16 * pixels) as f64 * (180.0 + 70.0 * levels as f64) / 128.0;
            (input_bytes, fit.blending * computed)
        }
        _ => (input_bytes, 0.0),
    };
    let outputs = (pixels * tile.channels) as f64;
    let instructions =
        (fetched / 16.0 * fit.fetch + streamed / 16.0) / 128.0 + outputs / 2.0 * fit.store / 128.0;
    let latency = fit.latency * (warps * concurrent).powf(-fit.hiding) * passes * steps;
    let busy = concurrent
        * (products.max(reads)
            + fit.overlap_loss * products.min(reads)
            + instructions
            + fit.memory * (fetched + fit.streamed * streamed)
            + computed * (1.0 + fit.sampling / (warps * concurrent))
            + latency);
    let hidden = if tile.halos == 2 { fit.doubled } else { concurrent.powf(-fit.concurrent) };
    let waits = hidden * (fetched / 11.3 + fit.wait)
        + if resident { 0.0 } else { passes * (cin / v.part(cin)) as f64 * fit.slab / concurrent };
    let start = 2100.0 + if resident { weight_bytes / 57.8 } else { 0.0 };
    Some(waves * (busy + waits) + start)
}

/// Like [`cost`], for a tile with warpgroups: the tensor cores take 32 cycles for 64 pixels, 16
/// channels and 64 columns, or the time that shared memory needs to deliver both operands. Fitted
/// to 270 timings on an H100, within 7 %.
fn wgmma_cost(kernel: &Kernel, extent: Extent, card: Card) -> Option<f64> {
    let Kernel::Conv { cin, tile, .. } = *kernel else { return None };
    let squares = tile.rows * tile.columns / 64;
    // Registers of a thread: the sums, the residual, and others.
    let registers = squares * tile.channels * 3 / 4 + 60;
    if registers > 240 || registers * kernel.threads() * tile.blocks > 65536 {
        return None;
    }
    let tiles =
        extent.batch * extent.rows.div_ceil(tile.rows) * extent.columns.div_ceil(tile.columns);
    let blocks = (card.sms * tile.blocks / kernel.splits()).max(1);
    // Tiles per SM, since its blocks share the tensor cores.
    let each = (tiles.div_ceil(blocks) * tile.blocks) as f64;
    let (halo_h, halo_w) = halo(tile, 1);
    let (columns, steps) = (tile.channels as f64, (9 * cin / 16) as f64);
    let products = steps * (columns / 2.0).max(16.0 + columns / 4.0);
    // Other traffic through shared memory waits for the operands.
    let input = 6.8 * (halo_h * halo_w * cin) as f64 / 64.0;
    let output =
        if tile.warpgroups * tile.blocks > 1 { 7.7 * columns } else { 7.7 * columns + 80.0 };
    // A longer ring is never slower, and rarely faster.
    let ring = 1.0 + 0.02 / tile.halos as f64;
    Some(each * 1.15 * ring * (squares as f64 * (products + output) + input) + 4800.0)
}

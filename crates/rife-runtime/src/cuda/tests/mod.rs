//! Tests of the CUDA engine. On any machine: kernels compile, and plans compute the network. With a
//! GPU: every kernel matches its reference implementation.

mod caller;
mod compile;
mod device;
mod golden;
mod made_up;
mod memory;
mod network;
mod pack;
mod plan;
mod reference;
mod session;
mod yuv;

use rife_model::{ModelVersion, Scale};

use super::plan::Request;
use super::samples::SampleLayout;
use super::tile::Card;
use crate::goldens::weights;
use crate::{FrameSize, Optimizations, PixelFormat, Precision, Stride};

const H100: Card =
    Card { sms: 132, shared_per_block: 232_448, shared_per_sm: 233_472, wgmma: true };
const A100: Card =
    Card { sms: 108, shared_per_block: 166_912, shared_per_sm: 167_936, wgmma: false };
const B200: Card = Card { sms: 148, wgmma: false, ..H100 };
const RTX_3090: Card =
    Card { sms: 82, shared_per_block: 101_376, shared_per_sm: 102_400, wgmma: false };
const RTX_4090: Card = Card { sms: 128, ..RTX_3090 };

const PRECISIONS: [Precision; 3] = [Precision::F16, Precision::Tf32, Precision::F32];

fn request(version: ModelVersion, precision: Precision, size: FrameSize) -> Request {
    Request {
        spec: version.spec(),
        size,
        scale: Scale::One,
        precision,
        ensemble: false,
        batch: 1,
        optimizations: Optimizations::all(),
        card: H100,
    }
}

const FULL_HD: FrameSize = FrameSize::new(1920, 1080);

/// Every RGB format with gaps between rows and planes, which must not be written, and pixels of four
/// samples, of which one is not used. With the bytes of a frame.
fn layouts(size: FrameSize) -> Vec<(SampleLayout, usize)> {
    let mut layouts = Vec::new();
    for format in PixelFormat::RGB {
        let packed = Stride::packed(size, format);
        let row = packed.row + 5;
        let plane = if format.is_planar_rgb() { row * size.height + 7 } else { 0 };
        let layout = SampleLayout::of(format, Stride { row, plane });
        let samples = if plane > 0 { 3 * plane } else { row * size.height };
        layouts.push((layout, samples * format.sample_bytes()));
        if plane == 0 {
            let bytes = layout.sample.bytes() as i64;
            let row = 4 * bytes * size.width as i64;
            let four = SampleLayout { row, pixel: 4 * bytes, ..layout };
            layouts.push((four, row as usize * size.height));
        }
    }
    layouts
}

/// Pseudorandom numbers, SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In [-max, max).
    fn within(&mut self, max: f64) -> f64 {
        (2.0 * self.unit() - 1.0) * max
    }

    /// In [0, n).
    fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }
}

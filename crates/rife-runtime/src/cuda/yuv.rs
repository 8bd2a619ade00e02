//! Conversion of YUV frames on the GPU.

use super::abi::Yuv;
use super::context::Shared;
use super::driver::{Function, Stream};
use super::kernel::{Kernel, PLAIN_THREADS};
use super::plan::Plan;
use super::samples::frame_bytes;
use super::source::Shared as _;
use super::variant::Variant;
use crate::frame::yuv::Scale;
use crate::{FrameSize, PixelFormat, Result, YuvFormat};

/// The conversion kernels, loaded on first use.
#[derive(Default)]
pub(crate) struct Converters {
    decode: Option<Function>,
    encode: Option<Function>,
}

impl Converters {
    /// Queues the conversion of a frame at `src` to the pixels at `dst` that the network reads.
    ///
    /// # Safety
    /// `src` holds a frame of that size and format, and `dst` an image of the plan, until the
    /// conversion is done.
    pub(crate) unsafe fn decode(
        &mut self,
        shared: &Shared,
        stream: &Stream,
        plan: &Plan,
        (size, format): (FrameSize, YuvFormat),
        (src, dst): (u64, u64),
    ) -> Result<()> {
        let function = loaded(&mut self.decode, shared, Kernel::YuvDecode, &plan.variant)?;
        let args = decode_args(plan, size, format, src, dst);
        // SAFETY: `yuv_decode` takes `Yuv`; the caller guarantees the rest.
        unsafe { stream.launch(function, decode_grid(plan), &args) }
    }

    /// Queues the conversion of `count` consecutive planar F32 frames at `src` to YUV frames at
    /// `dst`.
    ///
    /// # Safety
    /// `src` holds that many frames, and `dst` has room for them, until the conversion is done.
    pub(crate) unsafe fn encode(
        &mut self,
        shared: &Shared,
        stream: &Stream,
        variant: &Variant,
        (size, format): (FrameSize, YuvFormat),
        (src, dst, count): (u64, u64, usize),
    ) -> Result<()> {
        let function = loaded(&mut self.encode, shared, Kernel::YuvEncode, variant)?;
        let args = encode_args(size, format, src, dst);
        // SAFETY: `yuv_encode` takes `Yuv`; the caller guarantees the rest.
        unsafe { stream.launch(function, encode_grid(size, format, count), &args) }
    }
}

fn loaded<'a>(
    slot: &'a mut Option<Function>,
    shared: &Shared,
    kernel: Kernel,
    variant: &Variant,
) -> Result<&'a Function> {
    let function = match slot.take() {
        Some(function) => function,
        None => shared.function(kernel, "yuv", variant)?,
    };
    Ok(slot.insert(function))
}

/// The parameters of `yuv_decode`.
pub(crate) fn decode_args(
    plan: &Plan,
    size: FrameSize,
    format: YuvFormat,
    src: u64,
    dst: u64,
) -> Yuv {
    Yuv {
        src,
        dst,
        full_h: plan.padding.padded_height as i32,
        full_w: plan.padding.padded_width as i32,
        ..of(size, format)
    }
}

/// The grid of `yuv_decode`: a thread per pixel of the padded frame.
pub(crate) fn decode_grid(plan: &Plan) -> (u32, u32, u32) {
    let (h, w) = (plan.padding.padded_height, plan.padding.padded_width);
    (w.div_ceil(PLAIN_THREADS) as u32, h as u32, 1)
}

/// The parameters of `yuv_encode`.
pub(crate) fn encode_args(size: FrameSize, format: YuvFormat, src: u64, dst: u64) -> Yuv {
    Yuv {
        src,
        dst,
        src_step: frame_bytes(size, PixelFormat::PlanarF32) as i64,
        dst_step: frame_bytes(size, PixelFormat::Yuv(format)) as i64,
        ..of(size, format)
    }
}

/// The grid of `yuv_encode`: a thread per chroma sample, or per luma sample of a gray frame.
pub(crate) fn encode_grid(size: FrameSize, format: YuvFormat, frames: usize) -> (u32, u32, u32) {
    let (across, down) = format.axes(size);
    (across.chroma().div_ceil(PLAIN_THREADS) as u32, down.chroma() as u32, frames as u32)
}

fn of(size: FrameSize, format: YuvFormat) -> Yuv {
    let chroma = format.chroma_size(size);
    let (across, down) = format.axes(size);
    let scale = Scale::of(format);
    Yuv {
        frame_h: size.height as i32,
        frame_w: size.width as i32,
        chroma_h: chroma.height as i32,
        chroma_w: chroma.width as i32,
        across: across.siting.code(),
        down: down.siting.code(),
        wide: i32::from(format.sample_bytes() == 2),
        luma_zero: scale.luma_zero,
        luma_one: scale.luma_one,
        per_luma: scale.per_luma,
        chroma_zero: scale.chroma_zero,
        chroma_one: scale.chroma_one,
        most: scale.most,
        to_rgb: scale.to_rgb,
        to_yuv: scale.to_yuv,
        ..Yuv::default()
    }
}

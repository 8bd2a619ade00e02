//! YUV frames on the card: what the kernels that convert them are told, and how they are launched.

use super::abi::Yuv;
use super::driver::{Function, Stream};
use super::engine::Shared;
use super::kernel::{Kernel, PLAIN_THREADS, Variant};
use super::plan::Plan;
use super::samples::frame_bytes;
use crate::frame::yuv::Scale;
use crate::frame::yuv::axis::{Axis, Place};
use crate::{FrameSize, PixelFormat, Result, YuvFormat};

/// The kernels that convert, loaded when the first frame needs one.
#[derive(Default)]
pub(crate) struct Converters {
    into_pixels: Option<Function>,
    out_of_planes: Option<Function>,
}

impl Converters {
    /// Queues a frame at `src` to be made the pixels at `dst` that the network reads.
    ///
    /// # Safety
    /// A frame of that size and format lies at `src` and an image of the plan's at `dst`, until
    /// this is done.
    pub(crate) unsafe fn take_in(
        &mut self,
        shared: &Shared,
        stream: &Stream,
        plan: &Plan,
        (size, format): (FrameSize, YuvFormat),
        (src, dst): (u64, u64),
    ) -> Result<()> {
        let function = loaded(&mut self.into_pixels, shared, Kernel::YuvIn, &plan.variant)?;
        let args = into_pixels(plan, size, format, src, dst);
        // SAFETY: `yuv_in` takes `Yuv`; the rest is the caller's.
        unsafe { stream.launch(function, into_pixels_grid(plan), &args) }
    }

    /// Queues `count` planar F32 frames, which lie at `src` one after the other, to be made frames
    /// of a format at `dst`.
    ///
    /// # Safety
    /// So many frames lie at `src` and have room at `dst`, until this is done.
    pub(crate) unsafe fn give_out(
        &mut self,
        shared: &Shared,
        stream: &Stream,
        variant: &Variant,
        (size, format): (FrameSize, YuvFormat),
        (src, dst, count): (u64, u64, usize),
    ) -> Result<()> {
        let function = loaded(&mut self.out_of_planes, shared, Kernel::YuvOut, variant)?;
        let args = out_of_planes(size, format, src, dst);
        // SAFETY: `yuv_out` takes `Yuv`; the rest is the caller's.
        unsafe { stream.launch(function, out_of_planes_grid(size, format, count), &args) }
    }
}

fn loaded<'a>(
    held: &'a mut Option<Function>,
    shared: &Shared,
    kernel: Kernel,
    variant: &Variant,
) -> Result<&'a Function> {
    let function = match held.take() {
        Some(function) => function,
        None => shared.function(kernel, "yuv", variant)?,
    };
    Ok(held.insert(function))
}

/// What `yuv_in` is told.
pub(crate) fn into_pixels(
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

/// A thread for each pixel of the padded frame.
pub(crate) fn into_pixels_grid(plan: &Plan) -> (u32, u32, u32) {
    let (h, w) = (plan.padding.padded_height, plan.padding.padded_width);
    (w.div_ceil(PLAIN_THREADS) as u32, h as u32, 1)
}

/// What `yuv_out` is told.
pub(crate) fn out_of_planes(size: FrameSize, format: YuvFormat, src: u64, dst: u64) -> Yuv {
    Yuv {
        src,
        dst,
        src_step: frame_bytes(size, PixelFormat::PlanarF32) as i64,
        dst_step: frame_bytes(size, PixelFormat::Yuv(format)) as i64,
        ..of(size, format)
    }
}

/// A thread for each sample of a plane of chroma, or of luma where there is none.
pub(crate) fn out_of_planes_grid(
    size: FrameSize,
    format: YuvFormat,
    frames: usize,
) -> (u32, u32, u32) {
    let (across, down) = format.axes(size);
    (across.chroma().div_ceil(PLAIN_THREADS) as u32, down.chroma() as u32, frames as u32)
}

fn of(size: FrameSize, format: YuvFormat) -> Yuv {
    let chroma = format.chroma_size(size);
    let (across, down) = format.axes(size);
    let place = |axis: Axis| match axis.place {
        Place::Every => 0,
        Place::Even => 1,
        Place::Between => 2,
        Place::Odd => 3,
    };
    let scale = Scale::of(format);
    Yuv {
        frame_h: size.height as i32,
        frame_w: size.width as i32,
        chroma_h: chroma.height as i32,
        chroma_w: chroma.width as i32,
        across: place(across),
        down: place(down),
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

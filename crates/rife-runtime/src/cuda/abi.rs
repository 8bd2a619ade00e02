//! The parameters of the kernels, mirrored in `kernels/prelude.cuh`.

/// The output of one block, at its own resolution.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Level {
    pub(crate) flow: u64,
    pub(crate) mask: u64,
    pub(crate) feat: u64,
    pub(crate) h: i32,
    pub(crate) w: i32,
}

/// One frame to interpolate.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Item {
    pub(crate) image0: u64,
    pub(crate) image1: u64,
    pub(crate) out: u64,
    pub(crate) t: f32,
    /// The type of the samples of `out` and their strides, see [`super::samples::SampleLayout`].
    pub(crate) sample: i32,
    pub(crate) row: i64,
    pub(crate) pixel: i64,
    pub(crate) channel: i64,
}

/// The most items of a run, including the ensemble's reversed pairs.
pub(crate) const MAX_ITEMS: usize = 32;

/// The most blocks before the end of the network.
pub(crate) const MAX_LEVELS: usize = 5;

/// The parameters of the kernel `items`: the items to write to device memory, where other kernels
/// read them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items {
    pub(crate) to: u64,
    pub(crate) count: i32,
    pub(crate) unused: i32,
    pub(crate) item: [Item; MAX_ITEMS],
}

/// The parameters of every other kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Args {
    pub(crate) src: u64,
    pub(crate) dst: u64,
    pub(crate) weights: u64,
    pub(crate) bias: u64,
    pub(crate) items: u64,
    pub(crate) flow: u64,
    pub(crate) mask: u64,
    pub(crate) feat: u64,
    pub(crate) residual: u64,
    pub(crate) level: [Level; MAX_LEVELS],
    pub(crate) h: i32,
    pub(crate) w: i32,
    pub(crate) oh: i32,
    pub(crate) ow: i32,
    pub(crate) tiles_x: i32,
    pub(crate) tiles: i32,
    pub(crate) batch: i32,
    pub(crate) divisor: f32,
    pub(crate) full_h: i32,
    pub(crate) full_w: i32,
    pub(crate) frame_h: i32,
    pub(crate) frame_w: i32,
    /// The type of the samples of an uploaded frame, see [`super::samples::SampleLayout`].
    pub(crate) sample: i32,
    /// Items per frame: 2 with the ensemble.
    pub(crate) step: i32,
    /// The strides of an uploaded frame, in bytes.
    pub(crate) row: i64,
    pub(crate) pixel: i64,
    pub(crate) channel: i64,
}

/// The parameters of the kernels `yuv_decode` and `yuv_encode`, mirrored in `kernels/yuv.cuh`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Yuv {
    pub(crate) src: u64,
    pub(crate) dst: u64,
    pub(crate) src_step: i64,
    pub(crate) dst_step: i64,
    pub(crate) full_h: i32,
    pub(crate) full_w: i32,
    pub(crate) frame_h: i32,
    pub(crate) frame_w: i32,
    pub(crate) chroma_h: i32,
    pub(crate) chroma_w: i32,
    pub(crate) across: i32,
    pub(crate) down: i32,
    pub(crate) wide: i32,
    pub(crate) luma_zero: f32,
    pub(crate) luma_one: f32,
    pub(crate) per_luma: f32,
    pub(crate) chroma_zero: f32,
    pub(crate) chroma_one: f32,
    pub(crate) most: f32,
    pub(crate) to_rgb: [[f32; 2]; 3],
    pub(crate) to_yuv: [[f32; 3]; 3],
}

const _: () = assert!(size_of::<Yuv>() == 4 * 8 + 15 * 4 + 15 * 4);
const _: () = assert!(size_of::<Level>() == 32 && size_of::<Item>() == 56);
const _: () = assert!(size_of::<Args>() == 9 * 8 + MAX_LEVELS * 32 + 14 * 4 + 3 * 8);

//! Conversion between frames and the F32 planes or pixels that the networks use.

use half::f16;

use super::rounding::{quantize, unit};
use super::samples::OwnedSamples;
use super::yuv::Sample;
use super::yuv::decode::Decoder;
use super::{Frame, FrameSize, FrameView, FrameViewMut, RgbLayout, Samples, SamplesMut, Stride};

/// The largest 8- and 16-bit samples, which represent 1.
pub(super) const MAX_8: f32 = 255.0;
pub(super) const MAX_16: f32 = 65535.0;

/// A sample of an RGB frame.
pub(super) trait RgbSample: Copy {
    /// The sample in [0, 1]; NaN is 0.
    fn to_unit(self) -> f32;

    /// The nearest sample to a number, which is clamped to [0, 1]. Floats keep NaN, so that a caller
    /// can see that the network failed.
    fn nearest(v: f32) -> Self;
}

impl RgbSample for u8 {
    #[inline]
    fn to_unit(self) -> f32 {
        f32::from(self) / MAX_8
    }

    #[inline]
    fn nearest(v: f32) -> Self {
        quantize(v, MAX_8) as Self
    }
}

impl RgbSample for u16 {
    #[inline]
    fn to_unit(self) -> f32 {
        f32::from(self) / MAX_16
    }

    #[inline]
    fn nearest(v: f32) -> Self {
        quantize(v, MAX_16) as Self
    }
}

impl RgbSample for f16 {
    #[inline]
    fn to_unit(self) -> f32 {
        unit(self.to_f32())
    }

    #[inline]
    fn nearest(v: f32) -> Self {
        Self::from_f32(v.clamp(0.0, 1.0))
    }
}

impl RgbSample for f32 {
    #[inline]
    fn to_unit(self) -> f32 {
        unit(self)
    }

    #[inline]
    fn nearest(v: f32) -> Self {
        v.clamp(0.0, 1.0)
    }
}

/// Calls `$f` with the samples, the layout and the further arguments of an RGB frame; evaluates
/// `$yuv` for YUV.
macro_rules! with_rgb {
    ($samples:expr, $of:ident, $f:ident($($argument:expr),*), $format:ident, $data:ident => $yuv:expr) => {
        match $samples {
            $of::U8(layout, data) => $f(data, layout, $($argument),*),
            $of::U16(layout, data) => $f(data, layout, $($argument),*),
            $of::F16(layout, data) => $f(data, layout, $($argument),*),
            $of::F32(layout, data) => $f(data, layout, $($argument),*),
            $of::Yuv8($format, $data) => $yuv,
            $of::Yuv16($format, $data) => $yuv,
        }
    };
}

impl FrameView<'_> {
    /// Writes the frame as three planes of `plane_width` × `plane_height` F32 in [0, 1]. Planes
    /// larger than the frame are filled with zeros at the right and at the bottom.
    ///
    /// # Panics
    /// If the planes are smaller than the frame, or `planes` does not have the length of three
    /// planes.
    pub(crate) fn write_planes(&self, planes: &mut [f32], plane_width: usize, plane_height: usize) {
        let (w, h) = (self.size.width, self.size.height);
        assert!(w <= plane_width && h <= plane_height, "planes smaller than the frame");
        assert_eq!(
            planes.len(),
            3 * plane_width * plane_height,
            "three planes of {plane_width}x{plane_height} expected"
        );
        let (samples, stride) = self.host();
        let extent = PlaneExtent { w, h, plane_width };
        with_rgb!(
            samples, Samples, planes_of_rgb(stride, planes, extent),
            format, data => {
                write_yuv(&Decoder::new(self.size, format, data), h, planes, plane_width, w);
            }
        );
    }
}

/// The columns and rows of a frame, and the width of the planes that hold it.
#[derive(Clone, Copy)]
struct PlaneExtent {
    w: usize,
    h: usize,
    plane_width: usize,
}

/// Writes an RGB frame into the top left of three planes, and fills the rest with zeros.
fn planes_of_rgb<T: RgbSample>(
    data: &[T],
    layout: RgbLayout,
    stride: Stride,
    planes: &mut [f32],
    PlaneExtent { w, h, plane_width }: PlaneExtent,
) {
    let plane_len = planes.len() / 3;
    for (c, plane) in planes.chunks_exact_mut(plane_len).enumerate() {
        let (rows, below) = plane.split_at_mut(h * plane_width);
        below.fill(0.0);
        for (y, row) in rows.chunks_exact_mut(plane_width).enumerate() {
            let (row, right) = row.split_at_mut(w);
            right.fill(0.0);
            let from = y * stride.row;
            match layout {
                RgbLayout::Interleaved => {
                    let pixels = data[from..from + 3 * w].chunks_exact(3);
                    row.iter_mut().zip(pixels).for_each(|(o, p)| *o = p[c].to_unit());
                }
                RgbLayout::Planar => {
                    let from = from + c * stride.plane;
                    let samples = &data[from..from + w];
                    row.iter_mut().zip(samples).for_each(|(o, v)| *o = v.to_unit());
                }
            }
        }
    }
}

/// Writes a frame of `w` columns and `h` rows into the top left of three planes, and fills the rest
/// with zeros.
fn write_yuv<T: Sample>(
    frame: &Decoder<'_, T>,
    h: usize,
    planes: &mut [f32],
    plane_width: usize,
    w: usize,
) {
    let (r, gb) = planes.split_at_mut(planes.len() / 3);
    let (g, b) = gb.split_at_mut(r.len());
    let [r, g, b] = [r, g, b].map(|plane| plane.chunks_exact_mut(plane_width));
    for (y, ((r, g), b)) in r.zip(g).zip(b).enumerate() {
        let rows = [r, g, b].map(|row| {
            let (row, right) = row.split_at_mut(if y < h { w } else { 0 });
            right.fill(0.0);
            row
        });
        if y < h {
            frame.row(y, rows);
        }
    }
}

impl FrameView<'_> {
    /// Writes row `y` as pixels of `lanes` floats: red, green and blue in [0, 1]. Other lanes are
    /// left unchanged.
    ///
    /// # Panics
    /// If the frame has no such row, or `pixels` is not as wide as the frame.
    pub(crate) fn write_pixels(&self, y: usize, pixels: &mut [f32], lanes: usize) {
        let w = self.size.width;
        assert!(
            y < self.size.height && pixels.len() == w * lanes,
            "the row does not fit the frame"
        );
        let (samples, stride) = self.host();
        with_rgb!(
            samples, Samples, pixels_of_rgb(stride, y, pixels, lanes),
            format, data => Decoder::new(self.size, format, data).pixels(y, pixels, lanes)
        );
    }
}

/// Writes row `y` of an RGB frame as pixels of `lanes` floats.
fn pixels_of_rgb<T: RgbSample>(
    data: &[T],
    layout: RgbLayout,
    stride: Stride,
    y: usize,
    pixels: &mut [f32],
    lanes: usize,
) {
    let (from, w) = (y * stride.row, pixels.len() / lanes);
    let pixels = pixels.chunks_exact_mut(lanes);
    match layout {
        RgbLayout::Interleaved => {
            for (to, p) in pixels.zip(data[from..from + 3 * w].chunks_exact(3)) {
                to[0] = p[0].to_unit();
                to[1] = p[1].to_unit();
                to[2] = p[2].to_unit();
            }
        }
        RgbLayout::Planar => {
            let plane = |c: usize| &data[from + c * stride.plane..][..w];
            let (r, g, b) = (plane(0), plane(1), plane(2));
            for (to, ((r, g), b)) in pixels.zip(r.iter().zip(g).zip(b)) {
                (to[0], to[1], to[2]) = (r.to_unit(), g.to_unit(), b.to_unit());
            }
        }
    }
}

impl FrameViewMut<'_> {
    /// Copies a packed frame of the same size and format.
    ///
    /// # Panics
    /// If the size or the format differs.
    pub(crate) fn copy_from(&mut self, frame: &Frame) {
        assert_eq!(self.size, frame.size, "frames of different sizes");
        let size = self.size;
        let (samples, stride) = self.host_mut();
        match (samples, &frame.samples) {
            (SamplesMut::U8(to_layout, to), OwnedSamples::U8(layout, from))
                if to_layout == layout =>
            {
                copy_rgb(to, *layout, stride, from, size)
            }
            (SamplesMut::U16(to_layout, to), OwnedSamples::U16(layout, from))
                if to_layout == layout =>
            {
                copy_rgb(to, *layout, stride, from, size)
            }
            (SamplesMut::F16(to_layout, to), OwnedSamples::F16(layout, from))
                if to_layout == layout =>
            {
                copy_rgb(to, *layout, stride, from, size)
            }
            (SamplesMut::F32(to_layout, to), OwnedSamples::F32(layout, from))
                if to_layout == layout =>
            {
                copy_rgb(to, *layout, stride, from, size)
            }
            (SamplesMut::Yuv8(to, to_data), OwnedSamples::Yuv8(from, data)) if *to == *from => {
                to_data[..data.len()].copy_from_slice(data);
            }
            (SamplesMut::Yuv16(to, to_data), OwnedSamples::Yuv16(from, data)) if *to == *from => {
                to_data[..data.len()].copy_from_slice(data);
            }
            _ => panic!("frames of different formats"),
        }
    }

    /// Reads the frame from the top left of three planes of `plane_width` × `plane_height` F32,
    /// clamped to [0, 1] and rounded to the nearest sample.
    ///
    /// # Panics
    /// If the planes are smaller than the frame, or `planes` does not have the length of three
    /// planes.
    pub(crate) fn read_planes(&mut self, planes: &[f32], plane_width: usize, plane_height: usize) {
        let (w, h) = (self.size.width, self.size.height);
        assert!(w <= plane_width && h <= plane_height, "planes smaller than the frame");
        assert_eq!(
            planes.len(),
            3 * plane_width * plane_height,
            "three planes of {plane_width}x{plane_height} expected"
        );
        let plane = |c: usize| &planes[c * plane_width * plane_height..];
        let (r, g, b) = (plane(0), plane(1), plane(2));
        let mut chroma = Vec::new();
        let rows = self.rows(&mut chroma);
        for y in 0..h {
            let row = |plane: &'_ [f32]| y * plane_width..(y * plane_width + w).min(plane.len());
            // SAFETY: the frame is borrowed, and this is the only thread that writes it.
            unsafe { rows.write(y, [&r[row(r)], &g[row(g)], &b[row(b)]]) };
        }
        for row in 0..rows.remaining_rows() {
            // SAFETY: all rows have been written, by this thread alone.
            unsafe { rows.write_remaining(row) };
        }
    }
}

/// Copies a packed RGB frame to one with a stride.
fn copy_rgb<T: Copy>(
    to: &mut [T],
    layout: RgbLayout,
    stride: Stride,
    from: &[T],
    FrameSize { width: w, height: h }: FrameSize,
) {
    match layout {
        RgbLayout::Interleaved => copy_rows(to, stride.row, from, 3 * w),
        RgbLayout::Planar => {
            for (c, from) in from.chunks_exact(w * h).enumerate() {
                copy_rows(&mut to[c * stride.plane..], stride.row, from, w);
            }
        }
    }
}

/// Copies packed rows of `len` samples to rows that are `stride` apart.
fn copy_rows<T: Copy>(to: &mut [T], stride: usize, from: &[T], len: usize) {
    for (to, from) in to.chunks_mut(stride).zip(from.chunks_exact(len)) {
        to[..len].copy_from_slice(from);
    }
}

impl Frame {
    /// Copies a frame of the same size into this planar F32 frame.
    ///
    /// # Panics
    /// If the sizes differ, or this frame is not planar F32.
    pub(crate) fn copy_from(&mut self, frame: &FrameView<'_>) {
        assert_eq!(self.size, frame.size, "frames of different sizes");
        let OwnedSamples::F32(RgbLayout::Planar, planes) = &mut self.samples else {
            panic!("the frame is not planar F32");
        };
        frame.write_planes(planes, self.size.width, self.size.height);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PixelFormat;
    use super::*;

    #[test]
    fn every_sample_round_trips_through_f32() {
        let size = FrameSize::new(256, 1);
        let samples: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v ^ 0x55]).collect();
        let frame = Frame::rgb8(size, samples).unwrap();
        let mut planes = vec![f32::NAN; 3 * 256];
        frame.view().write_planes(&mut planes, 256, 1);
        let mut back = Frame::black(size, PixelFormat::Rgb8).unwrap();
        back.view_mut().read_planes(&planes, 256, 1);
        assert_eq!(back, frame);

        let size = FrameSize::new(21846, 1);
        let samples: Vec<u16> = (0..size.pixels() as u32 * 3).map(|v| v as u16).collect();
        let frame = Frame::rgb16(size, samples).unwrap();
        let mut planes = vec![f32::NAN; 3 * size.width];
        frame.view().write_planes(&mut planes, size.width, 1);
        let mut back = Frame::black(size, PixelFormat::Rgb16).unwrap();
        back.view_mut().read_planes(&planes, size.width, 1);
        assert_eq!(back, frame);
    }

    #[test]
    fn first_plane_is_red() {
        let frame = Frame::rgb8(FrameSize::new(2, 1), vec![255, 0, 0, 51, 102, 153]).unwrap();
        let mut planes = [0.0; 6];
        frame.view().write_planes(&mut planes, 2, 1);
        assert_eq!(planes, [1.0, 0.2, 0.0, 0.4, 0.0, 0.6]);
    }

    #[test]
    fn samples_are_rounded_and_clamped() {
        let size = FrameSize::new(6, 1);
        let row = [-1.0, 0.5 / 255.0 + 1e-6, 0.5 / 255.0 - 1e-6, 254.6 / 255.0, 7.0, f32::NAN];
        let planes = [row, row, row].concat();
        let mut out = Frame::black(size, PixelFormat::Rgb8).unwrap();
        out.view_mut().read_planes(&planes, 6, 1);
        let red: Vec<u8> = out.as_rgb8().unwrap().iter().step_by(3).copied().collect();
        assert_eq!(red, [0, 1, 0, 255, 255, 0]);

        let mut out = Frame::black(size, PixelFormat::PlanarF32).unwrap();
        out.view_mut().read_planes(&planes, 6, 1);
        let red = &out.as_planar_f32().unwrap()[..6];
        assert_eq!((red[0], red[4], red[5].is_nan()), (0.0, 1.0, true));
    }

    proptest! {
        #[test]
        fn strides_and_padding_do_not_change_a_frame(
            w in 1usize..9, h in 1usize..9, gap in 0usize..7, plane_gap in 0usize..9,
            right in 0usize..5, below in 0usize..5, seed in any::<u32>(),
        ) {
            let size = FrameSize::new(w, h);
            let (pw, ph) = (w + right, h + below);
            let value = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed);

            let row = 3 * w + gap;
            let data: Vec<u16> = (0..row * h).map(|i| value(i) as u16).collect();
            let view = FrameView::rgb16(size, &data, Stride { row, plane: 0 }).unwrap();
            let mut planes = vec![f32::NAN; 3 * pw * ph];
            view.write_planes(&mut planes, pw, ph);
            for (i, v) in planes.iter().enumerate() {
                let (c, y, x) = (i / (pw * ph), i / pw % ph, i % pw);
                let inside = x < w && y < h;
                let expected = if inside { f32::from(data[y * row + 3 * x + c]) / 65535.0 } else { 0.0 };
                prop_assert_eq!(*v, expected);
            }

            let (row, plane) = (w + gap, (w + gap) * h + plane_gap);
            let mut out = vec![-1.0; 3 * plane];
            FrameViewMut::planar_f32(size, &mut out, Stride { row, plane })
                .unwrap()
                .read_planes(&planes, pw, ph);
            for (i, v) in out.iter().enumerate() {
                let (c, y, x) = (i / plane, i % plane / row, i % plane % row);
                let expected = if x < w && y < h { planes[(c * ph + y) * pw + x] } else { -1.0 };
                prop_assert_eq!(*v, expected, "a sample outside the frame was written");
            }
        }
    }
}

//! Writes the rows of a frame from several threads.

use std::marker::PhantomData;

use half::f16;

use super::convert::RgbSample;
use super::yuv::encode::Encoder;
use super::yuv::{Sample, YuvFormat};
use super::{FrameSize, FrameViewMut, RgbLayout, SamplesMut, Stride};

/// The rows of a frame, for several threads to write.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    size: FrameSize,
    stride: Stride,
    data: RowData,
    /// Chroma in F32, subsampled horizontally but not yet vertically.
    chroma: *mut f32,
    _frame: PhantomData<&'a mut f32>,
}

#[derive(Clone, Copy)]
enum RowData {
    U8(RgbLayout, *mut u8),
    U16(RgbLayout, *mut u16),
    F16(RgbLayout, *mut f16),
    F32(RgbLayout, *mut f32),
    Yuv8(Encoder, *mut u8),
    Yuv16(Encoder, *mut u16),
}

// SAFETY: the methods that write require exclusive access to their row.
unsafe impl Send for Rows<'_> {}
// SAFETY: as above.
unsafe impl Sync for Rows<'_> {}

impl Rows<'_> {
    /// Writes row `y` from three rows of floats, clamped to [0, 1] and rounded to the nearest
    /// sample.
    ///
    /// # Safety
    /// No other thread accesses the row during the call.
    ///
    /// # Panics
    /// If the frame has no such row, or `planes` are narrower than the frame.
    pub(crate) unsafe fn write(&self, y: usize, planes: [&[f32]; 3]) {
        let w = self.size.width;
        assert!(y < self.size.height, "the frame has no such row");
        let planes = planes.map(|p| &p[..w]);
        match self.data {
            // SAFETY: guaranteed by the caller; the row is within the frame.
            RowData::U8(layout, data) => unsafe { self.write_rgb(layout, data, y, planes) },
            // SAFETY: as above.
            RowData::U16(layout, data) => unsafe { self.write_rgb(layout, data, y, planes) },
            // SAFETY: as above.
            RowData::F16(layout, data) => unsafe { self.write_rgb(layout, data, y, planes) },
            // SAFETY: as above.
            RowData::F32(layout, data) => unsafe { self.write_rgb(layout, data, y, planes) },
            // SAFETY: as above.
            RowData::Yuv8(encoder, data) => unsafe { self.write_yuv(&encoder, data, y, planes) },
            // SAFETY: as above.
            RowData::Yuv16(encoder, data) => unsafe { self.write_yuv(&encoder, data, y, planes) },
        }
    }

    /// Writes row `y` of an RGB frame.
    ///
    /// # Safety
    /// Same as for [`Rows::write`]; `data` points to the samples of the frame, which has this row,
    /// and `planes` are as wide as the frame.
    unsafe fn write_rgb<T: RgbSample>(
        &self,
        layout: RgbLayout,
        data: *mut T,
        y: usize,
        planes: [&[f32]; 3],
    ) {
        let (w, at) = (self.size.width, y * self.stride.row);
        match layout {
            RgbLayout::Interleaved => {
                // SAFETY: the row is within the frame, and the caller has exclusive access to it.
                let row = unsafe { std::slice::from_raw_parts_mut(data.add(at), 3 * w) };
                write_interleaved(planes, row);
            }
            RgbLayout::Planar => {
                for (c, plane) in planes.into_iter().enumerate() {
                    // SAFETY: as above, in each plane.
                    let row = unsafe {
                        std::slice::from_raw_parts_mut(data.add(at + c * self.stride.plane), w)
                    };
                    row.iter_mut().zip(plane).for_each(|(o, v)| *o = T::nearest(*v));
                }
            }
        }
    }

    /// Writes luma row `y` and its chroma row. With vertical subsampling, the chroma values are
    /// stored in `self.chroma` instead, for [`Rows::write_remaining`].
    ///
    /// # Safety
    /// Same as for [`Rows::write`]; `data` points to the samples of the frame.
    unsafe fn write_yuv<T: Sample>(
        &self,
        encoder: &Encoder,
        data: *mut T,
        y: usize,
        planes: [&[f32]; 3],
    ) {
        let FrameSize { width: w, height: h, .. } = self.size;
        // SAFETY: the row is within the frame, and the caller has exclusive access to it.
        encoder.luma(planes, unsafe { std::slice::from_raw_parts_mut(data.add(y * w), w) });
        if !encoder.has_chroma {
            return;
        }
        let width = encoder.across.chroma();
        encoder.chroma(planes, |plane, x, values| {
            let at = (plane * h + y) * width + x;
            if encoder.is_subsampled_vertically() {
                // SAFETY: `FrameViewMut::rows` allocated a row of chroma for each luma row, and the
                // caller has exclusive access to it, as to the row of the frame.
                let to =
                    unsafe { std::slice::from_raw_parts_mut(self.chroma.add(at), values.len()) };
                to.copy_from_slice(values);
            } else {
                // SAFETY: the chroma planes follow luma and have as many rows, and the caller has
                // exclusive access to this one.
                let to =
                    unsafe { std::slice::from_raw_parts_mut(data.add(w * h + at), values.len()) };
                encoder.samples(values, to);
            }
        });
    }

    /// The number of rows that [`Rows::write_remaining`] must write after all others. 0 unless
    /// chroma is subsampled vertically.
    pub(crate) fn remaining_rows(&self) -> usize {
        match self.data {
            RowData::Yuv8(encoder, _) | RowData::Yuv16(encoder, _)
                if encoder.is_subsampled_vertically() =>
            {
                2 * encoder.down.chroma()
            }
            _ => 0,
        }
    }

    /// Writes one of the remaining rows: a row of U or V.
    ///
    /// # Safety
    /// Every row was written with [`Rows::write`]. During the call, no other thread writes to these
    /// or to this row.
    ///
    /// # Panics
    /// If `row` is not less than [`Rows::remaining_rows`].
    pub(crate) unsafe fn write_remaining(&self, row: usize) {
        assert!(row < self.remaining_rows(), "the frame has no such row");
        match self.data {
            // SAFETY: guaranteed by the caller.
            RowData::Yuv8(encoder, data) => unsafe {
                self.write_remaining_yuv(&encoder, data, row)
            },
            // SAFETY: as above.
            RowData::Yuv16(encoder, data) => unsafe {
                self.write_remaining_yuv(&encoder, data, row)
            },
            _ => {}
        }
    }

    /// # Safety
    /// Same as for [`Rows::write_remaining`]; `data` points to the samples of the frame.
    unsafe fn write_remaining_yuv<T: Sample>(&self, encoder: &Encoder, data: *mut T, row: usize) {
        let (width, rows) = (encoder.across.chroma(), encoder.down.chroma());
        let (plane, plane_len) = (row / rows, width * self.size.height);
        // SAFETY: `FrameViewMut::rows` allocated `plane_len` floats per plane, `Rows::write` has
        // written them, and no thread writes to them now.
        let from =
            unsafe { std::slice::from_raw_parts(self.chroma.add(plane * plane_len), plane_len) };
        // SAFETY: the rows of U follow luma, those of V follow U, and the caller has exclusive
        // access to this one.
        let to = unsafe {
            std::slice::from_raw_parts_mut(data.add(self.size.pixels() + row * width), width)
        };
        encoder.subsampled_row(row % rows, from, to);
    }
}

fn write_interleaved<T: RgbSample>(planes: [&[f32]; 3], row: &mut [T]) {
    let [r, g, b] = planes;
    for (p, ((r, g), b)) in row.chunks_exact_mut(3).zip(r.iter().zip(g).zip(b)) {
        p[0] = T::nearest(*r);
        p[1] = T::nearest(*g);
        p[2] = T::nearest(*b);
    }
}

impl FrameViewMut<'_> {
    /// Borrows the rows of the frame. `chroma` is resized as needed to hold chroma until it is
    /// subsampled vertically.
    ///
    /// # Panics
    /// If the frame is in device memory.
    pub(crate) fn rows<'a>(&'a mut self, chroma: &'a mut Vec<f32>) -> Rows<'a> {
        let size = self.size;
        let encoder = |format: YuvFormat| Encoder::new(size, format);
        let (samples, stride) = self.host_mut();
        let data = match samples {
            SamplesMut::U8(layout, data) => RowData::U8(*layout, data.as_mut_ptr()),
            SamplesMut::U16(layout, data) => RowData::U16(*layout, data.as_mut_ptr()),
            SamplesMut::F16(layout, data) => RowData::F16(*layout, data.as_mut_ptr()),
            SamplesMut::F32(layout, data) => RowData::F32(*layout, data.as_mut_ptr()),
            SamplesMut::Yuv8(format, data) => RowData::Yuv8(encoder(*format), data.as_mut_ptr()),
            SamplesMut::Yuv16(format, data) => RowData::Yuv16(encoder(*format), data.as_mut_ptr()),
        };
        if let RowData::Yuv8(encoder, _) | RowData::Yuv16(encoder, _) = &data
            && encoder.is_subsampled_vertically()
        {
            chroma.resize(2 * encoder.across.chroma() * size.height, 0.0);
        }
        let chroma = chroma.as_mut_ptr();
        Rows { size, stride, data, chroma, _frame: PhantomData }
    }
}

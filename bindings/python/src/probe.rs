//! Copies frames for scene detection, which needs interleaved 8-bit or 16-bit RGB.

use rife_runtime::{Error, Frame, Result, SampleType, f16};

use crate::frames::{Frames, Layout, Memory, Strides};

impl Frames {
    /// A copy of the frame for scene detection, with 8 bits for 8-bit input and 16 bits otherwise.
    ///
    /// # Errors
    /// If the array is not in host memory.
    pub(crate) fn probe(&self) -> Result<Frame> {
        if self.memory != Memory::Host {
            return Err(Error::Frame {
                op: "scene detection",
                expected: "an array in host memory".into(),
                got: "an array on a CUDA device".into(),
            });
        }
        let count = 3 * self.size.pixels();
        match self.sample {
            SampleType::U8 => {
                let mut out = Vec::with_capacity(count);
                self.gather(&mut out, |v: u8| v);
                Frame::rgb8(self.size, out)
            }
            SampleType::U16 => self.probe16(|v: u16| v),
            SampleType::F16 => self.probe16(|v: f16| to_u16(v.to_f32())),
            SampleType::F32 => self.probe16(to_u16),
        }
    }

    fn probe16<T: Copy>(&self, convert: impl Fn(T) -> u16) -> Result<Frame> {
        let mut out = Vec::with_capacity(3 * self.size.pixels());
        self.gather(&mut out, convert);
        Frame::rgb16(self.size, out)
    }

    /// Appends all samples in interleaved order. `T` must be the sample type.
    fn gather<T: Copy, U>(&self, out: &mut Vec<U>, convert: impl Fn(T) -> U) {
        let Strides { row, channel, .. } = self.strides;
        let (width, height) = (self.size.width, self.size.height);
        let line = |y: usize, c: usize, len: usize| -> &[T] {
            let at = self.address as i64 + row * y as i64 + channel * c as i64;
            // SAFETY: the array is alive and in host memory. `Frames::read` has checked that rows
            // of `len` samples of this type follow each other at `row` bytes, and for planes at
            // `channel` bytes, and that they are aligned.
            unsafe { std::slice::from_raw_parts(at as usize as *const T, len) }
        };
        for y in 0..height {
            match self.layout {
                Layout::Hwc => out.extend(line(y, 0, 3 * width).iter().map(|v| convert(*v))),
                Layout::Chw => {
                    let [r, g, b] = [0, 1, 2].map(|c| line(y, c, width));
                    for ((r, g), b) in r.iter().zip(g).zip(b) {
                        out.extend([convert(*r), convert(*g), convert(*b)]);
                    }
                }
            }
        }
    }
}

/// Converts a float in [0, 1] to 16 bits. Values outside this range are clamped; NaN becomes 0.
fn to_u16(value: f32) -> u16 {
    (value.clamp(0.0, 1.0) * 65535.0 + 0.5) as u16
}

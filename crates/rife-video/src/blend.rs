//! Blends two frames.

use rife_runtime::{Frame, PixelFormat};

use crate::Result;

/// Returns `earlier * (1 - t) + later * t`; a copy of `earlier` if size or format differ.
pub(crate) fn blend(earlier: &Frame, later: &Frame, t: f32) -> Result<Frame> {
    let size = earlier.size();
    let eight = |a: &[u8], b: &[u8]| -> Vec<u8> {
        a.iter().zip(b).map(|(a, b)| mixed(f32::from(*a), f32::from(*b), t) as u8).collect()
    };
    let sixteen = |a: &[u16], b: &[u16]| -> Vec<u16> {
        a.iter().zip(b).map(|(a, b)| mixed(f32::from(*a), f32::from(*b), t) as u16).collect()
    };
    if earlier.format() != later.format() || size != later.size() {
        return Ok(earlier.clone());
    }
    let (a, b) = (earlier, later);
    let frame = match earlier.format() {
        PixelFormat::Yuv(yuv) => match (a.as_yuv8(), b.as_yuv8(), a.as_yuv16(), b.as_yuv16()) {
            (Some(a), Some(b), ..) => Frame::yuv8(size, yuv, eight(a, b))?,
            (.., Some(a), Some(b)) => Frame::yuv16(size, yuv, sixteen(a, b))?,
            _ => earlier.clone(),
        },
        _ => match (a.as_rgb8(), b.as_rgb8(), a.as_rgb16(), b.as_rgb16()) {
            (Some(a), Some(b), ..) => Frame::rgb8(size, eight(a, b))?,
            (.., Some(a), Some(b)) => Frame::rgb16(size, sixteen(a, b))?,
            _ => earlier.clone(),
        },
    };
    Ok(frame)
}

fn mixed(a: f32, b: f32, t: f32) -> f32 {
    (a + (b - a) * t).round()
}

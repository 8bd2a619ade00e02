//! The backward warp: the reference implementation for all engines.

use candle_core::{DType, Tensor};

use crate::ModelError;

/// Larger than any frame, and F32 represents all integers up to it.
const MAX_FLOW_PX: f32 = (1 << 23) as f32;

/// Samples `image` at `pixel + flow`: bilinear, with coordinates clamped to the frame. Equal to
/// PyTorch's `grid_sample(mode="bilinear", padding_mode="border", align_corners=True)`, except
/// that coordinates stay in pixels, which avoids the rounding of normalized coordinates.
///
/// `image` is `(B, C, H, W)`, `flow` is `(B, 2, H, W)`, x before y, in px; both F32. Other dtypes
/// are refused: beyond 2048 px, an F16 coordinate is off by a pixel.
///
/// # Errors
/// [`ModelError::Input`] for other shapes and dtypes.
pub fn warp(image: &Tensor, flow: &Tensor) -> Result<Tensor, ModelError> {
    let &[b, _, h, w] = image.dims() else {
        return Err(ModelError::input(
            "warp",
            "an image of shape (batch, channels, height, width)",
            format!("{:?}", image.dims()),
        ));
    };
    if flow.dims() != [b, 2, h, w] {
        return Err(ModelError::input(
            "warp",
            format!("flow of shape [{b}, 2, {h}, {w}]"),
            format!("{:?}", flow.dims()),
        ));
    }
    if image.dtype() != DType::F32 || flow.dtype() != DType::F32 {
        return Err(ModelError::input(
            "warp",
            "an F32 image and F32 flow",
            format!("{:?} and {:?}", image.dtype(), flow.dtype()),
        ));
    }
    sample(image, flow).map_err(ModelError::Candle)
}

/// As [`warp`], for arguments that have been validated.
fn sample(image: &Tensor, flow: &Tensor) -> candle_core::Result<Tensor> {
    let (b, c, h, w) = image.dims4()?;
    let device = image.device();
    // Split flow into its integer and fractional parts. Adding the pixel position to the integer
    // part is exact; `position + flow` would round the fraction, the more so the larger the
    // position.
    let (left, fx) = corner(flow, 0, w, &[1, 1, w])?;
    let (top, fy) = corner(flow, 1, h, &[1, h, 1])?;
    let right = (&left + 1.0)?.minimum((w - 1) as u32)?;
    let bottom = (&top + 1.0)?.minimum((h - 1) as u32)?;

    // Index of each corner in the pixels of the whole batch, one row of channels per pixel.
    let first_of_item =
        Tensor::arange(0u32, b as u32, device)?.affine((h * w) as f64, 0.0)?.reshape((b, 1, 1))?;
    let row = |y: &Tensor| y.affine(w as f64, 0.0)?.broadcast_add(&first_of_item);
    let (top, bottom) = (row(&top)?, row(&bottom)?);

    let pixels = image.permute((0, 2, 3, 1))?.reshape((b * h * w, c))?;
    let at = |y: &Tensor, x: &Tensor| pixels.index_select(&(y + x)?.flatten_all()?, 0);
    let fx = fx.reshape((b * h * w, 1))?.broadcast_as((b * h * w, c))?;
    let fy = fy.reshape((b * h * w, 1))?.broadcast_as((b * h * w, c))?;
    let mix = |from: Tensor, to: Tensor, f: &Tensor| &from + ((to - &from)? * f)?;
    let above = mix(at(&top, &left)?, at(&top, &right)?, &fx)?;
    let below = mix(at(&bottom, &left)?, at(&bottom, &right)?, &fx)?;
    let sampled = mix(above, below, &fy)?;
    sampled.reshape((b, h, w, c))?.permute((0, 3, 1, 2))?.contiguous()
}

/// The nearest pixel at or before `position + flow` along one axis, `(B, H, W)`, U32, and the
/// distance from it to the sample, F32 in [0, 1); both clamped to an axis of `length` px. `shape`
/// broadcasts a position along the axis to `(B, H, W)`.
fn corner(
    flow: &Tensor,
    channel: usize,
    length: usize,
    shape: &[usize],
) -> candle_core::Result<(Tensor, Tensor)> {
    let position =
        Tensor::arange(0u32, length as u32, flow.device())?.to_dtype(DType::F32)?.reshape(shape)?;
    // Clamp first: for infinite flow, `flow - floor(flow)` would be NaN.
    let flow = flow.narrow(1, channel, 1)?.squeeze(1)?.clamp(-MAX_FLOW_PX, MAX_FLOW_PX)?;
    let whole = flow.floor()?;
    let pixel = whole.broadcast_add(&position)?;
    // Before the first pixel, the fraction is 0. Beyond the last pixel, both corners are the last
    // pixel.
    let fraction = ((flow - whole)? * pixel.ge(0f32)?.to_dtype(DType::F32)?)?;
    Ok((pixel.clamp(0f32, (length - 1) as f32)?.to_dtype(DType::U32)?, fraction))
}

/// Warps both frames: `image0` by channels 0 and 1 of `flow`, `(B, 4, H, W)`, and `image1` by
/// channels 2 and 3.
///
/// # Errors
/// As [`warp`].
pub fn warp_pair(
    image0: &Tensor,
    image1: &Tensor,
    flow: &Tensor,
) -> Result<(Tensor, Tensor), ModelError> {
    if !matches!(flow.dims(), [_, 4, _, _]) {
        return Err(ModelError::input(
            "warp_pair",
            "flow of shape (batch, 4, height, width)",
            format!("{:?}", flow.dims()),
        ));
    }
    let half = |first: usize| flow.narrow(1, first, 2).map_err(ModelError::Candle);
    Ok((warp(image0, &half(0)?)?, warp(image1, &half(2)?)?))
}

/// As [`warp_pair`], for arguments that have been validated.
pub(crate) fn sample_pair(
    image0: &Tensor,
    image1: &Tensor,
    flow: &Tensor,
) -> candle_core::Result<(Tensor, Tensor)> {
    Ok((sample(image0, &flow.narrow(1, 0, 2)?)?, sample(image1, &flow.narrow(1, 2, 2)?)?))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn ramp(b: usize, c: usize, h: usize, w: usize) -> Tensor {
        let n = (b * c * h * w) as f32;
        let values: Vec<f32> = (0..b * c * h * w).map(|i| (i * 7919 % 1009) as f32 / n).collect();
        Tensor::from_vec(values, (b, c, h, w), &Device::Cpu).unwrap()
    }

    fn constant_flow(b: usize, h: usize, w: usize, dx: f32, dy: f32) -> Tensor {
        let x = Tensor::full(dx, (b, 1, h, w), &Device::Cpu).unwrap();
        let y = Tensor::full(dy, (b, 1, h, w), &Device::Cpu).unwrap();
        Tensor::cat(&[x, y], 1).unwrap()
    }

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Scalar reference implementation in F64.
    fn warp_scalar(image: &Tensor, flow: &Tensor) -> Vec<f32> {
        let (b, c, h, w) = image.dims4().unwrap();
        let (im, fl) = (values(image), values(flow));
        let mut out = vec![0f32; b * c * h * w];
        for n in 0..b {
            for y in 0..h {
                for x in 0..w {
                    let f = |k: usize| fl[((n * 2 + k) * h + y) * w + x];
                    let sx = (x as f64 + f64::from(f(0))).clamp(0.0, (w - 1) as f64);
                    let sy = (y as f64 + f64::from(f(1))).clamp(0.0, (h - 1) as f64);
                    let (x0, y0) = (sx.floor() as usize, sy.floor() as usize);
                    let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
                    let (fx, fy) = (sx - x0 as f64, sy - y0 as f64);
                    for k in 0..c {
                        let p = |y: usize, x: usize| f64::from(im[((n * c + k) * h + y) * w + x]);
                        let above = p(y0, x0) + (p(y0, x1) - p(y0, x0)) * fx;
                        let below = p(y1, x0) + (p(y1, x1) - p(y1, x0)) * fx;
                        out[((n * c + k) * h + y) * w + x] = (above + (below - above) * fy) as f32;
                    }
                }
            }
        }
        out
    }

    #[test]
    fn zero_flow_returns_the_image_bit_for_bit() {
        let image = ramp(2, 3, 5, 7);
        let out = warp(&image, &constant_flow(2, 5, 7, 0.0, 0.0)).unwrap();
        assert_eq!(values(&out), values(&image));
    }

    #[test]
    fn integer_flow_shifts_pixels_and_repeats_the_border() {
        let image = ramp(1, 1, 1, 4);
        let v = values(&image);
        let right = warp(&image, &constant_flow(1, 1, 4, 1.0, 0.0)).unwrap();
        assert_eq!(values(&right), [v[1], v[2], v[3], v[3]]);
        let far = warp(&image, &constant_flow(1, 1, 4, -1e9, 3e8)).unwrap();
        assert_eq!(values(&far), [v[0]; 4]);
    }

    #[test]
    fn matches_the_scalar_reference_for_every_batch_item() {
        let (b, h, w) = (3, 9, 11);
        let image = ramp(b, 4, h, w);
        let flow = (ramp(b, 2, h, w).affine(1e4, -3.0)).unwrap();
        let got = values(&warp(&image, &flow).unwrap());
        for (got, expected) in got.iter().zip(warp_scalar(&image, &flow)) {
            assert!((got - expected).abs() <= 2.0 * f32::EPSILON * expected.abs().max(1.0));
        }
    }

    #[test]
    fn precision_is_the_same_at_both_edges_of_a_wide_frame() {
        let (h, w) = (2, 8192);
        let period = 8;
        let texture: Vec<f32> = (0..h * w).map(|i| (i % period) as f32 / 8.0).collect();
        let image = Tensor::from_vec(texture, (1, 1, h, w), &Device::Cpu).unwrap();
        let out = values(&warp(&image, &constant_flow(1, h, w, 1.0 / 3.0, 0.0)).unwrap());
        let (near, far) = (period, w - 2 * period);
        assert_eq!(out[near..near + period], out[far..far + period]);
    }

    #[test]
    fn infinite_flow_samples_the_border_and_nan_gives_nan() {
        let image = ramp(1, 1, 4, 4);
        let v = values(&image);
        for (flow, expected) in [(f32::INFINITY, v[15]), (f32::NEG_INFINITY, v[0])] {
            let out = warp(&image, &constant_flow(1, 4, 4, flow, flow)).unwrap();
            assert_eq!(values(&out), [expected; 16]);
        }
        let out = warp(&image, &constant_flow(1, 4, 4, f32::NAN, 0.0)).unwrap();
        assert!(values(&out).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn f16_and_wrong_shapes_are_refused() {
        let image = ramp(1, 3, 4, 4);
        let flow = constant_flow(1, 4, 4, 0.0, 0.0);
        assert!(warp(&image.to_dtype(DType::F16).unwrap(), &flow).is_err());
        assert!(warp(&image, &flow.to_dtype(DType::F16).unwrap()).is_err());
        assert!(warp(&image, &constant_flow(1, 4, 5, 0.0, 0.0)).is_err());
        assert!(warp_pair(&image, &image, &flow).is_err());
        assert!(warp(&image.squeeze(0).unwrap(), &flow).is_err());
        assert!(warp_pair(&image, &image, &flow.squeeze(0).unwrap()).is_err());
    }
}

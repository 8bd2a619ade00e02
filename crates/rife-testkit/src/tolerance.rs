//! How far a result may be from the golden one, a name and a reason each. Values are of frames in
//! [0, 1], flow in px.

/// F32 against the oracle, largest error of the image. The oracle computes in double precision;
/// F32 in another summation order is off by a few 1e-6 where flow is smooth and by some 1e-5 at
/// thin high-contrast lines.
pub const F32_IMAGE: f32 = 1e-4;

/// F32 against the oracle, largest error of any block's flow. Flow sums over the blocks and is
/// multiplied by up to 16 px per unit of a convolution's output.
pub const F32_FLOW_PX: f32 = 1e-3;

/// TF32 products with F32 sums and warp, largest error of the image: TF32 has the mantissa of F16.
pub const TF32_IMAGE: f32 = 2.0 / 255.0;

/// TF32 products with F32 sums and warp, least PSNR of the image. PyTorch's own TF32, on an H100, is
/// at 78.9 dB on the hardest of the cases held to it (4.6's ensemble).
pub const TF32_PSNR_DB: f64 = 75.0;

/// F16 convolutions with F32 warp, largest error of the image: less than two 8-bit steps.
pub const F16_IMAGE: f32 = 2.0 / 255.0;

/// F16 convolutions with F32 warp, least PSNR of the image. A half-precision sampling grid gives
/// about 50 dB.
pub const F16_PSNR_DB: f64 = 70.0;

/// F16 or TF32 at a quarter of the scale, least PSNR of the image: what is rounded off of flow there
/// counts up to 64 px, four times as much as elsewhere. The reference's own F16 is at 47.8 dB.
pub const QUARTER_SCALE_PSNR_DB: f64 = 45.0;

/// BF16 products at Winograd's points, least PSNR of all golden images together.
pub const BF16_PSNR_DB: f64 = 60.0;

/// The same of any one of them. Where motion is ambiguous, the three bits that BF16 has less than
/// F16 decide for another one at some pixels: there the error has no bound, and in a small crop they
/// count.
pub const BF16_WORST_PSNR_DB: f64 = 50.0;

/// Largest absolute difference; NaN anywhere gives NaN, which no tolerance admits.
///
/// # Panics
/// When the lengths differ.
pub fn max_error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "compared slices differ in length");
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, e| if e.is_nan() || m.is_nan() { f32::NAN } else { m.max(e) })
}

/// Peak signal-to-noise ratio of values in [0, 1], in dB; infinite when equal.
///
/// # Panics
/// When the lengths differ.
pub fn psnr_db(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared slices differ in length");
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    -10.0 * (sum / a.len() as f64).log10()
}

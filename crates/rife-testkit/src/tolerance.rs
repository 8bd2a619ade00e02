//! Named tolerances, each with its reason. Images are in [0, 1], flow is in px.

/// F32 against PyTorch, maximum error of the image. The golden values are computed in F64. F32 with
/// another summation order differs by a few 1e-6 where flow is smooth, and by some 1e-5 at thin
/// high-contrast lines.
pub const F32_IMAGE: f32 = 1e-4;

/// F32 against PyTorch, maximum error of the flow of any block. Flow accumulates over the blocks and
/// is multiplied by up to 16 px per unit of a convolution's output.
pub const F32_FLOW_PX: f32 = 1e-3;

/// TF32 products with F32 sums and F32 warp, maximum error of the image. TF32 has the mantissa of
/// F16.
pub const TF32_IMAGE: f32 = 2.0 / 255.0;

/// TF32 products with F32 sums and F32 warp, minimum PSNR of the image. PyTorch's TF32 on an H100
/// has 78.9 dB on the hardest case (4.6 with ensemble).
pub const TF32_PSNR_DB: f64 = 75.0;

/// F16 convolutions with F32 warp, maximum error of the image: two 8-bit steps.
pub const F16_IMAGE: f32 = 2.0 / 255.0;

/// F16 convolutions with F32 warp, minimum PSNR of the image. An F16 sampling grid would give about
/// 50 dB.
pub const F16_PSNR_DB: f64 = 70.0;

/// F16 or TF32 at quarter scale, minimum PSNR of the image. There, rounding errors of flow are
/// multiplied by up to 64 px, four times as much as at scale 1. The reference implementation in F16
/// has 47.8 dB.
pub const QUARTER_SCALE_PSNR_DB: f64 = 45.0;

/// BF16 products in the Winograd domain, minimum PSNR of all golden images together.
pub const BF16_PSNR_DB: f64 = 60.0;

/// BF16 products in the Winograd domain, minimum PSNR of any golden image. BF16 has three bits less
/// than F16. Where motion is ambiguous, some pixels therefore follow another motion; their error is
/// unbounded, and in a small crop they dominate.
pub const BF16_WORST_PSNR_DB: f64 = 50.0;

/// Maximum absolute difference. NaN if any value is NaN, so that every tolerance check fails.
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

/// Peak signal-to-noise ratio of values in [0, 1], in dB; infinite for equal values.
///
/// # Panics
/// When the lengths differ.
pub fn psnr_db(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared slices differ in length");
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    -10.0 * (sum / a.len() as f64).log10()
}

//! Clamping and rounding of colours.

/// F32 values of at least this are integers, so adding this to a smaller value rounds it to the
/// nearest integer without a function call.
pub(super) const INTEGERS: f32 = (1 << 23) as f32;

/// Clamps to [0, 1]; NaN becomes 0, so that a network reads only valid colours.
#[expect(clippy::manual_clamp, reason = "clamp keeps NaN")]
#[inline]
pub(super) fn unit(v: f32) -> f32 {
    v.max(0.0).min(1.0)
}

/// Rounds to the nearest sample. Truncation would darken every interpolated frame by half a step.
#[inline]
pub(super) fn quantize(v: f32, max: f32) -> f32 {
    (unit(v) * max + INTEGERS) - INTEGERS
}

//! Formatting of figures: about three significant digits, and a dash for unknown or non-finite ones.

use crate::measure::ablation::Gain;
use crate::measure::fidelity::Fidelity;
use crate::metrics::Psnr;
use crate::stats::Spread;

/// Placeholder for a missing value.
pub const NOTHING: &str = "-";

/// About three significant digits; integers keep all digits.
pub fn three(v: f64) -> String {
    let size = v.abs();
    if !v.is_finite() {
        NOTHING.into()
    } else if size == 0.0 {
        "0".into()
    } else if !(1e-4..1e7).contains(&size) {
        format!("{v:.1e}")
    } else {
        // 9.996 rounds to a figure with one more integer digit.
        let digits = (size * (1.0 + 5e-4)).log10().floor();
        let decimals = (2.0 - digits).clamp(0.0, 6.0) as usize;
        format!("{v:.decimals$}")
    }
}

/// As [`three`], or a dash if unknown.
pub fn known(v: Option<f64>) -> String {
    v.map_or_else(|| NOTHING.into(), three)
}

/// A share as a percentage, without the sign.
pub fn share(v: Option<f64>) -> String {
    known(v.map(|v| 100.0 * v))
}

/// A factor.
pub fn times(v: Option<f64>) -> String {
    match v.filter(|v| v.is_finite()) {
        Some(v) => format!("{}x", three(v)),
        None => NOTHING.into(),
    }
}

/// A relative change as a signed percentage.
pub fn change(v: f64) -> String {
    let percent = 100.0 * v;
    if !percent.is_finite() {
        return NOTHING.into();
    }
    if percent.abs() >= 1e5 {
        return format!("{percent:+.1e}%");
    }
    let decimals = usize::from(percent.abs() < 99.95);
    match format!("{percent:+.decimals$}%") {
        nothing if nothing == "-0.0%" => "+0.0%".into(),
        text => text,
    }
}

/// A gain as a signed percentage.
pub fn gain(gain: Option<&Gain>) -> String {
    gain.map_or_else(|| NOTHING.into(), |gain| change(gain.gain))
}

/// A signed difference in MiB; 0 if it rounds to nothing.
pub fn mib_more(v: Option<f64>) -> String {
    match v.filter(|v| v.is_finite()) {
        Some(v) if v.abs() < 0.05 => "0".into(),
        Some(v) if v > 0.0 => format!("+{}", three(v)),
        Some(v) => three(v),
        None => NOTHING.into(),
    }
}

/// A PSNR in dB, or ∞.
pub fn db(psnr: Psnr) -> String {
    if psnr.0 == f64::INFINITY {
        "\u{221e}".into()
    } else if psnr.0.is_finite() {
        format!("{:.1}", psnr.0)
    } else {
        NOTHING.into()
    }
}

/// An error relative to full scale, in 8-bit steps.
pub fn of_255(error: f64) -> String {
    three(255.0 * error)
}

/// PSNR and largest error.
pub fn fidelity(fidelity: Option<&Fidelity>) -> [String; 2] {
    match fidelity {
        Some(f) => [db(f.psnr_db), of_255(f.max_error)],
        None => [NOTHING.into(), NOTHING.into()],
    }
}

/// An SSIM with this many decimals.
pub fn ssim(ssim: f64, decimals: usize) -> String {
    if ssim.is_finite() { format!("{ssim:.decimals$}") } else { NOTHING.into() }
}

/// The interquartile range.
pub fn quartiles(spread: Option<&Spread>) -> String {
    match spread.filter(|s| s.p25.is_finite() && s.p75.is_finite()) {
        Some(s) => format!("{}-{}", three(s.p25), three(s.p75)),
        None => NOTHING.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_or_a_dash() {
        let cases = [
            (0.0, "0"),
            (0.01234, "0.0123"),
            (9.996, "10.0"),
            (99.97, "100"),
            (1.5, "1.50"),
            (523.4, "523"),
            (12_345.6, "12346"),
            (-0.5, "-0.500"),
            (1e300, "1.0e300"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ];
        for (v, text) in cases {
            assert_eq!(three(v), text, "{v}");
        }
        assert_eq!((change(0.0123), change(-1e-9), change(f64::NAN)), {
            ("+1.2%".into(), "+0.0%".into(), "-".into())
        });
        assert_eq!((db(Psnr(f64::INFINITY)), db(Psnr(f64::NAN))), ("\u{221e}".into(), "-".into()));
        assert_eq!((mib_more(Some(1e-9)), mib_more(Some(12.34))), ("0".into(), "+12.3".into()));
        assert_eq!((times(Some(2.0)), times(Some(f64::INFINITY))), ("2.00x".into(), "-".into()));
    }
}

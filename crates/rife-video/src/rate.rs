//! Output rates, and how they are parsed.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Rational, Result};

/// How the output frames relate to the source frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// This many output frames per source frame, evenly spaced on the timeline of the source. N
    /// source frames become ⌈N·k⌉; the last one repeats.
    Factor(Rational),
    /// A constant frame rate, whatever the timeline of the source.
    Fps(Rational),
    /// As [`Rate::Factor`], but at the frame rate of the source, so that the video becomes longer.
    Slow(Rational),
}

const MAX_FACTOR: i64 = Rate::MAX_FACTOR;
const MAX_FPS: i64 = Rate::MAX_FPS;

impl Rate {
    /// Largest factor.
    pub const MAX_FACTOR: i64 = 10_000;

    /// Highest frame rate, per second.
    pub const MAX_FPS: i64 = 10_000;

    /// Parses a factor: an integer, a fraction (`5/2`) or a decimal (`2.5`), above 1 and up to
    /// 10000.
    ///
    /// # Errors
    /// [`Error::Refused`] for anything else.
    pub fn factor(text: &str) -> Result<Self> {
        Ok(Self::Factor(parse_factor(text)?))
    }

    /// Parses a slow-motion factor; the syntax is that of [`Rate::factor`].
    ///
    /// # Errors
    /// As [`Rate::factor`].
    pub fn slow(text: &str) -> Result<Self> {
        Ok(Self::Slow(parse_factor(text)?))
    }

    /// Parses a frame rate such as `60`, `60000/1001` or `59.94` (which means 60000/1001).
    ///
    /// # Errors
    /// [`Error::Refused`] unless it is above 0 and up to 10000.
    pub fn fps(text: &str) -> Result<Self> {
        Ok(Self::Fps(parse_frame_rate(text)?))
    }

    /// Output frames per source frame, at a constant `source` rate.
    pub fn multiple(self, source: Rational) -> Rational {
        match self {
            Self::Factor(k) | Self::Slow(k) => k,
            Self::Fps(fps) => fps / source,
        }
    }

    /// Output frame rate, at a constant `source` rate.
    pub fn output_rate(self, source: Rational) -> Rational {
        match self {
            Self::Factor(k) => source * k,
            Self::Fps(fps) => fps,
            Self::Slow(_) => source,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Factor(k) => write!(f, "factor {k}"),
            Self::Fps(fps) => write!(f, "{fps} fps"),
            Self::Slow(k) => write!(f, "{k} times as slow"),
        }
    }
}

fn parse_factor(text: &str) -> Result<Rational> {
    let invalid = || {
        Error::Refused(format!(
            "expected a number above 1 and up to {MAX_FACTOR}, such as 2, 5/2 or 2.5; got \
             {text:?}"
        ))
    };
    let k = parse_rational(text).ok_or_else(invalid)?;
    if k > Rational::from(1) && k <= Rational::from(MAX_FACTOR) && *k.denom() <= MAX_FACTOR {
        Ok(k)
    } else {
        Err(invalid())
    }
}

/// Parses a frame rate. Decimals of NTSC rates (29.97) are replaced by the exact rates.
///
/// # Errors
/// [`Error::Refused`] unless it is above 0 and up to 10000.
pub fn parse_frame_rate(text: &str) -> Result<Rational> {
    let invalid = || {
        Error::Refused(format!(
            "expected frames per second above 0 and up to {MAX_FPS}, such as 60, 60000/1001 \
             or 59.94; got {text:?}"
        ))
    };
    let rate = match text.trim() {
        "23.976" | "23.98" => Rational::new(24000, 1001),
        "29.97" => Rational::new(30000, 1001),
        "47.952" | "47.95" => Rational::new(48000, 1001),
        "59.94" => Rational::new(60000, 1001),
        "119.88" => Rational::new(120_000, 1001),
        other => parse_rational(other).ok_or_else(invalid)?,
    };
    if rate > Rational::from(0) && rate <= Rational::from(MAX_FPS) && *rate.denom() <= 1_000_000 {
        Ok(rate)
    } else {
        Err(invalid())
    }
}

/// Parses `7`, `7/2` or `3.5`.
fn parse_rational(text: &str) -> Option<Rational> {
    let text = text.trim();
    if let Some((a, b)) = text.split_once('/') {
        let (a, b) = (a.trim().parse().ok()?, b.trim().parse().ok()?);
        return (b > 0).then(|| Rational::new(a, b));
    }
    let Some((whole, part)) = text.split_once('.') else {
        return i64::from_str(text).ok().map(Rational::from);
    };
    if part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) || whole.len() > 9 {
        return None;
    }
    let scale = 10i64.pow(part.len() as u32);
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: i64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    (whole >= 0).then(|| Rational::new(whole * scale + part, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(a: i64, b: i64) -> Rational {
        Rational::new(a, b)
    }

    #[test]
    fn common_spellings_of_rates_are_parsed() {
        assert_eq!(Rate::factor("2").unwrap(), Rate::Factor(r(2, 1)));
        assert_eq!(Rate::factor("5/2").unwrap(), Rate::Factor(r(5, 2)));
        assert_eq!(Rate::factor("2.5").unwrap(), Rate::Factor(r(5, 2)));
        assert_eq!(Rate::fps("59.94").unwrap(), Rate::Fps(r(60000, 1001)));
        assert_eq!(Rate::fps("24000/1001").unwrap(), Rate::Fps(r(24000, 1001)));
        for wrong in ["", "1", "0", "-2", "2/0", "x", "1/3", "1e3", "10001", "2.", "NaN", "3/-1"] {
            // "2." is accepted as 2.
            assert_eq!(Rate::factor(wrong).is_err(), wrong != "2.", "{wrong}");
        }
        for wrong in ["", "0", "-1", "1/0", "10001", "abc", "1/10000000"] {
            assert!(Rate::fps(wrong).is_err(), "{wrong}");
        }
    }
}

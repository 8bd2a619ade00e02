//! Exact fractions in JSON, as text: `1001/30000`.

use serde::{Deserialize, Deserializer, Serializer};

use crate::Rational;

/// Limit of numerators and denominators: far above any time of a video, and small enough that sums
/// of two fit 64 bits.
const MOST: i64 = 1 << 52;

pub(crate) fn to_text(value: Rational) -> String {
    format!("{}/{}", value.numer(), value.denom())
}

fn parse(text: &str) -> Option<Rational> {
    let (a, b) = text.split_once('/')?;
    let (a, b): (i64, i64) = (a.parse().ok()?, b.parse().ok()?);
    ((-MOST..=MOST).contains(&a) && (1..=MOST).contains(&b)).then(|| Rational::new(a, b))
}

pub(crate) fn serialize<S: Serializer>(value: &Rational, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&to_text(*value))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Rational, D::Error> {
    let text = String::deserialize(from)?;
    let error = || serde::de::Error::custom(format!("expected a fraction like 1/25, got {text:?}"));
    parse(&text).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fractions_that_cannot_overflow_are_read() {
        assert_eq!(parse("1001/30000"), Some(Rational::new(1001, 30000)));
        assert_eq!(parse("-1/2"), Some(Rational::new(-1, 2)));
        for wrong in ["", "1", "1/0", "1/-2", "x/2", "1/2/3", "9007199254740992/1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse(&format!("{}/1", i64::MIN)), None);
    }
}

//! The instruction set in use: the best one that the CPU supports, or a lower one on request.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that lowers the level, for tests and to isolate faults.
pub(crate) const OVERRIDE: &str = "RIFE_CPU";

/// An instruction set. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// The instructions of the compilation target.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 (F, BW, DQ and VL).
    Avx512,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The highest level that the CPU supports.
    pub(crate) fn detected() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Scalar
    }

    /// The level in use: the highest one, or the override if it is lower. Determined once.
    pub(crate) fn current() -> Self {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let value = std::env::var(OVERRIDE).ok();
            let (level, warning) = Self::lowered(Self::detected(), value.as_deref());
            if let Some(warning) = warning {
                tracing::warn!("{warning}");
            }
            level
        })
    }

    /// The level for a value of the override, and a warning if the value is invalid.
    fn lowered(detected: Self, value: Option<&str>) -> (Self, Option<String>) {
        let Some(value) = value.filter(|w| !w.is_empty()) else { return (detected, None) };
        match Self::ALL.into_iter().find(|l| l.as_str() == value) {
            Some(level) if level <= detected => (level, None),
            Some(level) => {
                let warning =
                    format!("{OVERRIDE}={level} is not supported by this CPU; using {detected}");
                (detected, Some(warning))
            }
            None => {
                let warning = format!(
                    "invalid {OVERRIDE} {value:?}: expected scalar, avx2 or avx512; using {detected}"
                );
                (detected, Some(warning))
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn override_lowers_the_level_and_an_invalid_value_warns() {
        let (scalar, avx2, avx512) = (Level::Scalar, Level::Avx2, Level::Avx512);
        for (detected, value, expected, warns) in [
            (avx512, None, avx512, false),
            (avx512, Some(""), avx512, false),
            (avx512, Some("avx2"), avx2, false),
            (avx512, Some("scalar"), scalar, false),
            (avx2, Some("avx2"), avx2, false),
            (avx2, Some("avx512"), avx2, true),
            (scalar, Some("avx2"), scalar, true),
            (avx2, Some("sse9"), avx2, true),
        ] {
            let (got, warning) = Level::lowered(detected, value);
            assert_eq!((got, warning.is_some()), (expected, warns), "{value:?}");
        }
    }
}

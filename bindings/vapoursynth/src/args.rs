//! Reads and checks the arguments of `Interpolate`.

use std::ffi::CStr;
use std::fmt::Display;
use std::str::FromStr;

use rife_runtime::{ModelVersion, Scale};
use rife_video::SceneDetector;

use crate::ffi::{Map, Node};
use crate::weights::ModelSettings;

/// The signature of the function, in VapourSynth's notation.
pub(crate) const PARAMETERS: &CStr = c"clip:vnode;factor_num:int:opt;factor_den:int:opt;\
    fps_num:int:opt;fps_den:int:opt;model:data:opt;device:data:opt;precision:data:opt;\
    scale:float:opt;ensemble:int:opt;sc:int:opt;sc_threshold:float:opt;weights:data:opt;";

/// The requested output rate: a factor or a frame rate, as numerator and denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateArg {
    Factor(i64, i64),
    Fps(i64, i64),
}

/// How scene cuts are determined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cuts {
    /// Not at all: interpolate across cuts.
    Ignored,
    /// From the properties that a scene-change filter has set. For frames without them, detect cuts
    /// with the default threshold.
    FromProps,
    /// Detected with this threshold, in percent.
    Detected(f64),
}

impl Cuts {
    /// The threshold of detection, in percent; infinity disables it.
    pub(crate) fn threshold(self) -> f64 {
        match self {
            Self::Ignored => f64::INFINITY,
            Self::FromProps => SceneDetector::DEFAULT_CUT,
            Self::Detected(threshold) => threshold,
        }
    }
}

/// The arguments.
pub(crate) struct Args {
    pub(crate) clip: Node,
    pub(crate) rate: RateArg,
    /// `None` if the script does not name a version.
    pub(crate) model: Option<ModelVersion>,
    pub(crate) settings: ModelSettings,
    pub(crate) cuts: Cuts,
    /// A file or a folder.
    pub(crate) weights: Option<String>,
}

impl Args {
    /// Reads and checks the arguments.
    ///
    /// # Errors
    /// If one is invalid.
    pub(crate) fn read(arguments: Map<'_>) -> Result<Self, String> {
        let clip = arguments.node(c"clip").ok_or("clip must be a video clip")?;
        let int = |key| arguments.int(key);
        let ints = [c"factor_num", c"factor_den", c"fps_num", c"fps_den"].map(int);
        let (sc, threshold) = (int(c"sc"), arguments.float(c"sc_threshold"));
        Ok(Self {
            clip,
            rate: rate(ints)?,
            model: choice("model", arguments.text(c"model"))?,
            settings: ModelSettings {
                device: choice("device", arguments.text(c"device"))?.unwrap_or_default(),
                precision: choice("precision", arguments.text(c"precision"))?.unwrap_or_default(),
                scale: scale(arguments.float(c"scale"))?,
                ensemble: int(c"ensemble").is_some_and(|on| on != 0),
            },
            cuts: cuts(sc, threshold)?,
            weights: arguments.text(c"weights").filter(|path| !path.is_empty()),
        })
    }
}

fn rate([factor_num, factor_den, fps_num, fps_den]: [Option<i64>; 4]) -> Result<RateArg, String> {
    match (fps_num, fps_den) {
        (None, None) => Ok(RateArg::Factor(factor_num.unwrap_or(2), factor_den.unwrap_or(1))),
        (Some(num), den) => Ok(RateArg::Fps(num, den.unwrap_or(1))),
        (None, Some(_)) => Err("fps_den requires fps_num".to_owned()),
    }
}

/// Parses text that names one of several choices.
fn choice<T: FromStr<Err: Display>>(name: &str, text: Option<String>) -> Result<Option<T>, String> {
    text.map(|text| text.parse().map_err(|error| format!("{name}: {error}"))).transpose()
}

fn scale(factor: Option<f64>) -> Result<Scale, String> {
    let factor = factor.unwrap_or(1.0);
    let found = Scale::ALL.into_iter().find(|scale| scale.factor() == factor);
    found.ok_or_else(|| format!("scale must be 0.25, 0.5, 1, 2 or 4, got {factor}"))
}

fn cuts(sc: Option<i64>, threshold: Option<f64>) -> Result<Cuts, String> {
    match (sc, threshold) {
        (_, Some(threshold)) if !(0.0..=100.0).contains(&threshold) => {
            Err(format!("sc_threshold must be 0 to 100 (percent), got {threshold}"))
        }
        (Some(0), _) => Ok(Cuts::Ignored),
        (_, None) => Ok(Cuts::FromProps),
        (_, Some(threshold)) => Ok(Cuts::Detected(threshold)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::Device;

    #[test]
    fn rate_is_a_factor_unless_fps_is_given() {
        assert_eq!(rate([None; 4]), Ok(RateArg::Factor(2, 1)));
        assert_eq!(rate([Some(5), Some(2), None, None]), Ok(RateArg::Factor(5, 2)));
        assert_eq!(rate([Some(5), None, Some(60), None]), Ok(RateArg::Fps(60, 1)));
        assert_eq!(rate([None, None, Some(60_000), Some(1001)]), Ok(RateArg::Fps(60_000, 1001)));
        assert!(rate([None, None, None, Some(1001)]).is_err());
    }

    #[test]
    fn cuts_follow_properties_unless_a_threshold_is_given() {
        assert_eq!(cuts(None, None), Ok(Cuts::FromProps));
        assert_eq!(cuts(Some(1), None), Ok(Cuts::FromProps));
        assert_eq!(cuts(None, Some(30.0)), Ok(Cuts::Detected(30.0)));
        assert_eq!(cuts(Some(0), Some(30.0)), Ok(Cuts::Ignored));
        for wrong in [-1.0, 100.5, f64::NAN, f64::INFINITY] {
            assert!(cuts(None, Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(Cuts::FromProps.threshold(), SceneDetector::DEFAULT_CUT);
        assert!(Cuts::Ignored.threshold().is_infinite());
    }

    #[test]
    fn invalid_choice_is_refused_with_the_name_of_the_argument() {
        let error = choice::<Device>("device", Some("gpu".into())).unwrap_err();
        assert!(error.starts_with("device: ") && error.contains("gpu"), "{error}");
        let error = choice::<ModelVersion>("model", Some("5".into())).unwrap_err();
        assert!(error.starts_with("model: ") && error.contains("4.26"), "{error}");
        assert!(scale(Some(0.3)).unwrap_err().contains("0.3"));
        assert_eq!(scale(None), Ok(Scale::One));
    }
}

//! Static HDR metadata.

use std::collections::BTreeMap;

/// HDR metadata of a video.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hdr {
    /// Mastering display.
    pub mastering: Option<MasteringDisplay>,
    /// Maximum content light level and maximum frame-average light level, in cd/m².
    pub content_light: Option<(u32, u32)>,
    /// Dolby Vision profile.
    pub dolby_vision: Option<u32>,
}

impl Hdr {
    /// Fills missing values from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            mastering: self.mastering.or(other.mastering),
            content_light: self.content_light.or(other.content_light),
            dolby_vision: self.dolby_vision.or(other.dolby_vision),
        }
    }
}

/// Mastering display, see SMPTE ST 2086.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MasteringDisplay {
    /// Chromaticities (x, y) of red, green, blue and white.
    pub primaries: [[f64; 2]; 4],
    /// Minimum and maximum luminance, in cd/m².
    pub luminance: [f64; 2],
}

impl std::fmt::Display for MasteringDisplay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.luminance;
        for (name, [x, y]) in ["R", "G", "B", "W"].iter().zip(self.primaries) {
            write!(f, "{name}({x:.3},{y:.3}) ")?;
        }
        write!(f, "{low:.4}-{high:.0} cd/m²")
    }
}

/// HDR metadata in the side data of a frame.
pub(super) fn hdr_from_frame(frame: &serde_json::Value) -> Hdr {
    let list = frame.get("side_data_list").cloned().unwrap_or_default();
    hdr_from_side_data(&serde_json::from_value::<Vec<_>>(list).unwrap_or_default())
}

pub(super) fn hdr_from_side_data(side_data: &[BTreeMap<String, serde_json::Value>]) -> Hdr {
    let mut hdr = Hdr::default();
    for data in side_data {
        let number = |key: &str| -> Option<f64> {
            match data.get(key)? {
                serde_json::Value::Number(n) => n.as_f64(),
                serde_json::Value::String(text) => {
                    let (a, b) = text.split_once('/')?;
                    Some(a.parse::<f64>().ok()? / b.parse::<f64>().ok()?)
                }
                _ => None,
            }
        };
        let profile = || Some(number("dv_profile")? as u32);
        hdr.dolby_vision = hdr.dolby_vision.or_else(profile);
        let mastering = || {
            let point = |name: &str| -> Option<[f64; 2]> {
                Some([number(&format!("{name}_x"))?, number(&format!("{name}_y"))?])
            };
            Some(MasteringDisplay {
                primaries: [point("red")?, point("green")?, point("blue")?, point("white_point")?],
                luminance: [number("min_luminance")?, number("max_luminance")?],
            })
        };
        hdr.mastering = hdr.mastering.or_else(mastering);
        let light = || Some((number("max_content")? as u32, number("max_average")? as u32));
        hdr.content_light = hdr.content_light.or_else(light);
    }
    hdr
}

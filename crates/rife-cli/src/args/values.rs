//! Parsers of argument values.

use rife_model::UnknownScale;
use rife_runtime::ModelVersion;
use rife_video::{Rate, Rational};

use super::{ScaleChoice, Versions};

pub(super) fn versions(s: &str) -> Result<Versions, String> {
    match s {
        "all" => Ok(Versions::All),
        _ => match s.parse::<ModelVersion>() {
            Ok(version) => Ok(Versions::One(version)),
            Err(_) => {
                let names = ModelVersion::ALL.map(ModelVersion::as_str).join(", ");
                Err(format!("expected {names} or all"))
            }
        },
    }
}

pub(super) fn factor(s: &str) -> Result<Rational, String> {
    match Rate::factor(s) {
        Ok(Rate::Factor(k)) => Ok(k),
        Ok(_) => Err("expected a factor".into()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn fps(s: &str) -> Result<Rational, String> {
    rife_video::parse_frame_rate(s).map_err(|error| error.to_string())
}

pub(super) fn number(s: &str) -> Result<f64, String> {
    s.parse().map_err(|_| "expected a number".to_owned())
}

pub(super) fn time(s: &str) -> Result<Rational, String> {
    rife_video::parse_time(s).map_err(|error| error.to_string())
}

pub(super) fn duration(s: &str) -> Result<Rational, String> {
    match time(s)? {
        duration if duration > Rational::from(0) => Ok(duration),
        _ => Err("expected more than 0 s".into()),
    }
}

pub(super) fn scale(s: &str) -> Result<ScaleChoice, String> {
    match s {
        "auto" => Ok(ScaleChoice::Auto),
        _ => s.parse().map(ScaleChoice::Fixed).map_err(|error: UnknownScale| error.to_string()),
    }
}

pub(super) fn percent(s: &str) -> Result<f64, String> {
    match s.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected a number from 0 to 100".into()),
    }
}

/// The longest hold of a drawing, in frames.
pub(super) fn hold(s: &str) -> Result<usize, String> {
    match s.parse::<usize>() {
        Ok(frames) if (2..=30).contains(&frames) => Ok(frames),
        _ => Err("expected a number of frames from 2 to 30".into()),
    }
}

/// A number of bytes with an optional binary unit: 512M, 2G, 1.5GiB.
pub(super) fn bytes(s: &str) -> Result<u64, String> {
    let text = s.trim().trim_end_matches(['b', 'B']).trim_end_matches(['i', 'I']);
    let (digits, unit) = match text.char_indices().last() {
        Some((index, unit)) if unit.is_ascii_alphabetic() => {
            (&text[..index], unit.to_ascii_uppercase())
        }
        _ => (text, ' '),
    };
    let shift = match unit {
        ' ' => 0,
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => 64,
    };
    match digits.trim().parse::<f64>() {
        Ok(n) if shift < 64 && n > 0.0 && n * 2f64.powi(shift) < 2f64.powi(50) => {
            Ok((n * 2f64.powi(shift)) as u64)
        }
        _ => Err("expected a number of bytes such as 512M or 2G".into()),
    }
}

pub(super) fn timestep(s: &str) -> Result<f32, String> {
    match s.parse::<f32>() {
        Ok(t) if t > 0.0 && t < 1.0 => Ok(t),
        _ => Err("expected a number in (0, 1)".into()),
    }
}

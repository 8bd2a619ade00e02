//! Round figures along an axis.

use super::drawable;

/// About so many round figures, 1, 2 or 5 times a power of ten apart, the first at or below the
/// least value and the last at or above the largest.
pub fn linear(least: f64, largest: f64, about: usize) -> Vec<f64> {
    if !drawable(least) || !drawable(largest) || least >= largest {
        return vec![0.0, 1.0];
    }
    let rough = (largest - least) / about.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|s| s * power).find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((least / step + 1e-9).floor(), (largest / step - 1e-9).ceil());
    // Between figures that hardly differ for their size no step can be told.
    if !(1.0..=100.0).contains(&(last - first)) {
        return vec![least, largest];
    }
    (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect()
}

/// Round figures, 1, 2 and 5 times powers of ten, from at or below the least to at or above the
/// largest; powers of ten alone where those would be many.
pub fn logarithmic(least: f64, largest: f64) -> Vec<f64> {
    if !drawable(least) || !drawable(largest) || least <= 0.0 || least > largest {
        return vec![1.0, 10.0];
    }
    let (low, high) = (least.log10().floor() as i32, largest.log10().ceil() as i32);
    let steps: &[f64] = if high - low > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let all = (low..=high).flat_map(|power| steps.iter().map(move |s| s * 10f64.powi(power)));
    let all: Vec<f64> = all.collect();
    let first = all.iter().rposition(|tick| *tick <= least * 1.0001).unwrap_or(0);
    let last = all.iter().position(|tick| *tick >= largest * 0.9999).unwrap_or(all.len() - 1);
    let kept: Vec<f64> = all.get(first..=last.max(first)).unwrap_or(&[]).to_vec();
    match kept[..] {
        [one] => vec![one / 2.0, one, one * 2.0],
        _ => kept,
    }
}

/// A tick's text, without digits that say nothing.
pub fn label(v: f64) -> String {
    if v.abs() >= 1e4 {
        let (scaled, unit) = if v.abs() >= 1e6 { (v / 1e6, "M") } else { (v / 1e3, "k") };
        return format!("{}{unit}", label_small(scaled));
    }
    label_small(v)
}

fn label_small(v: f64) -> String {
    let text = format!("{v:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(linear(0.0, 523.0, 5), [0.0, 200.0, 400.0, 600.0]);
        assert_eq!(linear(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(linear(-3.0, 8.0, 4), [-5.0, 0.0, 5.0, 10.0]);
        assert_eq!(linear(f64::NAN, 1.0, 5), [0.0, 1.0]);
        assert_eq!(linear(2.0, 2.0, 5), [0.0, 1.0]);
        assert_eq!(logarithmic(0.3, 12.0), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(logarithmic(10.0, 10.0), [5.0, 10.0, 20.0]);
        assert_eq!(logarithmic(0.0, 10.0), [1.0, 10.0]);
        assert_eq!(["0", "0.2", "600", "12k", "2.5M"], {
            [0.0, 0.2, 600.0, 12_000.0, 2.5e6].map(label)
        });
    }

    proptest! {
        #[test]
        fn ticks_enclose_what_they_are_for(a in -1e12f64..1e12, b in 1e-9f64..1e12) {
            let ticks = linear(a, a + b, 5);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= 102);
            prop_assert!(ticks.windows(2).all(|w| w[0] <= w[1]));
            let ticks = logarithmic(b, b * 3.0);
            prop_assert!(ticks[0] <= b * 1.001 && *ticks.last().expect("some") >= b * 2.999);
        }

        #[test]
        fn whatever_is_asked_for_there_are_ticks(a in any::<f64>(), b in any::<f64>()) {
            prop_assert!(linear(a, b, 5).len() >= 2);
            prop_assert!(logarithmic(a, b).len() >= 2);
        }
    }
}

//! Start timecodes (SMPTE ST 12), and their conversion to another frame rate.

use std::fmt;

use crate::Rational;

/// A timecode `HH:MM:SS:FF`; drop-frame timecodes have a semicolon before the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timecode {
    hours: i64,
    minutes: i64,
    seconds: i64,
    frames: i64,
    drop: bool,
}

/// A timecode converted to another rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Converted {
    /// Labels the same moment.
    Exact(Timecode),
    /// Labels the nearest frame, as no frame falls on the moment itself.
    Nearest(Timecode),
    /// No timecode is valid at this rate.
    None,
}

/// Nominal frame rates of timecodes (ST 12-1 and ST 12-3) with two digits for frames.
const NOMINAL: [i64; 9] = [24, 25, 30, 48, 50, 60, 72, 96, 100];

impl Timecode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rest, frames) = text.trim().rsplit_once([':', ';', '.'])?;
        let drop = text.contains([';', '.']);
        let mut parts = rest.split(':').map(|part| part.parse::<i64>().ok().filter(|n| *n >= 0));
        let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
        let frames = frames.parse().ok().filter(|n| *n >= 0)?;
        let sane = parts.next().is_none() && hours < 100 && minutes < 60 && seconds < 60;
        sane.then_some(Self { hours, minutes, seconds, frames, drop })
    }

    /// The timecode of a later frame, at `rate` frames per second; `None` if this one is not valid at
    /// that rate.
    pub(super) fn later(self, frames: i64, rate: Rational) -> Option<Self> {
        let nominal = rate.round().to_integer();
        let dropped = match self.drop {
            true if nominal > 0 && nominal % 30 == 0 => nominal / 15,
            true => return None,
            false => 0,
        };
        if nominal <= 0 || self.frames >= nominal {
            return None;
        }
        // Drop-frame timecode skips labels at the start of every minute but each tenth.
        let minutes = self.hours * 60 + self.minutes;
        let labels = (minutes * 60 + self.seconds) * nominal + self.frames;
        let (minute, ten_minutes) = (nominal * 60 - dropped, nominal * 600 - dropped * 9);
        let number = labels - dropped * (minutes - minutes / 10) + frames;
        let number = number.rem_euclid(ten_minutes * 6 * 24);
        let (tens, rest) = (number / ten_minutes, number % ten_minutes);
        // The first minute of ten is complete.
        let skips = if rest < nominal * 60 { 0 } else { (rest - nominal * 60) / minute + 1 };
        let labels = number + dropped * (tens * 9 + skips);
        let seconds = labels / nominal;
        Some(Self {
            hours: seconds / 3600,
            minutes: seconds / 60 % 60,
            seconds: seconds % 60,
            frames: labels % nominal,
            drop: self.drop,
        })
    }

    /// Converts a timecode from rate `from` to rate `to`, in frames per second.
    pub(super) fn at_rate(self, from: Rational, to: Rational) -> Converted {
        if from == to {
            return Converted::Exact(self);
        }
        let (old, new) = (from.round().to_integer(), to.round().to_integer());
        let valid = NOMINAL.contains(&new) && old > 0 && self.frames < old;
        // Both must run at the same speed relative to the clock, or labels drift apart.
        let same_clock = from * new == to * old;
        let drops = !self.drop || old % 30 == 0 && matches!(new, 30 | 60) && !to.is_integer();
        if !valid || !same_clock || !drops {
            return Converted::None;
        }
        let frames = Rational::new(self.frames * new, old);
        let nearest = frames.round().to_integer().min(new - 1);
        let mut at = Self { frames: nearest, ..self };
        // In drop-frame timecode, most minutes lack the first labels.
        let dropped = new / 15;
        if at.drop && at.seconds == 0 && at.minutes % 10 != 0 && at.frames < dropped {
            at.frames = dropped;
        }
        match frames == Rational::from(at.frames) {
            true => Converted::Exact(at),
            false => Converted::Nearest(at),
        }
    }
}

impl fmt::Display for Timecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hours, minutes, seconds, frames, drop } = self;
        let mark = if *drop { ';' } else { ':' };
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}{mark}{frames:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converted_timecodes_label_the_same_moment() {
        let ntsc = Rational::new(30000, 1001);
        let film = Rational::new(24000, 1001);
        let whole = Rational::from;
        for (text, from, to, expected) in [
            ("01:00:00:15", whole(30), whole(60), Some("01:00:00:30")),
            ("01:00:00:15", whole(30), whole(24), Some("01:00:00:12")),
            ("00:59:59:24", whole(25), whole(50), Some("00:59:59:48")),
            ("01:00:00:15", whole(30), whole(30), Some("01:00:00:15")),
            ("01:00:00;00", ntsc, ntsc * 2, Some("01:00:00;00")),
            ("00:01:00;02", ntsc, ntsc * 2, Some("00:01:00;04")),
            ("01:02:03:10", ntsc, ntsc * 2, Some("01:02:03:20")),
            ("01:02:03:12", film, ntsc, Some("01:02:03:15")),
            // No label exists, or labels would drift apart.
            ("01:00:00;00", ntsc, ntsc * Rational::new(5, 2), None),
            ("01:00:00;00", ntsc, whole(60), None),
            ("01:00:00:00", ntsc, whole(60), None),
            ("01:00:00:00", whole(30), whole(120), None),
            ("01:00:00:00", whole(25), whole(75), None),
            ("01:00:00:40", whole(25), whole(50), None),
        ] {
            let code = Timecode::parse(text).unwrap();
            let converted = match code.at_rate(from, to) {
                Converted::Exact(code) => Some(code.to_string()),
                other => {
                    assert_eq!(other, Converted::None, "{text} from {from} to {to}");
                    None
                }
            };
            assert_eq!(converted.as_deref(), expected, "{text} from {from} to {to}");
        }
    }

    #[test]
    fn later_frames_are_labelled_in_order() {
        let (ntsc, pal) = (Rational::new(30000, 1001), Rational::from(25));
        for (text, frames, rate, expected) in [
            ("01:00:00:20", 10, pal, Some("01:00:01:05")),
            ("23:59:59:24", 1, pal, Some("00:00:00:00")),
            ("00:00:59;29", 1, ntsc, Some("00:01:00;02")),
            ("00:09:59;29", 1, ntsc, Some("00:10:00;00")),
            ("00:10:00;00", 17_982, ntsc, Some("00:20:00;00")),
            ("00:00:00;00", 107_892, ntsc, Some("01:00:00;00")),
            ("00:01:59:29", 1, ntsc, Some("00:02:00:00")),
            ("00:01:59;29", 1, ntsc * 2, Some("00:01:59;30")),
            ("00:00:00;00", 1, pal, None),
            ("00:00:00:25", 1, pal, None),
        ] {
            let later = Timecode::parse(text).unwrap().later(frames, rate);
            assert_eq!(later.map(|code| code.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn moment_between_two_labels_gets_the_nearest() {
        let code = Timecode::parse("10:00:00:07").unwrap();
        let converted = code.at_rate(Rational::from(25), Rational::from(60));
        assert_eq!(converted, Converted::Nearest(Timecode::parse("10:00:00:17").unwrap()));
    }

    #[test]
    fn invalid_timecodes_are_refused() {
        for text in ["", "1", "01:00:00", "aa:00:00:00", "01:00:61:00", "01:-1:00:00", "1:2:3:4:5"]
        {
            assert_eq!(Timecode::parse(text), None, "{text}");
        }
        assert_eq!(Timecode::parse("01:00:00.10").unwrap().to_string(), "01:00:00;10");
    }
}

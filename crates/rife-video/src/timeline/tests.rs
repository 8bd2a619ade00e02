use super::*;
use proptest::prelude::*;

fn r(a: i64, b: i64) -> Rational {
    Rational::new(a, b)
}

fn run(rate: Rate, times: &[Rational], last: Rational, base: Rational) -> Vec<OutputFrame> {
    let mut line = Timeline::new(rate, base).unwrap();
    let mut all = Vec::new();
    for pair in times.windows(2) {
        all.extend(line.pair(pair[0], pair[1]));
    }
    all.extend(line.last(*times.last().unwrap(), last));
    assert_eq!(line.frame_count() as usize, all.len());
    all
}

#[test]
fn factor_outputs_n_times_k_frames_and_repeats_the_last() {
    let times: Vec<_> = (0..4).map(|i| r(i * 1001, 30000)).collect();
    let all = run(Rate::Factor(r(2, 1)), &times, r(1001, 30000), r(1001, 30000));
    let at: Vec<_> = all.iter().map(|o| o.position).collect();
    use Position::{Between as B, Frame as F, Repeat as H};
    assert_eq!(at, [F, B(0.5), F, B(0.5), F, B(0.5), F, H]);
    // A tick is 1/60000 s.
    assert_eq!(all[1].ticks, 1001);
    assert_eq!(all[7].ticks, 7 * 1001);

    let all = run(Rate::Factor(r(5, 2)), &times, r(1001, 30000), r(1001, 30000));
    assert_eq!(all.len(), 10);
    assert_eq!(all.iter().map(|o| o.ticks).collect::<Vec<_>>()[..3], [0, 2 * 1001, 4 * 1001]);
    assert_eq!(all[5].position, F);
    assert_eq!(all[1].position, B(0.4));
}

#[test]
fn output_without_repeats_ends_at_the_last_source_frame() {
    let base = r(1, 25);
    for (rate, multiple, frames, expected) in [
        (Rate::Factor(r(2, 1)), r(2, 1), 4, 7),
        (Rate::Factor(r(5, 2)), r(5, 2), 4, 8),
        (Rate::Slow(r(3, 1)), r(3, 1), 1, 1),
        (Rate::Fps(r(60, 1)), r(60, 25), 4, 8),
        (Rate::Fps(r(10, 1)), r(10, 25), 4, 2),
    ] {
        let mut line = Timeline::new(rate, base).unwrap().with_hold_last(false);
        let mut all = Vec::new();
        for i in 0..frames - 1 {
            all.extend(line.pair(base * i, base * (i + 1)));
        }
        all.extend(line.last(base * (frames - 1), base));
        assert_eq!(all.len(), expected, "{rate}");
        assert_eq!(line.count(frames as u64, multiple), expected as u64, "{rate}");
        assert!(all.iter().all(|o| o.position != Position::Repeat), "{rate}");
        let (start, end) = line.last_frame().unwrap();
        assert!(start == all.last().unwrap().ticks && end > start, "{rate}");
    }
}

#[test]
fn factor_keeps_a_variable_timeline() {
    let times = [r(5, 1000), r(38, 1000), r(138, 1000)];
    let all = run(Rate::Factor(r(2, 1)), &times, r(40, 1000), r(1, 1000));
    let ticks: Vec<_> = all.iter().map(|o| o.ticks).collect();
    assert_eq!(ticks, [0, 33, 66, 166, 266, 306]);
}

#[test]
fn fps_is_constant_for_a_variable_source() {
    let times = [r(0, 1), r(1, 10), r(1, 2)];
    let all = run(Rate::Fps(r(10, 1)), &times, r(1, 10), r(1, 1000));
    let ticks: Vec<_> = all.iter().map(|o| o.ticks).collect();
    // In ticks of the source, 1/1000 s, so that any start can be kept.
    assert_eq!(ticks, [0, 100, 200, 300, 400, 500]);
    assert_eq!(all[2].position, Position::Between(0.25));
    assert_eq!(all[5].position, Position::Frame);
    // Fewer output frames than source frames.
    let times: Vec<_> = (0..50).map(|i| r(i, 50)).collect();
    let all = run(Rate::Fps(r(25, 1)), &times, r(1, 50), r(1, 50));
    assert_eq!(all.len(), 25);
    assert!(all.iter().all(|o| o.position == Position::Frame));
}

#[test]
fn slow_motion_keeps_the_rate() {
    let times: Vec<_> = (0..3).map(|i| r(i, 25)).collect();
    let all = run(Rate::Slow(r(4, 1)), &times, r(1, 25), r(1, 25));
    assert_eq!(all.len(), 12);
    let mut line = Timeline::new(Rate::Slow(r(4, 1)), r(1, 25)).unwrap();
    line.pair(r(0, 1), r(1, 25));
    for (i, o) in all.iter().enumerate() {
        assert_eq!(line.tick() * o.ticks, r(i as i64, 25));
    }
}

#[test]
fn fps_keeps_the_duration_of_the_source() {
    let ntsc = |rate: i64| r(rate * 1000, 1001);
    for (source, frames, target, output_frames) in [
        (r(30, 1), 50, r(60, 1), 100),
        (r(25, 1), 50, r(60, 1), 120),
        (r(24, 1), 48, ntsc(24), 48),
        (ntsc(24), 48, r(60, 1), 121),
        (ntsc(30), 30, ntsc(60), 60),
        (ntsc(30), 30, r(60, 1), 61),
        (r(60, 1), 1, r(10, 1), 1),
        (r(9973, 7), 100, r(9973, 14), 50),
    ] {
        let times: Vec<_> = (0..frames).map(|i| r(i, 1) / source).collect();
        let all = run(Rate::Fps(target), &times, source.recip(), source.recip());
        assert_eq!(all.len(), output_frames, "{frames} frames from {source} to {target}");
    }
    // An end that is rounded up to a microsecond or a millisecond adds no frame.
    for unit in [1_000_000, 1000] {
        let times: Vec<_> = (0..50).map(|i| r(i, 30)).collect();
        let end = r((5 * unit + 2) / 3, unit);
        let mut line = Timeline::new(Rate::Fps(r(60, 1)), r(1, unit)).unwrap();
        line = line.with_end_rounding(r(1, unit));
        for pair in times.windows(2) {
            line.pair(pair[0], pair[1]);
        }
        line.last(times[49], end - times[49]);
        assert_eq!(line.frame_count(), 100, "in 1/{unit} s");
    }
}

#[test]
fn fps_ticks_express_any_start_of_the_source() {
    for (fps, base) in [
        (r(60, 1), r(1, 90_000)),
        (r(10, 1), r(1, 12_800)),
        (r(60_000, 1001), r(1, 1000)),
        (r(50, 1), r(1001, 30_000)),
    ] {
        let tick = Timeline::new(Rate::Fps(fps), base).unwrap().tick();
        assert!((base / tick).is_integer(), "{base} in ticks of {tick}");
        assert!((fps.recip() / tick).is_integer(), "{fps} in ticks of {tick}");
    }
    // Without a common tick that fits a container, the tick is still fine.
    let tick = Timeline::new(Rate::Fps(r(59, 1)), r(1, 999_999_937)).unwrap().tick();
    assert!(tick < r(1, 80_000) && (r(1, 59) / tick).is_integer());
}

#[test]
fn shortest_interval_is_between_the_closest_frames() {
    let mut line = Timeline::new(Rate::Factor(r(2, 1)), r(1, 1000)).unwrap();
    assert_eq!(line.shortest_interval(), None);
    line.pair(r(0, 1), r(40, 1000));
    line.pair(r(40, 1000), r(41, 1000));
    line.last(r(41, 1000), r(40, 1000));
    assert_eq!(line.shortest_interval(), Some(r(1, 2000)));
}

/// Rates of sources and targets.
fn any_rate() -> impl Strategy<Value = Rational> {
    prop_oneof![
        (1i64..=240).prop_map(Rational::from),
        (1i64..=240).prop_map(|rate| r(rate * 1000, 1001)),
        (1i64..=10_000_000, 1i64..=1_000_000)
            .prop_map(|(a, b)| r(a, b))
            .prop_filter("up to 10000 fps", |rate| *rate <= r(10_000, 1)),
    ]
}

proptest! {
    #[test]
    fn times_increase_and_frames_are_counted(
        steps in prop::collection::vec(1i64..5000, 1..40),
        p in 2i64..40, q in 1i64..8, base in 1i64..100_000,
    ) {
        prop_assume!(p > q);
        let mut ticks = 0;
        let times: Vec<_> = steps.iter().map(|s| { ticks += s; r(ticks, base) }).collect();
        let k = r(p, q);
        let all = run(Rate::Factor(k), &times, r(40, base), r(1, base));
        let n = times.len() as i64;
        prop_assert_eq!(all.len() as i64, (k * n).ceil().to_integer());
        prop_assert!(all.windows(2).all(|w| w[0].ticks < w[1].ticks));
        // Every source frame that coincides with an output frame passes through.
        let whole = (0..all.len() as i64).filter(|j| (r(*j, 1) / k).is_integer()).count();
        prop_assert_eq!(all.iter().filter(|o| o.position == Position::Frame).count(), whole);
    }

    #[test]
    fn fps_length_is_within_one_frame_and_exact_where_possible(
        rate in any_rate(), target in any_rate(), frames in 1i64..400,
    ) {
        // In ticks of the source's rate, as in most containers.
        let times: Vec<_> = (0..frames).map(|i| r(i, 1) / rate).collect();
        let output_frames = run(Rate::Fps(target), &times, rate.recip(), rate.recip()).len() as i64;
        let source = Wide::from(i128::from(frames)) / wide(rate);
        let output = Wide::from(i128::from(output_frames)) / wide(target);
        let frame = wide(target).recip();
        prop_assert!(output - source < frame && source - output < frame);
        let exact = source * wide(target);
        if exact.is_integer() {
            prop_assert_eq!(i128::from(output_frames), exact.to_integer());
        }
    }

    #[test]
    fn fps_length_is_right_for_times_rounded_to_milliseconds(
        rate in 1i64..=120, target in any_rate(), frames in 1i64..400,
    ) {
        // A variable rate according to the container: neither the times nor the end are exact.
        let millis = |time: Rational| (time * 1000).round() / 1000;
        let times: Vec<_> = (0..frames).map(|i| millis(r(i, rate))).collect();
        let end = millis(r(frames, rate));
        let output_frames =
            run(Rate::Fps(target), &times, end - times[times.len() - 1], r(1, 1000)).len();
        let output = Wide::from(output_frames as i128) / wide(target);
        let frame = wide(target).recip();
        prop_assert!(output - wide(end) < frame && wide(end) - output < frame);
    }
}

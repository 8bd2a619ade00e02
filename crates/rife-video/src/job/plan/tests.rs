//! A segment sees what it would see in the whole video.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ffmpeg::ScannedFrame;
use crate::timeline::OutputFrame;
use crate::{ContainerTiming, Rate, Timeline};

fn r(a: i64, b: i64) -> Rational {
    Rational::new(a, b)
}

fn timing() -> ContainerTiming {
    ContainerTiming {
        time_base: r(1, 1000),
        rate: None,
        frame_time: r(1, 25),
        frames: None,
        end: None,
        origin: None,
        fields: false,
    }
}

/// Frames `steps` ms apart.
fn frames(steps: &[i64]) -> Vec<ScannedFrame> {
    let mut at = 7;
    let mut all = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let time = r(at, 1000);
        let checksum = number as u32;
        all.push(ScannedFrame {
            stated: Some(time),
            time,
            duration: Some(r(*step, 1000)),
            checksum,
        });
        at += step;
    }
    all
}

/// The output frames of the pairs from source frame `from` to `last`, as a run makes them.
fn outputs(
    timeline: &mut Timeline,
    frames: &[ScannedFrame],
    [from, last]: [usize; 2],
) -> Vec<OutputFrame> {
    let mut all = Vec::new();
    for at in from..last {
        all.extend(timeline.pair(frames[at].time, frames[at + 1].time));
    }
    if last + 1 == frames.len() {
        all.extend(timeline.last(frames[last].time, frames[last].duration.unwrap()));
    }
    all
}

fn rates() -> impl Strategy<Value = Rate> {
    prop_oneof![
        (3i64..12, 1i64..4).prop_map(|(a, b)| Rate::Factor(r(a, b).max(r(3, 2)))),
        (3i64..12, 1i64..4).prop_map(|(a, b)| Rate::Slow(r(a, b).max(r(3, 2)))),
        (1i64..90, 1i64..3).prop_map(|(a, b)| Rate::Fps(r(a, b))),
    ]
}

fn options(per_segment: i64, seek: Option<ContainerTiming>) -> LayoutOptions<'static> {
    LayoutOptions {
        per_segment,
        extension: "mp4",
        seek,
        checksums: true,
        frame_time: r(1, 25),
        longest_hold: 1,
    }
}

proptest! {
    #[test]
    fn segments_have_the_output_frames_of_the_whole(
        steps in proptest::collection::vec(1i64..90, 1..200),
        rate in rates(),
        per_segment in 1i64..60,
        hold_last: bool,
    ) {
        let frames = frames(&steps);
        let timeline =
            || Timeline::new(rate, r(1, 1000)).unwrap().with_hold_last(hold_last);
        let whole = outputs(&mut timeline(), &frames, [0, frames.len() - 1]);
        let layout =
            lay_out(&frames, timeline(), &options(per_segment, Some(timing())));
        let layout = layout.unwrap();
        prop_assert_eq!(layout.timeline.output_frames, whole.len() as i64);
        let mut next = 0;
        for segment in &layout.segments {
            let source = &segment.source;
            prop_assert_eq!(segment.first_frame, next);
            next += segment.frames;
            let range = [source.decode_from as usize, source.last as usize];
            prop_assert_eq!(source.time, frames[range[0]].time);
            let mut line =
                timeline().starting_at(frames[0].time, source.decode_from, source.frames_before);
            let made = outputs(&mut line, &frames, range);
            let skipped = (segment.first_frame - source.frames_before) as usize;
            let made = &made[skipped..][..segment.frames as usize];
            let wanted = &whole[segment.first_frame as usize..next as usize];
            prop_assert_eq!(made, wanted);
            prop_assert_eq!(made[0].ticks, segment.first_tick);
            prop_assert_eq!(made[made.len() - 1].ticks, segment.last_tick);
            // Enough for scene detection before the first pair, or the start.
            prop_assert!(source.decode_from == 0 || source.first - source.decode_from >= 32);
            if let Some(micros) = source.seek_us {
                let [before, here] = [range[0] - 1, range[0]].map(|at| frames[at].time * 1_000_000);
                prop_assert!(before < r(micros, 1) && r(micros, 1) < here);
            }
        }
        prop_assert_eq!(next, layout.timeline.output_frames);
    }
}

#[test]
fn frames_whose_time_depends_on_earlier_ones_are_not_sought() {
    let mut frames = frames(&[40; 200]);
    // Stated times that do not increase, as in damaged files, are corrected.
    for frame in frames.iter_mut().take(90).skip(20) {
        frame.stated = Some(r(0, 1));
    }
    let timeline = Timeline::new(Rate::Factor(r(2, 1)), r(1, 1000)).unwrap();
    let layout = |seek| lay_out(&frames, timeline.clone(), &options(50, seek)).unwrap().segments;
    let sources: Vec<_> = layout(Some(timing())).into_iter().map(|one| one.source).collect();
    let sought: Vec<_> = sources.iter().filter(|source| source.seek_us.is_some()).collect();
    assert!(sought.iter().all(|source| !(20..90).contains(&source.decode_from)), "{sought:?}");
    // An earlier frame serves as well.
    assert!(sought.iter().any(|source| source.decode_from == 19), "{sought:?}");
    assert!(sources.last().unwrap().seek_us.is_some());
    assert!(layout(None).iter().all(|one| one.source.seek_us.is_none()));
}

fn plan() -> JobPlan {
    let timeline = Timeline::new(Rate::Factor(r(2, 1)), r(1, 1000)).unwrap();
    let layout = lay_out(&frames(&[40; 200]), timeline, &options(50, None)).unwrap();
    let text = |text: &str| text.to_owned();
    JobPlan::new(
        PlannedProgram { version: text("1"), commit: None },
        PlannedInput { path: "/in.mp4".into(), bytes: 1, blake3: text("00") },
        ["/out.mp4".into(), "/work".into()],
        vec![],
        [BTreeMap::from([(text("model"), text("4.6"))]), BTreeMap::new()],
        PlannedWeights { version: text("4.6"), sha256: text("00"), path: None },
        PlannedEncoder { name: text("ffv1"), ffmpeg: text("7"), build: text("1") },
        layout,
    )
}

#[test]
#[cfg(unix)]
fn a_plan_is_read_as_it_was_written() {
    let plan = plan();
    let text = plan.to_json().unwrap();
    assert_eq!(JobPlan::parse(text.as_bytes()).unwrap(), plan);
    let mut addresses: Vec<_> = plan.segments.iter().map(|one| &one.address).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 8);
}

#[test]
#[cfg(unix)]
fn an_address_depends_on_everything_that_determines_a_segment() {
    let plan = plan();
    let addresses =
        |plan: &JobPlan| (0..plan.segments.len()).map(|at| plan.address(at)).collect::<Vec<_>>();
    let changed: Vec<fn(&mut JobPlan)> = vec![
        |plan| plan.program.commit = Some("1".into()),
        |plan| plan.input.blake3 = "01".into(),
        |plan| plan.options.push("--factor=2".into()),
        |plan| _ = plan.settings.insert("model".into(), "4.25".into()),
        |plan| plan.device = Some(BTreeMap::new()),
        |plan| plan.weights.sha256 = "01".into(),
        |plan| plan.encoder.build = "2".into(),
        |plan| plan.timeline.tick = r(1, 2),
    ];
    for change in changed {
        let mut other = plan.clone();
        change(&mut other);
        let (before, now) = (addresses(&plan), addresses(&other));
        assert!(before.iter().zip(&now).all(|(a, b)| a != b));
    }
    // Paths may differ between machines.
    let mut moved = plan.clone();
    moved.input.path = "/elsewhere/in.mp4".into();
    (moved.output, moved.work_dir) = ("/o.mp4".into(), "/w".into());
    assert_eq!(addresses(&moved), addresses(&plan));
}

proptest! {
    #[test]
    #[cfg(unix)]
    fn changed_documents_are_refused_without_a_panic(at in 0usize..20_000, byte: u8) {
        let text = plan().to_json().unwrap();
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = JobPlan::parse(&bytes);
        let _ = JobPlan::parse(&bytes[..at]);
    }
}

use std::sync::mpsc::sync_channel;

use proptest::prelude::*;
use rife_runtime::{FrameSize, PixelFormat};

use super::*;
use crate::{Rate, Rational, SceneSettings};

const SIZE: FrameSize = FrameSize::new(32, 18);

/// What the director sent: jobs and items in order.
struct Sent {
    jobs: Vec<PairJob>,
    items: Vec<OutputItem>,
    progress: Progress,
}

/// An output frame without its samples.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    /// A source frame, by its index.
    Source(usize),
    /// Interpolated between two source frames.
    Between([u64; 2], f32),
    Blended,
}

impl Sent {
    /// Times and content of the output frames, by their numbers.
    fn shown(&self, frames: &[SourceFrame]) -> Vec<(i64, i64, Shown)> {
        let of_job = |job: &PairJob| {
            let indices = job.indices;
            job.timesteps.iter().map(move |t| Shown::Between(indices, *t)).collect::<Vec<_>>()
        };
        let mut interpolated = self.jobs.iter().flat_map(of_job);
        let index = |frame: &Arc<Frame>| {
            frames.iter().position(|source| Arc::ptr_eq(&source.frame, frame)).unwrap()
        };
        let content = |source: &FrameSource| match source {
            FrameSource::Source(frame) => Shown::Source(index(frame)),
            FrameSource::Interpolated(_) => interpolated.next().unwrap(),
            FrameSource::Blended(..) => Shown::Blended,
        };
        let sources: Vec<_> = self.items.iter().map(|item| &item.source).map(content).collect();
        let items = self.items.iter().zip(sources);
        items.map(|(item, shown)| (item.number, item.output.ticks, shown)).collect()
    }
}

fn direct(frames: &[SourceFrame], timeline: &Timeline, settings: &Settings) -> Sent {
    let (frames_in, frames_out) = sync_channel(frames.len());
    frames[1..].iter().for_each(|frame| frames_in.send(frame.clone()).unwrap());
    drop(frames_in);
    let (jobs_in, jobs_out) = sync_channel(10_000);
    let (items_in, items_out) = sync_channel(100_000);
    let progress = Progress::default();
    let mut timeline = timeline.clone();
    let (first, jobs) = (frames[0].clone(), [jobs_in]);
    dispatch(first, &frames_out, &mut timeline, &jobs, &items_in, settings, &progress).unwrap();
    drop((jobs, items_in));
    Sent { jobs: jobs_out.iter().collect(), items: items_out.iter().collect(), progress }
}

fn settings(longest_hold: usize, cut_threshold: f64, skip: i64) -> Settings {
    let still_threshold = SceneDetector::DEFAULT_HELD;
    let cut_mode = CutMode::Hold;
    Settings {
        scenes: SceneSettings { cut_threshold, still_threshold, cut_mode, longest_hold },
        size: SIZE,
        input: PixelFormat::Rgb8,
        format: PixelFormat::Rgb8,
        memory: 1 << 30,
        skip,
        until: None,
        frame_time: Rational::new(1, 25),
    }
}

/// A frame of one brightness. Two frames of a drawing differ a little, as after compression.
fn flat(drawing: usize, noise: usize) -> Arc<Frame> {
    let mut samples = vec![(40 + 90 * (drawing % 3)) as u8; 3 * SIZE.pixels()];
    samples[noise % 100] += 1;
    Arc::new(Frame::rgb8(SIZE, samples).unwrap())
}

/// Frames of drawings that are held for so many frames, at intervals in ticks of 1/1000 s.
fn held(holds: &[usize], intervals: &[i64]) -> Vec<SourceFrame> {
    let mut time = Rational::new(7, 1000);
    let drawings = holds.iter().enumerate().flat_map(|(d, hold)| (0..*hold).map(move |i| (d, i)));
    let intervals = intervals.iter().cycle();
    drawings
        .zip(intervals)
        .map(|((drawing, noise), interval)| {
            let frame = SourceFrame { frame: flat(drawing, noise), time, duration: None };
            time += Rational::new(*interval, 1000);
            frame
        })
        .collect()
}

fn any_rate() -> impl Strategy<Value = Rate> {
    let ratio = (1i64..=12, 1i64..=5);
    let above_1 = ratio.prop_filter("above 1", |(a, b)| a > b);
    let above_1 = above_1.prop_map(|(a, b)| Rational::new(a, b));
    prop_oneof![
        above_1.clone().prop_map(Rate::Factor),
        above_1.prop_map(Rate::Slow),
        prop_oneof![1i64..=120, Just(240)].prop_map(|fps| Rate::Fps(Rational::from(fps))),
        Just(Rate::Fps(Rational::new(60_000, 1001))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn holds_change_what_is_shown_but_not_when(
        holds in prop::collection::vec(1usize..7, 1..12),
        intervals in prop_oneof![
            Just(vec![40]), prop::collection::vec(1i64..200, 1..9),
        ],
        rate in any_rate(),
        longest in 2usize..6,
        skip in 0i64..40,
    ) {
        let frames = held(&holds, &intervals);
        let timeline = Timeline::new(rate, Rational::new(1, 1000)).unwrap();
        let with = |longest, skip| direct(&frames, &timeline, &settings(longest, f64::INFINITY, skip));
        let (plain, smooth) = (with(1, 0), with(longest, 0));
        let [before, after] = [&plain, &smooth].map(|sent| sent.shown(&frames));
        prop_assert_eq!(before.len(), after.len());
        // The latest interpolated frame: drawing and timestep.
        let mut latest: Option<(usize, f32)> = None;
        let scale = if let Rate::Slow(k) = rate { k } else { Rational::from(1) };
        let seconds = |time: Rational| *time.numer() as f64 / *time.denom() as f64;
        // Drawing and start of its hold, for each frame.
        let starts: Vec<usize> = holds
            .iter()
            .scan(0, |next, hold| Some(std::mem::replace(next, *next + hold)))
            .collect();
        let drawing = |frame: usize| starts.iter().rposition(|start| *start <= frame).unwrap();
        let replaced = |drawing: usize| {
            (2..=longest).contains(&holds[drawing]) && drawing + 1 < holds.len()
        };
        for ((number, ticks, plain), (same_number, same_ticks, smooth)) in
            before.into_iter().zip(after)
        {
            prop_assert_eq!((number, ticks), (same_number, same_ticks));
            let of = match &plain {
                Shown::Source(frame) => *frame,
                Shown::Between([earlier, _], _) => *earlier as usize,
                Shown::Blended => unreachable!(),
            };
            let drawn = drawing(of);
            latest = latest.filter(|(of, _)| *of == drawn);
            if !replaced(drawn) {
                // Pauses, ones and the end are as without holds.
                prop_assert_eq!(plain, smooth);
                continue;
            }
            let (start, end) = (starts[drawn], starts[drawn + 1]);
            match smooth {
                // The drawing itself, bit for bit.
                Shown::Source(frame) => prop_assert!(frame == start && latest.is_none()),
                Shown::Between(indices, t) => {
                    prop_assert_eq!(indices, [start as u64, end as u64]);
                    prop_assert!(t > 0.0 && t < 1.0);
                    // Timesteps follow from the times of the output and increase.
                    let at = frames[0].time + timeline.tick() * ticks / scale;
                    let [from, to] = [start, end].map(|frame| frames[frame].time);
                    let expected = seconds(at - from) / seconds(to - from);
                    let rounding = seconds(timeline.tick()) / seconds(to - from);
                    prop_assert!((f64::from(t) - expected).abs() < 1e-6 + rounding);
                    prop_assert!(latest.is_none_or(|(_, latest)| latest < t));
                    latest = Some((drawn, t));
                }
                Shown::Blended => unreachable!(),
            }
        }
        let held: usize = (0..holds.len()).filter(|d| replaced(*d)).map(|d| holds[d] - 1).sum();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        prop_assert_eq!(count(&smooth.progress.held) as usize, held);
        let stills = count(&plain.progress.stills);
        prop_assert_eq!(count(&smooth.progress.stills) as usize, stills as usize - held);
        prop_assert_eq!(smooth.progress.last_frame(), plain.progress.last_frame());
        // A resumed run makes the same frames.
        let resumed = with(longest, skip).shown(&frames);
        let mut rest = smooth.shown(&frames);
        rest.retain(|(number, ..)| *number >= skip);
        prop_assert_eq!(resumed, rest);
    }
}

/// A textured picture, moved to the right.
fn picture(scene: u64, shift: usize) -> Arc<Frame> {
    let size = FrameSize::new(160, 90);
    let mut samples = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            let cell = ((x + 160 - shift) / 12) as u64 * 7919 + (y / 12) as u64 * 104_729;
            let mixed = (cell + scene * 1_000_003).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            samples.extend([(mixed >> 40) as u8, (mixed >> 48) as u8, (mixed >> 56) as u8]);
        }
    }
    Arc::new(Frame::rgb8(size, samples).unwrap())
}

#[test]
fn drawing_before_a_cut_is_held_up_to_the_cut() {
    // On twos; a cut follows the second frame of the fourth drawing.
    let pictures: Vec<_> = (0..14usize)
        .map(|i| if i < 8 { picture(1, i / 2 * 4) } else { picture(2, (i - 8) / 2 * 4) })
        .collect();
    let frames: Vec<_> = (0i64..)
        .zip(pictures)
        .map(|(i, frame)| SourceFrame { frame, time: Rational::new(i, 24), duration: None })
        .collect();
    let timeline = Timeline::new(Rate::Factor(Rational::from(2)), Rational::new(1, 24)).unwrap();
    let sent = direct(&frames, &timeline, &settings(3, SceneDetector::DEFAULT_CUT, 0));
    let shown: Vec<_> = sent.shown(&frames).into_iter().map(|(.., shown)| shown).collect();
    let hold = |from: usize| {
        let between = |t| Shown::Between([from as u64, from as u64 + 2], t);
        [Shown::Source(from), between(0.25), between(0.5), between(0.75)]
    };
    let still = |from: usize| [from, from, from + 1, from + 1].map(Shown::Source);
    let expected = [hold(0), hold(2), hold(4), still(6), hold(8), hold(10), still(12)].concat();
    assert_eq!(shown, expected);
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let progress = &sent.progress;
    assert_eq!([&progress.cuts, &progress.held, &progress.stills].map(count), [1, 5, 2]);
}

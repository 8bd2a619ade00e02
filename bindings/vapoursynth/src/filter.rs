//! The filter `Interpolate`.

use std::ffi::CStr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rife_video::PairKind;

use crate::args::{Args, PARAMETERS, RateArg};
use crate::cache::{Packed, SourceFrames};
use crate::clip::{SampleFormat, unpack};
use crate::engine::{Engine, Job};
use crate::ffi::{
    Activation, Core, Filter, FrameContext, FrameRef, Function, Map, MapMut, Node, Step, create,
};
use crate::scenes::{AtHand, Scenes, Verdict};
use crate::timeline::{OutputRate, Place, Timeline};
use crate::{nvrtc, props, weights};

/// Interpolates the frames of a clip.
pub(crate) struct Interpolate {
    clip: Node,
    timeline: Timeline,
    scenes: Scenes,
    source: SourceFrames,
    engine: Engine,
}

impl Function for Interpolate {
    const NAME: &CStr = c"Interpolate";
    const PARAMETERS: &CStr = PARAMETERS;
    const RESULT: &CStr = c"clip:vnode;";

    fn call(arguments: Map<'_>, result: &mut MapMut<'_>, core: Core) -> Result<(), String> {
        let args = Args::read(arguments)?;
        let mut info = args.clip.info();
        // A clip of variable format is checked frame by frame.
        if info.format.colorFamily != 0 {
            SampleFormat::of(&info.format)?;
        }
        let source_rate = (info.fpsNum, info.fpsDen);
        let rate = match args.rate {
            RateArg::Factor(num, den) => OutputRate::by_factor(num, den, source_rate)?,
            RateArg::Fps(num, den) => OutputRate::by_fps(num, den, source_rate)?,
        };
        let timeline = Timeline::new(rate.multiple, info.numFrames)?;
        nvrtc::provide(core);
        let found = weights::find(args.model, args.weights.as_deref(), core)?;
        let interpolator = weights::load(&found, args.settings)?;
        let threads = core.threads();
        let filter = Self {
            timeline,
            scenes: Scenes::new(args.cuts, info.numFrames),
            source: SourceFrames::new(threads, &interpolator),
            engine: Engine::new(interpolator, threads),
            clip: args.clip,
        };
        info.numFrames = timeline.output_frames();
        (info.fpsNum, info.fpsDen) = rate.fps;
        result.set_node(c"clip", create(filter, &info, core)?);
        Ok(())
    }
}

impl Filter for Interpolate {
    const NAME: &CStr = c"Interpolate";

    fn source(&self) -> &Node {
        &self.clip
    }

    fn frame(
        &self,
        n: i32,
        activation: Activation,
        context: &mut FrameContext<'_>,
        core: Core,
    ) -> Result<Step, String> {
        let place = self.timeline.place(n);
        let pair = place.frame..=place.frame + i32::from(place.timestep.is_some());
        if activation == Activation::Initial {
            pair.for_each(|number| context.request(&self.clip, number));
            return Ok(Step::Wait);
        }
        let earlier = self.ready(context, place.frame)?;
        let Some(timestep) = place.timestep else {
            return self.shown(&earlier, &place, core).map(Step::Done);
        };
        let later = self.ready(context, place.frame + 1)?;
        let requested = requested(context.memory(), place.frame);
        let mut frames = AtHand::new();
        frames.insert(place.frame, self.source.packed(place.frame, &earlier)?);
        frames.insert(place.frame + 1, self.source.packed(place.frame + 1, &later)?);
        for number in requested.clone().filter(|number| !pair.contains(number)) {
            let frame = self.ready(context, number)?;
            frames.insert(number, self.source.packed(number, &frame)?);
        }
        let marked = marked(earlier.props(), later.props());
        let have = |number: &i32| pair.contains(number) || requested.contains(number);
        // Usually, most of the window is remembered from other requests. What is forgotten while
        // frames are requested is not waited for again: the whole window is enough in any case.
        let mut whole = !requested.is_empty();
        let kind = loop {
            let needed = match self.scenes.classify(place.frame, marked, &frames, &self.source)? {
                Verdict::Kind(kind) => break kind,
                Verdict::Needs(_) if whole => self.scenes.window(place.frame),
                Verdict::Needs(needed) => needed,
            };
            let missing: Vec<i32> = needed.clone().filter(|number| !have(number)).collect();
            if !missing.is_empty() {
                missing.into_iter().for_each(|number| context.request(&self.clip, number));
                context.remember(memory(&needed, place.frame));
                return Ok(Step::Wait);
            }
            // Another request has just established what was missing.
            if std::mem::replace(&mut whole, true) {
                return Err("scene detection is incomplete".to_owned());
            }
        };
        match (kind, frames.get(&place.frame), frames.get(&(place.frame + 1))) {
            (PairKind::Motion, Some(a), Some(b)) => {
                self.interpolated(&earlier, [a, b], timestep, &place, core).map(Step::Done)
            }
            _ => self.shown(&earlier, &place, core).map(Step::Done),
        }
    }
}

impl Interpolate {
    fn ready(&self, context: &mut FrameContext<'_>, number: i32) -> Result<FrameRef, String> {
        let frame = context.take(&self.clip, number);
        frame.ok_or_else(|| format!("source frame {number} is not ready"))
    }

    /// The source frame as an output frame.
    fn shown(&self, source: &FrameRef, place: &Place, core: Core) -> Result<FrameRef, String> {
        let mut frame = source.copied(core).ok_or(OUT_OF_MEMORY)?;
        props::adjust(&mut frame.props_mut(), source.props(), place, &self.timeline);
        Ok(frame.into_ref())
    }

    /// The frame at a timestep between two source frames.
    fn interpolated(
        &self,
        source: &FrameRef,
        [earlier, later]: [&Arc<Packed>; 2],
        timestep: f32,
        place: &Place,
        core: Core,
    ) -> Result<FrameRef, String> {
        let mut frame = source.alike(core).ok_or(OUT_OF_MEMORY)?;
        let job =
            Job { number: place.frame, earlier: &earlier.frame, later: &later.frame, timestep };
        let result = self.engine.interpolate(job)?;
        unpack(&result, &mut frame);
        self.engine.reuse(result);
        props::adjust(&mut frame.props_mut(), source.props(), place, &self.timeline);
        Ok(frame.into_ref())
    }
}

const OUT_OF_MEMORY: &str = "VapourSynth has no memory for a frame";

/// What the properties of two frames say about a cut between them; `None` if they say nothing.
fn marked(earlier: Map<'_>, later: Map<'_>) -> Option<bool> {
    let marks = [earlier.int(c"_SceneChangeNext"), later.int(c"_SceneChangePrev")];
    let known = marks.iter().any(Option::is_some);
    known.then(|| marks.into_iter().flatten().any(|mark| mark != 0))
}

/// Bits of a range's start and end in [`FrameContext::memory`].
const BITS: u32 = 16;

/// Encodes the source frames that were requested around frame `number`.
fn memory(range: &RangeInclusive<i32>, number: i32) -> usize {
    let distance = |a: i32, b: i32| usize::try_from(a - b).unwrap_or(0);
    distance(number, *range.start()) << BITS | distance(*range.end(), number)
}

/// Decodes them; empty for 0, as nothing was requested yet.
fn requested(memory: usize, number: i32) -> RangeInclusive<i32> {
    let part = |bits: usize| i32::try_from(bits & ((1 << BITS) - 1)).unwrap_or(0);
    match memory {
        0 => RangeInclusive::new(1, 0),
        _ => number - part(memory >> BITS)..=number + part(memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_frames_are_remembered() {
        assert!(requested(0, 7).is_empty());
        for (range, number) in
            [(0..=1, 0), (5..=11, 7), (0..=23, 19), (i32::MAX - 20..=i32::MAX, i32::MAX - 1)]
        {
            assert_eq!(requested(memory(&range, number), number), range);
        }
    }
}

//! The filter `Interpolate`.

use std::ffi::CStr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rife_video::PairKind;

use crate::args::{Args, PARAMETERS, RateArg};
use crate::cache::{PackedFrame, SourceFrames};
use crate::clip::{SampleFormat, unpack};
use crate::engine::{Engine, Job};
use crate::ffi::{
    Activation, Core, Filter, FrameContext, FrameRef, Function, Map, MapMut, Node, Step, create,
};
use crate::scenes::{AvailableFrames, Scenes, Verdict};
use crate::timeline::{OutputPosition, OutputRate, Timeline};
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
        // A clip of variable format has no format of its own: each frame is checked.
        if info.format.colorFamily != 0 {
            SampleFormat::of(&info.format)?;
        }
        let source_rate = (info.fpsNum, info.fpsDen);
        let rate = match args.rate {
            RateArg::Factor(num, den) => OutputRate::by_factor(num, den, source_rate)?,
            RateArg::Fps(num, den) => OutputRate::by_fps(num, den, source_rate)?,
        };
        let timeline = Timeline::new(rate.multiple, info.numFrames)?;
        nvrtc::preload(core);
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

    fn request_started(&self, n: i32) {
        self.engine.request_started(n);
    }

    fn request_finished(&self, n: i32) {
        self.engine.request_finished(n);
    }

    fn frame(
        &self,
        n: i32,
        activation: Activation,
        context: &mut FrameContext<'_>,
        core: Core,
    ) -> Result<Step, String> {
        let position = self.timeline.position(n);
        let pair = position.frame..=position.frame + i32::from(position.timestep.is_some());
        if activation == Activation::Initial {
            pair.for_each(|number| context.request(&self.clip, number));
            return Ok(Step::Wait);
        }
        let earlier = self.take_source(context, position.frame)?;
        let Some(timestep) = position.timestep else {
            return self.source_output(&earlier, &position, core).map(Step::Done);
        };
        let later = self.take_source(context, position.frame + 1)?;
        let requested = decode_range(context.state(), position.frame);
        let scene_change = scene_change(earlier.props(), later.props());
        let mut frames = AvailableFrames::new();
        let packed = self.packed_pair(position.frame, [&earlier, &later], scene_change)?;
        for (number, frame) in (position.frame..).zip(packed) {
            frames.insert(number, frame);
        }
        for number in requested.clone().filter(|number| !pair.contains(number)) {
            let frame = self.take_source(context, number)?;
            frames.insert(number, self.source.packed(number, &frame)?);
        }
        let have = |number: &i32| pair.contains(number) || requested.contains(number);
        // Other requests have usually cached the facts of most of the window. If cached facts are
        // dropped while frames are requested, request the whole window, which is always enough.
        let mut whole = !requested.is_empty();
        let kind = loop {
            let needed =
                match self.scenes.classify(position.frame, scene_change, &frames, &self.source)? {
                    Verdict::Kind(kind) => break kind,
                    Verdict::Needs(_) if whole => self.scenes.window(position.frame),
                    Verdict::Needs(needed) => needed,
                };
            let missing: Vec<i32> = needed.clone().filter(|number| !have(number)).collect();
            if !missing.is_empty() {
                missing.into_iter().for_each(|number| context.request(&self.clip, number));
                context.set_state(encode_range(&needed, position.frame));
                return Ok(Step::Wait);
            }
            // All needed frames are available, because another request has changed the cache: retry
            // once.
            if std::mem::replace(&mut whole, true) {
                return Err("internal error: scene detection has no result".to_owned());
            }
        };
        match (kind, frames.get(&position.frame), frames.get(&(position.frame + 1))) {
            (PairKind::Motion, Some(a), Some(b)) => self
                .interpolated_output(&earlier, [a, b], timestep, &position, core)
                .map(Step::Done),
            _ => self.source_output(&earlier, &position, core).map(Step::Done),
        }
    }
}

impl Interpolate {
    /// A source frame that was requested.
    fn take_source(&self, context: &mut FrameContext<'_>, number: i32) -> Result<FrameRef, String> {
        let frame = context.take(&self.clip, number);
        frame.ok_or_else(|| format!("VapourSynth did not deliver source frame {number}"))
    }

    /// The frames of the pair from source frame `number` to the next in the engine's layout. For a
    /// seek, when nothing else is requested, two threads prepare them.
    fn packed_pair(
        &self,
        number: i32,
        [earlier, later]: [&FrameRef; 2],
        scene_change: Option<bool>,
    ) -> Result<[Arc<PackedFrame>; 2], String> {
        if !self.engine.has_single_request() {
            let earlier = self.source.packed(number, earlier)?;
            return Ok([earlier, self.source.packed(number + 1, later)?]);
        }
        let thumbnails = self.scenes.needs_thumbnails(scene_change);
        let prepare = |number: i32, frame: &FrameRef| {
            let packed = self.source.packed(number, frame)?;
            if thumbnails {
                self.source.thumbnail(number, &packed);
            }
            Ok::<_, String>(packed)
        };
        let (earlier, later) =
            rayon::join(|| prepare(number, earlier), || prepare(number + 1, later));
        Ok([earlier?, later?])
    }

    /// A source frame as the output frame, with adjusted properties.
    fn source_output(
        &self,
        source: &FrameRef,
        position: &OutputPosition,
        core: Core,
    ) -> Result<FrameRef, String> {
        let mut frame = source.copy(core).ok_or(OUT_OF_MEMORY)?;
        props::adjust(&mut frame.props_mut(), source.props(), position, &self.timeline);
        Ok(frame.into_ref())
    }

    /// Interpolates the output frame between two source frames.
    fn interpolated_output(
        &self,
        source: &FrameRef,
        [earlier, later]: [&Arc<PackedFrame>; 2],
        timestep: f32,
        position: &OutputPosition,
        core: Core,
    ) -> Result<FrameRef, String> {
        let mut frame = source.new_like(core).ok_or(OUT_OF_MEMORY)?;
        let job =
            Job { number: position.frame, earlier: &earlier.frame, later: &later.frame, timestep };
        let result = self.engine.interpolate(job)?;
        unpack(&result, &mut frame);
        self.engine.reuse(result);
        props::adjust(&mut frame.props_mut(), source.props(), position, &self.timeline);
        Ok(frame.into_ref())
    }
}

const OUT_OF_MEMORY: &str = "VapourSynth cannot allocate the output frame";

/// Whether the properties of two frames declare a scene change between them; `None` if neither
/// frame has such a property.
fn scene_change(earlier: Map<'_>, later: Map<'_>) -> Option<bool> {
    let changes = [earlier.int(c"_SceneChangeNext"), later.int(c"_SceneChangePrev")];
    let known = changes.iter().any(Option::is_some);
    known.then(|| changes.into_iter().flatten().any(|change| change != 0))
}

/// Bits for each end of the range in [`FrameContext::state`].
const BITS: u32 = 16;

/// Encodes a range of source frames that contains frame `number`, for [`FrameContext::set_state`].
fn encode_range(range: &RangeInclusive<i32>, number: i32) -> usize {
    let distance = |a: i32, b: i32| usize::try_from(a - b).unwrap_or(0);
    distance(number, *range.start()) << BITS | distance(*range.end(), number)
}

/// Decodes the range; 0, the initial state, is an empty range.
fn decode_range(state: usize, number: i32) -> RangeInclusive<i32> {
    let part = |bits: usize| i32::try_from(bits & ((1 << BITS) - 1)).unwrap_or(0);
    match state {
        0 => RangeInclusive::new(1, 0),
        _ => number - part(state >> BITS)..=number + part(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_range_survives_encoding() {
        assert!(decode_range(0, 7).is_empty());
        for (range, number) in
            [(0..=1, 0), (5..=11, 7), (0..=23, 19), (i32::MAX - 20..=i32::MAX, i32::MAX - 1)]
        {
            assert_eq!(decode_range(encode_range(&range, number), number), range);
        }
    }
}

//! Frame properties of output frames.
//!
//! An output frame has the properties of the source frame at or before it. Durations, times and
//! scene changes are adjusted.

use crate::ffi::{Map, MapMut};
use crate::timeline::{OutputPosition, Timeline, divide_duration};

/// Adjusts the properties of an output frame, which are a copy of `source`, those of the source
/// frame.
pub(crate) fn adjust(
    props: &mut MapMut<'_>,
    source: Map<'_>,
    position: &OutputPosition,
    timeline: &Timeline,
) {
    let (num, den) = (c"_DurationNum", c"_DurationDen");
    let duration = source.int(num).zip(source.int(den));
    if let Some(shorter) = duration.and_then(|length| divide_duration(length, timeline.multiple()))
    {
        props.set_int(num, shorter.0);
        props.set_int(den, shorter.1);
    }
    if let (Some(start), Some(length)) = (source.float(c"_AbsoluteTime"), duration)
        && position.offset > 0.0
        && length.1 > 0
    {
        let length = length.0 as f64 / length.1 as f64;
        props.set_float(c"_AbsoluteTime", start + position.offset * length);
    }
    // If a source frame has several output frames, only the first follows the scene change before
    // it, and only the last precedes the scene change after it.
    for (key, here) in [(c"_SceneChangePrev", position.first), (c"_SceneChangeNext", position.last)]
    {
        if !here && source.int(key).is_some_and(|change| change != 0) {
            props.set_int(key, 0);
        }
    }
}

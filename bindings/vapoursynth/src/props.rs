//! Frame properties of output frames.
//!
//! An output frame has the properties of the source frame at or before it. Those that describe time
//! and scene changes are adjusted.

use crate::ffi::{Map, MapMut};
use crate::timeline::{Place, Timeline, divided};

/// Adjusts the copied properties of an output frame. `source` are those of the source frame.
pub(crate) fn adjust(props: &mut MapMut<'_>, source: Map<'_>, place: &Place, timeline: &Timeline) {
    let (num, den) = (c"_DurationNum", c"_DurationDen");
    let duration = source.int(num).zip(source.int(den));
    if let Some(shorter) = duration.and_then(|length| divided(length, timeline.multiple())) {
        props.set_int(num, shorter.0);
        props.set_int(den, shorter.1);
    }
    if let (Some(start), Some(length)) = (source.float(c"_AbsoluteTime"), duration)
        && place.offset > 0.0
        && length.1 > 0
    {
        let length = length.0 as f64 / length.1 as f64;
        props.set_float(c"_AbsoluteTime", start + place.offset * length);
    }
    // Of the outputs of a source frame, only the first follows another scene, and only the last is
    // followed by one.
    for (key, here) in [(c"_SceneChangePrev", place.first), (c"_SceneChangeNext", place.last)] {
        if !here && source.int(key).is_some_and(|change| change != 0) {
            props.set_int(key, 0);
        }
    }
}

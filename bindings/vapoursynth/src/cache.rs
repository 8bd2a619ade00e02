//! Source frames that several outputs share, and memory that is reused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat};
use rife_video::Thumbnail;

use crate::clip::{SampleFormat, pack};
use crate::ffi::FrameRef;
use crate::weights::message;

/// Locks a mutex. Poison is harmless here: the content is replaced as a whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The latest values by frame number; the value unused for longest is dropped first.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    capacity: usize,
    values: VecDeque<(i32, T)>,
}

impl<T: Clone> Recent<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), values: VecDeque::new() }
    }

    pub(crate) fn get(&mut self, number: i32) -> Option<T> {
        let at = self.values.iter().position(|(key, _)| *key == number)?;
        let entry = self.values.remove(at)?;
        let value = entry.1.clone();
        self.values.push_back(entry);
        Some(value)
    }

    /// Adds or replaces a value, and returns the one dropped for it.
    pub(crate) fn insert(&mut self, number: i32, value: T) -> Option<T> {
        let same = self.values.iter().position(|(key, _)| *key == number);
        let full = self.values.len() >= self.capacity;
        let dropped = match same {
            Some(at) => self.values.remove(at),
            None if full => self.values.pop_front(),
            None => None,
        };
        self.values.push_back((number, value));
        dropped.map(|(_, value)| value)
    }
}

/// A source frame in the engine's layout.
pub(crate) struct Packed {
    pub(crate) frame: Frame,
    thumbnail: OnceLock<Arc<Thumbnail>>,
}

impl Packed {
    /// The frame reduced for scene detection.
    pub(crate) fn thumbnail(&self) -> Arc<Thumbnail> {
        Arc::clone(self.thumbnail.get_or_init(|| Arc::new(Thumbnail::new(&self.frame))))
    }
}

/// One source frame, which the first thread that needs it packs while others wait.
type Slot = Arc<Mutex<Option<Arc<Packed>>>>;

/// The source frames of a filter.
pub(crate) struct SourceFrames {
    slots: Mutex<Recent<Slot>>,
    thumbnails: Mutex<Recent<Arc<Thumbnail>>>,
    memory: FramePool,
}

/// Source frames that are kept in addition to those of the threads: the frames that scene detection
/// looks ahead.
const AHEAD: usize = 5;

/// Thumbnails that are kept: those that scene detection needs around a cut, and those of the
/// threads.
const THUMBNAILS: usize = 64;

impl SourceFrames {
    /// `threads` is the number of output frames that are computed at once.
    pub(crate) fn new(threads: usize, interpolator: &Arc<Interpolator>) -> Self {
        Self {
            slots: Mutex::new(Recent::new(threads + AHEAD)),
            thumbnails: Mutex::new(Recent::new(THUMBNAILS + threads)),
            memory: FramePool::new(threads + AHEAD, interpolator),
        }
    }

    /// A source frame in the engine's layout.
    ///
    /// # Errors
    /// If its format is not supported.
    pub(crate) fn packed(&self, number: i32, frame: &FrameRef) -> Result<Arc<Packed>, String> {
        let slot = {
            let mut slots = lock(&self.slots);
            let known = slots.get(number);
            known.unwrap_or_else(|| {
                let slot = Slot::default();
                if let Some(dropped) = slots.insert(number, Arc::clone(&slot)) {
                    self.reuse(dropped);
                }
                slot
            })
        };
        let mut content = lock(&slot);
        if let Some(packed) = &*content {
            return Ok(Arc::clone(packed));
        }
        let size = frame.size();
        let format = SampleFormat::of(&frame.format())?.pixel_format(size, frame.props());
        let mut memory = self.memory.take(size, format)?;
        pack(frame, &mut memory);
        let packed = Arc::new(Packed { frame: memory, thumbnail: OnceLock::new() });
        *content = Some(Arc::clone(&packed));
        Ok(packed)
    }

    /// The thumbnail of a source frame, if it is known.
    pub(crate) fn known_thumbnail(&self, number: i32) -> Option<Arc<Thumbnail>> {
        lock(&self.thumbnails).get(number)
    }

    /// The thumbnail of a source frame.
    pub(crate) fn thumbnail(&self, number: i32, packed: &Packed) -> Arc<Thumbnail> {
        if let Some(known) = self.known_thumbnail(number) {
            return known;
        }
        let thumbnail = packed.thumbnail();
        lock(&self.thumbnails).insert(number, Arc::clone(&thumbnail));
        thumbnail
    }

    /// Keeps the memory of a frame that nothing uses any more.
    fn reuse(&self, slot: Slot) {
        let unused = Arc::into_inner(slot).and_then(|slot| lock(&slot).take());
        if let Some(packed) = unused.and_then(Arc::into_inner) {
            self.memory.give(packed.frame);
        }
    }
}

/// Frames for reuse: their memory is pinned, which takes longer than to fill it.
pub(crate) struct FramePool {
    capacity: usize,
    interpolator: Arc<Interpolator>,
    frames: Mutex<Vec<Frame>>,
}

impl FramePool {
    pub(crate) fn new(capacity: usize, interpolator: &Arc<Interpolator>) -> Self {
        let interpolator = Arc::clone(interpolator);
        Self { capacity, interpolator, frames: Mutex::new(Vec::new()) }
    }

    /// A frame of any content.
    ///
    /// # Errors
    /// If the size is out of range.
    pub(crate) fn take(&self, size: FrameSize, format: PixelFormat) -> Result<Frame, String> {
        {
            let mut frames = lock(&self.frames);
            let fits = |frame: &Frame| frame.size() == size && frame.format() == format;
            if let Some(at) = frames.iter().position(fits) {
                return Ok(frames.swap_remove(at));
            }
        }
        let frame = Frame::black(size, format).map_err(|error| message(&error))?;
        Ok(self.interpolator.pin(frame))
    }

    /// Takes a frame back.
    pub(crate) fn give(&self, frame: Frame) {
        let mut frames = lock(&self.frames);
        // The oldest may have the size of an earlier part of the clip.
        if frames.len() >= self.capacity && !frames.is_empty() {
            frames.swap_remove(0);
        }
        frames.push(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_unused_for_longest_is_dropped() {
        let mut recent = Recent::new(2);
        assert_eq!(recent.insert(1, 'a'), None);
        assert_eq!(recent.insert(2, 'b'), None);
        assert_eq!(recent.get(1), Some('a'));
        assert_eq!(recent.insert(3, 'c'), Some('b'));
        assert_eq!((recent.get(1), recent.get(2), recent.get(3)), (Some('a'), None, Some('c')));
        assert_eq!(recent.insert(3, 'd'), Some('c'));
        assert_eq!((recent.get(1), recent.get(3)), (Some('a'), Some('d')));
    }
}

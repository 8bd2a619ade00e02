//! Source frames that several output frames share, and buffers for reuse.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat};
use rife_video::Thumbnail;

use crate::clip::{SampleFormat, pack};
use crate::ffi::FrameRef;
use crate::weights::message;

/// Locks a mutex and ignores poisoning: a panic cannot leave the content half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cache by frame number that drops the least recently used value.
#[derive(Debug)]
pub(crate) struct LruCache<T> {
    capacity: usize,
    values: VecDeque<(i32, T)>,
}

impl<T: Clone> LruCache<T> {
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

    /// Adds or replaces a value, and returns the value that was dropped.
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

/// A source frame in the layout of the engine, and its thumbnail once needed.
pub(crate) struct PackedFrame {
    pub(crate) frame: Frame,
    thumbnail: OnceLock<Arc<Thumbnail>>,
}

impl PackedFrame {
    /// The thumbnail for scene detection.
    pub(crate) fn thumbnail(&self) -> Arc<Thumbnail> {
        Arc::clone(self.thumbnail.get_or_init(|| Arc::new(Thumbnail::new(&self.frame))))
    }
}

/// One source frame. The first thread that needs it packs it while other threads wait.
type Slot = Arc<Mutex<Option<Arc<PackedFrame>>>>;

/// The source frames of a filter.
pub(crate) struct SourceFrames {
    slots: Mutex<LruCache<Slot>>,
    thumbnails: Mutex<LruCache<Arc<Thumbnail>>>,
    memory: FramePool,
}

/// Source frames that are kept in addition to one per thread, for the look-ahead of scene
/// detection.
const LOOK_AHEAD: usize = 5;

/// Thumbnails that are kept in addition to one per thread: those that scene detection needs around
/// a cut.
const THUMBNAILS: usize = 64;

impl SourceFrames {
    /// `threads` is the number of output frames that are processed at once.
    pub(crate) fn new(threads: usize, interpolator: &Arc<Interpolator>) -> Self {
        Self {
            slots: Mutex::new(LruCache::new(threads + LOOK_AHEAD)),
            thumbnails: Mutex::new(LruCache::new(THUMBNAILS + threads)),
            memory: FramePool::new(threads + LOOK_AHEAD, interpolator),
        }
    }

    /// A source frame in the engine's layout.
    ///
    /// # Errors
    /// If its format is not supported.
    pub(crate) fn packed(&self, number: i32, frame: &FrameRef) -> Result<Arc<PackedFrame>, String> {
        let slot = {
            let mut slots = lock(&self.slots);
            let cached = slots.get(number);
            cached.unwrap_or_else(|| {
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
        let packed = Arc::new(PackedFrame { frame: memory, thumbnail: OnceLock::new() });
        *content = Some(Arc::clone(&packed));
        Ok(packed)
    }

    /// The thumbnail of a source frame, if it is cached.
    pub(crate) fn cached_thumbnail(&self, number: i32) -> Option<Arc<Thumbnail>> {
        lock(&self.thumbnails).get(number)
    }

    /// The thumbnail of a source frame, from the cache or from `packed`.
    pub(crate) fn thumbnail(&self, number: i32, packed: &PackedFrame) -> Arc<Thumbnail> {
        if let Some(cached) = self.cached_thumbnail(number) {
            return cached;
        }
        let thumbnail = packed.thumbnail();
        lock(&self.thumbnails).insert(number, Arc::clone(&thumbnail));
        thumbnail
    }

    /// Returns the buffer of a frame to the pool, unless it is still in use.
    fn reuse(&self, slot: Slot) {
        let unused = Arc::into_inner(slot).and_then(|slot| lock(&slot).take());
        if let Some(packed) = unused.and_then(Arc::into_inner) {
            self.memory.put_back(packed.frame);
        }
    }
}

/// Frames for reuse. Their memory is pinned, and pinning takes longer than filling it.
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

    /// A frame with arbitrary content, from the pool or newly allocated.
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

    /// Returns a frame to the pool.
    pub(crate) fn put_back(&self, frame: Frame) {
        let mut frames = lock(&self.frames);
        // In a clip of variable size, the oldest frame may have a size that is no longer needed.
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
    fn least_recently_used_value_is_dropped() {
        let mut recent = LruCache::new(2);
        assert_eq!(recent.insert(1, 'a'), None);
        assert_eq!(recent.insert(2, 'b'), None);
        assert_eq!(recent.get(1), Some('a'));
        assert_eq!(recent.insert(3, 'c'), Some('b'));
        assert_eq!((recent.get(1), recent.get(2), recent.get(3)), (Some('a'), None, Some('c')));
        assert_eq!(recent.insert(3, 'd'), Some('c'));
        assert_eq!((recent.get(1), recent.get(3)), (Some('a'), Some('d')));
    }
}

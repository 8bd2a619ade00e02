//! Input frames: a rendered scene, image files or a video, loaded before anything is measured.

pub mod images;
pub mod scene;
pub mod video;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::files::file_name;
use crate::metrics::SSIM_WINDOW;
use crate::subject::Size;
use scene::Scene;

/// Limit of a clip's memory, in bytes. The clip is part of every measured memory peak, so it is
/// bounded and reported.
pub const CLIP_BYTES: usize = 256 << 20;
/// Width and height of a frame, in px. SSIM needs its window, and every engine these limits.
const SIDE_PX: std::ops::RangeInclusive<usize> = 16..=16_384;
const _: () = assert!(*SIDE_PX.start() >= SSIM_WINDOW);
/// Pixels of a frame. Two frames and the floats of a comparison must fit into memory.
const MAX_PIXELS: usize = 1 << 26;

/// Checks the size of frames.
pub(crate) fn check_size(size: Size) -> Result<()> {
    let (min, max) = (SIDE_PX.start(), SIDE_PX.end());
    for side in [size.width, size.height] {
        ensure!(SIDE_PX.contains(&side), "invalid size {size}: sides must be {min} to {max} px");
    }
    ensure!(size.pixels() <= MAX_PIXELS, "invalid size {size}: expected at most {MAX_PIXELS} px");
    Ok(())
}

/// A clip that is not loaded yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipSource {
    pub size: Size,
    pub frames: FrameSource,
}

/// Where a clip's frames come from.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameSource {
    /// The rendered scene with this seed of its textures.
    Scene(u32),
    /// Image files of the same size, in order.
    Images(Vec<PathBuf>),
    Video(PathBuf),
}

impl ClipSource {
    /// The rendered scene.
    pub const fn scene(size: Size, seed: u32) -> Self {
        Self { size, frames: FrameSource::Scene(seed) }
    }

    /// Number of frames to load for `generated` interpolated frames.
    pub fn distinct_frames(&self, generated: usize) -> usize {
        let count = generated.saturating_add(1).min((CLIP_BYTES / self.size.samples()).max(3));
        match &self.frames {
            FrameSource::Scene(_) | FrameSource::Video(_) => count,
            FrameSource::Images(paths) => count.min(paths.len()),
        }
    }

    /// Renders or reads the frames.
    pub fn load(&self, generated: usize) -> Result<Clip> {
        let count = self.distinct_frames(generated);
        let size = self.size;
        let (origin, frames) = match &self.frames {
            FrameSource::Scene(seed) => {
                let scene = Scene { size, seed: *seed };
                let frames = (0..count).map(|i| scene.render(i as f64)).collect();
                (Origin::Scene { seed: *seed }, frames)
            }
            FrameSource::Images(paths) => {
                let frames = images::read_all(&paths[..count], size)?;
                (Origin::Pictures { given: paths.len() }, frames)
            }
            FrameSource::Video(path) => {
                let (now, frames) = video::read(path, count)?;
                let name = path.display();
                ensure!(now == size, "cannot use {name}: size changed from {size} to {now}");
                ensure!(frames.len() >= 2, "cannot use {name}: expected 2 frames or more, got 1");
                (Origin::Video { name: file_name(path) }, frames)
            }
        };
        Ok(Clip { size, origin, frames })
    }
}

/// Where the frames of a clip came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The rendered scene.
    Scene {
        /// Seed of its textures.
        seed: u32,
    },
    /// Image files.
    Pictures {
        /// Number of files given. The clip may use fewer.
        given: usize,
    },
    /// A video file.
    Video {
        /// File name without its folder.
        name: String,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scene { seed } => write!(f, "rendered scene, seed {seed}"),
            Self::Pictures { given } => write!(f, "{given} images"),
            Self::Video { name } => write!(f, "frames of {name}"),
        }
    }
}

/// Index of the frame shown at position `index` when `frames` (2 or more) are played forwards and
/// backwards.
pub(crate) const fn ping_pong(index: usize, frames: usize) -> usize {
    let last = frames - 1;
    let at = index % (2 * last);
    if at > last { 2 * last - at } else { at }
}

/// Description of a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipFacts {
    /// Frame size.
    pub size: Size,
    /// Origin of the frames.
    pub origin: Origin,
    /// Number of distinct frames.
    pub frames: usize,
    /// Memory used by the frames.
    pub mib: f64,
}

/// Frames in memory, interleaved 8-bit RGB, played forwards and backwards, so that consecutive
/// frames remain neighbours however many are requested.
#[derive(Clone, Debug)]
pub struct Clip {
    pub size: Size,
    pub origin: Origin,
    frames: Vec<Vec<u8>>,
}

impl Clip {
    /// Frame `index` of the endless clip.
    pub fn frame(&self, index: usize) -> &[u8] {
        &self.frames[ping_pong(index, self.frames.len())]
    }

    /// Number of distinct frames.
    pub const fn distinct_frames(&self) -> usize {
        self.frames.len()
    }

    /// Number of distinct pairs of neighbours, counting both directions.
    pub const fn distinct_pairs(&self) -> usize {
        2 * (self.frames.len() - 1)
    }

    /// Description of the clip.
    pub fn facts(&self) -> ClipFacts {
        ClipFacts {
            size: self.size,
            origin: self.origin.clone(),
            frames: self.distinct_frames(),
            mib: (self.frames.len() * self.size.samples()) as f64 / (1 << 20) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_play_forwards_and_backwards() {
        let source = ClipSource::scene(Size { width: 16, height: 16 }, 1);
        let clip = source.load(3).expect("a scene");
        assert_eq!(clip.distinct_frames(), 4);
        for (index, same_as) in [(4, 2), (5, 1), (6, 0), (7, 1), (9, 3), (10, 2)] {
            assert_eq!(clip.frame(index), clip.frame(same_as), "frame {index}");
        }
        assert_ne!(clip.frame(0), clip.frame(1));
        let again = clip.distinct_pairs();
        assert_eq!((clip.frame(again), clip.frame(again + 1)), (clip.frame(0), clip.frame(1)));
    }

    #[test]
    fn memory_limits_the_number_of_distinct_frames() {
        let scene = |width, height| ClipSource::scene(Size { width, height }, 1);
        assert_eq!(scene(1920, 1080).distinct_frames(500), 43);
        assert_eq!(scene(8192, 8192).distinct_frames(500), 3);
        assert_eq!(scene(320, 192).distinct_frames(1), 2);
        let frames = FrameSource::Images(vec![PathBuf::new(); 5]);
        let images = ClipSource { size: Size { width: 64, height: 64 }, frames };
        assert_eq!(images.distinct_frames(500), 5);
    }
}

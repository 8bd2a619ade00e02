//! The frames that every configuration is fed, made once before anything is measured.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::pictures;
use crate::scene::Scene;
use crate::subject::Size;
use crate::video;

/// Memory that a clip may take, in bytes. It is part of every peak that is measured, so it is
/// bounded, and reported.
pub const CLIP_BYTES: usize = 256 << 20;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Rendered in code.
    Scene {
        /// Size of the frames.
        size: Size,
        /// Decides the textures.
        seed: u32,
    },
    /// Read from files, all of one size.
    Pictures {
        /// Size of the frames.
        size: Size,
        /// The files, in order of time.
        paths: Vec<PathBuf>,
    },
    /// Decoded from a video file.
    Video {
        /// Size of the frames.
        size: Size,
        /// The file.
        path: PathBuf,
    },
}

impl Source {
    /// Size of the frames.
    pub const fn size(&self) -> Size {
        match self {
            Self::Scene { size, .. } | Self::Pictures { size, .. } | Self::Video { size, .. } => {
                *size
            }
        }
    }

    /// Different frames to hold so that `generated` frames can be made between them.
    pub fn distinct_frames(&self, generated: usize) -> usize {
        let wanted = generated.saturating_add(1).min((CLIP_BYTES / self.size().samples()).max(3));
        match self {
            Self::Scene { .. } | Self::Video { .. } => wanted,
            Self::Pictures { paths, .. } => wanted.min(paths.len()),
        }
    }

    /// Renders or reads the frames.
    ///
    /// # Errors
    /// Where a picture cannot be read.
    pub fn load(&self, generated: usize) -> Result<Clip> {
        let count = self.distinct_frames(generated);
        let (origin, frames) = match self {
            Self::Scene { size, seed } => {
                let scene = Scene { size: *size, seed: *seed };
                let frames = (0..count).map(|i| scene.render(i as f64)).collect();
                (Origin::Scene { seed: *seed }, frames)
            }
            Self::Pictures { size, paths } => {
                let frames = pictures::read_all(&paths[..count], *size)?;
                (Origin::Pictures { given: paths.len() }, frames)
            }
            Self::Video { size, path } => {
                let (now, frames) = video::read(path, count)?;
                ensure!(now == *size, "{} is not {size} any more", path.display());
                ensure!(frames.len() >= 2, "{} has a single frame", path.display());
                (Origin::Video { name: file_name(path) }, frames)
            }
        };
        Ok(Clip { size: self.size(), origin, frames })
    }
}

/// A file's name without its folder, which is the machine's business.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "clip".into(), |name| name.to_string_lossy().into_owned())
}

/// Where a clip's frames came from, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The scene of [`crate::scene`].
    Scene {
        /// Its seed.
        seed: u32,
    },
    /// Picture files.
    Pictures {
        /// How many were given; the clip may hold fewer.
        given: usize,
    },
    /// A video file.
    Video {
        /// Its name, without its folder.
        name: String,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scene { seed } => write!(f, "rendered scene, seed {seed}"),
            Self::Pictures { given } => write!(f, "{given} pictures"),
            Self::Video { name } => write!(f, "frames of {name}"),
        }
    }
}

/// Which of `frames`, 2 or more, is frame `index` when they are played forwards and backwards.
pub(crate) const fn there_and_back(index: usize, frames: usize) -> usize {
    let last = frames - 1;
    let at = index % (2 * last);
    if at > last { 2 * last - at } else { at }
}

/// What there is to know of a clip, for the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipFacts {
    /// Size of the frames.
    pub size: Size,
    /// Where they came from.
    pub origin: Origin,
    /// How many different ones there are.
    pub frames: usize,
    /// What they take, in MiB.
    pub mib: f64,
}

/// Frames in memory, interleaved 8-bit RGB, played forwards and backwards in turn: neighbours in
/// time stay neighbours however many frames are asked for.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Size of the frames.
    pub size: Size,
    /// Where they came from.
    pub origin: Origin,
    frames: Vec<Vec<u8>>,
}

impl Clip {
    /// Frame `index` of the endless clip.
    pub fn frame(&self, index: usize) -> &[u8] {
        &self.frames[there_and_back(index, self.frames.len())]
    }

    /// How many different frames there are.
    pub const fn distinct_frames(&self) -> usize {
        self.frames.len()
    }

    /// Pairs of neighbours that differ: in each direction, as often as it is played.
    pub const fn distinct_pairs(&self) -> usize {
        2 * (self.frames.len() - 1)
    }

    /// The clip without its frames.
    pub fn facts(&self) -> ClipFacts {
        ClipFacts {
            size: self.size,
            origin: self.origin.clone(),
            frames: self.distinct_frames(),
            mib: self.mib(),
        }
    }

    /// What they take, in MiB.
    pub const fn mib(&self) -> f64 {
        (self.frames.len() * self.size.samples()) as f64 / (1 << 20) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_plays_forwards_and_backwards() {
        let source = Source::Scene { size: Size { width: 16, height: 16 }, seed: 1 };
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
    fn memory_bounds_the_different_frames() {
        let scene = |width, height| Source::Scene { size: Size { width, height }, seed: 1 };
        assert_eq!(scene(1920, 1080).distinct_frames(500), 43);
        assert_eq!(scene(8192, 8192).distinct_frames(500), 3);
        assert_eq!(scene(320, 192).distinct_frames(1), 2);
        let paths = vec![PathBuf::new(); 5];
        let pictures = Source::Pictures { size: Size { width: 64, height: 64 }, paths };
        assert_eq!(pictures.distinct_frames(500), 5);
    }
}

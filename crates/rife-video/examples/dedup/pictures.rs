//! Draws pictures at any time of a known motion.

use rife_runtime::{Frame, FrameSize};

pub const SIZE: FrameSize = FrameSize::new(320, 180);

/// The luma of a picture, in 8-bit levels.
#[derive(Clone)]
pub struct Luma {
    pub size: FrameSize,
    pub samples: Vec<f32>,
}

impl Luma {
    pub fn of(frame: &Frame) -> Self {
        let luma = |rgb: &[u8]| match rgb {
            [r, g, b] => 0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b),
            _ => 0.0,
        };
        let samples = frame.as_rgb8().unwrap_or_default().chunks_exact(3).map(luma).collect();
        Self { size: frame.size(), samples }
    }
}

/// A motion. Times are in source frames.
#[derive(Clone, Copy)]
pub enum Motion {
    /// A textured background moves at constant speed.
    Pan,
    /// Textured objects move on arcs in front of a background that stands still.
    Objects,
}

type Rgb = [f32; 3];

impl Motion {
    /// The picture at a time, with 2 x 2 samples per pixel.
    pub fn picture(self, time: f32) -> Frame {
        const OFFSETS: [f32; 2] = [-0.25, 0.25];
        let mut samples = Vec::with_capacity(3 * SIZE.pixels());
        for y in 0..SIZE.height {
            for x in 0..SIZE.width {
                let mut sum = [0.0; 3];
                for (dx, dy) in OFFSETS.iter().flat_map(|dx| OFFSETS.map(|dy| (dx, dy))) {
                    let colour = self.colour(x as f32 + dx, y as f32 + dy, time);
                    sum.iter_mut().zip(colour).for_each(|(sum, v)| *sum += v / 4.0);
                }
                samples.extend(sum.map(|v| v.round().clamp(0.0, 255.0) as u8));
            }
        }
        Frame::rgb8(SIZE, samples).expect("the size is valid")
    }

    fn colour(self, x: f32, y: f32, time: f32) -> Rgb {
        match self {
            Self::Pan => texture(1, x + 2.0 * time, y + 0.5 * time),
            Self::Objects => {
                let turn = time / 14.0;
                let objects = [
                    (60.0 + 2.5 * time, 80.0 + 35.0 * turn.sin(), 34.0),
                    (250.0 - 2.0 * time, 60.0 + 25.0 * (turn + 1.0).cos(), 26.0),
                    (160.0 + 45.0 * (turn + 2.0).sin(), 130.0 + 20.0 * turn.cos(), 30.0),
                ];
                for (number, (left, top, radius)) in (2u32..).zip(objects) {
                    let (dx, dy) = (x - left, y - top);
                    if dx.hypot(dy) < radius {
                        let [r, g, b] = texture(number, dx + 500.0, dy + 500.0);
                        return [r + 40.0, g, b - 40.0];
                    }
                }
                texture(1, x, y).map(|v| 0.5 * v + 90.0)
            }
        }
    }
}

/// Patches of flat colours with hard edges, as in drawings, and finer structure on them.
fn texture(seed: u32, x: f32, y: f32) -> Rgb {
    let coarse = (noise(seed, x / 38.0, y / 38.0) * 5.0).floor() / 5.0;
    let fine = noise(seed ^ 0x5555, x / 9.0, y / 9.0) - 0.5;
    let colour = |channel: u32| 40.0 + 170.0 * ((coarse * 7.3 + channel as f32 * 0.37).fract());
    [0, 1, 2].map(|channel| colour(channel) + 50.0 * fine)
}

/// Smooth noise in [0, 1].
fn noise(seed: u32, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - left), smooth(y - top));
    let at = |dx: i32, dy: i32| hash(seed, left as i32 + dx, top as i32 + dy);
    let row = |dy: i32| at(0, dy) * (1.0 - u) + at(1, dy) * u;
    row(0) * (1.0 - v) + row(1) * v
}

fn hash(seed: u32, x: i32, y: i32) -> f32 {
    let mut h = seed.wrapping_mul(0x9E37_79B9) ^ (x as u32).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (y as u32).wrapping_mul(0xC2B2_AE35)).wrapping_mul(0x27D4_EB2F);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    (h >> 8) as f32 / (1 << 24) as f32
}

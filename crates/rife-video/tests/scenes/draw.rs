//! Renders pictures of seeded random scenes, seen by a moving camera.

use rife_runtime::{Chroma, Frame, FrameSize, Matrix, PixelFormat, Siting, YuvFormat};

pub const SIZE: FrameSize = FrameSize::new(160, 90);

/// A pseudorandom generator that gives the same numbers on all platforms.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// In [from, to).
    pub fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    pub fn sign(&mut self) -> f32 {
        if self.next() & 1 == 0 { 1.0 } else { -1.0 }
    }

    /// Approximately normal, with a variance of 1.
    pub fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.range(-1.0, 1.0)).sum::<f32>() / 2f32.sqrt()
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The look of a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Style {
    /// Objects, and textures at all scales.
    Photo,
    /// Out of focus, except for a few objects.
    Soft,
    /// Flat colours with hard edges.
    Anime,
}

type Rgb = [f32; 3];

struct Shape {
    x: f32,
    y: f32,
    w: f32,
    h: f32,
    round: bool,
    colour: Rgb,
    texture: f32,
}

pub struct Scene {
    seed: u64,
    style: Style,
    top: Rgb,
    bottom: Rgb,
    shapes: Vec<Shape>,
    /// The moving object. Its horizontal position is in [`Camera::object`].
    object: Shape,
}

/// Position of the camera and of the moving object, in frame widths.
#[derive(Clone, Copy, Debug)]
pub struct Camera {
    pub x: f32,
    pub y: f32,
    pub zoom: f32,
    /// Horizontal position of the moving object; far outside the image if nothing moves.
    pub object: f32,
    /// Distance that the camera moves during the exposure.
    pub blur: f32,
}

impl Default for Camera {
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, zoom: 1.0, object: 9.0, blur: 0.0 }
    }
}

impl Scene {
    pub fn new(seed: u64, style: Style) -> Self {
        Self::with_palette(seed, seed ^ 0x55, style)
    }

    /// Scenes with the same palette have similar colours.
    pub fn with_palette(seed: u64, palette: u64, style: Style) -> Self {
        let mut colours = Random::new(palette);
        let mut palette = Vec::new();
        for _ in 0..6 {
            let grey = colours.range(30.0, 220.0);
            let tint = if style == Style::Anime { 70.0 } else { 35.0 };
            palette.push([0, 1, 2].map(|_| (grey + colours.range(-tint, tint)).clamp(5.0, 250.0)));
        }
        let mut random = Random::new(seed);
        let pick = |random: &mut Random| palette[(random.next() % 6) as usize];
        let (top, bottom) = (pick(&mut random), pick(&mut random));
        let shapes = (0..60).map(|i| {
            let big = i < 14;
            let size = if big { (0.15, 0.6) } else { (0.03, 0.16) };
            Shape {
                x: random.range(-2.0, 3.0),
                y: random.range(-0.6, 1.2),
                w: random.range(size.0, size.1),
                h: random.range(size.0, size.1),
                round: random.next() & 1 == 0,
                colour: pick(&mut random),
                texture: random.range(0.0, 30.0),
            }
        });
        let shapes = match style {
            Style::Soft => shapes.filter(|shape| shape.w > 0.12).take(10).collect(),
            _ => shapes.collect(),
        };
        let object = Shape {
            x: 0.0,
            y: random.range(0.1, 0.45),
            w: random.range(0.12, 0.3),
            h: random.range(0.15, 0.5),
            round: random.next() & 1 == 0,
            colour: [0, 1, 2].map(|_| random.range(20.0, 235.0)),
            texture: 15.0,
        };
        Self { seed, style, top, bottom, shapes, object }
    }

    /// Smooth noise in [-1, 1) with `scale` cells per frame width.
    fn noise(&self, x: f32, y: f32, scale: f32, octave: u64) -> f32 {
        let (x, y) = (x * scale + 100.0, y * scale + 100.0);
        let (i, j) = (x.floor(), y.floor());
        let (fx, fy) = (x - i, y - j);
        let corner = |di: i64, dj: i64| {
            let key = mix(self.seed ^ octave << 56)
                ^ ((i as i64 + di) as u64) << 20
                ^ (j as i64 + dj) as u64;
            (mix(key.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (fx, fy) = (smooth(fx), smooth(fy));
        let above = corner(0, 0) * (1.0 - fx) + corner(1, 0) * fx;
        let below = corner(0, 1) * (1.0 - fx) + corner(1, 1) * fx;
        above * (1.0 - fy) + below * fy
    }

    /// The colour at a point. `shapes` are the candidates to cover it, with their horizontal positions.
    fn colour(&self, x: f32, y: f32, shapes: &[(&Shape, f32)]) -> Rgb {
        let down = (y / 0.5625).clamp(0.0, 1.0);
        let (mut colour, mut texture) = match self.style {
            Style::Anime => (if down < 0.5 { self.top } else { self.bottom }, 0.0),
            _ => {
                let mixed = [0, 1, 2].map(|c| self.top[c] * (1.0 - down) + self.bottom[c] * down);
                (mixed, 18.0)
            }
        };
        for (shape, left) in shapes {
            let (dx, dy) = ((x - left) / shape.w * 2.0, (y - shape.y) / shape.h * 2.0);
            let inside =
                if shape.round { dx * dx + dy * dy < 1.0 } else { dx.abs().max(dy.abs()) < 1.0 };
            if inside {
                (colour, texture) = (shape.colour, shape.texture);
            }
        }
        let grain = match self.style {
            Style::Photo => {
                self.noise(x, y, 6.0, 1)
                    + self.noise(x, y, 17.0, 2)
                    + self.noise(x, y, 45.0, 3) * 0.6
            }
            Style::Soft => self.noise(x, y, 3.0, 1),
            Style::Anime => 0.0,
        };
        colour.map(|c| (c + grain * texture).clamp(0.0, 255.0))
    }

    pub fn render(&self, camera: Camera) -> Picture {
        let samples = if camera.blur > 0.0 { 7 } else { 1 };
        let mut pixels = Vec::with_capacity(SIZE.pixels());
        let unit = 1.0 / SIZE.width as f32;
        let reach = 0.5 / camera.zoom + camera.blur;
        let objects = [(&self.object, camera.object)];
        let shapes = self.shapes.iter().map(|shape| (shape, shape.x)).chain(objects);
        let in_view = |(shape, x): &(&Shape, f32)| (x - 0.5 - camera.x).abs() < reach + shape.w;
        let shapes: Vec<_> = shapes.filter(in_view).collect();
        for row in 0..SIZE.height {
            for column in 0..SIZE.width {
                let mut sum = [0.0; 3];
                for s in 0..samples {
                    let along = (s as f32 / samples as f32 - 0.5) * camera.blur;
                    let centred = |px: usize, side: usize| (px as f32 - side as f32 / 2.0) * unit;
                    let x = centred(column, SIZE.width) / camera.zoom + 0.5 + camera.x + along;
                    let y = centred(row, SIZE.height) / camera.zoom + 0.28 + camera.y;
                    let colour = self.colour(x, y, &shapes);
                    sum = [0, 1, 2].map(|c| sum[c] + colour[c] / samples as f32);
                }
                pixels.push(sum);
            }
        }
        Picture(pixels)
    }
}

/// Pixels in [0, 255], not rounded.
#[derive(Clone)]
pub struct Picture(pub Vec<Rgb>);

impl Picture {
    pub fn flat(level: f32) -> Self {
        Self(vec![[level; 3]; SIZE.pixels()])
    }

    /// Applies a gain and an offset, with clipping.
    pub fn exposed(&self, gain: f32, offset: f32) -> Self {
        self.map_pixels(|_, _, rgb| rgb.map(|v| (v * gain + offset).clamp(0.0, 255.0)))
    }

    pub fn mixed(&self, other: &Self, part: f32) -> Self {
        let pixels = self.0.iter().zip(&other.0);
        Self(pixels.map(|(a, b)| [0, 1, 2].map(|c| a[c] * (1.0 - part) + b[c] * part)).collect())
    }

    pub fn grainy(&self, random: &mut Random, sigma: f32) -> Self {
        Self(
            self.0
                .iter()
                .map(|rgb| {
                    let grain = sigma * random.normal();
                    rgb.map(|v| (v + grain).clamp(0.0, 255.0))
                })
                .collect(),
        )
    }

    /// Adds black bars above and below, or at the sides of a tall picture.
    pub fn barred(&self, tall: bool) -> Self {
        self.map_pixels(|x, y, rgb| {
            let bar = if tall { !(0.18..0.82).contains(&x) } else { !(0.13..0.87).contains(&y) };
            if bar { [0.0; 3] } else { rgb }
        })
    }

    /// Changes each pixel, depending on its position in [0, 1).
    pub fn map_pixels(&self, change: impl Fn(f32, f32, Rgb) -> Rgb) -> Self {
        let (w, h) = (SIZE.width, SIZE.height);
        let pixels = self.0.iter().enumerate();
        Self(
            pixels
                .map(|(i, rgb)| change((i % w) as f32 / w as f32, (i / w) as f32 / h as f32, *rgb))
                .collect(),
        )
    }
}

/// Pixel formats of frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    Yuv8,
    Yuv10,
    Gray8,
    Rgb8,
    Rgb16,
    /// Another format of RGB.
    Rgb(PixelFormat),
}

impl Format {
    pub const ALL: [Self; 11] = [
        Self::Yuv8,
        Self::Yuv10,
        Self::Gray8,
        Self::Rgb8,
        Self::Rgb16,
        Self::Rgb(PixelFormat::RgbF16),
        Self::Rgb(PixelFormat::RgbF32),
        Self::Rgb(PixelFormat::Planar8),
        Self::Rgb(PixelFormat::Planar16),
        Self::Rgb(PixelFormat::PlanarF16),
        Self::Rgb(PixelFormat::PlanarF32),
    ];

    pub fn frame(self, picture: &Picture) -> Frame {
        let yuv = |chroma, depth| YuvFormat {
            chroma,
            depth,
            matrix: Matrix::Bt601,
            full_range: false,
            siting: Siting::Left,
        };
        let samples = |scale: f32| picture.0.iter().flatten().map(move |v| (v * scale).round());
        match self {
            Self::Rgb8 => Frame::rgb8(SIZE, samples(1.0).map(|v| v as u8).collect()),
            Self::Rgb16 => Frame::rgb16(SIZE, samples(257.0).map(|v| v as u16).collect()),
            Self::Rgb(format) => Self::Rgb16.frame(picture).converted(format),
            Self::Yuv8 => {
                let data = planes(picture, 1.0).map(|v| v as u8).collect();
                Frame::yuv8(SIZE, yuv(Chroma::Yuv420, 8), data)
            }
            Self::Gray8 => {
                let data = planes(picture, 1.0).take(SIZE.pixels()).map(|v| v as u8).collect();
                Frame::yuv8(SIZE, yuv(Chroma::Gray, 8), data)
            }
            Self::Yuv10 => {
                let data = planes(picture, 4.0).map(|v| v as u16).collect();
                Frame::yuv16(SIZE, yuv(Chroma::Yuv420, 10), data)
            }
        }
        .unwrap()
    }
}

/// Luma, and chroma at half the width and height, in limited range, times `scale`.
fn planes(picture: &Picture, scale: f32) -> impl Iterator<Item = f32> {
    let luma = |[r, g, b]: Rgb| 0.299 * r + 0.587 * g + 0.114 * b;
    let mut out: Vec<f32> = picture.0.iter().map(|rgb| 16.0 + luma(*rgb) * 219.0 / 255.0).collect();
    for (c, range) in [(2usize, 1.772f32), (0, 1.402)] {
        for y in (0..SIZE.height).step_by(2) {
            for x in (0..SIZE.width).step_by(2) {
                let rgb = picture.0[y * SIZE.width + x];
                out.push(128.0 + (rgb[c] - luma(rgb)) / range * 224.0 / 255.0);
            }
        }
    }
    out.into_iter().map(move |v| (v * scale).round())
}

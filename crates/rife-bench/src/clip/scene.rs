//! A synthetic moving scene that is hard to interpolate, rendered at any size and at any time, so
//! that the true intermediate frame is available too.
//!
//! A slow diagonal pan over smooth and fine textures, hard-edged tiles and thin lines; in front a
//! bouncing textured disc and a bouncing bar, which occlude and reveal the background; and a static
//! caption.
//!
//! Rendering uses fixed-point arithmetic on hashed lattices, so that the bytes are identical on
//! every machine. Edges are antialiased, so that sub-pixel motion is visible.

use rayon::prelude::*;

use crate::hash::hash32;
use crate::subject::Size;

/// Fixed point with 16 fractional bits.
type Fixed = i64;
const ONE: Fixed = 1 << 16;

/// Textures and motion are designed for this height and scale up with taller frames.
const DESIGN_HEIGHT: Fixed = 720;

/// Background motion, in design units per frame.
const PAN: (Fixed, Fixed) = (5 * ONE + ONE / 3, ONE + ONE / 5);

/// A scene of one size.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Frame size.
    pub size: Size,
    /// Seed of the textures. Geometry and motion are the same for every seed.
    pub seed: u32,
}

impl Scene {
    /// The frame at `time`, in frames, as interleaved 8-bit RGB. Time 0.5 is the true intermediate
    /// frame between frames 0 and 1.
    pub fn render(&self, time: f64) -> Vec<u8> {
        // Multiplying by a power of two and rounding is exact on every machine.
        let time = (time * ONE as f64).round() as Fixed;
        let view = View::new(self, time);
        let row_bytes = 3 * self.size.width;
        let mut rgb = vec![0; row_bytes * self.size.height];
        rgb.par_chunks_exact_mut(row_bytes).enumerate().for_each(|(y, row)| {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&view.pixel(x as Fixed, y as Fixed).map(|v| v as u8));
            }
        });
        rgb
    }
}

/// RGB, each 0 to 255.
type Colour = [Fixed; 3];

/// The scene at one moment.
struct View {
    seed: u32,
    width: Fixed,
    height: Fixed,
    /// Design units per pixel: the reciprocal of the scale.
    units_per_px: Fixed,
    /// Position of the frame's corner on the background, in design units.
    pan: (Fixed, Fixed),
    disc: Disc,
    bar: Bar,
}

struct Disc {
    centre: (Fixed, Fixed),
    radius: Fixed,
}

struct Bar {
    left: Fixed,
    top: Fixed,
    width: Fixed,
    height: Fixed,
}

impl View {
    fn new(scene: &Scene, time: Fixed) -> Self {
        let (width, height) = (scene.size.width as Fixed, scene.size.height as Fixed);
        let scale = (height * ONE / DESIGN_HEIGHT).max(ONE);
        let radius = width.min(height) * ONE / 5;
        let bar_size = (width * ONE / 12, height * ONE / 2);
        // Speeds are in design units per frame and scale with the frame size, as the pan does.
        let travel = |units: Fixed| mul(mul(units, scale), time);
        Self {
            seed: scene.seed,
            width,
            height,
            units_per_px: ONE * ONE / scale,
            pan: (mul(PAN.0, time), mul(PAN.1, time)),
            disc: Disc {
                centre: (
                    radius + bounce(radius - travel(4 * ONE + ONE / 7), width * ONE - 2 * radius),
                    radius + bounce(travel(3 * ONE / 2), height * ONE - 2 * radius),
                ),
                radius,
            },
            bar: Bar {
                left: bounce(width * ONE / 2 + travel(7 * ONE + ONE / 2), width * ONE - bar_size.0),
                top: bounce(height * ONE / 3 - travel(2 * ONE), height * ONE - bar_size.1),
                width: bar_size.0,
                height: bar_size.1,
            },
        }
    }

    /// Colour of pixel (x, y).
    fn pixel(&self, x: Fixed, y: Fixed) -> Colour {
        // Pixel centres, in px.
        let at = (x * ONE + ONE / 2, y * ONE + ONE / 2);
        let mut colour = self.background(at);
        colour = self.disc(at, colour);
        colour = self.bar(at, colour);
        self.caption(at, colour)
    }

    fn background(&self, (x, y): (Fixed, Fixed)) -> Colour {
        let px = self.units_per_px;
        let (u, v) = (mul(x, px) + self.pan.0, mul(y, px) + self.pan.1);
        let mut colour = self.texture(u, v, 0);

        // One cell in four of a coarse lattice is tiled: hard edges in a pattern that does not
        // repeat, as motion in a repeating pattern is ambiguous.
        let cell = (u >> TILED_CELL_BITS, v >> TILED_CELL_BITS);
        if lattice(self.seed ^ 0x5EED, cell.0, cell.1).is_multiple_of(4) {
            colour = mix([26, 30, 40], [224, 216, 190], tiles(self.seed ^ 0x711E, u, v, px));
        }
        // Lines about a pixel wide, vertical and with a slope of 2.
        for (along, ink) in [(u, [245, 245, 235]), (u + 2 * v, [12, 16, 20])] {
            let period = 120 * ONE;
            let distance = (along.rem_euclid(period) - period / 2).abs();
            colour = mix(colour, ink, (ONE - distance * ONE / px).clamp(0, ONE));
        }
        colour
    }

    fn disc(&self, (x, y): (Fixed, Fixed), behind: Colour) -> Colour {
        let Disc { centre, radius } = self.disc;
        let (dx, dy) = (x - centre.0, y - centre.1);
        // (r² - d²) / 2r approximates r - d near the edge without a square root.
        let inside = (mul(radius, radius) - mul(dx, dx) - mul(dy, dy)) * ONE / (2 * radius);
        let coverage = (inside + ONE / 2).clamp(0, ONE);
        if coverage == 0 {
            return behind;
        }
        let [r, g, b] = self.texture(mul(dx, self.units_per_px), mul(dy, self.units_per_px), 1);
        mix(behind, [(r + 255) / 2, g / 2 + 20, b / 3], coverage)
    }

    fn bar(&self, (x, y): (Fixed, Fixed), behind: Colour) -> Colour {
        let Bar { left, top, width, height } = self.bar;
        let across = (x - left).min(left + width - x);
        let down = (y - top).min(top + height - y);
        let coverage = mul((across + ONE / 2).clamp(0, ONE), (down + ONE / 2).clamp(0, ONE));
        // Stripes along the bar, so that its outline alone does not define its motion.
        let stripe = square_wave(mul(y - top, self.units_per_px), 20 * ONE, self.units_per_px);
        mix(behind, mix([20, 60, 150], [70, 150, 240], (ONE + stripe) / 2), coverage)
    }

    fn caption(&self, (x, y): (Fixed, Fixed), behind: Colour) -> Colour {
        let (x, y) = (x >> 16, y >> 16);
        let letter = (self.height / 24).max(3);
        let (column, row) = ((x - self.width / 8) / letter, (y - self.height * 7 / 8) / letter);
        let inside = x >= self.width / 8
            && column < (self.width * 3 / 4) / letter
            && y >= self.height * 7 / 8
            && row < 2;
        if inside && !lattice(self.seed ^ 0xCA97, column, row).is_multiple_of(3) {
            [250, 250, 250]
        } else {
            behind
        }
    }

    /// Three octaves of smooth noise; coordinates in design units.
    fn texture(&self, u: Fixed, v: Fixed, layer: u32) -> Colour {
        let seed = self.seed.wrapping_mul(3).wrapping_add(layer);
        let coarse = noise(seed, u, v, 6);
        let middle = noise(seed ^ 0x4D1D, u, v, 4);
        let fine = noise(seed ^ 0xF14E, u, v, 2);
        std::array::from_fn(|c| (2 * coarse[c] + middle[c] + fine[c]) / 4)
    }
}

/// Cells of 2^7 design units.
const TILED_CELL_BITS: u32 = 16 + 7;
/// Side of a tile, in design units.
const TILE: Fixed = 12 * ONE;

fn mul(a: Fixed, b: Fixed) -> Fixed {
    (a * b) >> 16
}

fn mix(a: Colour, b: Colour, share_of_b: Fixed) -> Colour {
    std::array::from_fn(|c| (a[c] * (ONE - share_of_b) + b[c] * share_of_b + ONE / 2) >> 16)
}

/// Moves back and forth between 0 and `range`.
fn bounce(position: Fixed, range: Fixed) -> Fixed {
    let range = range.max(1);
    let at = position.rem_euclid(2 * range);
    if at > range { 2 * range - at } else { at }
}

/// Alternates between +1 and -1 every `side`. Steps are `blur` wide, which antialiases them.
fn square_wave(at: Fixed, side: Fixed, blur: Fixed) -> Fixed {
    let phase = at.rem_euclid(2 * side);
    let edge = if phase < side / 2 {
        phase
    } else if phase < side + side / 2 {
        side - phase
    } else {
        phase - 2 * side
    };
    (2 * edge * ONE / blur).clamp(-ONE, ONE)
}

/// Hashed light and dark tiles, 0 to `ONE`. Edges are `blur` wide, which antialiases them.
fn tiles(seed: u32, u: Fixed, v: Fixed, blur: Fixed) -> Fixed {
    let split = |at: Fixed| {
        let (cell, within) = (at.div_euclid(TILE), at.rem_euclid(TILE));
        (cell, ((within - TILE / 2) * ONE / blur + ONE / 2).clamp(0, ONE))
    };
    let ((x, fx), (y, fy)) = (split(u), split(v));
    let tone = |dx, dy| Fixed::from(lattice(seed, x + dx, y + dy) & 1) * ONE;
    let row = |dy| tone(0, dy) + mul(tone(1, dy) - tone(0, dy), fx);
    row(0) + mul(row(1) - row(0), fy)
}

fn lattice(seed: u32, x: Fixed, y: Fixed) -> u32 {
    let cell = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    hash32(hash32(seed).wrapping_add(cell))
}

/// Value noise on cells of `2^cell_bits` design units, interpolated smoothly. One hash provides the
/// three channels.
fn noise(seed: u32, u: Fixed, v: Fixed, cell_bits: u32) -> Colour {
    let (x, y) = (u >> (16 + cell_bits), v >> (16 + cell_bits));
    let smooth = |at: Fixed| {
        let f = (at >> cell_bits) & (ONE - 1);
        mul(mul(f, f), 3 * ONE - 2 * f)
    };
    let (fx, fy) = (smooth(u), smooth(v));
    let corner = |dx, dy| {
        let h = lattice(seed, x + dx, y + dy);
        [0, 8, 16].map(|shift| Fixed::from(h >> shift & 255) * ONE)
    };
    let (a, b, c, d) = (corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1));
    std::array::from_fn(|i| {
        let (top, bottom) = (mul(b[i] - a[i], fx) + a[i], mul(d[i] - c[i], fx) + c[i]);
        (mul(bottom - top, fy) + top) >> 16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 96, height: 64 };

    fn digest(bytes: &[u8]) -> u32 {
        bytes.iter().fold(0, |h, &b| hash32(h ^ u32::from(b)))
    }

    #[test]
    fn rendering_is_bit_exact() {
        let scene = Scene { size: SIZE, seed: 1 };
        let digests = [0.0, 0.5, 7.0].map(|t| digest(&scene.render(t)));
        assert_eq!(digests, [1_349_698_074, 254_113_252, 4_072_991_236]);
        let wide = Scene { size: Size { width: 1920, height: 1080 }, seed: 1 };
        assert_eq!(digest(&wide.render(499.5)), 2_017_012_488);
    }

    #[test]
    fn frames_depend_on_time_and_seed_and_neighbours_are_similar() {
        let scene = Scene { size: SIZE, seed: 1 };
        let change = |a: &[u8], b: &[u8]| {
            a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
        };
        let [now, next, later] = [10.0, 10.1, 30.0].map(|t| scene.render(t));
        assert!(change(&now, &next) > 0.1);
        assert!(change(&now, &next) < 0.5 * change(&now, &later));
        assert!(change(&now, &Scene { seed: 2, ..scene }.render(10.0)) > 5.0);
    }

    #[test]
    fn odd_and_extreme_sizes_render() {
        for (width, height) in [(1, 1), (16, 16), (17, 301), (640, 16)] {
            let size = Size { width, height };
            assert_eq!(Scene { size, seed: 3 }.render(123.75).len(), size.samples());
        }
    }

    #[test]
    fn bounce_reflects_at_both_ends() {
        assert_eq!([0, 3, 10, 12, 20, 25, -2].map(|p| bounce(p, 10)), [0, 3, 10, 8, 0, 5, 2]);
    }
}

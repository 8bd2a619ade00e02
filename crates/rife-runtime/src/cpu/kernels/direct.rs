//! Direct convolutions: every output is a sum over taps and channels.

use std::ops::Range;

use super::super::lanes::{Isa, Lanes, Sixteen};
use super::super::tensor::BLOCK;

/// A convolution of a part of a map. The inputs of an output are `segments` of `len` channels each,
/// at fixed offsets from the output's source pixel.
pub(crate) struct Direct<'a> {
    /// The source pixel of the output at row 0 and column 0.
    pub(crate) src: *const f32,
    /// Floats between the source pixels of outputs in adjacent rows and columns.
    pub(crate) src_row: usize,
    pub(crate) src_column: usize,
    /// The offset of each segment from the source pixel, in floats.
    pub(crate) segments: &'a [isize],
    /// Channels of a segment.
    pub(crate) len: usize,
    /// `[group of vectors][segment][channel][vector of the group][16]`, the groups of
    /// [`super::group`].
    pub(crate) weights: *const f32,
    /// 16 per vector.
    pub(crate) bias: *const f32,
    /// Vectors of 16 outputs.
    pub(crate) vectors: usize,
    pub(crate) rows: Range<usize>,
    pub(crate) columns: Range<usize>,
    pub(crate) to: Epilogue,
}

/// The operation after the sums and the bias, and the destination.
#[derive(Clone, Copy)]
pub(crate) enum Epilogue {
    /// Applies LeakyReLU, and stores the blocks of a map.
    Leaky(Place),
    /// Adds the same position of another map, then applies LeakyReLU.
    Residual { place: Place, add: *const f32 },
    /// Transposed convolution: four channels for each of 2×2 pixels, stored as interleaved pixels.
    /// Each vector has the next four channels.
    Quarters(Pixels),
    /// The same for vector 0, and eight channels for each of 2×2 pixels from vectors 1 and 2, a row of two
    /// pixels each.
    QuartersAndEights { quarters: Pixels, eights: Pixels },
    /// One channel for each of 4×4 pixels, followed by three zeros.
    Singles(Pixels),
    /// Sixteen channels of the first pixel for each vector.
    Whole(Pixels),
}

/// The memory of blocks of 16 channels.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The output at row 0 and column 0 of the first block.
    pub(crate) at: *mut f32,
    pub(crate) row: usize,
    pub(crate) plane: usize,
}

// SAFETY: these are only addresses; each access through them states its own invariant.
unsafe impl Send for Epilogue {}
// SAFETY: as above.
unsafe impl Sync for Epilogue {}

/// The memory of pixels with interleaved channels.
#[derive(Clone, Copy)]
pub(crate) struct Pixels {
    /// The first pixel of the output at row 0 and column 0.
    pub(crate) at: *mut f32,
    /// Floats from one row of pixels to the next, and from pixel to pixel.
    pub(crate) row: usize,
    pub(crate) pixel: usize,
    /// Rows and columns of pixels per output.
    pub(crate) step: usize,
}

impl Pixels {
    /// The address of pixel `(dy, dx)` of an output.
    #[inline(always)]
    fn of(&self, y: usize, x: usize, dy: usize, dx: usize) -> *mut f32 {
        self.at.wrapping_add((self.step * y + dy) * self.row + (self.step * x + dx) * self.pixel)
    }
}

/// Runs a convolution.
///
/// # Safety
/// The CPU supports the instructions of `I`. For every output of the rows and columns, the sources
/// are readable, and no other thread accesses the destinations. Sources and destinations do not
/// overlap.
#[inline(always)]
pub(crate) unsafe fn direct<I: Isa>(args: &Direct<'_>) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        match args.to {
            Epilogue::Leaky(place) => with_groups::<I, _>(args, Leaky(place)),
            Epilogue::Residual { place, add } => {
                with_groups::<I, _>(args, Residual { place, add });
            }
            Epilogue::Quarters(to) => with_groups::<I, _>(args, Quarters(to)),
            Epilogue::QuartersAndEights { quarters, eights } => {
                with_groups::<I, _>(args, QuartersAndEights { quarters, eights });
            }
            Epilogue::Singles(to) => with_groups::<I, _>(args, Singles(to)),
            Epilogue::Whole(to) => with_groups::<I, _>(args, Whole(to)),
        }
    }
}

/// Stores a sum. A trait rather than a closure, see [`super`].
trait Store: Copy {
    /// # Safety
    /// The memory of the output is writable.
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, vector: usize, sum: V);
}

/// See [`Epilogue::Leaky`].
#[derive(Clone, Copy)]
struct Leaky(Place);
/// See [`Epilogue::Residual`].
#[derive(Clone, Copy)]
struct Residual {
    place: Place,
    add: *const f32,
}
/// See [`Epilogue::Quarters`].
#[derive(Clone, Copy)]
struct Quarters(Pixels);
/// See [`Epilogue::QuartersAndEights`].
#[derive(Clone, Copy)]
struct QuartersAndEights {
    quarters: Pixels,
    eights: Pixels,
}
/// See [`Epilogue::Singles`].
#[derive(Clone, Copy)]
struct Singles(Pixels);
/// See [`Epilogue::Whole`].
#[derive(Clone, Copy)]
struct Whole(Pixels);

impl Store for Leaky {
    #[inline(always)]
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, vector: usize, sum: V) {
        // SAFETY: guaranteed by the caller.
        unsafe { store_leaky(self.0, y, x, vector, sum) }
    }
}

impl Store for Residual {
    #[inline(always)]
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, vector: usize, sum: V) {
        let at = y * self.place.row + x * BLOCK + vector * self.place.plane;
        // SAFETY: guaranteed by the caller; the residual has the layout of the outputs.
        unsafe {
            let sum = sum.add(V::load(self.add.wrapping_add(at)));
            store_leaky(self.place, y, x, vector, sum);
        }
    }
}

impl Store for Quarters {
    #[inline(always)]
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, vector: usize, sum: V) {
        let at = self.0.at.wrapping_add(4 * vector);
        // SAFETY: guaranteed by the caller.
        unsafe { store_quarters(Pixels { at, ..self.0 }, y, x, sum) }
    }
}

impl Store for QuartersAndEights {
    #[inline(always)]
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, vector: usize, sum: V) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if vector == 0 {
                store_quarters(self.quarters, y, x, sum);
            } else {
                sum.store(self.eights.of(y, x, vector - 1, 0));
            }
        }
    }
}

impl Store for Singles {
    #[inline(always)]
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, _vector: usize, sum: V) {
        let mut lanes = [0.0; BLOCK];
        // SAFETY: guaranteed by the caller.
        unsafe {
            sum.store(lanes.as_mut_ptr());
            for (i, v) in lanes.into_iter().enumerate() {
                let to = self.0.of(y, x, i / 4, i % 4).cast::<[f32; 4]>();
                to.write_unaligned([v, 0.0, 0.0, 0.0]);
            }
        }
    }
}

impl Store for Whole {
    #[inline(always)]
    unsafe fn store<V: Sixteen>(self, y: usize, x: usize, vector: usize, sum: V) {
        // SAFETY: guaranteed by the caller.
        unsafe { sum.store(self.0.of(y, x, 0, 0).wrapping_add(vector * BLOCK)) }
    }
}

/// # Safety
/// Block `vector` of `place` is writable at `(y, x)`.
#[inline(always)]
unsafe fn store_leaky<V: Lanes>(place: Place, y: usize, x: usize, vector: usize, sum: V) {
    let at = place.at.wrapping_add(y * place.row + x * BLOCK + vector * place.plane);
    // SAFETY: guaranteed by the caller; the value exists, so the instructions do.
    unsafe { leaky(sum).store(at) }
}

/// # Safety
/// The four pixels of `to` are writable.
#[inline(always)]
unsafe fn store_quarters<V: Sixteen>(to: Pixels, y: usize, x: usize, sum: V) {
    let to = [to.of(y, x, 0, 0), to.of(y, x, 0, 1), to.of(y, x, 1, 0), to.of(y, x, 1, 1)];
    // SAFETY: guaranteed by the caller.
    unsafe { sum.store_quarters(to) }
}

/// LeakyReLU.
#[inline(always)]
pub(crate) fn leaky<V: Lanes>(x: V) -> V {
    // SAFETY: a value of the type exists, so the CPU supports its instructions.
    let slope = unsafe { V::splat(rife_model::LEAKY_SLOPE as f32) };
    x.max(x.mul(slope))
}

/// Computes every output, in groups of vectors that suit the instruction set.
///
/// # Safety
/// Same as for [`direct`], with `to` instead of [`Direct::to`].
#[inline(always)]
unsafe fn with_groups<I: Isa, S: Store>(args: &Direct<'_>, to: S) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        match super::group(I::MOST_VECTORS, args.vectors) {
            4 => groups::<I, S, 4>(args, to),
            3 => groups::<I, S, 3>(args, to),
            2 => groups::<I, S, 2>(args, to),
            _ => groups::<I, S, 1>(args, to),
        }
    }
}

/// # Safety
/// Same as for [`with_groups`].
#[inline(always)]
unsafe fn groups<I: Isa, S: Store, const O: usize>(args: &Direct<'_>, to: S) {
    if O > I::MOST_VECTORS {
        return;
    }
    let of_a_group = args.segments.len() * args.len * O * BLOCK;
    for y in args.rows.clone() {
        let row = args.src.wrapping_add(y * args.src_row);
        for group in 0..args.vectors / O {
            let weights = args.weights.wrapping_add(group * of_a_group);
            let mut x = args.columns.start;
            // SAFETY: guaranteed by the caller.
            super::strips!(I, O, x, args.columns.end, P => unsafe {
                let src = row.wrapping_add(x * args.src_column);
                let mut sums = [[I::V16::splat(0.0); O]; P];
                for o in 0..O {
                    let bias = I::V16::load(args.bias.wrapping_add((group * O + o) * BLOCK));
                    for sums in &mut sums {
                        sums[o] = bias;
                    }
                }
                let mut w = weights;
                for segment in args.segments {
                    let from = src.wrapping_offset(*segment);
                    accumulate::<_, P, O, false>(&mut sums, from, args.src_column, w, args.len);
                    w = w.wrapping_add(args.len * O * BLOCK);
                }
                for (p, sums) in sums.into_iter().enumerate() {
                    for (o, sum) in sums.into_iter().enumerate() {
                        to.store(y, x + p, group * O + o, sum);
                    }
                }
            });
        }
    }
}

/// Adds the products of `len` channels (or pairs of them) of `P` pixels, `step` floats apart, and
/// the weights of `O` vectors.
///
/// # Safety
/// The CPU supports the instructions of `V`, and with pairs those of BF16; the pixels' channels
/// and the weights may be read.
#[inline(always)]
pub(crate) unsafe fn accumulate<V: Sixteen, const P: usize, const O: usize, const PAIRS: bool>(
    sums: &mut [[V; O]; P],
    from: *const f32,
    step: usize,
    weights: *const f32,
    len: usize,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        for channel in 0..len {
            let mut w = [V::splat(0.0); O];
            for (o, w) in w.iter_mut().enumerate() {
                *w = V::load(weights.add((channel * O + o) * BLOCK));
            }
            for (p, sums) in sums.iter_mut().enumerate() {
                let v = V::splat(*from.add(p * step + channel));
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = if PAIRS { v.dot_pairs(w, *sum) } else { v.mul_add(w, *sum) };
                }
            }
        }
    }
}

//! Vectors of F32, as plain arrays and as registers. Kernels are written once over [`Lanes`] and
//! compiled for each [`Isa`].
//!
//! Values of a register type are created only by `unsafe` functions, whose callers guarantee that
//! the CPU supports the instructions. Operations on existing values are therefore safe.

/// A vector of F32.
pub(crate) trait Lanes: Copy {
    /// The number of lanes.
    const N: usize;

    /// The same value in each lane.
    ///
    /// # Safety
    /// The CPU supports the type's instructions.
    unsafe fn splat(v: f32) -> Self;

    /// Loads from memory of any alignment.
    ///
    /// # Safety
    /// The CPU supports the type's instructions, and `N` floats at `p` are readable.
    unsafe fn load(p: *const f32) -> Self;

    /// Stores to memory of any alignment.
    ///
    /// # Safety
    /// `N` floats at `p` are writable.
    unsafe fn store(self, p: *mut f32);

    /// `self + b`
    fn add(self, b: Self) -> Self;
    /// `self - b`
    fn sub(self, b: Self) -> Self;
    /// `self · b`
    fn mul(self, b: Self) -> Self;
    /// `self / b`
    fn div(self, b: Self) -> Self;
    /// `self · b + c`, rounded once if the CPU has a fused instruction.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self` if it is larger, else `b`. `b` if either is NaN.
    fn max(self, b: Self) -> Self;
    /// `self` if it is smaller, else `b`. `b` if either is NaN.
    fn min(self, b: Self) -> Self;
    /// The largest integer that is not greater than the value.
    fn floor(self) -> Self;
    /// `self` where `sign` is not negative, else 0.
    fn zero_where_negative(self, sign: Self) -> Self;
    /// 2 to the power of an integer in -126..=127.
    fn exp2_of_integer(self) -> Self;
}

/// Sixteen lanes, the vector of activations and weights. A lane may also hold two BF16 numbers, the
/// first one in its lower half.
pub(crate) trait Sixteen: Lanes {
    /// Rounds the lanes to BF16 and stores them as eight lanes of pairs.
    ///
    /// # Safety
    /// The CPU supports the type's instructions, and for AVX-512 those of BF16; eight floats at
    /// `p` are writable.
    unsafe fn store_as_pairs(self, p: *mut f32);

    /// Adds the products of each lane's pairs to `c`.
    ///
    /// # Safety
    /// The CPU supports the type's instructions, and for AVX-512 those of BF16.
    unsafe fn dot_pairs(self, b: Self, c: Self) -> Self;

    /// Stores four lanes at each of four addresses.
    ///
    /// # Safety
    /// Four floats at each address are writable.
    unsafe fn store_quarters(self, to: [*mut f32; 4]);
}

/// Eight lanes, of which the first four are a vector of their own.
pub(crate) trait Eight: Lanes {
    /// The vector of the first four lanes.
    type Half: Four;
    /// The first four lanes.
    fn low(self) -> Self::Half;
}

/// Four lanes.
pub(crate) trait Four: Lanes {
    /// Each lane rounded towards zero; an arbitrary value if `i32` cannot hold it.
    fn to_i32(self) -> [i32; 4];
}

/// An instruction set that kernels are compiled for.
pub(crate) trait Isa {
    /// Its vector of four lanes.
    type V4: Four;
    /// Its vector of eight lanes.
    type V8: Eight<Half = Self::V4>;
    /// Its vector of sixteen lanes.
    type V16: Sixteen;
    /// The most vectors of outputs that a convolution computes at once.
    const MOST_VECTORS: usize;
    /// The number of vector registers for accumulators.
    const ACCUMULATORS: usize;
}

/// Two vectors as one.
#[derive(Clone, Copy)]
pub(crate) struct Joined<A, B>(A, B);

impl<A: Lanes, B: Lanes> Lanes for Joined<A, B> {
    const N: usize = A::N + B::N;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe { Self(A::splat(v), B::splat(v)) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe { Self(A::load(p), B::load(p.add(A::N))) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            self.0.store(p);
            self.1.store(p.add(A::N));
        }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self(self.0.add(b.0), self.1.add(b.1))
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self(self.0.sub(b.0), self.1.sub(b.1))
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Self(self.0.mul(b.0), self.1.mul(b.1))
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Self(self.0.div(b.0), self.1.div(b.1))
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(self.0.mul_add(b.0, c.0), self.1.mul_add(b.1, c.1))
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        Self(self.0.max(b.0), self.1.max(b.1))
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        Self(self.0.min(b.0), self.1.min(b.1))
    }

    #[inline(always)]
    fn floor(self) -> Self {
        Self(self.0.floor(), self.1.floor())
    }

    #[inline(always)]
    fn zero_where_negative(self, sign: Self) -> Self {
        Self(self.0.zero_where_negative(sign.0), self.1.zero_where_negative(sign.1))
    }

    #[inline(always)]
    fn exp2_of_integer(self) -> Self {
        Self(self.0.exp2_of_integer(), self.1.exp2_of_integer())
    }
}

/// Portable Rust.
pub(crate) struct Portable;

impl Isa for Portable {
    type V4 = Array<4>;
    type V8 = Array<8>;
    type V16 = Array<16>;
    const MOST_VECTORS: usize = 1;
    const ACCUMULATORS: usize = 2;
}

/// Lanes as an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Array<const N: usize>([f32; N]);

impl<const N: usize> Array<N> {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl<const N: usize> Lanes for Array<N> {
    const N: usize = N;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self([v; N])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: guaranteed by the caller.
        Self(unsafe { p.cast::<[f32; N]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe { p.cast::<[f32; N]>().write(self.0) }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.zip(b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.zip(b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.zip(b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn floor(self) -> Self {
        self.map(f32::floor)
    }

    #[inline(always)]
    fn zero_where_negative(self, sign: Self) -> Self {
        self.zip(sign, |a, s| if s < 0.0 { 0.0 } else { a })
    }

    #[inline(always)]
    fn exp2_of_integer(self) -> Self {
        self.map(|n| f32::from_bits(((n as i32).wrapping_add(127) as u32) << 23))
    }
}

impl Sixteen for Array<16> {
    #[inline(always)]
    unsafe fn store_as_pairs(self, p: *mut f32) {
        for (i, pair) in self.0.chunks_exact(2).enumerate() {
            // SAFETY: guaranteed by the caller.
            unsafe { p.add(i).write(pair_of(pair[0], pair[1])) };
        }
    }

    #[inline(always)]
    unsafe fn dot_pairs(self, b: Self, c: Self) -> Self {
        // A BF16 number is the upper half of an F32.
        let first = |v: f32| f32::from_bits(v.to_bits() << 16);
        let second = |v: f32| f32::from_bits(v.to_bits() & 0xffff_0000);
        let mut sum = c;
        for ((sum, a), b) in sum.0.iter_mut().zip(self.0).zip(b.0) {
            *sum += second(a) * second(b) + first(a) * first(b);
        }
        sum
    }

    #[inline(always)]
    unsafe fn store_quarters(self, to: [*mut f32; 4]) {
        for (i, to) in to.into_iter().enumerate() {
            for (k, v) in self.0[4 * i..4 * i + 4].iter().enumerate() {
                // SAFETY: guaranteed by the caller.
                unsafe { to.add(k).write(*v) };
            }
        }
    }
}

/// Two numbers, rounded to BF16, in the bits of one F32.
pub(crate) fn pair_of(first: f32, second: f32) -> f32 {
    let bits = |v: f32| u32::from(half::bf16::from_f32(v).to_bits());
    f32::from_bits(bits(first) | bits(second) << 16)
}

impl Eight for Array<8> {
    type Half = Array<4>;

    #[inline(always)]
    fn low(self) -> Array<4> {
        Array(std::array::from_fn(|i| self.0[i]))
    }
}

impl Four for Array<4> {
    #[inline(always)]
    fn to_i32(self) -> [i32; 4] {
        self.0.map(|v| v as i32)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86;

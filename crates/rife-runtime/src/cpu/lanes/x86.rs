//! Vectors of AVX2 with FMA, and of AVX-512.

use std::arch::x86_64::*;

use super::{Array, Eight, Four, Isa, Lanes, Sixteen};

/// AVX2 and FMA.
pub(crate) struct Avx2;

impl Isa for Avx2 {
    type V4 = X4;
    type V8 = X8;
    type V16 = X8x2;
    const MOST_VECTORS: usize = 1;
    const ACCUMULATORS: usize = 6;
}

/// AVX-512 (F, BW, DQ and VL).
pub(crate) struct Avx512;

impl Isa for Avx512 {
    type V4 = X4;
    type V8 = X8;
    type V16 = X16;
    const MOST_VECTORS: usize = 4;
    const ACCUMULATORS: usize = 24;
}

/// Four lanes of AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct X4(__m128);
/// Eight lanes of AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct X8(__m256);
/// Sixteen lanes of AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct X8x2([X8; 2]);
/// Sixteen lanes of AVX-512.
#[derive(Clone, Copy)]
pub(crate) struct X16(__m512);

// A value of these types exists only if the CPU supports the instructions, see the documentation of
// `lanes`.
macro_rules! lanes {
    ($name:ident, $lanes:literal: $set:ident, $load:ident, $store:ident, $add:ident, $sub:ident,
     $mul:ident, $div:ident, $fma:ident, $max:ident, $min:ident,
     floor($v:ident) $floor:expr, keep($a:ident, $s:ident) $keep:expr,
     exp2($n:ident) $exp2:expr) => {
        impl Lanes for $name {
            const N: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(v: f32) -> Self {
                // SAFETY: guaranteed by the caller.
                Self(unsafe { $set(v) })
            }

            #[inline(always)]
            unsafe fn load(p: *const f32) -> Self {
                // SAFETY: guaranteed by the caller.
                Self(unsafe { $load(p) })
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut f32) {
                // SAFETY: guaranteed by the caller.
                unsafe { $store(p, self.0) }
            }

            #[inline(always)]
            fn add(self, b: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $add(self.0, b.0) })
            }

            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $sub(self.0, b.0) })
            }

            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $mul(self.0, b.0) })
            }

            #[inline(always)]
            fn div(self, b: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $div(self.0, b.0) })
            }

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $fma(self.0, b.0, c.0) })
            }

            #[inline(always)]
            fn max(self, b: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $max(self.0, b.0) })
            }

            #[inline(always)]
            fn min(self, b: Self) -> Self {
                // SAFETY: the values exist.
                Self(unsafe { $min(self.0, b.0) })
            }

            #[inline(always)]
            fn floor(self) -> Self {
                let $v = self.0;
                // SAFETY: the value exists.
                Self(unsafe { $floor })
            }

            #[inline(always)]
            fn zero_where_negative(self, sign: Self) -> Self {
                let ($a, $s) = (self.0, sign.0);
                // SAFETY: the values exist.
                Self(unsafe { $keep })
            }

            #[inline(always)]
            fn exp2_of_integer(self) -> Self {
                let $n = self.0;
                // SAFETY: the value exists.
                Self(unsafe { $exp2 })
            }
        }
    };
}

const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

lanes!(X4, 4: _mm_set1_ps, _mm_loadu_ps, _mm_storeu_ps, _mm_add_ps, _mm_sub_ps, _mm_mul_ps,
    _mm_div_ps, _mm_fmadd_ps, _mm_max_ps, _mm_min_ps, floor(v) _mm_round_ps::<DOWN>(v),
    keep(a, s) _mm_andnot_ps(_mm_cmplt_ps(s, _mm_setzero_ps()), a),
    exp2(n) _mm_castsi128_ps(_mm_slli_epi32::<23>(
        _mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127)))));
lanes!(X8, 8: _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps,
    _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_fmadd_ps, _mm256_max_ps,
    _mm256_min_ps, floor(v) _mm256_round_ps::<DOWN>(v),
    keep(a, s) _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(s, _mm256_setzero_ps()), a),
    exp2(n) _mm256_castsi256_ps(_mm256_slli_epi32::<23>(
        _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)))));
lanes!(X16, 16: _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps,
    _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_max_ps,
    _mm512_min_ps, floor(v) _mm512_roundscale_ps::<DOWN>(v),
    keep(a, s) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(s, _mm512_setzero_ps()), a),
    exp2(n) _mm512_castsi512_ps(_mm512_slli_epi32::<23>(
        _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)))));

impl X8x2 {
    #[inline(always)]
    fn as_array(self) -> Array<16> {
        // SAFETY: the value exists; both types are sixteen floats.
        unsafe { std::mem::transmute(self) }
    }

    #[inline(always)]
    fn each(self, b: Self, f: impl Fn(X8, X8) -> X8) -> Self {
        Self([f(self.0[0], b.0[0]), f(self.0[1], b.0[1])])
    }
}

impl Lanes for X8x2 {
    const N: usize = 16;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        // SAFETY: guaranteed by the caller.
        Self([unsafe { X8::splat(v) }; 2])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: guaranteed by the caller.
        Self(unsafe { [X8::load(p), X8::load(p.add(8))] })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            self.0[0].store(p);
            self.0[1].store(p.add(8));
        }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.each(b, X8::add)
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.each(b, X8::sub)
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.each(b, X8::mul)
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.each(b, X8::div)
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self([self.0[0].mul_add(b.0[0], c.0[0]), self.0[1].mul_add(b.0[1], c.0[1])])
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.each(b, X8::max)
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.each(b, X8::min)
    }

    #[inline(always)]
    fn floor(self) -> Self {
        Self(self.0.map(X8::floor))
    }

    #[inline(always)]
    fn zero_where_negative(self, sign: Self) -> Self {
        self.each(sign, X8::zero_where_negative)
    }

    #[inline(always)]
    fn exp2_of_integer(self) -> Self {
        Self(self.0.map(X8::exp2_of_integer))
    }
}

impl Sixteen for X8x2 {
    // Only BF16 kernels call this, which are compiled for AVX2 only in tests.
    #[inline(always)]
    unsafe fn store_as_pairs(self, p: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe { self.as_array().store_as_pairs(p) }
    }

    #[inline(always)]
    unsafe fn dot_pairs(self, b: Self, c: Self) -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let sum = self.as_array().dot_pairs(b.as_array(), c.as_array());
            Self::load(std::ptr::from_ref(&sum).cast())
        }
    }

    #[inline(always)]
    unsafe fn store_quarters(self, to: [*mut f32; 4]) {
        let [low, high] = self.0;
        // SAFETY: the value exists, and the addresses are guaranteed by the caller.
        unsafe {
            _mm_storeu_ps(to[0], _mm256_castps256_ps128(low.0));
            _mm_storeu_ps(to[1], _mm256_extractf128_ps::<1>(low.0));
            _mm_storeu_ps(to[2], _mm256_castps256_ps128(high.0));
            _mm_storeu_ps(to[3], _mm256_extractf128_ps::<1>(high.0));
        }
    }
}

impl Sixteen for X16 {
    #[inline(always)]
    unsafe fn store_as_pairs(self, p: *mut f32) {
        // SAFETY: guaranteed by the caller; both types are 32 bytes.
        unsafe {
            let pairs = std::mem::transmute::<__m256bh, __m256>(_mm512_cvtneps_pbh(self.0));
            _mm256_storeu_ps(p, pairs);
        }
    }

    #[inline(always)]
    unsafe fn dot_pairs(self, b: Self, c: Self) -> Self {
        // SAFETY: guaranteed by the caller; the types are 64 bytes.
        unsafe {
            let a = std::mem::transmute::<__m512, __m512bh>(self.0);
            let b = std::mem::transmute::<__m512, __m512bh>(b.0);
            Self(_mm512_dpbf16_ps(c.0, a, b))
        }
    }

    #[inline(always)]
    unsafe fn store_quarters(self, to: [*mut f32; 4]) {
        // SAFETY: the value exists, and the addresses are guaranteed by the caller.
        unsafe {
            _mm_storeu_ps(to[0], _mm512_castps512_ps128(self.0));
            _mm_storeu_ps(to[1], _mm512_extractf32x4_ps::<1>(self.0));
            _mm_storeu_ps(to[2], _mm512_extractf32x4_ps::<2>(self.0));
            _mm_storeu_ps(to[3], _mm512_extractf32x4_ps::<3>(self.0));
        }
    }
}

impl Eight for X8 {
    type Half = X4;

    #[inline(always)]
    fn low(self) -> X4 {
        // SAFETY: the value exists.
        X4(unsafe { _mm256_castps256_ps128(self.0) })
    }
}

impl Four for X4 {
    #[inline(always)]
    fn to_i32(self) -> [i32; 4] {
        // SAFETY: the value exists; both types are sixteen plain bytes.
        unsafe { std::mem::transmute(_mm_cvttps_epi32(self.0)) }
    }
}

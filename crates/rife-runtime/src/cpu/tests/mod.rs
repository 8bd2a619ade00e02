//! Validates each kernel, for each instruction set of this CPU, with an F64 implementation of its
//! documentation.

#[cfg(not(miri))]
mod behaviour;
#[cfg(not(miri))]
mod bf16;
mod direct;
#[cfg(not(miri))]
mod golden;
mod inputs;
#[cfg(not(miri))]
mod made_up;
mod picture;
#[cfg(not(miri))]
mod plan;
mod scene;
mod winograd;
mod winograd_chain;

use super::kernels::Kernels;
use super::level::Level;
use super::tensor::{BLOCK, Floats};

/// Half a unit in the last place of 1: the relative error of one rounding.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

/// The content of memory that must not be written to. No test computes this value.
const UNTOUCHED: f32 = f32::from_bits(0xff5e_a11e);

/// Floats before and after every output that are also checked.
const GUARD: usize = 4 * BLOCK;

/// The kernels of each instruction set of this CPU.
fn each_level() -> impl Iterator<Item = Kernels> {
    Level::ALL.into_iter().filter(|level| *level <= Level::detected()).map(Kernels::of)
}

/// Reduces a number of cases under Miri, which is about a thousand times slower.
fn or_under_miri(count: usize, under_miri: usize) -> usize {
    if cfg!(miri) { under_miri } else { count }
}

/// The error bound of a sum with a number of roundings, in any order. Each rounding has an error of
/// half a unit in the last place of at most `magnitude`, the sum of the terms' magnitudes, or for
/// tiny numbers of a denormal. The bound is infinite if a partial sum may exceed the range of F32.
fn rounded(roundings: usize, magnitude: f64) -> f64 {
    if magnitude > f64::from(f32::MAX) / 2.0 {
        return f64::INFINITY;
    }
    // The 1 % covers second-order terms.
    roundings as f64 * (1.01 * ROUNDING * magnitude + f64::from(f32::from_bits(1)))
}

/// An expected value and its error bound.
#[derive(Clone, Copy, Debug)]
struct Expected {
    value: f64,
    tolerance: f64,
}

impl Expected {
    fn new(value: f64, tolerance: f64) -> Self {
        Self { value, tolerance }
    }

    fn exactly(value: f32) -> Self {
        Self::new(value.into(), 0.0)
    }

    /// Whether a result is within the tolerance. NaN requires NaN, and infinity the same infinity.
    fn admits(self, got: f32) -> bool {
        let got = f64::from(got);
        if self.value.is_nan() {
            got.is_nan()
        } else if self.value.is_infinite() {
            got == self.value
        } else {
            self.tolerance == f64::INFINITY || (got - self.value).abs() <= self.tolerance
        }
    }
}

/// The memory that a kernel writes, with the expected value of each float. Floats without one, and
/// those around the memory, must not change.
struct Output {
    floats: Floats,
    expected: Vec<Option<Expected>>,
}

impl Output {
    fn new(len: usize) -> Self {
        let all = len.next_multiple_of(BLOCK) + 2 * GUARD;
        let mut floats = Floats::zeros(all).unwrap();
        floats.as_mut_slice().fill(UNTOUCHED);
        Self { floats, expected: vec![None; all] }
    }

    fn at(&mut self) -> *mut f32 {
        self.floats.as_mut_ptr().wrapping_add(GUARD)
    }

    fn expect(&mut self, at: usize, expected: Expected) {
        let before = self.expected[GUARD + at].replace(expected);
        assert!(before.is_none(), "float {at} is expected twice");
    }

    /// Checks that the kernel wrote the expected values, and nothing else.
    fn check(&self, what: &str) {
        for (i, (got, expected)) in self.floats.as_slice().iter().zip(&self.expected).enumerate() {
            let at = i as isize - GUARD as isize;
            match expected {
                Some(expected) => {
                    assert!(
                        expected.admits(*got),
                        "{what}: float {at} is {got}, expected {expected:?}"
                    );
                }
                None => {
                    let touched = got.to_bits() != UNTOUCHED.to_bits();
                    assert!(!touched, "{what}: float {at} was written: {got}");
                }
            }
        }
    }

    /// Checks that nothing outside the first `len` floats was written.
    fn check_around(&self, len: usize, what: &str) {
        let all = self.floats.as_slice();
        let around = all[..GUARD].iter().chain(&all[GUARD + len..]);
        let touched = around.filter(|v| v.to_bits() != UNTOUCHED.to_bits()).count();
        assert_eq!(touched, 0, "{what}: floats outside the output were written");
    }
}

/// Pseudorandom numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn bits(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.bits() as usize % end
    }

    /// From -1 to 1.
    fn unit(&mut self) -> f32 {
        self.bits() as f32 / 2f32.powi(31) - 1.0
    }

    fn of(&mut self, kind: Kind) -> f32 {
        let unit = self.unit();
        match kind {
            Kind::Usual => unit,
            Kind::Zeros => 0.0,
            Kind::Negative => -unit.abs(),
            Kind::Denormal => f32::from_bits(self.bits() & 0x803f_ffff),
            Kind::Huge => unit * 1e15,
            Kind::Overflowing => unit * 1e30,
            Kind::NotFinite => match self.bits() % 64 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::NEG_INFINITY,
                _ => unit,
            },
        }
    }

    fn floats(&mut self, len: usize, kind: Kind) -> Floats {
        let mut floats = Floats::zeros(len).unwrap();
        floats.as_mut_slice().iter_mut().for_each(|v| *v = self.of(kind));
        floats
    }
}

/// The range of random numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Usual,
    Zeros,
    Negative,
    Denormal,
    /// Products of two are finite.
    Huge,
    /// Products of two overflow.
    Overflowing,
    /// Some are infinite or NaN.
    NotFinite,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Usual,
        Self::Zeros,
        Self::Negative,
        Self::Denormal,
        Self::Huge,
        Self::Overflowing,
        Self::NotFinite,
    ];
}

/// The definition of LeakyReLU.
fn leaky(v: f64) -> f64 {
    if v < 0.0 { v * f64::from(rife_model::LEAKY_SLOPE as f32) } else { v }
}

//! Multiply-adds without memory accesses, to measure the peak throughput of the CPU.

use std::cell::Cell;

#[cfg(any(test, target_arch = "x86_64"))]
use super::super::lanes::Sixteen;
use super::super::lanes::{Isa, Lanes};
use super::super::tensor::BLOCK;

/// The most independent sums.
const MOST_CHAINS: usize = 24;
/// The number of floats that the kernel starts with: a factor, a term, and every sum. They are
/// distinct and read from memory, so that the compiler cannot remove a sum.
pub(crate) const OPERANDS: usize = (2 + MOST_CHAINS) * BLOCK;

/// Many rounds of `sum = sum · factor + term`.
pub(crate) struct Peak<'a> {
    pub(crate) operands: &'a [f32; OPERANDS],
    pub(crate) rounds: usize,
    /// The total of all sums; zeros in the lanes that a vector does not have.
    pub(crate) to: &'a Cell<[f32; BLOCK]>,
    /// Receives the multiplications and additions.
    pub(crate) flops: &'a Cell<f64>,
}

/// # Safety
/// The CPU supports the instructions of `I`.
#[inline(always)]
pub(crate) unsafe fn peak<I: Isa>(args: &Peak<'_>) {
    // Use as many sums as registers hold, so that multiply-adds overlap.
    // SAFETY: guaranteed by the caller.
    unsafe {
        if I::ACCUMULATORS >= MOST_CHAINS {
            chains::<I::V16, MOST_CHAINS>(args);
        } else if I::ACCUMULATORS >= 6 {
            chains::<I::V16, 6>(args);
        } else {
            chains::<I::V4, 12>(args);
        }
    }
}

/// Like [`peak`], in BF16: each step adds two products.
///
/// # Safety
/// The CPU supports the instructions of `I`, and those of BF16.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
pub(crate) unsafe fn peak_bf16<I: Isa>(args: &Peak<'_>) {
    let from = args.operands.as_ptr();
    // SAFETY: guaranteed by the caller, and within the operands. Sums stay far below the limits of
    // F32.
    let total = unsafe {
        let (factor, term) = (I::V16::load(from), I::V16::load(from.add(BLOCK)));
        let mut sums = [term; MOST_CHAINS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = I::V16::load(from.add((2 + i) * BLOCK));
        }
        for _ in 0..args.rounds {
            for sum in &mut sums {
                *sum = factor.dot_pairs(term, *sum);
            }
        }
        let mut total = I::V16::splat(0.0);
        for sum in sums {
            total = total.add(sum);
        }
        total
    };
    let mut lanes = [0.0; BLOCK];
    // SAFETY: there are as many lanes.
    unsafe { total.store(lanes.as_mut_ptr()) };
    args.to.set(lanes);
    args.flops.set((4 * MOST_CHAINS * BLOCK * args.rounds) as f64);
}

/// # Safety
/// Same as for [`peak`].
#[inline(always)]
unsafe fn chains<V: Lanes, const C: usize>(args: &Peak<'_>) {
    const { assert!(C <= MOST_CHAINS) };
    let from = args.operands.as_ptr();
    // SAFETY: guaranteed by the caller, and within the operands.
    let total = unsafe {
        let (factor, term) = (V::splat(*from), V::splat(*from.add(BLOCK)));
        let mut sums = [term; C];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = V::load(from.add((2 + i) * BLOCK));
        }
        for _ in 0..args.rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, term);
            }
        }
        let mut total = V::splat(0.0);
        for sum in sums {
            total = total.add(sum);
        }
        total
    };
    let mut lanes = [0.0; BLOCK];
    // SAFETY: there are at least as many lanes.
    unsafe { total.store(lanes.as_mut_ptr()) };
    args.to.set(lanes);
    args.flops.set((2 * C * V::N * args.rounds) as f64);
}

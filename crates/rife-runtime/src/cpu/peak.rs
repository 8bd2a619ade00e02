//! Measures the peak throughput of the CPU and its memory.

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::kernels::peak::{OPERANDS, Peak};
use super::kernels::{Bf16Kernels, Kernels};
use super::tensor::BLOCK;
use crate::profile::PeakThroughput;
use crate::{Error, Result};

/// A kernel of arithmetic only.
type Kernel = unsafe fn(&Peak<'_>);

/// The shortest time to measure arithmetic for.
const TURN: Duration = Duration::from_millis(20);
/// Repeated measurements. The best one counts, since other programs rarely disturb all of them.
const TURNS: usize = 8;
/// Floats of each of the two buffers of a copy: larger than the caches.
const COPIED: usize = 64 << 20;

/// Measures arithmetic and memory, in about half a second.
pub(crate) fn measure(
    kernels: &Kernels,
    bf16: Option<&Bf16Kernels>,
    pool: &ThreadPool,
) -> Result<PeakThroughput> {
    let peak = bf16.map_or(kernels.peak, |kernels| kernels.peak);
    Ok(PeakThroughput { flops: flops(peak, pool), bytes: bytes(pool, COPIED)?, transfer: None })
}

/// Multiplications and additions per second of all threads.
fn flops(peak: Kernel, pool: &ThreadPool) -> f64 {
    let mut rounds = 1 << 14;
    loop {
        let (took, _) = turn(peak, pool, rounds);
        if took >= TURN {
            break;
        }
        rounds *= 2;
    }
    let turns = (0..TURNS).map(|_| turn(peak, pool, rounds));
    turns.map(|(took, done)| done / took.as_secs_f64()).fold(0.0, f64::max)
}

/// Runs `rounds` rounds on each thread: the time until all have finished, and the flops.
fn turn(peak: Kernel, pool: &ThreadPool, rounds: usize) -> (Duration, f64) {
    let start = Instant::now();
    let done = pool.broadcast(|_| run(peak, rounds).1);
    (start.elapsed(), done.iter().sum())
}

/// The total of each lane, and the flops.
fn run(peak: Kernel, rounds: usize) -> ([f32; BLOCK], f64) {
    // Sums stay near 2.
    let mut operands = [1.0; OPERANDS];
    operands[..BLOCK].fill(0.5);
    for (i, sum) in operands[2 * BLOCK..].chunks_exact_mut(BLOCK).enumerate() {
        sum.fill(1.0 + i as f32 / 16.0);
    }
    let (to, flops) = (Cell::new([0.0; BLOCK]), Cell::new(0.0));
    let args = Peak { operands: black_box(&operands), rounds, to: &to, flops: &flops };
    // SAFETY: the CPU supports these kernels.
    unsafe { peak(&args) };
    (black_box(to.get()), flops.get())
}

/// Bytes per second, read and written, of a copy by all threads.
fn bytes(pool: &ThreadPool, floats: usize) -> Result<f64> {
    let part = floats.div_ceil(pool.current_num_threads());
    pool.install(|| {
        let (from, mut to) = (filled(floats, part, 1.0)?, filled(floats, part, 0.0)?);
        let best = (0..TURNS).map(|_| {
            let start = Instant::now();
            to.par_chunks_mut(part)
                .zip(from.par_chunks(part))
                .for_each(|(to, from)| to.copy_from_slice(from));
            black_box(&mut to);
            start.elapsed()
        });
        let best = best.min().unwrap_or(Duration::MAX);
        Ok((2 * size_of::<f32>() * floats) as f64 / best.as_secs_f64())
    })
}

/// Memory whose parts are first written by the threads that use them, so that on a NUMA machine it
/// is local to them.
fn filled(floats: usize, part: usize, with: f32) -> Result<Vec<f32>> {
    let mut buffer: Vec<f32> = Vec::new();
    let needed = Some((size_of::<f32>() * floats) as u64);
    buffer.try_reserve_exact(floats).map_err(|_| Error::OutOfMemory { needed })?;
    let spare = &mut buffer.spare_capacity_mut()[..floats];
    spare.par_chunks_mut(part).for_each(|part| {
        for float in part {
            float.write(with);
        }
    });
    // SAFETY: all floats have been written.
    unsafe { buffer.set_len(floats) };
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::super::level::Level;
    use super::*;

    #[test]
    fn peak_kernels_compute_the_counted_flops() {
        for level in Level::ALL.into_iter().filter(|level| *level <= Level::detected()) {
            let kernels = Kernels::of(level);
            // A round maps a sum from 1 + i / 16 to half of it plus 1.
            let (start, no_flops) = run(kernels.peak, 0);
            let (end, flops) = run(kernels.peak, 1);
            assert_eq!(no_flops, 0.0, "{level}");
            let lanes = start.iter().take_while(|sum| **sum != 0.0).count();
            let chains = flops / (2 * lanes) as f64;
            assert_eq!(chains.fract(), 0.0, "{level}");
            for (before, after) in start.into_iter().zip(end).take(lanes) {
                assert_eq!(after, before / 2.0 + chains as f32, "{level}");
            }
            assert_eq!(run(kernels.peak, 10).1, 10.0 * flops, "{level}");
        }
    }

    #[test]
    fn bf16_counts_two_products_per_lane() {
        let Some(kernels) = Bf16Kernels::of(Level::detected()) else { return };
        // In BF16 pairs: 0.5 · 1 + 0 · 0, as the bits of F32.
        let (start, _) = run(kernels.peak, 0);
        let (end, flops) = run(kernels.peak, 1);
        let chains = flops / (4 * BLOCK) as f64;
        for (before, after) in start.into_iter().zip(end) {
            assert_eq!(after, before + chains as f32 / 2.0);
        }
    }

    #[test]
    fn measured_rates_are_plausible() {
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let flops = flops(Kernels::of(Level::detected()).peak, &pool);
        let bytes = bytes(&pool, 1 << 16).unwrap();
        assert!(flops > 1e8 && flops.is_finite(), "{flops}");
        assert!(bytes > 1e7 && bytes.is_finite(), "{bytes}");
    }
}

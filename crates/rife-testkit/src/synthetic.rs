//! Synthetic frames and weights, defined by integer arithmetic. `tools/reference.py` generates the
//! same values.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn noise(words: [u64; 3]) -> u64 {
    words.into_iter().fold(0, |key, word| splitmix64(key ^ word))
}

/// A test pattern of thin, soft, irregularly spaced lines on a smooth background, panned by
/// `(dx, dy)` px. Returns planar 8-bit RGB.
pub fn lines(width: usize, height: usize, dx: i64, dy: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 * width * height);
    for c in 0..3i64 {
        for y in 0..height as i64 {
            for x in 0..width as i64 {
                let (x, y) = (x + dx + 4096, y + dy + 4096);
                let (fx, fy) = (x % 16, y % 16);
                let corner = |i: i64, j: i64| {
                    (noise([c as u64, (x / 16 + i) as u64, (y / 16 + j) as u64]) >> 56) as i64
                };
                let above = corner(0, 0) * (16 - fx) + corner(1, 0) * fx;
                let below = corner(0, 1) * (16 - fx) + corner(1, 1) * fx;
                let mut v = 48 + (above * (16 - fy) + below * fy) / 512;
                for (axis, p) in [x, y, x + 2 * y].into_iter().enumerate() {
                    let place = splitmix64(splitmix64(3 + axis as u64) ^ (p / 32) as u64);
                    let distance = (p % 32 - 2 - (place % 28) as i64).abs();
                    let tone = ((place >> 32) % 160) as i64 + 48 + 16 * c;
                    let strength = (3 - distance).max(0);
                    v = (v * (3 - strength) + tone * strength) / 3;
                }
                out.push(v as u8);
            }
        }
    }
    out
}

/// Writes a safetensors file with [`random_weights`] for tensors with these names and shapes.
///
/// # Panics
/// When the file cannot be written.
pub fn write_random_weights(path: &Path, tensors: &[(String, Vec<usize>)], seed: u64) {
    let tensors: HashMap<String, Tensor> = tensors
        .iter()
        .map(|(name, shape)| {
            let values = random_weights(name, shape, seed);
            let tensor = Tensor::from_vec(values, shape.as_slice(), &Device::Cpu);
            (name.clone(), tensor.unwrap_or_else(|e| panic!("{name}: {e}")))
        })
        .collect();
    candle_core::safetensors::save(&tensors, path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Pseudorandom weights for the tensor at a `state_dict` path. The same path, shape and seed give
/// the same bits on every platform.
pub fn random_weights(name: &str, shape: &[usize], seed: u64) -> Vec<f32> {
    let key = name.bytes().fold(seed, |key, byte| splitmix64(key ^ u64::from(byte)));
    let count: usize = shape.iter().product();
    let transposed = name.contains("lastconv") || name.contains("cnn3");
    (0..count as u64)
        .map(|i| {
            let bits = splitmix64(i.wrapping_add(key)) >> 40;
            let unit = bits as f64 / f64::from(1u32 << 23) - 1.0;
            let value = if name.ends_with(".beta") {
                1.0 + unit / 4.0
            } else if name.ends_with(".bias") {
                unit / 8.0
            } else {
                let fan_in = if transposed { shape[0] * 4 } else { shape[1] * shape[2] * shape[3] };
                unit * (3.0 / fan_in as f64).sqrt()
            };
            value as f32
        })
        .collect()
}

//! An integer hash that is identical on every machine. All rendered noise is based on it.

/// Mixes 32 bits (Chris Wellons' "lowbias32").
pub const fn hash32(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7FEB_352D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846C_A68B);
    h ^ (h >> 16)
}

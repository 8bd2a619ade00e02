#!/usr/bin/env python3
"""Reference values from scikit-image for the tests of rife-bench's metrics.

Versions used:
    numpy==2.4.6  scipy==1.17.1  scikit-image==0.26.0

Prints the rows of REFERENCE in crates/rife-bench/src/metrics/tests.rs. The images come from an integer
formula that the test also implements; samples are k / 256, which is exact in every float type.
"""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

MASK = 0xFFFFFFFF


def hash32(h):
    h &= MASK
    h ^= h >> 16
    h = (h * 0x7FEB352D) & MASK
    h ^= h >> 15
    h = (h * 0x846CA68B) & MASK
    return h ^ (h >> 16)


def pair(seed, width, height, noise):
    """A textured gradient, and a copy with up to `noise` levels of error in most samples: [3, h, w]."""
    a = np.zeros((3, height, width))
    b = np.zeros_like(a)
    for c in range(3):
        for y in range(height):
            for x in range(width):
                h = hash32(seed * 0x9E3779B1 + (c * height + y) * width + x)
                v = (x * 3 + y * 5 + c * 40 + h % 48) % 256
                e = (h >> 8) % (2 * noise + 1) - noise if (h >> 20) % 4 else 0
                a[c, y, x] = v
                b[c, y, x] = min(max(v + e, 0), 255)
    return a / 256, b / 256


def main():
    cases = [(1, 11, 11, 3), (2, 16, 40, 1), (3, 61, 47, 20), (4, 96, 64, 90)]
    for seed, width, height, noise in cases:
        a, b = pair(seed, width, height, noise)
        error = np.abs(a - b)
        differing = (np.floor(a * 255 + 0.5) != np.floor(b * 255 + 0.5)).any(axis=0).mean()
        psnr = peak_signal_noise_ratio(a, b, data_range=1)
        ssim = structural_similarity(
            a, b, channel_axis=0, data_range=1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        figures = (psnr, ssim, error.max(), error.mean(), differing)
        text = ", ".join(f"{figure:.9f}" for figure in figures)
        print(f"    (({seed}, {width}, {height}, {noise}), [{text}]),")


if __name__ == "__main__":
    main()

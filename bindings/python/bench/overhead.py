"""Measures the overhead of a call from Python over the same call from Rust. Prints JSON.

The call interpolates one frame between two others. Each way is compared with the equivalent call of
the Rust API:

- `python_out` is `Interpolator.interpolate` with `out=`, `rust_into` is `interpolate_into`: both
  write into memory that is allocated beforehand.
- `python` is `Interpolator.interpolate` without `out`, `rust` is `interpolate`: both allocate the
  result. The Rust API allocates frames in host memory only, so for torch the comparison is with
  `rust_into`.

The ways alternate, because clock rates drift.

    python bench/overhead.py --device cuda:0 --frames torch
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from typing import Any

import numpy as np

import rife
from rife._frames import adapter_of


def frames(kind: str, dtype: str, width: int, height: int) -> list[Any]:
    """Two frames, as numpy arrays or as tensors on the GPU."""
    rng = np.random.default_rng(7)
    first = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    arrays = [first, np.roll(first, 3, axis=1)]
    if dtype != "uint8":
        arrays = [(array / np.float32(255)).astype(dtype) for array in arrays]
    if kind == "numpy":
        return arrays
    import torch

    return [torch.from_numpy(array).cuda() for array in arrays]


def synchronize(kind: str) -> None:
    """Wait for the GPU if the frames are on it: calls return before their work is finished."""
    if kind == "torch":
        import torch

        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="4.6")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--frames", choices=["numpy", "torch"], default="numpy")
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--runs", type=int, default=20, help="frames per repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))

    net = rife.Interpolator(args.model, device=args.device, precision=args.precision)
    a, b = frames(args.frames, args.dtype, width, height)
    adapter = adapter_of(a)
    out, out_view = adapter.empty(a)

    def in_rust(output: Any) -> None:
        views = adapter.read(a), adapter.read(b)
        net._engine.time_in_rust(*views, 0.5, "hwc", output, args.runs)

    def python(output: Any) -> None:
        for _ in range(args.runs):
            net.interpolate(a, b, out=output)

    ways = {
        "rust_into": lambda: in_rust(out_view),
        "python_out": lambda: python(out),
        "rust": lambda: in_rust(None),
        "python": lambda: python(None),
    }
    equivalent = {"python_out": "rust_into", "python": "rust"}
    if args.frames == "torch":
        del ways["rust"]
        equivalent["python"] = "rust_into"
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(-1, args.repetitions):
        for name, run in ways.items():
            synchronize(args.frames)
            start = time.perf_counter()
            run()
            synchronize(args.frames)
            # The first repetition is a warm-up.
            if repetition >= 0:
                times[name].append((time.perf_counter() - start) * 1e3 / args.runs)
    median = {name: statistics.median(values) for name, values in times.items()}
    print(
        json.dumps(
            {
                "rife": rife.__version__,
                "python": platform.python_version(),
                "device": net.info.device_name,
                "model": net.model,
                "precision": net.precision,
                "frames": args.frames,
                "dtype": args.dtype,
                "size": args.size,
                "runs": args.runs,
                "repetitions": args.repetitions,
                "median_ms": median,
                "min_ms": {name: min(values) for name, values in times.items()},
                "overhead_percent": {
                    name: 100 * (median[name] / median[other] - 1)
                    for name, other in equivalent.items()
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()

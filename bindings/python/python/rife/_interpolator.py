"""Interpolation of pairs and streams of frames."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeVar, cast, overload

from . import _rife
from ._frames import Adapter, DeviceArray, adapter_of, resolve

Array = TypeVar("Array")
Layout = Literal["hwc", "chw"]
Rate = int | float | str | Fraction

# Rate, source_fps, scene, scene_threshold, static_threshold, hold_last.
Settings = tuple[tuple[str, str], str, str, float, float | None, bool]


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
        self, a: Array, b: Array, t: float = 0.5, *, layout: Layout = "hwc"
    ) -> Array: ...

    @overload
    def interpolate(
        self, a: Array, b: Array, t: Sequence[float], *, layout: Layout = "hwc"
    ) -> list[Array]: ...

    def interpolate(
        self,
        a: Array,
        b: Array,
        t: float | Sequence[float] = 0.5,
        *,
        layout: Layout = "hwc",
    ) -> Array | list[Array]:
        """Interpolate between two frames, or between the frames of N pairs.

        Args:
            a: the earlier frame, or N of them.
            b: the later frame, or N of them, with the library, shape, type and device of `a`.
            t: the timestep in (0, 1), or several timesteps; each frame is then uploaded and
                encoded once for all of them.
            layout: `hwc` or `chw`.

        Returns:
            An array like `a`; for several timesteps, a list with one array for each.

        Raises:
            TypeError: if `a` and `b` are not arrays of the same library with a supported type.
            ValueError: if shapes or devices do not match, or a timestep is outside (0, 1).
            RifeError: if the interpolator is closed, or the device fails.
        """
        adapter = adapter_of(a)
        if type(a) is not type(b) and adapter is not adapter_of(b):
            raise TypeError(
                f"b: expected {type(a).__module__}.{type(a).__qualname__} like a, got "
                f"{type(b).__module__}.{type(b).__qualname__}"
            )
        # Arrays without axes have the method `__iter__`, but are not iterable.
        single = getattr(t, "ndim", None) == 0 or not hasattr(t, "__iter__")
        timesteps = [_timestep(step) for step in cast(Any, [t] if single else t)]
        unordered = adapter.is_unordered(a)
        allocated = [adapter.empty(a) for _ in timesteps]
        outputs = [array for _, array in allocated]
        try:
            self._engine.interpolate(
                adapter.read(a), adapter.read(b), timesteps, layout, outputs
            )
        except BaseException:
            if unordered:
                _wait_for_queued(self._engine)
            raise
        if unordered:
            self._engine.synchronize()
        if single:
            return cast(Array, resolve(allocated[0][0]))
        return [cast(Array, resolve(out)) for out, _ in allocated]

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


class Stream(Iterator[Array]):
    """The output frames of `Interpolator.stream`.

    Like a generator, it frees its memory on `close()`, at the end of a `with` block, or when it is
    dropped.
    """

    def __init__(
        self,
        engine: _rife.Engine,
        frames: Iterator[Array],
        layout: str,
        settings: Settings,
    ) -> None:
        kind = _FrameKind()
        self._core = _rife.Stream(engine, layout, *settings, kind.allocate, kind.blend)
        classified = settings[2] != "off" or settings[4] is not None
        self._outputs = _run(engine, self._core, kind, frames, layout, classified)

    def __next__(self) -> Array:
        return cast(Array, next(self._outputs))

    def close(self) -> None:
        """End the stream and free its memory."""
        self._outputs.close()
        self._core.close()

    def __enter__(self) -> Stream[Array]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def cuts(self) -> int:
        """Scene cuts so far."""
        return self._core.counts()[0]

    @property
    def stills(self) -> int:
        """Pairs of equal frames so far."""
        return self._core.counts()[1]

    @property
    def interpolated(self) -> int:
        """Interpolated frames so far."""
        return self._core.counts()[2]


def _timestep(t: Any) -> float:
    try:
        return float(t)
    except OverflowError:
        raise ValueError("timestep must be in (0, 1), got a number that is too large") from None


def _wait_for_queued(engine: _rife.Engine) -> None:
    """Wait for queued work, so that its arrays can be freed. Ignores errors of the engine."""
    with suppress(_rife.RifeError):
        engine.synchronize()


class _FrameKind:
    """The array library of a stream's frames.

    Must not refer to the stream: the reference cycle would keep it alive.
    """

    def __init__(self) -> None:
        self.adapter: Adapter | None = None
        self.newest: Any = None
        self.unordered = False

    def add(self, frame: Any) -> Adapter:
        """Check the next frame, and return its adapter."""
        adapter = adapter_of(frame)
        if self.adapter is None:
            self.adapter = adapter
            self.unordered = adapter.is_unordered(frame)
        elif adapter is not self.adapter:
            expected, got = type(self.newest), type(frame)
            raise TypeError(
                f"frame: expected {expected.__module__}.{expected.__qualname__} like the frames "
                f"before it, got {got.__module__}.{got.__qualname__}"
            )
        self.newest = frame
        return adapter

    def allocate(self) -> tuple[Any, Any]:
        assert self.adapter is not None
        return self.adapter.empty(self.newest)

    def blend(self, a: Any, b: Any, t: float) -> Any:
        assert self.adapter is not None
        return self.adapter.blend(a, b, t)


def _run(
    engine: _rife.Engine,
    core: _rife.Stream,
    kind: _FrameKind,
    frames: Iterator[Any],
    layout: str,
    classified: bool,
) -> Generator[Any, None, None]:
    """Push source frames as needed, and yield output frames."""
    before: Any = None
    probe_before: Any = None
    ended = False
    try:
        while True:
            output = core.next()
            if output is not None:
                if kind.unordered:
                    engine.synchronize()
                yield resolve(output)
                continue
            if ended:
                return
            try:
                frame = next(frames)
            except StopIteration:
                ended = True
                core.end()
                continue
            adapter = kind.add(frame)
            view = adapter.read(frame)
            probe, differs = None, False
            # `push` checks shapes.
            if classified and isinstance(view, DeviceArray) and len(view.shape) == 3:
                probe = adapter.probe(frame, layout)
                if probe_before is not None and probe.shape == probe_before.shape:
                    # Compare the full frames only if their subsampled copies are equal.
                    differs = not (
                        (probe == probe_before).all() and adapter.equal(frame, before)
                    )
                before, probe_before = frame, probe
            core.push(frame, view, probe, differs)
    finally:
        if kind.unordered:
            _wait_for_queued(engine)
        core.close()

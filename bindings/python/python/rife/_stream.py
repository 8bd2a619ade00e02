"""Interpolation of streams of frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Any, Literal, TypeVar, cast

from . import _rife
from ._frames import Adapter, DeviceArray, adapter_of, resolve

Array = TypeVar("Array")
Layout = Literal["hwc", "chw"]
Rate = int | float | str | Fraction

# Rate, source_fps, scene, scene_threshold, static_threshold, hold_last.
Settings = tuple[tuple[str, str], str, str, float, float | None, bool]


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


def wait_for_queued(engine: _rife.Engine) -> None:
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
            wait_for_queued(engine)
        core.close()

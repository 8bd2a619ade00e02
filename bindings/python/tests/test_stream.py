"""`Interpolator.stream`: counts, positions, cuts, stills, memory, and what it refuses."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import as_dtype, picture, start_python

import rife


def pan(count: int, height: int = 24, width: int = 40, seed: int = 0) -> list[Any]:
    return [picture(height, width, i, seed) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("factor", [2, 3, 2.5, "5/2", Fraction(7, 3), "1.5"])
def test_frame_count_equals_that_of_the_command(
    net: rife.Interpolator, count: int, factor: Any
) -> None:
    exact = Fraction(factor) if not isinstance(factor, float) else Fraction(str(factor))
    outputs = list(net.stream(pan(count), factor))
    assert len(outputs) == ceil(count * exact)
    ended = list(net.stream(pan(count), factor, hold_last=False))
    assert len(ended) == floor((count - 1) * exact) + 1
    for kept, output in zip(ended, outputs, strict=False):
        assert np.array_equal(kept, output)


def test_source_frames_are_returned_and_others_match_interpolate(net: rife.Interpolator) -> None:
    frames = pan(4)
    outputs = list(net.stream(frames, 3))
    assert [id(output) for output in outputs[::3]] == [id(frame) for frame in frames]
    for i in range(3):
        thirds = net.interpolate(frames[i], frames[i + 1], [1 / 3, 2 / 3])
        assert np.array_equal(outputs[3 * i + 1], thirds[0])
        assert np.array_equal(outputs[3 * i + 2], thirds[1])
    assert outputs[10] is frames[3] and outputs[11] is frames[3]


def test_constant_rate_puts_frames_at_exact_times(net: rife.Interpolator) -> None:
    frames = pan(6)
    outputs = list(net.stream(frames, fps=60, source_fps=24))
    assert len(outputs) == 15
    assert outputs[0] is frames[0] and outputs[5] is frames[2] and outputs[10] is frames[4]
    assert np.array_equal(outputs[1], net.interpolate(frames[0], frames[1], 0.4))
    slower = list(net.stream(frames, fps="12", source_fps=24))
    assert [id(output) for output in slower] == [id(frame) for frame in frames[::2]]
    ntsc = list(net.stream(frames, fps=59.94, source_fps="24000/1001"))
    assert len(ntsc) == 15


def test_cuts_are_held_or_blended_or_ignored(net: rife.Interpolator) -> None:
    frames = pan(8) + pan(8, seed=1)
    held = net.stream(frames)
    outputs = list(held)
    assert (held.cuts, held.stills, held.interpolated) == (1, 0, 14)
    assert outputs[15] is frames[7]
    for dtype in ("uint8", "float32"):
        typed = [as_dtype(frame, dtype) for frame in frames]
        blended = list(net.stream(typed, scene="blend"))[15]
        mean = (typed[7].astype(np.float64) + typed[8]) / 2
        assert blended.dtype == dtype
        assert np.abs(blended - mean).max() <= (0.5 if dtype == "uint8" else 1e-6)
        off = net.stream(typed, scene="off")
        across = list(off)[15]
        assert off.cuts == 0
        assert np.array_equal(across, net.interpolate(typed[7], typed[8]))
    never = net.stream(frames, scene_threshold=100)
    assert len(list(never)) == 32 and never.cuts == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_identical_frames_are_repeated(net: rife.Interpolator, dtype: str) -> None:
    frames = [as_dtype(frame, dtype) for frame in pan(4)]
    frames.insert(2, frames[1].copy())
    for options in ({}, {"scene": "off"}):
        stream = net.stream(frames, **options)  # type: ignore[arg-type]
        outputs = list(stream)
        assert stream.stills == 1
        assert outputs[3] is frames[1]
    noisy = list(frames)
    noisy[2] = frames[2].copy()
    noisy[2][0, 0, 0] += np.asarray(1 if frames[2].dtype.kind == "u" else 0.01, frames[2].dtype)
    strict, tolerant = net.stream(noisy), net.stream(noisy, static_threshold=1.0)
    assert (len(list(strict)), strict.stills) == (10, 0)
    assert (len(list(tolerant)), tolerant.stills) == (10, 1)
    never = net.stream(frames, static_threshold=None)
    assert (len(list(never)), never.stills) == (10, 0)


@pytest.mark.parametrize("layout", ["hwc", "chw"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_every_type_and_layout_streams(net: rife.Interpolator, dtype: str, layout: Any) -> None:
    frames = [as_dtype(frame, dtype) for frame in pan(3)]
    if layout == "chw":
        frames = [np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in frames]
    stacked = np.stack(frames)
    outputs = list(net.stream(stacked, layout=layout))
    assert len(outputs) == 6
    assert np.array_equal(outputs[1], net.interpolate(frames[0], frames[1], layout=layout))
    assert np.array_equal(outputs[2], frames[1])


def test_streams_of_one_interpolator_are_independent(net: rife.Interpolator) -> None:
    first, second = pan(5), pan(5, 40, 64, seed=3)
    alone = [list(net.stream(frames)) for frames in (first, second)]
    for pair in zip(net.stream(first), net.stream(second), strict=True):
        net.interpolate(first[0], first[3])
        for output, expected in zip(pair, alone, strict=True):
            assert np.array_equal(output, expected.pop(0))


def test_empty_stream_has_no_frames(net: rife.Interpolator) -> None:
    assert list(net.stream([])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 1}, "factor: expected a number above 1"),
        ({"factor": "x"}, "factor: expected"),
        ({"fps": 60}, "fps requires source_fps"),
        ({"fps": 0, "source_fps": 24}, "fps: expected frames per second"),
        ({"fps": 60, "source_fps": -1}, "source_fps: expected frames per second"),
        ({"fps": 60, "source_fps": "1/1000"}, "fps: expected at most 10000 times source_fps, got 60"),
        ({"factor": "\ud800"}, "surrogates not allowed"),
        ({"scene": "\ud800"}, "surrogates not allowed"),
        ({"factor": 2, "fps": 60}, "expected either factor or fps, got both"),
        ({"scene": "skip"}, "scene: expected 'hold', 'blend' or 'off', got \"skip\""),
        ({"scene_threshold": 101}, "scene_threshold: expected a number from 0 to 100, got 101"),
        ({"static_threshold": -1.0}, "static_threshold: expected a number from 0 to 100"),
        ({"layout": "rgb"}, "layout: expected"),
    ],
)
def test_invalid_options_are_refused_before_the_first_frame(
    net: rife.Interpolator, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        net.stream(pan(2), **options)


def test_frames_that_do_not_match_are_refused(net: rife.Interpolator) -> None:
    frames = pan(3)
    for wrong, error, message in [
        (picture(24, 41), ValueError, "frame 2: expected a frame of 40x24 like the frames before"),
        (as_dtype(frames[0], "float32"), TypeError, "frame 2: expected samples of uint8 like"),
        (np.stack(frames), ValueError, "frame 2: expected a single frame, got a batch of 3"),
        (None, TypeError, "got NoneType"),
    ]:
        with pytest.raises(error, match=message):
            list(net.stream([*frames[:2], wrong]))


def test_error_of_the_source_is_passed_on(net: rife.Interpolator) -> None:
    def source() -> Iterator[Any]:
        yield from pan(2)
        raise OSError("the camera is unplugged")

    with pytest.raises(OSError, match="unplugged"):
        list(net.stream(source()))


def test_dropped_or_closed_stream_frees_everything(net: rife.Interpolator) -> None:
    class Source:
        """An iterator that supports weak references."""

        def __init__(self) -> None:
            self.frames = iter(pan(50))

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> Any:
            return next(self.frames)

    class Frame(np.ndarray[Any, Any]):
        """An array that supports weak references."""

    def run(end: str) -> list[weakref.ref[Any]]:
        source = Source()
        frames = [frame.view(Frame) for frame in pan(3)]
        source.frames = iter(frames)
        stream = net.stream(source, 4)
        for _ in range(3):
            next(stream)
        if end == "close":
            stream.close()
            with pytest.raises(StopIteration):
                next(stream)
        return [weakref.ref(value) for value in (source, stream, *frames)]

    gc.disable()
    try:
        for end in ("drop", "close"):
            assert [reference() for reference in run(end)] == [None] * 5, "no reference cycles"
    finally:
        gc.enable()


def test_stream_cannot_be_used_by_two_threads_at_once(net: rife.Interpolator) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def source() -> Iterator[Any]:
        yield from pan(1)
        reached.set()
        go_on.wait(60)
        yield from pan(2)

    stream = net.stream(source())
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    reached.wait(60)
    with pytest.raises(ValueError, match="already executing"):
        next(stream)
    go_on.set()
    thread.join(60)
    assert not thread.is_alive()


def test_few_frames_are_read_ahead(net: rife.Interpolator) -> None:
    read = 0

    def source() -> Iterator[Any]:
        nonlocal read
        for frame in pan(30):
            read += 1
            yield frame

    for number, _ in enumerate(net.stream(source(), 2)):
        assert read <= number // 2 + 6, "the pair, the look-ahead, and one in flight"


MEMORY = """
import resource, sys
import numpy as np
import rife

net = rife.Interpolator("4.6", device="cpu")
rng = np.random.default_rng(0)
pictures = [rng.integers(0, 256, (32, 48, 3)).astype(np.uint8) for _ in range(16)]

def source(count):
    for i in range(count):
        yield pictures[i % 16].copy()

def run(count):
    return sum(frame.shape[0] for frame in net.stream(source(count), scene=sys.argv[1])) // 32

def pairs(count):
    for i in range(count):
        net.interpolate(pictures[i % 16], pictures[(i + 1) % 16], [0.25, 0.5])

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

run(100), pairs(50)
before = peak()
assert run(1000) == 2000
pairs(500)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in KiB on Linux only")
@pytest.mark.parametrize("scene", ["hold", "off"])
def test_a_thousand_frames_need_no_more_memory_than_a_hundred(
    weights: Path, tmp_path: Path, scene: str
) -> None:
    command = [sys.executable, "-c", MEMORY, scene]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "RIFE_WEIGHTS": str(weights)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    # 1,000 frames and their results would be 14 MB.
    assert int(result.stdout) < 3 << 10, f"grew by {result.stdout} KiB"


INTERRUPTED = """
import numpy as np
import rife

net = rife.Interpolator("4.6", device="cpu")
frames = [np.random.default_rng(i).integers(0, 256, (64, 64, 3)).astype(np.uint8) for i in range(2)]

def source():
    while True:
        yield from frames

try:
    for number, _ in enumerate(net.stream(source(), 10)):
        if number == 20:
            print("started")
except KeyboardInterrupt:
    print("interrupted")
    print(net.interpolate(*frames).shape)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_ends_a_stream(weights: Path, tmp_path: Path) -> None:
    import signal

    program = start_python(INTERRUPTED, tmp_path, RIFE_WEIGHTS=str(weights))
    assert program.stdout is not None
    assert program.stdout.readline() == "started\n"
    program.send_signal(signal.SIGINT)
    output, errors = program.communicate(timeout=60)
    assert (output, program.returncode) == ("interrupted\n(64, 64, 3)\n", 0), errors

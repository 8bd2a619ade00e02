"""`Interpolator.interpolate`: results, types, layouts and errors."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import F32_IMAGE, as_dtype, as_float, golden, picture

import rife

DTYPES = ["uint8", "uint16", "float16", "float32"]

# Half a quantization step of each type.
ROUNDING = {"uint8": 0.51 / 255, "uint16": 0.51 / 65535, "float16": 2**-11, "float32": 0.0}


@pytest.mark.parametrize("version", ["4.6", "4.26"])
def test_results_match_the_golden_files(version: str, weights: Path) -> None:
    checked = 0
    for case, tensors in golden(version):
        options: dict[str, Any] = {"scale": case["scale"], "ensemble": case["ensemble"]}
        with rife.Interpolator(version, device="cpu", **options) as net:
            a, b = (tensors[key].astype(np.float32) / 255 for key in ("frame0", "frame1"))
            results = net.interpolate(a, b, case["timesteps"], layout="chw")
            for result, expected in zip(results, tensors["image"], strict=True):
                assert np.abs(result - expected).max() < F32_IMAGE, case["name"]
                checked += 1
    assert checked >= 6


@pytest.mark.parametrize("layout", ["hwc", "chw"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_and_layout_gives_the_same_frame(
    net: rife.Interpolator, dtype: str, layout: Any
) -> None:
    frames = [picture(45, 70, pan) for pan in (0, 3)]
    reference = net.interpolate(*(as_dtype(frame, "float32") for frame in frames), 0.25)
    inputs = [as_dtype(frame, dtype) for frame in frames]
    if layout == "chw":
        inputs = [np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in inputs]
    result = net.interpolate(*inputs, 0.25, layout=layout)
    assert type(result) is np.ndarray
    assert (result.dtype, result.shape) == (inputs[0].dtype, inputs[0].shape)
    result = as_float(result.transpose(1, 2, 0) if layout == "chw" else result)
    # Rounding of a float16 input changes the flow slightly.
    tolerance = ROUNDING[dtype] + (2e-3 if dtype == "float16" else 1e-5)
    assert np.abs(result - reference).max() < tolerance
    assert reference.std() > 0.05, "the test pictures have no contrast"


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_is_written_into_out(net: rife.Interpolator, dtype: str) -> None:
    a, b = (as_dtype(picture(40, 64, pan), dtype) for pan in (0, 3))
    expected = net.interpolate(a, b)
    # Also into a part of a larger array.
    large = np.zeros((44, 70, 3), dtype)
    planes = np.zeros((3, *a.shape[:2]), dtype).transpose(1, 2, 0)
    for out in (np.zeros(a.shape, dtype), large[2:42, 3:67], planes, large[::-1][2:42, 3:67]):
        assert net.interpolate(a, b, out=out) is out
        assert np.array_equal(out, expected)
    # The last one is upside down.
    assert not large[:2].any() and not large[:, :3].any() and not large[:, 67:].any()
    outs = [np.zeros_like(a) for _ in range(2)]
    results = net.interpolate(a, b, [0.5, 0.75], out=outs)
    assert all(result is out for result, out in zip(results, outs, strict=True))
    assert np.array_equal(outs[0], expected) and not np.array_equal(outs[1], expected)
    batch = np.zeros((2, *a.shape), dtype)
    net.interpolate(np.stack([a, b]), np.stack([b, b]), out=batch)
    assert np.array_equal(batch[0], expected)


def test_out_that_cannot_hold_the_result_is_refused(net: rife.Interpolator) -> None:
    a, b = (np.ascontiguousarray(picture(40, 64, pan)) for pan in (0, 2))
    read_only = np.zeros_like(a)
    read_only.flags.writeable = False
    wrong: list[tuple[Any, type[Exception], str]] = [
        (read_only, ValueError, "out: expected a writable array"),
        (a, ValueError, "out: expected memory that does not overlap"),
        (b[:], ValueError, "out: expected memory that does not overlap"),
        (np.zeros((40, 60, 3), np.uint8), ValueError, "out: expected a frame of 64x40"),
        (np.zeros((40, 64, 3), np.float32), TypeError, "out: expected samples of uint8"),
        ([a.copy()], TypeError, "out: expected a numpy array, .* got list"),
        (a.tobytes(), TypeError, "out: expected a numpy array, .* got bytes"),
    ]
    for out, error, message in wrong:
        with pytest.raises(error, match=message):
            net.interpolate(a, b, out=out)
    with pytest.raises(ValueError, match="one array for each of the 2 timesteps, got 1"):
        net.interpolate(a, b, [0.25, 0.5], out=[np.zeros_like(a)])
    twice = np.zeros_like(a)
    with pytest.raises(ValueError, match="out: expected memory that does not overlap"):
        net.interpolate(a, b, [0.25, 0.5], out=[twice, twice])


def test_views_that_are_not_contiguous_give_the_same_frame(net: rife.Interpolator) -> None:
    a, b = picture(40, 64), picture(40, 64, 2)
    expected = net.interpolate(a, b)
    wide = np.zeros((48, 80, 3), np.uint8)
    wide[3:43, 7:71] = a
    rgba = np.zeros((40, 64, 4), np.uint8)
    rgba[..., :3] = b
    flipped = np.ascontiguousarray(a[::-1, ::-1])
    for first, second in [
        (wide[3:43, 7:71], rgba[..., :3]),
        (flipped[::-1, ::-1], np.asfortranarray(b)),
        (a.transpose(1, 0, 2).copy().transpose(1, 0, 2), np.repeat(b, 2, axis=1)[:, ::2]),
    ]:
        assert np.array_equal(net.interpolate(first, second), expected)
    planes = np.ascontiguousarray(a.transpose(2, 0, 1)), b.transpose(2, 0, 1)
    result = net.interpolate(*planes, layout="chw")
    assert np.array_equal(result.transpose(1, 2, 0), expected)
    a.flags.writeable = False
    assert np.array_equal(net.interpolate(a, b), expected)


def test_frames_of_one_row_or_column_are_interpolated(net: rife.Interpolator) -> None:
    for height, width in [(1, 1), (1, 40), (40, 1)]:
        a, b = picture(height, width), picture(height, width, 1)
        assert net.interpolate(a, b).shape == (height, width, 3)
        planes = [np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in (a, b)]
        result = net.interpolate(*planes, layout="chw")
        assert np.array_equal(result.transpose(1, 2, 0), net.interpolate(a, b))


def test_a_batch_is_interpolated_pair_by_pair(net: rife.Interpolator) -> None:
    a = np.stack([picture(32, 48, pan) for pan in range(3)])
    b = np.stack([picture(32, 48, pan + 2) for pan in range(3)])
    result = net.interpolate(a, b, 0.5)
    assert result.shape == a.shape
    for i in range(3):
        assert np.array_equal(result[i], net.interpolate(a[i], b[i]))
    quarter, half = net.interpolate(a[::2], b[::2], [0.25, 0.5])
    assert np.array_equal(half, result[::2])
    assert np.array_equal(quarter[1], net.interpolate(a[2], b[2], 0.25))
    assert net.interpolate(a[:0], b[:0]).shape == (0, 32, 48, 3)


def test_several_timesteps_match_single_ones(net: rife.Interpolator) -> None:
    a, b = picture(40, 64), picture(40, 64, 4)
    for positions in ([0.25, 0.5, 0.75], (0.1,), np.array([0.5, 0.9])):
        results = net.interpolate(a, b, positions)  # type: ignore[call-overload]
        assert len(results) == len(positions)
        for t, result in zip(positions, results, strict=True):
            assert np.array_equal(result, net.interpolate(a, b, float(t)))
    assert net.interpolate(a, b, []) == []
    half = net.interpolate(a, b)
    for t in (np.float32(0.5), np.float64(0.5), np.array(0.5), np.array(0.5, np.float16)):
        assert np.array_equal(net.interpolate(a, b, t), half)  # type: ignore[call-overload]


def test_floats_outside_the_range_are_clamped(net: rife.Interpolator) -> None:
    a, b = (as_dtype(picture(32, 48, pan), "float32") for pan in (0, 1))
    stretched = [(frame - 0.5) * 3 + 0.5 for frame in (a, b)]
    clamped = [frame.clip(0, 1) for frame in stretched]
    assert np.array_equal(net.interpolate(*stretched), net.interpolate(*clamped))


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ([[1, 2, 3]], TypeError, "got list"),
        ("frame", TypeError, "got str"),
        (np.zeros((8, 8, 3), np.float64), TypeError, "a: expected samples of .*, got float64"),
        (np.zeros((8, 8, 3), np.int8), TypeError, "got int8"),
        (np.zeros((8, 8, 3), ">u2"), TypeError, "got byte-swapped uint16"),
        (np.zeros((8, 8), np.uint8), ValueError, "a: expected H x W x 3 .*, got 8 x 8"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, "got 8 x 8 x 4"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, "got 3 x 8 x 8"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, "got 0 x 8 x 3"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), ValueError, "got 1 x 1 x 8 x 8 x 3"),
        (np.uint8(7), TypeError, "got numpy.uint8"),
        (np.ma.zeros((8, 8, 3), np.uint8), TypeError, "without a mask, got numpy.ma.MaskedArray"),
    ],
)
def test_errors_for_wrong_arrays_state_expected_and_actual(
    net: rife.Interpolator, frame: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        net.interpolate(frame, frame)


def test_frames_that_do_not_match_are_refused(net: rife.Interpolator) -> None:
    a = picture(16, 24)
    for b, error, message in [
        (picture(16, 25), ValueError, "b: expected a frame of 24x16 like a, got a frame of 25x16"),
        (np.stack([a, a]), ValueError, "b: expected a frame .*, got 2 frames of 24x16"),
        (as_dtype(a, "float32"), TypeError, "b: expected samples of uint8 like a, got float32"),
        (a.tolist(), TypeError, "got list"),
    ]:
        with pytest.raises(error, match=message):
            net.interpolate(a, b)


@pytest.mark.parametrize("t", [0.0, 1.0, -0.5, 2, 10**400, float("nan")])
def test_timesteps_outside_the_pair_are_refused(net: rife.Interpolator, t: float) -> None:
    a, b = picture(16, 24), picture(16, 24, 1)
    with pytest.raises(ValueError, match="timestep must be in"):
        net.interpolate(a, b, t)
    with pytest.raises(ValueError, match="timestep must be in"):
        net.interpolate(a, b, [0.5, t])
    assert net.interpolate(a, b).shape == a.shape, "the interpolator is not usable after an error"


def test_wrong_layout_is_refused(net: rife.Interpolator) -> None:
    with pytest.raises(ValueError, match="layout: expected 'hwc' or 'chw', got \"nchw\""):
        net.interpolate(picture(8, 8), picture(8, 8), layout="nchw")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "9"}, ValueError, "9"),
        ({"device": "gpu"}, ValueError, "unknown device"),
        ({"precision": "f8"}, ValueError, "unknown precision"),
        ({"precision": "tf32", "device": "cpu"}, rife.DeviceError, "tf32 is not supported"),
        ({"engine": "fast"}, ValueError, "unknown engine"),
        ({"scale": 3}, ValueError, "scale: expected"),
        ({"batch": 17}, ValueError, "invalid batch 17"),
        ({"batch": -1}, ValueError, "batch: expected a positive 64-bit integer"),
        ({"batch": 10**5000}, ValueError, "batch: expected a positive 64-bit integer"),
        ({"threads": 0}, ValueError, "invalid number of threads 0"),
        ({"threads": -1}, ValueError, "threads: expected a positive 64-bit integer"),
        ({"threads": 2**64}, ValueError, "threads: expected a positive 64-bit integer"),
        ({"threads": 1.5}, TypeError, "float"),
        ({"model": "\ud800"}, ValueError, "surrogates not allowed"),
        ({"model": "4.25", "ensemble": True}, ValueError, "ensemble"),
        ({"device": "cuda:63"}, rife.DeviceError, "cuda:63 is unavailable"),
        ({"weights": "missing.pth"}, rife.WeightsError, "missing.pth"),
    ],
)
def test_wrong_options_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rife.Interpolator(**options)


def test_interpolator_describes_itself(net: rife.Interpolator, weights: Path) -> None:
    assert (net.model, net.device, net.precision, net.engine) == ("4.6", "cpu", "f32", "optimized")
    info = net.info
    assert info.weights == weights / "rife46.safetensors"
    assert info.scale == 1.0
    assert not info.ensemble
    assert info.threads is not None and info.threads >= 1
    assert repr(net) == "<rife.Interpolator 4.6 optimized f32 on cpu>"


def test_weights_can_be_a_file(weights: Path) -> None:
    with rife.Interpolator(weights=weights / "rife46.safetensors", device="cpu") as net:
        assert net.model == "4.6"


def test_closed_interpolator_refuses_calls(weights: Path) -> None:
    a = picture(16, 24)
    with rife.Interpolator("4.6", device="cpu", weights=weights) as net:
        net.interpolate(a, a)
        stream = net.stream([a, picture(16, 24, 1), a], scene="off", static_threshold=None)
        next(stream)
    assert net.closed
    assert "closed" in repr(net)
    net.close()
    with pytest.raises(rife.RifeError, match="the interpolator is closed"):
        net.interpolate(a, a)
    with pytest.raises(rife.RifeError, match="the interpolator is closed"):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_threads_share_an_interpolator(net: rife.Interpolator) -> None:
    frames = [picture(32 + 8 * i, 48, i) for i in range(4)]
    expected = [net.interpolate(frame, frame[:, ::-1]) for frame in frames]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(5):
            if not np.array_equal(net.interpolate(frames[i], frames[i][:, ::-1]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive(), "the threads block each other"
    assert wrong == []


def test_other_threads_run_while_the_network_runs(net: rife.Interpolator) -> None:
    a, b = picture(360, 640), picture(360, 640, 5)
    stop = threading.Event()
    steps = 0

    def count() -> None:
        nonlocal steps
        while not stop.wait(0.001):
            steps += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = steps
    # One call takes about 50 ms.
    for _ in range(4):
        net.interpolate(a, b)
    seen = steps - before
    stop.set()
    thread.join()
    assert seen >= 8

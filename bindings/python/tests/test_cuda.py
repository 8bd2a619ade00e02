"""CUDA arrays of torch, CuPy and JAX, which stay on their device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import as_dtype, picture

import rife

pytestmark = pytest.mark.cuda

DTYPES = ["uint8", "uint16", "float16", "float32"]


@pytest.fixture(scope="module")
def gpu() -> Iterator[rife.Interpolator]:
    with rife.Interpolator("4.6", device="cuda:0") as net:
        yield net


def tensors(dtype: str, layout: str, count: int = 2) -> tuple[list[Any], list[Any]]:
    """Frames as numpy arrays, and as tensors on the GPU."""
    import torch

    arrays = [as_dtype(picture(200, 320, 3 * pan), dtype) for pan in range(count)]
    if layout == "chw":
        arrays = [np.ascontiguousarray(array.transpose(2, 0, 1)) for array in arrays]
    return arrays, [torch.from_numpy(array).cuda() for array in arrays]


@pytest.mark.parametrize("layout", ["hwc", "chw"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_device_frames_equal_host_frames(gpu: rife.Interpolator, dtype: str, layout: Any) -> None:
    import torch

    arrays, on_gpu = tensors(dtype, layout)
    expected = gpu.interpolate(*arrays, 0.25, layout=layout)
    result = gpu.interpolate(*on_gpu, 0.25, layout=layout)
    assert result.device == on_gpu[0].device and result.dtype == on_gpu[0].dtype
    assert np.array_equal(result.cpu().numpy(), expected)
    several = gpu.interpolate(*on_gpu, [0.25, 0.5], layout=layout)
    assert torch.equal(several[0], result)


def test_strided_views_and_batches_stay_on_the_device(gpu: rife.Interpolator) -> None:
    import torch

    arrays, (a, b) = tensors("float32", "hwc")
    expected = gpu.interpolate(a, b)
    planes = gpu.interpolate(a.permute(2, 0, 1), b.permute(2, 0, 1), layout="chw")
    assert torch.equal(planes.permute(1, 2, 0), expected)
    wide = torch.zeros((200, 640, 4), device="cuda")
    wide[:, ::2, :3] = a
    assert torch.equal(gpu.interpolate(wide[:, ::2, :3], b), expected)
    batch = gpu.interpolate(torch.stack([a, b]), torch.stack([b, a]))
    assert torch.equal(batch[0], expected)


def test_work_is_ordered_with_the_callers_stream(gpu: rife.Interpolator) -> None:
    import torch

    _, (a, b) = tensors("float32", "hwc")
    expected = gpu.interpolate(a, b) * 2
    torch.cuda.synchronize()
    for stream in (torch.cuda.Stream(), torch.cuda.default_stream()):
        with torch.cuda.stream(stream):
            for _ in range(20):
                late = torch.zeros_like(a)
                torch.cuda._sleep(20_000_000)
                late.copy_(a)
                result = gpu.interpolate(late, b) * 2
                late.zero_()
                assert torch.equal(result, expected)


def test_stream_of_device_frames_equals_that_of_host_frames(gpu: rife.Interpolator) -> None:
    import torch

    arrays, on_gpu = tensors("uint8", "hwc", 5)
    arrays.insert(3, arrays[2])
    on_gpu.insert(3, on_gpu[2].clone())
    for options in ({}, {"factor": 2.5}, {"scene": "off"}, {"static_threshold": None}):
        host = gpu.stream(arrays, **options)  # type: ignore[arg-type]
        device = gpu.stream(on_gpu, **options)  # type: ignore[arg-type]
        expected, got = list(host), list(device)
        assert len(got) == len(expected)
        assert host.stills == device.stills == (0 if "static_threshold" in options else 1)
        for want, have in zip(expected, got, strict=True):
            assert have.is_cuda
            assert np.array_equal(have.cpu().numpy(), want)
        assert torch.equal(got[0], on_gpu[0])


def test_cuts_are_found_in_device_frames(gpu: rife.Interpolator) -> None:
    import torch

    frames = [picture(200, 320, pan, seed) for seed in (0, 1) for pan in range(8)]
    for scene in ("hold", "blend"):
        stream = gpu.stream([torch.from_numpy(f).cuda() for f in frames], scene=scene)  # type: ignore[arg-type]
        outputs = list(stream)
        assert len(outputs) == 32 and stream.cuts == 1
    assert not torch.equal(outputs[15], outputs[14])


def test_no_frame_is_copied_to_the_host(gpu: rife.Interpolator) -> None:
    import torch
    from torch.profiler import ProfilerActivity, profile

    _, on_gpu = tensors("float32", "chw")
    gpu.interpolate(*on_gpu, layout="chw")
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as trace:
        for _ in range(3):
            gpu.interpolate(*on_gpu, layout="chw")
        torch.cuda.synchronize()
    copies = [e.name for e in trace.events() if "DtoH" in e.name or "HtoD" in e.name]
    # Timesteps may be uploaded, but no frame may be downloaded.
    assert not any("DtoH" in name for name in copies), copies


def test_wrong_devices_are_refused(gpu: rife.Interpolator, net: rife.Interpolator) -> None:
    _, (a, b) = tensors("uint8", "hwc")
    with pytest.raises(ValueError, match="device=\"cuda:0\""):
        net.interpolate(a, b)
    with pytest.raises(ValueError, match="device=\"cuda:0\""):
        list(net.stream([a, b]))
    with pytest.raises(ValueError, match="b: expected an array on cuda:0 like a"):
        gpu.interpolate(a, b.cpu())


def test_cupy_arrays_come_back_as_cupy_arrays(gpu: rife.Interpolator) -> None:
    cupy = pytest.importorskip("cupy")
    arrays, _ = tensors("uint8", "hwc")
    expected = gpu.interpolate(*arrays)
    result = gpu.interpolate(*(cupy.asarray(array) for array in arrays))
    assert isinstance(result, cupy.ndarray)
    assert np.array_equal(cupy.asnumpy(result), expected)
    outputs = list(gpu.stream([cupy.asarray(array) for array in arrays]))
    assert np.array_equal(cupy.asnumpy(outputs[1]), expected)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_result_is_written_into_out_on_the_device(gpu: rife.Interpolator, dtype: str) -> None:
    import torch

    arrays, (a, b) = tensors(dtype, "hwc")
    expected = [gpu.interpolate(*arrays, t) for t in (0.25, 0.5)]
    outs = [torch.zeros_like(a) for _ in expected]
    assert gpu.interpolate(a, b, 0.25, out=outs[0]) is outs[0]
    assert np.array_equal(outs[0].cpu().numpy(), expected[0])
    results = gpu.interpolate(a, b, [0.25, 0.5], out=outs)
    for want, have, out in zip(expected, results, outs, strict=True):
        assert have is out and np.array_equal(out.cpu().numpy(), want)
    wide = torch.zeros((a.shape[0] + 2, a.shape[1] + 3, 3), dtype=a.dtype, device=a.device)
    gpu.interpolate(a, b, 0.25, out=wide[1:-1, 2:-1])
    assert np.array_equal(wide[1:-1, 2:-1].cpu().numpy(), expected[0])
    assert not wide[0].any() and not wide[:, :2].any()
    with pytest.raises(ValueError, match="out: expected an array on cuda:0 like a"):
        gpu.interpolate(a, b, out=torch.zeros(a.shape, dtype=a.dtype))
    with pytest.raises(ValueError, match="out: expected memory that does not overlap"):
        gpu.interpolate(a, b, out=a)


def test_jax_arrays_on_the_device_come_back_as_jax_arrays(gpu: rife.Interpolator) -> None:
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip("JAX has no GPU")
    for dtype, layout in (("uint8", "hwc"), ("float32", "chw")):
        arrays, _ = tensors(dtype, layout, 4)
        arrays.insert(2, arrays[1])
        on_gpu = [jax.device_put(array) for array in arrays]
        for a, b, x, y in zip(arrays, arrays[1:], on_gpu, on_gpu[1:], strict=False):
            expected = gpu.interpolate(a, b, 0.25, layout=layout)  # type: ignore[arg-type]
            result = gpu.interpolate(x, y, 0.25, layout=layout)  # type: ignore[arg-type]
            assert isinstance(result, jax.Array) and result.device == x.device
            assert np.array_equal(np.asarray(result), expected)
        expected = list(gpu.stream(arrays, layout=layout))  # type: ignore[arg-type]
        got = list(gpu.stream(on_gpu, layout=layout))  # type: ignore[arg-type]
        for want, have in zip(expected, got, strict=True):
            assert np.array_equal(np.asarray(have), want)


def test_memory_of_the_device_does_not_grow(gpu: rife.Interpolator) -> None:
    import torch

    _, on_gpu = tensors("uint8", "hwc", 4)

    def used() -> int:
        free, total = torch.cuda.mem_get_info()
        return total - free

    list(gpu.stream(on_gpu * 5))
    before = used()
    count = sum(1 for _ in gpu.stream(frame for _ in range(100) for frame in on_gpu))
    assert count == 800
    assert used() - before < 32 << 20

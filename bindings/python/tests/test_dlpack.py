"""Arrays of other libraries in host memory."""

from __future__ import annotations

import sys
import weakref
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from conftest import as_dtype, picture

import rife
from rife._frames import _NumpyAdapter


@pytest.mark.parametrize("layout", ["hwc", "chw"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_torch_tensors_come_back_as_torch_tensors(
    net: rife.Interpolator, dtype: str, layout: Any
) -> None:
    torch = pytest.importorskip("torch")
    arrays = [as_dtype(picture(40, 64, pan), dtype) for pan in (0, 3)]
    if layout == "chw":
        arrays = [np.ascontiguousarray(array.transpose(2, 0, 1)) for array in arrays]
    expected = net.interpolate(*arrays, layout=layout)
    tensors = [torch.from_numpy(array) for array in arrays]
    result = net.interpolate(*tensors, layout=layout)
    assert type(result) is torch.Tensor
    assert (result.dtype, result.shape) == (tensors[0].dtype, tensors[0].shape)
    assert result.device.type == "cpu"
    assert np.array_equal(result.numpy(), expected)
    out = torch.zeros_like(tensors[0])
    assert net.interpolate(*tensors, layout=layout, out=out) is out
    assert np.array_equal(out.numpy(), expected)
    outputs = list(net.stream(tensors, layout=layout))
    assert [type(output) for output in outputs] == [torch.Tensor] * 4
    assert outputs[0] is tensors[0]
    assert np.array_equal(outputs[1].numpy(), expected)


def test_torch_views_and_gradients_are_accepted(net: rife.Interpolator) -> None:
    torch = pytest.importorskip("torch")
    a, b = (torch.from_numpy(as_dtype(picture(40, 64, pan), "float32")) for pan in (0, 3))
    expected = net.interpolate(a, b)
    planes = a.permute(2, 0, 1), b.permute(2, 0, 1)
    assert torch.equal(net.interpolate(*planes, layout="chw").permute(1, 2, 0), expected)
    result = net.interpolate(a.clone().requires_grad_(), b)
    assert torch.equal(result, expected)
    assert not result.requires_grad


def test_wrong_torch_tensors_are_refused(net: rife.Interpolator) -> None:
    torch = pytest.importorskip("torch")
    frame = torch.zeros((16, 24, 3))
    for tensor in (frame.bfloat16(), frame.double(), frame.bool()):
        with pytest.raises(TypeError, match="expected samples of uint8, uint16"):
            net.interpolate(tensor, tensor)
    with pytest.raises(TypeError, match="expected torch.Tensor like a, got numpy.ndarray"):
        net.interpolate(frame, frame.numpy())
    with pytest.raises(TypeError, match="out: expected a tensor that does not require grad"):
        net.interpolate(frame, frame, out=torch.zeros_like(frame, requires_grad=True))
    with pytest.raises(TypeError, match="like the frames before it"):
        list(net.stream([frame, frame.numpy()]))
    with pytest.raises(TypeError, match="on cpu or cuda, got one on meta"):
        net.interpolate(frame.to("meta"), frame.to("meta"))


def test_jax_arrays_come_back_as_jax_arrays(net: rife.Interpolator) -> None:
    jax = pytest.importorskip("jax")
    arrays = [as_dtype(picture(40, 64, pan), "float32") for pan in (0, 3)]
    expected = net.interpolate(*arrays)
    cpu = jax.devices("cpu")[0]
    result = net.interpolate(*(jax.device_put(array, cpu) for array in arrays))
    assert isinstance(result, jax.Array)
    assert np.array_equal(np.asarray(result), expected)


class Library:
    """An array of a library that only supports DLPack."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __array_namespace__(self) -> Any:
        class Namespace:
            @staticmethod
            def from_dlpack(array: Any) -> Library:
                return Library(np.from_dlpack(array))

        return Namespace


class OnDevice(Library):
    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


def test_arrays_with_dlpack_round_trip_without_a_copy(net: rife.Interpolator) -> None:
    arrays = [picture(32, 48, pan) for pan in (0, 2)]
    expected = net.interpolate(*arrays)
    result = net.interpolate(*(Library(array) for array in arrays))
    assert type(result) is Library
    assert np.array_equal(result.array, expected)
    outputs = list(net.stream(Library(array) for array in arrays))
    assert np.array_equal(outputs[1].array, expected)
    assert outputs[2].array is arrays[1]
    frame = Library(arrays[0])
    with pytest.raises(TypeError, match="out: expected an array of numpy, torch or CuPy, got .*Library"):
        net.interpolate(frame, frame, out=Library(np.zeros_like(arrays[0])))


def test_unsupported_device_arrays_are_refused_rather_than_copied(net: rife.Interpolator) -> None:
    frame = OnDevice(picture(16, 24))
    with pytest.raises(TypeError, match="expected a CUDA array of torch, CuPy or JAX"):
        net.interpolate(frame, frame)

    class Other:
        __cuda_array_interface__: dict[str, Any] = {}

    with pytest.raises(TypeError, match="expected a CUDA array of torch, CuPy or JAX"):
        net.interpolate(Other(), Other())


def test_interpolator_on_the_cpu_refuses_device_arrays(net: rife.Interpolator) -> None:
    from rife._frames import DeviceArray

    # As described by the adapters of torch and CuPy. Refused before the memory is accessed.
    frame = DeviceArray(4096, [8, 16, 3], [48, 3, 1], "uint8", 1, 0, ())
    output = DeviceArray(8192, [8, 16, 3], [48, 3, 1], "uint8", 1, 0, ())
    with pytest.raises(ValueError, match='host memory or on cpu, .* device="cuda:1"'):
        net._engine.interpolate(frame, frame, [0.5], "hwc", [output])
    other = frame._replace(device=0)
    with pytest.raises(ValueError, match="b: expected an array on cuda:1 like a, got one on cuda:0"):
        net._engine.interpolate(frame, other, [0.5], "hwc", [output])
    wrong = frame._replace(dtype="bfloat16")
    with pytest.raises(TypeError, match="a: expected samples of .*, got bfloat16"):
        net._engine.interpolate(wrong, wrong, [0.5], "hwc", [output])
    with pytest.raises(ValueError, match="out: expected memory that does not overlap"):
        net._engine.interpolate(frame, frame, [0.5], "hwc", [frame])


def test_description_of_a_device_array_owns_the_array_and_its_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rife import _frames

    stream = SimpleNamespace(cuda_stream=7, ptr=7)
    cuda = SimpleNamespace(
        current_stream=lambda index: stream,
        get_current_stream=lambda: stream,
        Device=lambda index: nullcontext(),
    )
    monkeypatch.setitem(sys.modules, "torch", cast(Any, SimpleNamespace(cuda=cuda)))
    monkeypatch.setitem(sys.modules, "cupy", cast(Any, SimpleNamespace(cuda=cuda)))
    tensor = SimpleNamespace(
        is_cuda=True,
        device=SimpleNamespace(index=1),
        dtype="torch.uint8",
        shape=(8, 16, 3),
        data_ptr=lambda: 4096,
        element_size=lambda: 1,
        stride=lambda: (48, 3, 1),
    )
    array = SimpleNamespace(
        data=SimpleNamespace(ptr=4096),
        device=SimpleNamespace(id=1),
        dtype="uint8",
        shape=(8, 16, 3),
        strides=(48, 3, 1),
    )
    for adapter, source in ((_frames._TORCH, tensor), (_frames._CUPY, array)):
        described = adapter.read(source)
        assert (described.device, described.stream) == (1, 7)
        assert described.owner[0] is source and described.owner[1] is stream


class Unordered(_NumpyAdapter):
    """Like the adapter of JAX on a GPU, for arrays of the class `Array`."""

    def is_unordered(self, array: Any) -> bool:
        return True

    def empty(self, array: Any) -> tuple[Any, Any]:
        out = np.empty(array.shape, array.dtype).view(Array)
        Array.outputs.append(weakref.ref(out))
        return out, np.asarray(out)


class Array(np.ndarray[Any, Any]):
    """An array that supports weak references."""

    outputs: list[weakref.ref[Any]] = []


class Recorder:
    """An engine that records what is called, and how many outputs exist then."""

    def __init__(self, engine: Any, fails: bool = False) -> None:
        self.engine = engine
        self.fails = fails
        self.calls: list[tuple[str, int]] = []

    def _record(self, name: str) -> None:
        self.calls.append((name, sum(output() is not None for output in Array.outputs)))

    def interpolate(self, *arguments: Any) -> None:
        self._record("interpolate")
        if self.fails:
            raise KeyboardInterrupt
        self.engine.interpolate(*arguments)

    def synchronize(self) -> None:
        self._record("synchronize")


@pytest.fixture
def unordered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Two arrays of a library that does not order its work with that of the engine."""
    from rife import _frames

    monkeypatch.setitem(_frames._ADAPTERS, Array, Unordered())
    monkeypatch.setattr(Array, "outputs", [])
    return [picture(32, 48, pan).view(Array) for pan in (0, 2)]


@pytest.mark.parametrize("fails", [False, True])
def test_outputs_of_unordered_libraries_exist_until_the_engine_has_finished(
    net: rife.Interpolator, unordered: list[Any], fails: bool
) -> None:
    recorder = Recorder(net._engine, fails)
    other = object.__new__(rife.Interpolator)
    other._engine = cast(Any, recorder)
    with pytest.raises(KeyboardInterrupt) if fails else nullcontext():
        other.interpolate(*unordered, [0.25, 0.5])
    assert recorder.calls == [("interpolate", 2), ("synchronize", 2)]


def test_streams_of_unordered_libraries_wait_before_frames_are_returned_and_freed(
    net: rife.Interpolator, unordered: list[Any]
) -> None:
    from rife import _rife, _stream

    recorder = Recorder(net._engine)
    kind = _stream._FrameKind()
    settings = (("factor", "2"), "25", "off", 50.0, None, True)
    core = _rife.Stream(net._engine, "hwc", *settings, kind.allocate, kind.blend)
    frames = iter([*unordered, unordered[0]])
    outputs = _stream._run(cast(Any, recorder), core, kind, frames, "hwc", False)
    assert next(outputs) is unordered[0]
    next(outputs)
    waits = len(recorder.calls)
    assert waits >= 2 and recorder.calls[-1] == ("synchronize", 1)
    outputs.close()
    # The engine could still write the output, which the caller has already dropped.
    assert recorder.calls[waits:] == [("synchronize", 1)]
    assert Array.outputs[0]() is None

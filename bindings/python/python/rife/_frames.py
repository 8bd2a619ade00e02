"""Adapters for arrays of numpy, torch, CuPy, JAX, and any other library with DLPack.

An adapter describes arrays for the extension module and allocates results of the same library.
Arrays in host memory are passed as numpy arrays. CUDA arrays stay on their device: the extension
module gets their address, and the current stream of the library.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import _rife

SAMPLES = ("uint8", "uint16", "float16", "float32")

# Scene detection subsamples CUDA frames so that the shorter side has about this many pixels.
_PROBE_SIDE = 270


class DeviceArray(NamedTuple):
    """Describes an array on a CUDA device to the extension module."""

    address: int
    shape: list[int]
    strides: list[int]
    """In bytes."""
    dtype: str
    device: int
    stream: int
    """The caller's stream (`CUstream`); 0 is the default stream."""
    owner: tuple[Any, ...]
    """The objects that keep the memory and the stream alive: the array, and its stream."""


class Adapter(Protocol):
    """Operations on the arrays of one library."""

    def read(self, array: Any) -> Any:
        """The array as a numpy array or a `DeviceArray`, without a copy."""

    def is_unordered(self, array: Any) -> bool:
        """Whether the library does not order its work on `array` with that of the engine.

        Then the host must wait for the engine before arrays are freed or results are used.
        """

    def empty(self, array: Any) -> tuple[Any, Any]:
        """A new array like `array`, and its description as from `read`.

        Pass the new array to `resolve` when it has been written.
        """

    def write(self, array: Any, layout: str, inputs: tuple[Any, Any]) -> Any:
        """The caller's array as from `read`, to be written; or another array in its place.

        Pass both to `finish_write` when it has been written.

        Raises:
            TypeError: if arrays of the library cannot be written.
        """

    def finish_write(self, array: Any, written: Any) -> None:
        """Copy the array that was written in place of the caller's."""

    def probe(self, array: Any, layout: str) -> Any:
        """A subsampled copy in host memory for scene detection; `None` for host arrays."""

    def equal(self, a: Any, b: Any) -> bool:
        """Whether two arrays have equal content."""

    def blend(self, a: Any, b: Any, t: float) -> Any:
        """`a * (1 - t) + b * t`, rounded for integers."""


def adapter_of(array: Any) -> Adapter:
    """The adapter of an array.

    Raises:
        TypeError: if it is not an array of a supported library.
    """
    kind = type(array)
    found = _ADAPTERS.get(kind)
    if found is None:
        found = _ADAPTERS[kind] = _find_adapter(array)
    return found


def _find_adapter(array: Any) -> Adapter:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            "expected an array without a mask, got numpy.ma.MaskedArray; pass x.filled(0) or x.data"
        )
    if isinstance(array, np.ndarray):
        return _NUMPY
    library = type(array).__module__.partition(".")[0]
    if library == "torch" or _is_torch(array):
        return _TORCH
    if library == "cupy":
        return _CUPY
    if library in ("jax", "jaxlib"):
        return _JAX
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        return _DlpackAdapter()
    if hasattr(array, "__cuda_array_interface__"):
        raise TypeError(_unsupported_device_array(array))
    raise TypeError(
        "expected a numpy array, or an array with DLPack (torch, CuPy, JAX), got "
        f"{_name(type(array))}"
    )


def _is_torch(array: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _unsupported_device_array(array: Any) -> str:
    return (
        "expected a CUDA array of torch, CuPy or JAX, got "
        f"{_name(type(array))}; convert it without a copy with torch.from_dlpack(x) or "
        "cupy.from_dlpack(x), or with cupy.asarray(x) for __cuda_array_interface__"
    )


def _probe_step(shape: Any, layout: str) -> tuple[Any, ...]:
    """The index that subsamples a frame by an integer step."""
    height, width = (shape[-3], shape[-2]) if layout == "hwc" else (shape[-2], shape[-1])
    step = slice(None, None, max(1, min(height, width) // _PROBE_SIDE))
    return (step, step) if layout == "hwc" else (slice(None), step, step)


class _NumpyAdapter:
    def is_unordered(self, array: Any) -> bool:
        return False

    def read(self, array: Any) -> Any:
        return array

    def empty(self, array: Any) -> tuple[Any, Any]:
        out = np.empty(array.shape, array.dtype)
        return out, out

    def write(self, array: Any, layout: str, inputs: tuple[Any, Any]) -> Any:
        view = self.read(array)
        if _rife.is_viewable(view, layout) or not view.flags.writeable:
            return view
        # The engine cannot write into these strides. Shared memory is refused below.
        if any(np.may_share_memory(view, self.read(other)) for other in inputs):
            return view
        return np.empty(view.shape, view.dtype)

    def finish_write(self, array: Any, written: Any) -> None:
        view = self.read(array)
        if not np.may_share_memory(view, written):
            np.copyto(view, written)

    def probe(self, array: Any, layout: str) -> None:
        return None

    def equal(self, a: Any, b: Any) -> bool:
        return bool(np.array_equal(a, b))

    def blend(self, a: Any, b: Any, t: float) -> Any:
        mixed = a.astype(np.float32)
        mixed += (b.astype(np.float32) - mixed) * np.float32(t)
        if a.dtype.kind == "u":
            mixed = np.floor(mixed + np.float32(0.5))
        return mixed.astype(a.dtype)


class _DlpackAdapter(_NumpyAdapter):
    """Arrays in host memory of any library with DLPack."""

    _HOST = (1, 3, 11)  # CPU, and host memory pinned by CUDA or ROCm

    def read(self, array: Any) -> Any:
        if int(array.__dlpack_device__()[0]) not in self._HOST:
            raise TypeError(_unsupported_device_array(array))
        try:
            return np.from_dlpack(array)
        except (BufferError, RuntimeError) as error:
            dtype = getattr(array, "dtype", "unknown")
            raise TypeError(
                f"expected samples of {', '.join(SAMPLES)}, got {dtype}: {error}"
            ) from error

    def empty(self, array: Any) -> tuple[Any, Any]:
        # Converted to an array of the library after it has been written: arrays may be immutable.
        view = self.read(array)
        out = np.empty(view.shape, view.dtype)
        return _Deferred(_from_dlpack_of(array), out), out

    def write(self, array: Any, layout: str, inputs: tuple[Any, Any]) -> Any:
        raise TypeError(
            f"out: expected an array of numpy, torch or CuPy, got {_name(type(array))}"
        )

    def blend(self, a: Any, b: Any, t: float) -> Any:
        mixed = super().blend(self.read(a), self.read(b), t)
        return _from_dlpack_of(a)(mixed)

    def equal(self, a: Any, b: Any) -> bool:
        return super().equal(self.read(a), self.read(b))


class _JaxAdapter(_DlpackAdapter):
    """JAX, whose arrays are immutable and whose streams are not accessible.

    On a GPU, the host waits for the inputs before the engine starts, and for the result before it
    is returned. Results are written into the memory of a new array without other references.
    """

    @staticmethod
    def _device(array: Any) -> Any:
        devices = list(array.devices())
        if len(devices) != 1:
            raise TypeError(f"expected a JAX array on one device, got one on {len(devices)}")
        return devices[0]

    def _on_gpu(self, array: Any) -> bool:
        return bool(self._device(array).platform in ("gpu", "cuda"))

    def is_unordered(self, array: Any) -> bool:
        return self._on_gpu(array)

    def read(self, array: Any) -> Any:
        if not self._on_gpu(array):
            return super().read(array)
        array.block_until_ready()
        strides = [array.dtype.itemsize] * array.ndim
        for axis in reversed(range(array.ndim - 1)):
            strides[axis] = strides[axis + 1] * array.shape[axis + 1]
        return DeviceArray(
            array.unsafe_buffer_pointer(),
            list(array.shape),
            strides,
            str(array.dtype),
            int(self._device(array).local_hardware_id),
            0,
            (array,),
        )

    def empty(self, array: Any) -> tuple[Any, Any]:
        if not self._on_gpu(array):
            return super().empty(array)
        numpy = sys.modules["jax"].numpy
        out = numpy.zeros(array.shape, array.dtype, device=self._device(array))
        return out, self.read(out)

    def probe(self, array: Any, layout: str) -> Any:
        if not self._on_gpu(array):
            return None
        return np.asarray(array[_probe_step(array.shape, layout)])

    def equal(self, a: Any, b: Any) -> bool:
        return bool((a == b).all())

    def blend(self, a: Any, b: Any, t: float) -> Any:
        numpy = sys.modules["jax"].numpy
        mixed = a.astype(numpy.float32)
        mixed += (b.astype(numpy.float32) - mixed) * numpy.float32(t)
        if a.dtype.kind == "u":
            mixed = numpy.floor(mixed + numpy.float32(0.5))
        return mixed.astype(a.dtype)


class _Deferred:
    """An array that is created from its memory after that has been written."""

    def __init__(self, convert: Any, memory: Any) -> None:
        self._convert = convert
        self._memory = memory

    def __call__(self) -> Any:
        return self._convert(self._memory)


def resolve(array: Any) -> Any:
    """The array that `Adapter.empty` allocated, after it has been written."""
    return array() if type(array) is _Deferred else array


def _from_dlpack_of(array: Any) -> Any:
    """The `from_dlpack` function of the library of an array."""
    if hasattr(array, "__array_namespace__"):
        namespace = array.__array_namespace__()
        if hasattr(namespace, "from_dlpack"):
            return namespace.from_dlpack
    module = sys.modules.get(type(array).__module__.partition(".")[0])
    if module is not None and hasattr(module, "from_dlpack"):
        return module.from_dlpack
    raise TypeError(
        f"expected an array of a library with from_dlpack, got {_name(type(array))}; convert it "
        "with numpy.from_dlpack(x)"
    )


class _TorchAdapter:
    def is_unordered(self, array: Any) -> bool:
        return False

    def read(self, array: Any) -> Any:
        if not array.is_cuda:
            if array.device.type != "cpu":
                raise TypeError(
                    f"expected a tensor on cpu or cuda, got one on {array.device}"
                )
            try:
                return array.detach().numpy()
            except TypeError as error:
                raise TypeError(
                    f"expected samples of {', '.join(SAMPLES)}, got {array.dtype}: {error}"
                ) from error
        size = array.element_size()
        index = array.device.index
        stream = _torch().cuda.current_stream(index)
        return DeviceArray(
            array.data_ptr(),
            array.shape,
            [stride * size for stride in array.stride()],
            str(array.dtype)[6:],  # without "torch."
            index,
            stream.cuda_stream,
            (array, stream),
        )

    def empty(self, array: Any) -> tuple[Any, Any]:
        out = _torch().empty(array.shape, dtype=array.dtype, device=array.device)
        return out, self.read(out)

    def write(self, array: Any, layout: str, inputs: tuple[Any, Any]) -> Any:
        if array.requires_grad:
            raise TypeError("out: expected a tensor that does not require grad")
        if array.is_cuda or any(other.is_cuda for other in inputs):
            return self.read(array)
        a, b = (self.read(other) for other in inputs)
        return _NUMPY.write(self.read(array), layout, (a, b))

    def finish_write(self, array: Any, written: Any) -> None:
        if not array.is_cuda:
            _NUMPY.finish_write(self.read(array), written)

    def probe(self, array: Any, layout: str) -> Any:
        if not array.is_cuda:
            return None
        return array.detach()[_probe_step(array.shape, layout)].cpu().numpy()

    def equal(self, a: Any, b: Any) -> bool:
        return bool((a == b).all())

    def blend(self, a: Any, b: Any, t: float) -> Any:
        torch = _torch()
        mixed = torch.lerp(a.detach().float(), b.detach().float(), t)
        if not a.dtype.is_floating_point:
            mixed = torch.floor(mixed + 0.5)
        return mixed.to(a.dtype)


def _torch() -> Any:
    return sys.modules["torch"]


class _CupyAdapter:
    def is_unordered(self, array: Any) -> bool:
        return False

    def read(self, array: Any) -> Any:
        cupy = sys.modules["cupy"]
        device = int(array.device.id)
        with cupy.cuda.Device(device):
            stream = cupy.cuda.get_current_stream()
        return DeviceArray(
            int(array.data.ptr),
            list(array.shape),
            list(array.strides),
            str(array.dtype),
            device,
            int(stream.ptr),
            (array, stream),
        )

    def empty(self, array: Any) -> tuple[Any, Any]:
        cupy = sys.modules["cupy"]
        with array.device:
            out = cupy.empty(array.shape, array.dtype)
        return out, self.read(out)

    def write(self, array: Any, layout: str, inputs: tuple[Any, Any]) -> Any:
        return self.read(array)

    def finish_write(self, array: Any, written: Any) -> None:
        pass

    def probe(self, array: Any, layout: str) -> Any:
        return sys.modules["cupy"].asnumpy(array[_probe_step(array.shape, layout)])

    def equal(self, a: Any, b: Any) -> bool:
        return bool((a == b).all())

    def blend(self, a: Any, b: Any, t: float) -> Any:
        cupy = sys.modules["cupy"]
        mixed = a.astype(cupy.float32)
        mixed += (b.astype(cupy.float32) - mixed) * cupy.float32(t)
        if a.dtype.kind == "u":
            mixed = cupy.floor(mixed + cupy.float32(0.5))
        return mixed.astype(a.dtype)


_NUMPY = _NumpyAdapter()
_TORCH = _TorchAdapter()
_CUPY = _CupyAdapter()
_JAX = _JaxAdapter()

_ADAPTERS: dict[type, Adapter] = {np.ndarray: _NUMPY}

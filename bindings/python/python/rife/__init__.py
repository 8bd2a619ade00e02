"""Video frame interpolation with RIFE, on NVIDIA GPUs and CPUs.

>>> import rife
>>> net = rife.Interpolator("4.25")
>>> middle = net.interpolate(a, b)  # arrays of numpy, torch, CuPy or JAX, H x W x 3
>>> rife.interpolate_video("in.mp4", "out.mkv", factor=2)
"""

import atexit as _atexit
import os as _os
import sys as _sys

from . import _rife
from ._interpolator import Info, Interpolator
from ._machine import Conversion, DeviceInfo, convert, devices, fetch_weights, versions
from ._rife import (
    DeviceError,
    OutOfMemoryError,
    RifeError,
    VideoError,
    WeightsError,
    __version__,
)
from ._stream import Stream
from ._video import Progress, VideoResult, interpolate_video

# NVIDIA's run-time compiler may be a package of this environment, which need not be activated.
_os.environ.setdefault("RIFE_PYTHON_PREFIX", _sys.prefix)

# Daemon threads may be inside a call at exit.
_atexit.register(_rife.close_at_exit)

__all__ = [
    "Conversion",
    "DeviceError",
    "DeviceInfo",
    "Info",
    "Interpolator",
    "OutOfMemoryError",
    "Progress",
    "RifeError",
    "Stream",
    "VideoError",
    "VideoResult",
    "WeightsError",
    "__version__",
    "convert",
    "devices",
    "fetch_weights",
    "interpolate_video",
    "versions",
]

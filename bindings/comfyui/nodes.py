"""The node `RIFE (Rust)`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

import rife

# Loaded interpolators by their settings. ComfyUI runs one prompt at a time, but in any thread.
_CACHE: dict[tuple[Any, ...], rife.Interpolator] = {}
_LOCK = threading.Lock()

# Few, to leave GPU memory to other models.
_MAX_CACHED = 2


def _cached(settings: dict[str, Any]) -> rife.Interpolator:
    """The interpolator with these settings, from the cache or newly loaded."""
    key = tuple(sorted(settings.items()))
    with _LOCK:
        net = _CACHE.pop(key, None)
        while net is None and len(_CACHE) >= _MAX_CACHED:
            _CACHE.pop(next(iter(_CACHE))).close()
        if net is None:
            net = rife.Interpolator(**settings)
        # The dict is in order of use, the most recently used last.
        _CACHE[key] = net
        return net


def _clear_cache() -> None:
    with _LOCK:
        while _CACHE:
            _CACHE.popitem()[1].close()


def _device_of(images: torch.Tensor, device: str) -> str:
    """The device to run on. `auto` selects the device of CUDA images, which then stay there."""
    if device == "auto" and images.is_cuda:
        return f"cuda:{images.device.index}"
    return device


def _progress_bar(total: int) -> Callable[[], None]:
    """A function that reports one of `total` frames, and raises if the prompt is interrupted."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda: None
    bar = ProgressBar(total)

    def step() -> None:
        bar.update(1)
        throw_exception_if_processing_interrupted()

    return step


class RifeRust:
    """Interpolates between the images of a batch."""

    CATEGORY = "image/animation"
    DESCRIPTION = "Interpolate frames with RIFE, on NVIDIA GPUs and CPUs."
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    FUNCTION = "interpolate"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        devices = [d.device for d in rife.devices() if d.available]
        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "The frames of a video, in order."}),
                "model": (
                    rife.versions(),
                    {"default": "4.26", "tooltip": "Weights are downloaded once."},
                ),
                "multiplier": (
                    "INT",
                    {
                        "default": 2,
                        "min": 2,
                        "max": 64,
                        "tooltip": "N frames become (N - 1) * multiplier + 1.",
                    },
                ),
                "scale": (
                    [0.25, 0.5, 1.0, 2.0, 4.0],
                    {"default": 1.0, "tooltip": "Resolution of motion estimation. Use 0.5 for 4K."},
                ),
                "scene_detection": (
                    ["hold", "blend", "off"],
                    {"tooltip": "At a scene cut: hold the frame before it, blend, or ignore it."},
                ),
                "batch_size": (
                    "INT",
                    {
                        "default": 1,
                        "min": 1,
                        "max": 16,
                        "tooltip": "Frames per GPU launch. Larger batches suit small frames.",
                    },
                ),
                "clear_cache": (
                    "BOOLEAN",
                    {"default": False, "tooltip": "Unload all models after the run."},
                ),
            },
            "optional": {
                "device": (list(dict.fromkeys(["auto", *devices])), {"default": "auto"}),
                "precision": (["auto", "f32", "tf32", "f16", "bf16"], {"default": "auto"}),
                "ensemble": (
                    "BOOLEAN",
                    {"default": False, "tooltip": "Average with the reversed pair (4.6 only)."},
                ),
            },
        }

    def interpolate(
        self,
        images: torch.Tensor,
        model: str,
        multiplier: int,
        scale: float,
        scene_detection: str,
        batch_size: int,
        clear_cache: bool,
        device: str = "auto",
        precision: str = "auto",
        ensemble: bool = False,
    ) -> tuple[torch.Tensor]:
        """Interpolate `images`: N x H x W x C, float32 in [0, 1]. Channels after the third, such as
        alpha, are blended linearly."""
        if images.ndim != 4 or images.shape[-1] < 3:
            raise ValueError(
                "images: expected N x H x W x 3 or more channels, got "
                + " x ".join(map(str, images.shape))
            )
        if len(images) < 2:
            return (images,)
        settings = {
            "model": model,
            "device": _device_of(images, device),
            "precision": precision,
            "scale": float(scale),
            "ensemble": ensemble,
            "batch": batch_size,
        }
        try:
            with torch.inference_mode():
                return (_interpolate(_cached(settings), images, multiplier, scene_detection),)
        finally:
            if clear_cache:
                _clear_cache()


def _interpolate(
    net: rife.Interpolator, images: torch.Tensor, multiplier: int, scene: Any
) -> torch.Tensor:
    """Interpolates into one tensor, the only allocation for the whole batch."""
    total = (len(images) - 1) * multiplier + 1
    out = torch.empty((total, *images.shape[1:]), dtype=images.dtype, device=images.device)
    step = _progress_bar(total)
    frames = (image[..., :3] for image in images)
    with net.stream(frames, multiplier, scene=scene, hold_last=False) as stream:
        for index, frame in enumerate(stream):
            out[index, ..., :3] = frame
            if images.shape[-1] > 3:
                before, t = divmod(index, multiplier)
                after = min(before + 1, len(images) - 1)
                extra = images[before, ..., 3:], images[after, ..., 3:]
                torch.lerp(*extra, t / multiplier, out=out[index, ..., 3:])
            step()
    return out


NODE_CLASS_MAPPINGS = {"RIFE (Rust)": RifeRust}
NODE_DISPLAY_NAME_MAPPINGS = {"RIFE (Rust)": "RIFE (Rust)"}

"""Tests of the node as ComfyUI calls it. Needs torch."""

from __future__ import annotations

import gc
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
rife = pytest.importorskip("rife")

PACK = Path(__file__).resolve().parents[1]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.fixture(scope="module")
def pack() -> Any:
    """The node pack, loaded as ComfyUI does: a package with any name."""
    spec = importlib.util.spec_from_file_location(
        "custom_nodes_rife", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    module.nodes._clear_cache()


def images(count: int, channels: int = 3, height: int = 48, width: int = 64) -> Any:
    """A ramp that moves to the right."""
    x = torch.arange(width + count, dtype=torch.float32) / (width + count)
    rows = torch.stack([x[i : i + width] for i in range(count)])
    return rows[:, None, :, None].expand(count, height, width, channels).contiguous()


def run(pack: Any, batch: Any, **inputs: Any) -> Any:
    """Calls the node as ComfyUI does, with the default values of other inputs."""
    node = pack.NODE_CLASS_MAPPINGS["RIFE (Rust)"]
    types_ = node.INPUT_TYPES()
    arguments = {}
    for group in ("required", "optional"):
        for name, (kind, *options) in types_[group].items():
            if kind == "IMAGE":
                continue
            default = options[0].get("default") if options else None
            arguments[name] = kind[0] if default is None else default
    arguments.update(model="4.6", **inputs)
    (result,) = getattr(node(), node.FUNCTION)(images=batch, **arguments)
    return result


def test_pack_declares_a_node_as_comfyui_expects(pack: Any) -> None:
    assert pack.NODE_DISPLAY_NAME_MAPPINGS.keys() == pack.NODE_CLASS_MAPPINGS.keys()
    node = pack.NODE_CLASS_MAPPINGS["RIFE (Rust)"]
    assert node.RETURN_TYPES == ("IMAGE",)
    assert callable(getattr(node, node.FUNCTION)) and isinstance(node.CATEGORY, str)
    inputs = node.INPUT_TYPES()
    names = list(inputs["required"])
    assert names == [
        "images", "model", "multiplier", "scale", "scene_detection", "batch_size", "clear_cache",
    ]
    for kind, *options in [*inputs["required"].values(), *inputs["optional"].values()]:
        assert isinstance(kind, (str, list))
        default = options[0].get("default") if options else None
        assert default is None or not isinstance(kind, list) or default in kind


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("multiplier", [2, 3])
def test_images_are_interpolated_like_pairs(pack: Any, device: str, multiplier: int) -> None:
    batch = images(4).to(device)
    result = run(pack, batch, multiplier=multiplier)
    assert result.shape == (3 * multiplier + 1, 48, 64, 3)
    assert (result.dtype, result.device) == (torch.float32, batch.device)
    assert torch.equal(result[::multiplier], batch)
    with rife.Interpolator("4.6") as net:
        for i in range(3):
            for step in range(1, multiplier):
                expected = net.interpolate(batch[i], batch[i + 1], step / multiplier)
                assert torch.equal(result[i * multiplier + step], expected)
    assert 0 <= result.min() and result.max() <= 1
    assert not result.requires_grad


def test_scene_cuts_are_held(pack: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    scenes = [
        torch.nn.functional.interpolate(
            torch.rand(1, 3, 6, 8, generator=generator), (48, 64), mode="bilinear"
        )[0].permute(1, 2, 0)
        for _ in range(2)
    ]
    batch = torch.stack([torch.roll(scenes[i // 8], i, 1) for i in range(16)])
    held = run(pack, batch)
    assert torch.equal(held[15], batch[7])
    across = run(pack, batch, scene_detection="off")
    assert not torch.equal(across[15], batch[7])


def test_alpha_is_blended_and_does_not_change_the_colours(pack: Any) -> None:
    colours = images(3)
    alpha = torch.stack([torch.full((48, 64, 1), value) for value in (0.0, 0.5, 1.0)])
    result = run(pack, torch.cat([colours, alpha], dim=-1), multiplier=4)
    assert result.shape == (9, 48, 64, 4)
    assert torch.equal(result[..., :3], run(pack, colours, multiplier=4))
    expected = torch.linspace(0, 1, 9)
    assert torch.allclose(result[:, 0, 0, 3], expected)


def test_single_image_is_returned_and_wrong_shapes_are_refused(pack: Any) -> None:
    single = images(1)
    assert torch.equal(run(pack, single), single)
    for wrong in (images(3)[0], images(3, channels=1)):
        with pytest.raises(ValueError, match="images: expected N x H x W x 3 or more channels"):
            run(pack, wrong)


def test_models_are_cached_by_their_settings_until_cleared(pack: Any) -> None:
    cache = pack.nodes._CACHE
    pack.nodes._clear_cache()
    run(pack, images(2))
    (first,) = cache.values()
    run(pack, images(3))
    assert list(cache.values()) == [first]
    run(pack, images(2), scale=0.5)
    run(pack, images(2), scale=2.0)
    assert len(cache) == 2 and first.closed
    run(pack, images(2), clear_cache=True)
    assert not cache
    # The cache is also cleared after an error.
    with pytest.raises(rife.DeviceError):
        run(pack, images(2), device="cuda:63", clear_cache=True)
    assert not cache


def test_progress_and_cancelling_use_comfyui(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        pass

    seen: list[int] = []
    bars: list[int] = []

    class ProgressBar:
        def __init__(self, total: int) -> None:
            bars.append(total)

        def update(self, value: int) -> None:
            seen.append(value)

    def throw_exception_if_processing_interrupted() -> None:
        if len(bars) == 2 and len(seen) >= 10:
            raise Interrupted

    comfy = types.ModuleType("comfy")
    utils = types.ModuleType("comfy.utils")
    management = types.ModuleType("comfy.model_management")
    utils.ProgressBar = ProgressBar  # type: ignore[attr-defined]
    management.throw_exception_if_processing_interrupted = (  # type: ignore[attr-defined]
        throw_exception_if_processing_interrupted
    )
    for name, module in [
        ("comfy", comfy), ("comfy.utils", utils), ("comfy.model_management", management),
    ]:
        monkeypatch.setitem(sys.modules, name, module)
    run(pack, images(4))
    assert bars == [7] and seen == [1] * 7
    with pytest.raises(Interrupted):
        run(pack, images(8))
    assert len(seen) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in KiB on Linux only")
def test_memory_is_bounded_by_the_result_and_a_constant(pack: Any) -> None:
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    run(pack, images(8, height=128, width=128))
    batch = images(300, height=128, width=128)
    gc.collect()
    before = peak()
    result = run(pack, batch)
    size = result.numel() * 4
    frame = 128 * 128 * 3 * 4
    assert size > 100 * 2**20
    assert peak() - before < size + 40 * frame

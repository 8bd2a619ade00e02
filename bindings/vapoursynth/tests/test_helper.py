"""`rife.vapoursynth.rife`, which has the signature of vs-rife."""

import importlib.util
import inspect
from pathlib import Path

import pytest
import vapoursynth as vs
from clips import CUT, FRAMES, STILL, clip_of, planes_of, same, samples

core = vs.core
FILE = Path(__file__).parents[2] / "python" / "python" / "rife" / "vapoursynth.py"

#: Parameters of vsrife.rife 5.7.0.
PARAMETERS = {
    "clip": inspect.Parameter.empty,
    "device_index": 0,
    "model": "4.25",
    "auto_download": False,
    "factor_num": 2,
    "factor_den": 1,
    "fps_num": None,
    "fps_den": None,
    "scale": 1.0,
    "ensemble": False,
    "sc": False,
    "sc_threshold": 0.15,
    "trt": False,
    "trt_static_shape": True,
    "trt_min_shape": (128, 128),
    "trt_opt_shape": (1920, 1080),
    "trt_max_shape": (1920, 1080),
    "trt_workspace_size": 0,
    "trt_max_aux_streams": None,
    "trt_optimization_level": None,
}


@pytest.fixture(scope="module")
def rife(rifers):
    spec = importlib.util.spec_from_file_location("rife_vapoursynth", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.rife


@pytest.fixture(scope="module")
def frames():
    return samples(core.get_video_format(vs.RGBS))


@pytest.fixture(scope="module")
def clip(frames):
    return clip_of(frames, core.get_video_format(vs.RGBS))


def held(output, frames) -> list[int]:
    return [n for n in range(FRAMES - 1) if same(planes_of(output.get_frame(2 * n + 1)), frames[n])]


def test_signature_is_that_of_vs_rife(rife):
    parameters = inspect.signature(rife).parameters
    assert list(parameters) == [*PARAMETERS, "trt_cache_dir"]
    assert {name: parameters[name].default for name in PARAMETERS} == PARAMETERS


def test_scene_changes_are_used_only_with_sc(rife, clip, frames):
    assert held(rife(clip, model="4.6"), frames) == [STILL]
    tagged = rife(clip, model="4.6", sc=True, sc_threshold=0.06)
    assert held(tagged, frames) == [STILL, CUT]
    assert tagged.get_frame(2 * CUT + 1).props["_SceneChangeNext"] == 1
    assert held(rife(clip, model="4.6", sc=True, sc_threshold=0.9), frames) == [STILL]
    # Without a threshold, properties decide; without properties, the plugin detects cuts.
    assert held(rife(clip, model="4.6", sc=True, sc_threshold=None), frames) == [STILL, CUT]


def test_result_is_that_of_the_plugin(rife, clip, interpolate):
    output = rife(clip, model="4.6", factor_num=5, factor_den=2, fps_num=60)
    expected = interpolate(clip, factor_num=5, factor_den=2, sc=False)
    assert (output.fps, output.num_frames) == (expected.fps, expected.num_frames)
    for a, b in zip(output.frames(), expected.frames(), strict=True):
        assert same(planes_of(a), planes_of(b))
    assert rife(clip, model="4.6", fps_num=60, fps_den=1).fps == 60


def test_threshold_out_of_range_is_refused(rife, clip):
    with pytest.raises(vs.Error, match=r"sc_threshold must be in \[0, 1\], got 15"):
        rife(clip, sc=True, sc_threshold=15)

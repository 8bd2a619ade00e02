"""Errors raise exceptions that state the reason, and never crash the process."""

import subprocess
import sys

import pytest
import vapoursynth as vs
from clips import clip_of, samples

core = vs.core
FORMAT = core.get_video_format(vs.YUV420P8)


@pytest.fixture(scope="module")
def clip():
    return clip_of(samples(FORMAT, frames=4), FORMAT)


@pytest.mark.parametrize(
    "arguments,why",
    [
        ({"model": "5.0"}, 'model: invalid model version "5.0"'),
        ({"device": "gpu"}, 'device: unknown device "gpu"'),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"precision": "f64"}, 'precision: unknown precision "f64"'),
        ({"scale": 3.0}, "scale must be .* got 3"),
        ({"factor_num": 1}, "factor_num/factor_den must be above 1 .* got 1/1"),
        ({"factor_num": 0}, "got 0/1"),
        ({"factor_den": -1}, "got 2/-1"),
        ({"factor_num": 20000}, "got 20000/1"),
        ({"fps_num": 0}, "fps_num/fps_den must be above 0 .* got 0/1"),
        ({"fps_den": 1001}, "fps_den requires fps_num"),
        ({"sc_threshold": 101.0}, "sc_threshold must be 0 to 100"),
        ({"sc_threshold": float("nan")}, "sc_threshold must be 0 to 100"),
        ({"model": "4.26", "ensemble": True}, "ensemble"),
        ({"weights": "/nonexistent/weights.safetensors"}, "weights.safetensors"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_invalid_arguments_are_refused(interpolate, clip, arguments, why):
    with pytest.raises(vs.Error, match=f"Interpolate: .*{why}"):
        interpolate(clip, **arguments)


@pytest.mark.parametrize(
    "format,got",
    [
        (vs.YUV411P8, "8-bit YUV 4:1:1"),
        (vs.YUV420P14, "14-bit YUV 4:2:0"),
        (vs.YUV444PS, "32-bit float YUV 4:4:4"),
        (vs.RGB30, "10-bit RGB"),
        (vs.GRAYS, "32-bit float gray"),
    ],
)
def test_unsupported_formats_are_refused(interpolate, format, got):
    blank = core.std.BlankClip(format=format, width=64, height=64, length=2)
    with pytest.raises(vs.Error, match=f"unsupported format: expected RGB24.*got .*{got}"):
        interpolate(blank)


def test_damaged_weights_are_refused(interpolate, clip, tmp_path):
    file = tmp_path / "rife46.safetensors"
    file.write_bytes(b"\0" * 100)
    with pytest.raises(vs.Error, match="rife46.safetensors"):
        interpolate(clip, weights=str(file))


def test_errors_of_the_source_clip_are_passed_on(interpolate, clip):
    def fail(n, f):
        if n >= 2:
            raise RuntimeError("the disk is on fire")
        return f

    output = interpolate(core.std.ModifyFrame(clip, clip, fail))
    output.get_frame(1)
    with pytest.raises(vs.Error, match="the disk is on fire"):
        output.get_frame(3)
    output.get_frame(2)  # Earlier frames still work.


def test_version_lists_models_and_devices(rifers):
    version = rifers.Version()
    assert version["version"]
    assert {"4.6", "4.25", "4.26"} <= set(version["models"])
    # VapourSynth returns a list with a single element as that element.
    devices = version["devices"]
    assert "cpu" in ([devices] if isinstance(devices, str) else devices)


SECOND_CORE = """
import sys
import vapoursynth as vs

class Policy(vs.EnvironmentPolicy):
    current = None
    def on_policy_registered(self, api): self.api = api
    def on_policy_cleared(self): pass
    def get_current_environment(self): return self.current
    def set_environment(self, environment):
        previous, self.current = self.current, environment
        return previous
    def is_alive(self, environment): return environment is not None

policy = Policy()
vs.register_policy(policy)
for seek in range(3):
    policy.current = policy.api.create_environment()
    vs.core.std.LoadPlugin(sys.argv[1])
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=64, length=8)
    clip = vs.core.std.Splice([clip, clip.std.BlankClip(color=[90, 20, 200])])
    output = vs.core.rifers.Interpolate(clip, model="4.6", device="cpu", sc=False)
    assert len([output.get_frame(n).width for n in range(13, 18)]) == 5
    del clip, output
    policy.api.destroy_environment(policy.current)
    policy.current = None
print("ok")
"""


def test_plugin_survives_the_destruction_of_its_core(plugin_path):
    """mpv destroys the core at every seek and creates another."""
    script = [sys.executable, "-c", SECOND_CORE, plugin_path]
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr

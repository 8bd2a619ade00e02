"""The output is bit-identical to that of the `rife` command, in any order of requests."""

import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from clips import CUT, FRAMES, STILL, clip_of, planes_of, read_y4m, same, samples

core = vs.core

YUV = [
    vs.YUV420P8, vs.YUV420P10, vs.YUV420P12, vs.YUV420P16,
    vs.YUV422P8, vs.YUV422P10, vs.YUV422P12, vs.YUV422P16,
    vs.YUV444P8, vs.YUV444P10, vs.YUV444P12, vs.YUV444P16,
    vs.GRAY8, vs.GRAY10, vs.GRAY12, vs.GRAY16,
]  # fmt: skip


def name(format) -> str:
    return core.get_video_format(format).name


def check(output: vs.VideoNode, expected, order) -> None:
    assert output.num_frames == len(expected)
    wrong = [n for n in order if not same(planes_of(output.get_frame(n)), expected[n])]
    assert not wrong, f"frames {wrong} differ"


@pytest.mark.parametrize("format", YUV, ids=name)
def test_yuv_in_order_backwards_and_shuffled(interpolate, cli, format):
    format = core.get_video_format(format)
    frames = samples(format)
    expected = cli.y4m(frames, format)
    order = list(range(len(expected)))
    shuffled = order[:]
    random.Random(format.id).shuffle(shuffled)
    for requests in (order, order[::-1], shuffled):
        check(interpolate(clip_of(frames, format)), expected, requests)


@pytest.mark.parametrize("format", [vs.RGB24, vs.RGB48], ids=name)
def test_integer_rgb(interpolate, cli, format):
    format = core.get_video_format(format)
    frames = samples(format)
    expected = cli.raw_rgb(frames, format)
    for requests in (range(len(expected)), reversed(range(len(expected)))):
        check(interpolate(clip_of(frames, format)), expected, requests)


@pytest.mark.parametrize(
    "format,step", [(vs.RGBS, 2**-16), (vs.RGBH, 2**-11)], ids=["RGBS", "RGBH"]
)
def test_float_rgb_equals_16_bit_rgb_up_to_rounding(interpolate, format, step):
    words = samples(core.get_video_format(vs.RGB48))
    kind = np.float32 if format == vs.RGBS else np.float16
    floats = [[(plane / 65535).astype(kind) for plane in planes] for planes in words]
    # Compare with the values that the float format can represent.
    words = [[(plane.astype(np.float64) * 65535).round().astype(np.uint16) for plane in planes]
             for planes in floats]  # fmt: skip
    expected = interpolate(clip_of(words, core.get_video_format(vs.RGB48)))
    output = interpolate(clip_of(floats, core.get_video_format(format)))
    for n in range(output.num_frames):
        pairs = zip(planes_of(output.get_frame(n)), planes_of(expected.get_frame(n)), strict=True)
        for got, plane in pairs:
            assert np.abs(got.astype(np.float64) - plane / 65535).max() <= 2 * step, f"frame {n}"


def test_test_clip_has_a_cut_and_a_still_pair(interpolate):
    """Otherwise the comparisons would not cover scene detection."""
    format = core.get_video_format(vs.YUV420P8)
    frames = samples(format)
    output = interpolate(clip_of(frames, format))
    held = [n for n in range(FRAMES) if same(planes_of(output.get_frame(2 * n + 1)), frames[n])]
    assert held == [STILL, CUT, FRAMES - 1]


@pytest.mark.parametrize(
    "arguments,options",
    [
        ({"factor_num": 3}, ["--factor", "3"]),
        ({"factor_num": 5, "factor_den": 2}, ["--factor", "5/2"]),
        ({"factor_num": 1001, "factor_den": 1000}, ["--factor", "1001/1000"]),
        ({"fps_num": 60}, ["--fps", "60"]),
        ({"fps_num": 60000, "fps_den": 1001}, ["--fps", "60000/1001"]),
        ({"fps_num": 15}, ["--fps", "15"]),
        ({"scale": 0.5}, ["--scale", "0.5"]),
        ({"ensemble": True}, ["--ensemble"]),
        ({"model": "4.26"}, ["--model", "4.26"]),
        ({"sc": False}, ["--scene", "off"]),
        ({"sc_threshold": 99.0}, ["--scene-threshold", "99"]),
        ({"sc_threshold": 5.0}, ["--scene-threshold", "5"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_options_equal_those_of_the_command(interpolate, cli, arguments, options):
    format = core.get_video_format(vs.YUV420P8)
    frames = samples(format)
    expected = cli.y4m(frames, format, *options)
    output = interpolate(clip_of(frames, format), **arguments)
    order = list(range(len(expected)))
    check(output, expected, order)
    check(interpolate(clip_of(frames, format), **arguments), expected, order[::-1])


def test_range_and_chroma_location(interpolate, cli):
    """Frame properties have the same effect as the header of a Y4M file."""
    format = core.get_video_format(vs.YUV420P8)
    frames = samples(format, frames=3, cut=None)
    plain = interpolate(clip_of(frames, format)).get_frame(1)
    for props in ({"_Range": 1}, {"_ColorRange": 0}, {"_ChromaLocation": 1}, {"_Matrix": 9}):
        other = interpolate(clip_of(frames, format, **props)).get_frame(1)
        assert not same(planes_of(plain), planes_of(other)), props
    for props in ({"_Range": 0}, {"_ChromaLocation": 0}, {"_Matrix": 6}, {"_Matrix": 2}):
        other = interpolate(clip_of(frames, format, **props)).get_frame(1)
        assert same(planes_of(plain), planes_of(other)), props
    # "420jpeg" means centred chroma.
    layout = {(1, 1): "420jpeg"}
    import clips

    usual, clips.LAYOUTS = clips.LAYOUTS, layout
    try:
        expected = cli.y4m(frames, format)
    finally:
        clips.LAYOUTS = usual
    output = interpolate(clip_of(frames, format, _ChromaLocation=1))
    check(output, expected, range(len(expected)))


def test_vspipe_writes_what_the_command_writes(cli, plugin_path, tmp_path):
    format = core.get_video_format(vs.YUV420P8)
    frames = samples(format)
    expected = cli.y4m(frames, format)
    script = tmp_path / "script.vpy"
    script.write_text(
        f"""import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import vapoursynth as vs
from clips import clip_of, samples
vs.core.std.LoadPlugin({plugin_path!r})
format = vs.core.get_video_format(vs.YUV420P8)
clip = clip_of(samples(format), format)
vs.core.rifers.Interpolate(clip, model="4.6", device="cpu").set_output()
"""
    )
    vspipe = Path(sys.executable).parent / "vspipe"
    piped = subprocess.run([vspipe, "-c", "y4m", script, "-"], check=True, capture_output=True)
    header = piped.stdout[: piped.stdout.index(b"\n")]
    assert b"F48000:1001" in header, header
    got = read_y4m(piped.stdout, frames[0])
    assert len(got) == len(expected)
    assert all(same(a, b) for a, b in zip(got, expected, strict=True))


def test_frame_rate_and_count_of_the_output(interpolate):
    format = core.get_video_format(vs.YUV420P8)
    clip = clip_of(samples(format), format)
    for arguments, fps, frames in (
        ({}, Fraction(48000, 1001), 28),
        ({"factor_num": 5, "factor_den": 2}, Fraction(60000, 1001), 35),
        ({"fps_num": 60}, Fraction(60), 36),
        ({"fps_num": 120000, "fps_den": 2002}, Fraction(60000, 1001), 35),
    ):
        output = interpolate(clip, **arguments)
        assert (output.fps, output.num_frames) == (fps, frames), arguments

"""Clips without a frame rate, and clips of variable format or size."""

import pytest
import vapoursynth as vs
from clips import HEIGHT, WIDTH, clip_of, planes_of, same, samples

core = vs.core
FORMAT = core.get_video_format(vs.YUV420P8)


@pytest.fixture(scope="module")
def frames():
    return samples(FORMAT, frames=6, cut=None, still=None)


def test_unknown_frame_rate_stays_unknown(interpolate, frames):
    clip = clip_of(frames, FORMAT)
    # mpv's clips have no frame rate, and report far more frames than the file has.
    endless = core.std.AssumeFPS(clip, fpsnum=24, fpsden=1).std.BlankClip(length=2**27 - 1)
    endless = core.std.FrameEval(endless, lambda n: clip[n] if n < 6 else clip[5])
    unknown = core.std.Splice([clip, clip.std.AssumeFPS(fpsnum=25)])
    assert unknown.fps == 0
    output = interpolate(unknown)
    assert (output.fps, output.num_frames) == (0, 24)
    assert same(planes_of(output.get_frame(3)), planes_of(interpolate(clip).get_frame(3)))
    assert interpolate(endless).num_frames == 2**28 - 2
    with pytest.raises(vs.Error, match="constant frame rate"):
        interpolate(unknown, fps_num=60)


def test_clip_of_variable_size(interpolate, frames):
    clip = clip_of(frames, FORMAT)
    small = clip.std.Crop(right=32, bottom=8)
    mixed = core.std.Splice([clip[:3], small[:3], clip[3:]], mismatch=True)
    assert (mixed.width, mixed.height) == (0, 0)
    output = interpolate(mixed)
    got = [planes_of(frame) for frame in output.frames()]
    sizes = [planes[0].shape for planes in got]
    assert sizes == [(HEIGHT, WIDTH)] * 6 + [(HEIGHT - 8, WIDTH - 32)] * 6 + [(HEIGHT, WIDTH)] * 6
    # Each part is interpolated like a separate clip. Where the size changes, the earlier frame
    # is repeated.
    parts = [interpolate(clip[:3]), interpolate(small[:3]), interpolate(clip[3:])]
    expected = [planes_of(frame) for part in parts for frame in part.frames()]
    assert [n for n in range(18) if not same(got[n], expected[n])] == []


def test_clip_of_variable_format(interpolate, frames):
    clip = clip_of(frames, FORMAT)
    deep = clip.resize.Point(format=vs.YUV444P10)
    mixed = core.std.Splice([clip[:3], deep[3:]], mismatch=True)
    assert mixed.format.id == 0
    output = interpolate(mixed)
    formats = [frame.format.id for frame in output.frames()]
    assert formats == [vs.YUV420P8] * 6 + [vs.YUV444P10] * 6
    # Between two frames of different formats, the result is interpolated in the earlier format.
    assert not same(planes_of(output.get_frame(5)), frames[2])
    refused = core.std.Splice([clip[:3], deep.resize.Point(format=vs.YUV444P14)[3:]], mismatch=True)
    with pytest.raises(vs.Error, match="unsupported format.*14-bit"):
        interpolate(refused).get_frame(9)


def test_clip_of_one_frame_repeats_it(interpolate, frames):
    output = interpolate(clip_of(frames[:1], FORMAT), factor_num=3)
    got = [planes_of(frame) for frame in output.frames()]
    assert len(got) == 3 and all(same(planes, frames[0]) for planes in got)


@pytest.mark.parametrize("size", [(2, 2), (16, 2), (66, 34)])
def test_small_and_odd_sizes(interpolate, size):
    width, height = size
    format = core.get_video_format(vs.YUV444P8)
    frames = [[p[:height, : width - 1].copy() for p in planes] for planes in samples(format)]
    output = interpolate(clip_of(frames, format))
    assert [frame.width for frame in output.frames()] == [width - 1] * len(output)

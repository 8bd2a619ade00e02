"""Frame properties: time, scene changes, and everything else."""

import pytest
import vapoursynth as vs
from clips import CUT, FRAMES, clip_of, planes_of, same, samples

core = vs.core
FORMAT = core.get_video_format(vs.YUV420P8)


@pytest.fixture(scope="module")
def frames():
    return samples(FORMAT)


def numbered(clip: vs.VideoNode, **props) -> vs.VideoNode:
    """Sets properties computed from the frame number."""

    def fill(n, f):
        out = f.copy()
        for key, value in props.items():
            out.props[key] = value(n)
        return out

    return core.std.ModifyFrame(clip, clip, fill)


@pytest.mark.parametrize("factor", [(2, 1), (5, 2), (3, 1)])
def test_durations_are_divided_and_reduced(interpolate, frames, factor):
    num, den = factor
    output = interpolate(clip_of(frames, FORMAT), factor_num=num, factor_den=den)
    for frame in output.frames():
        assert frame.props["_DurationNum"] * num * 24000 == frame.props["_DurationDen"] * den * 1001
    first = output.get_frame(0).props
    assert (first["_DurationNum"], first["_DurationDen"]) == {
        (2, 1): (1001, 48000), (5, 2): (1001, 60000), (3, 1): (1001, 72000),
    }[factor]  # fmt: skip


def test_variable_durations_are_those_of_the_earlier_frame(interpolate, frames):
    clip = numbered(
        clip_of(frames, FORMAT), _DurationNum=lambda n: n + 1, _DurationDen=lambda n: 25
    )
    for n, frame in enumerate(interpolate(clip).frames()):
        assert frame.props["_DurationNum"] / frame.props["_DurationDen"] == (n // 2 + 1) / 50


def test_absolute_time_is_advanced(interpolate, frames):
    clip = numbered(clip_of(frames, FORMAT), _AbsoluteTime=lambda n: 10 + n * 1001 / 24000)
    for n, frame in enumerate(interpolate(clip, factor_num=4).frames()):
        assert frame.props["_AbsoluteTime"] == pytest.approx(10 + n * 1001 / 96000, abs=1e-9)


def test_other_properties_are_copied(interpolate, frames):
    clip = clip_of(frames, FORMAT, _SARNum=4, _SARDen=3, _PictType=b"B", Note="x", List=[1, 2])
    clip = numbered(clip, Number=lambda n: n)
    for n, frame in enumerate(interpolate(clip).frames()):
        props = frame.props
        assert props["Number"] == n // 2
        assert (props["_SARNum"], props["_SARDen"], props["List"]) == (4, 3, [1, 2])
        assert (bytes(props["_PictType"]), str(props["Note"])) == (b"B", "x")
        assert "_SceneChangeNext" not in props and "_AbsoluteTime" not in props


def test_missing_durations_stay_missing(interpolate, frames):
    clip = clip_of(frames, FORMAT).std.RemoveFrameProps(["_DurationNum", "_DurationDen"])
    assert "_DurationNum" not in interpolate(clip).get_frame(1).props


def held(output: vs.VideoNode, frames) -> list[int]:
    """The pairs for which the earlier frame is repeated instead of interpolating."""
    repeated = [same(planes_of(output.get_frame(2 * n + 1)), frames[n]) for n in range(FRAMES - 1)]
    return [n for n, is_held in enumerate(repeated) if is_held]


def test_scene_change_properties_are_used(interpolate):
    frames = samples(FORMAT, still=None)
    tagged = numbered(
        clip_of(frames, FORMAT),
        _SceneChangeNext=lambda n: int(n == 2),
        _SceneChangePrev=lambda n: int(n == 3),
    )
    assert held(interpolate(tagged), frames) == [2]
    # Some filters set one of them only.
    after = numbered(clip_of(frames, FORMAT), _SceneChangePrev=lambda n: int(n == 3))
    assert held(interpolate(after), frames) == [2]
    # With sc_threshold, the plugin detects cuts and ignores the properties.
    assert held(interpolate(tagged, sc_threshold=50.0), frames) == [CUT]
    assert held(interpolate(tagged, sc=False), frames) == []
    assert held(interpolate(clip_of(frames, FORMAT)), frames) == [CUT]


def test_scene_change_properties_of_the_output_are_next_to_the_change(interpolate, frames):
    tagged = numbered(
        clip_of(frames, FORMAT),
        _SceneChangeNext=lambda n: int(n == CUT),
        _SceneChangePrev=lambda n: int(n == CUT + 1),
    )
    output = interpolate(tagged, factor_num=3)
    props = [frame.props for frame in output.frames()]
    assert [n for n, p in enumerate(props) if p["_SceneChangeNext"]] == [3 * CUT + 2]
    assert [n for n, p in enumerate(props) if p["_SceneChangePrev"]] == [3 * CUT + 3]

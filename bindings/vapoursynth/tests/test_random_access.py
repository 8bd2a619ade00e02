"""Results are correct for any order of requests and any number of threads."""

import random
import resource
import statistics
import time

import pytest
import vapoursynth as vs
from clips import clip_of, planes_of, same, samples

core = vs.core
FORMAT = core.get_video_format(vs.YUV420P8)


@pytest.fixture(scope="module")
def frames():
    return samples(FORMAT, frames=40, cut=22)


@pytest.fixture(scope="module")
def expected(frames, cli):
    return cli.y4m(frames, FORMAT, "--factor", "3")


@pytest.mark.parametrize("seed", range(3))
def test_concurrent_requests_in_random_order(interpolate, frames, expected, seed):
    output = interpolate(clip_of(frames, FORMAT), factor_num=3)
    order = list(range(output.num_frames))
    random.Random(seed).shuffle(order)
    pending = [(n, output.get_frame_async(n)) for n in order]
    wrong = [n for n, frame in pending if not same(planes_of(frame.result()), expected[n])]
    assert not wrong


def test_concurrent_requests_in_order(interpolate, frames, expected):
    output = interpolate(clip_of(frames, FORMAT), factor_num=3)
    got = [planes_of(frame) for frame in output.frames(prefetch=8, backlog=16)]
    assert [n for n, frame in enumerate(got) if not same(frame, expected[n])] == []


def test_two_filters_run_concurrently(interpolate, frames, expected):
    """Two filters share the model, but no frames."""
    forwards = interpolate(clip_of(frames, FORMAT), factor_num=3)
    backwards = interpolate(core.std.Reverse(clip_of(frames, FORMAT)), factor_num=3)
    pending = [(forwards.get_frame_async(n), backwards.get_frame_async(n)) for n in range(30)]
    for n, (frame, other) in enumerate(pending):
        assert same(planes_of(frame.result()), expected[n]), n
        assert (n % 3 != 0) or same(planes_of(other.result()), frames[39 - n // 3]), n


def test_seek_gives_the_same_frame_as_sequential_reading(interpolate, frames, expected):
    """mpv creates a new filter at every seek, which has not seen the earlier frames."""
    for n in (1, 65, 67, 68, 70, 100, 119):
        output = interpolate(clip_of(frames, FORMAT), factor_num=3)
        assert same(planes_of(output.get_frame(n)), expected[n]), n


def test_seek_takes_at_most_two_runs_of_the_network(interpolate, frames):
    """Measured as processor time, most of which is the network's."""
    output = interpolate(clip_of(frames, FORMAT), factor_num=3, model="4.26")

    def cost(n: int) -> float:
        start = time.process_time()
        output.get_frame(n)
        return time.process_time() - start

    in_order = [cost(n) for n in range(42) if n % 3]
    seeks = [cost(n) for n in (117 - 7 * k for k in range(10)) if n % 3]
    # The first frames include the creation of the session.
    assert statistics.median(seeks) <= 2 * statistics.median(in_order[4:])


def test_clip_can_be_dropped_while_frames_are_pending(interpolate, frames):
    for _ in range(5):
        output = interpolate(clip_of(frames, FORMAT))
        pending = [output.get_frame_async(n) for n in range(6)]
        del output
        for frame in pending:
            frame.result()


def test_concurrent_scene_detection_is_consistent(interpolate, rifers):
    """With a threshold of 0, every pair may be a cut and is classified as one."""
    clip = clip_of(samples(FORMAT), FORMAT)
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=64)
    many = clip.std.Loop(60)
    output = interpolate(many, sc_threshold=0.0, factor_num=4)
    core.num_threads = 8
    try:
        for n, frame in enumerate(output.frames(prefetch=16)):
            if n % 97 == 0:
                assert same(planes_of(frame), planes_of(many.get_frame(n // 4))), n
    finally:
        core.num_threads = 4


def test_memory_is_bounded(interpolate):
    """Source frames have about 0.4 MB, so keeping all of them would exceed the limit."""
    wide = core.std.BlankClip(format=vs.YUV444P16, width=320, height=200, length=1)
    pictures = [wide.std.BlankClip(color=[20000 + 500 * n, 30000, 30000]) for n in range(6)]
    many = core.std.Splice(pictures).std.Loop(300).std.SetFrameProps(_SceneChangeNext=1)
    output = interpolate(many)
    peaks = []
    for n, frame in enumerate(output.frames(close=True)):
        assert frame.width == 320
        if n in (600, 3500):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert peaks[1] - peaks[0] < 60, f"{peaks} MiB"

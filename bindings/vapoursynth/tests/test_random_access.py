"""Correct for any order of requests and any number of threads."""

import random
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


def test_two_filters_at_once(interpolate, frames, expected):
    """They share the model, but no frames."""
    forwards = interpolate(clip_of(frames, FORMAT), factor_num=3)
    backwards = interpolate(core.std.Reverse(clip_of(frames, FORMAT)), factor_num=3)
    pending = [(forwards.get_frame_async(n), backwards.get_frame_async(n)) for n in range(30)]
    for n, (frame, other) in enumerate(pending):
        assert same(planes_of(frame.result()), expected[n]), n
        assert (n % 3 != 0) or same(planes_of(other.result()), frames[39 - n // 3]), n


def test_a_seek_to_a_single_frame_is_the_same(interpolate, frames, expected):
    """A new filter, as mpv creates one at every seek, knows nothing of the frames before."""
    for n in (1, 65, 67, 68, 70, 100, 119):
        output = interpolate(clip_of(frames, FORMAT), factor_num=3)
        assert same(planes_of(output.get_frame(n)), expected[n]), n


def test_a_seek_takes_at_most_two_runs_of_the_network(interpolate, frames):
    """By time: a run takes much longer than anything else."""
    output = interpolate(clip_of(frames, FORMAT), factor_num=3, model="4.26")
    list(output[:6].frames())

    def elapsed(numbers) -> float:
        start = time.perf_counter()
        for n in numbers:
            output.get_frame(n)
        return (time.perf_counter() - start) / len(numbers)

    sequential = [n for n in range(6, 42) if n % 3]
    run = elapsed(sequential)
    seeks = [n for n in (117 - 7 * k for k in range(10)) if n % 3]
    assert elapsed(seeks) <= 2.5 * run


def test_an_abandoned_clip_ends_quietly(interpolate, frames):
    for _ in range(5):
        output = interpolate(clip_of(frames, FORMAT))
        pending = [output.get_frame_async(n) for n in range(6)]
        del output
        for frame in pending:
            frame.result()


def test_many_threads_judge_the_same_pairs(interpolate, rifers):
    """With a threshold of 0, every pair may be a cut, and every one is."""
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

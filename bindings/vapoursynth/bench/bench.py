#!/usr/bin/env python3
"""Measures the speed of the plugin and of the engine alone. Prints one JSON object.

Needs VapourSynth and the plugin. On a machine without network access, set `RIFE_WEIGHTS` to a
weights folder and copy both binaries:

    cargo build --release -p rife-vapoursynth --lib --example engine_fps
    python bench.py --plugin target/release/librifers.so \\
        --engine target/release/examples/engine_fps --model 4.25 --size 1920x1080

`sequential.share` is the rate of interpolated frames of the plugin divided by that of the engine
alone. `seek.runs` is the time of a seek to an interpolated frame divided by the time that the
engine takes for one pair, from two frames in memory to the result. A seek runs the network once;
the rest is scene detection and copies.
"""

import argparse
import ctypes
import json
import math
import os
import random
import statistics
import subprocess
import time

import vapoursynth as vs

core = vs.core

#: Number of distinct source frames; the clip repeats them.
PICTURES = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure the speed of the plugin and of the engine alone."
    )
    parser.add_argument("--plugin", help="path of librifers.so (default: the installed plugin)")
    parser.add_argument("--engine", help="path of the example engine_fps (default: do not compare)")
    parser.add_argument("--model", default="4.25")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--format", default="YUV420P8")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    parser.add_argument(
        "--repeat", type=int, default=3, help="number of measurements; the best one is reported"
    )
    parser.add_argument("--threads", type=int, default=None, help="number of VapourSynth threads")
    parser.add_argument("--requests", type=int, default=None, help="number of frames in flight")
    parser.add_argument("--seeks", type=int, default=40)
    args = parser.parse_args()

    if args.plugin:
        core.std.LoadPlugin(os.path.abspath(args.plugin))
    if args.threads:
        core.num_threads = args.threads
    width, height = map(int, args.size.split("x"))
    source = moving(getattr(vs, args.format), width, height)
    settings = {"model": args.model, "device": args.device, "factor_num": args.factor}

    requests = args.requests or core.num_threads
    result = {
        "plugin": core.rifers.Version()["version"],
        "vapoursynth": str(vs.__version__.release_major),
        "model": args.model,
        "size": args.size,
        "format": args.format,
        "factor": args.factor,
        "threads": core.num_threads,
        "requests": requests,
        "source_fps": round(throughput(source, 1.0, requests), 1),
    }
    result["cuts"] = cuts(core.rifers.Interpolate(source, **settings), args.factor)
    runs = range(args.repeat)
    clip, off = (core.rifers.Interpolate(source, sc=sc, **settings) for sc in (True, False))
    # Take the best run: other load on the machine only makes runs slower.
    fps = max(throughput(clip, args.seconds, requests) for _ in runs)
    # One of every `factor` output frames is a source frame.
    interpolated = fps * (args.factor - 1) / args.factor
    result["sequential"] = {"output_fps": round(fps, 2), "interpolated_fps": round(interpolated, 2)}
    fps_off = max(throughput(off, args.seconds, requests) for _ in runs)
    result["sequential"]["output_fps_sc_off"] = round(fps_off, 2)
    seeks = seek_ms(clip, args.factor, args.seeks)
    result["seek"] = {
        "median_ms": round(statistics.median(seeks), 3),
        "worst_ms": round(max(seeks), 3),
        "count": len(seeks),
    }
    if args.engine:
        alone = [engine(args, width, height, interpolated) for _ in runs]
        alone = max(alone, key=lambda run: run["interpolated_fps"])
        result["engine"] = alone
        result["sequential"]["share"] = round(interpolated / alone["interpolated_fps"], 4)
        result["seek"]["runs"] = round(result["seek"]["median_ms"] / alone["run_ms"], 3)
    print(json.dumps(result, indent=2))


def moving(format: int, width: int, height: int) -> vs.VideoNode:
    """A long clip of moving waves that costs nothing to read."""
    gray = core.std.BlankClip(format=vs.GRAY8, width=width, height=height, length=PICTURES)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        to, stride = out.get_write_ptr(0), out.get_stride(0)
        for y in range(height):
            start = sway[n] + round(height / 9 * math.sin(9 * y / height)) + height // 8
            ctypes.memmove(to.value + y * stride, wave[start : start + width], width)
        return out

    # The picture moves back and forth, so that consecutive frames differ little.
    sway = [round(6 + 6 * math.sin(2 * math.pi * n / PICTURES)) for n in range(PICTURES)]
    size = height / 40
    wave = bytes(
        int(127 + 60 * math.sin(x / size) + 50 * math.cos(x / size / 3.7))
        for x in range(width + height)
    )
    clip = core.std.ModifyFrame(gray, gray, fill)
    clip = clip.resize.Point(format=vs.YUV444P8, matrix=vs.MATRIX_BT709)
    if core.get_video_format(format).color_family == vs.RGB:
        clip = clip.resize.Bicubic(format=format)
    else:
        clip = clip.resize.Bicubic(format=format, matrix=vs.MATRIX_BT709)
    # All pictures stay in memory.
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=PICTURES)
    frames = [clip.get_frame(n) for n in range(PICTURES)]
    held = core.std.BlankClip(clip, length=PICTURES)
    held = held.std.ModifyFrame(held, lambda n, f: frames[n])
    held.std.SetVideoCache(mode=1, fixedsize=1, maxsize=PICTURES)
    return held.std.Loop(times=100_000)


def cuts(clip: vs.VideoNode, factor: int) -> int:
    """The number of pairs that are not interpolated, which would distort the measurement."""
    held = 0
    for n in range(PICTURES):
        pair = [clip.get_frame(n * factor), clip.get_frame(n * factor + 1)]
        held += bytes(pair[0][0]) == bytes(pair[1][0])
    return held


def throughput(clip: vs.VideoNode, seconds: float, requests: int) -> float:
    """Output frames per second, with several frames in flight."""
    count, start = 0, 0.0
    warm_up = 4 * requests
    for n, frame in enumerate(clip.frames(prefetch=requests, backlog=2 * requests, close=True)):
        del frame
        if n == warm_up:
            start = time.perf_counter()
        elif n > warm_up:
            count += 1
            if time.perf_counter() - start >= seconds:
                break
    return count / (time.perf_counter() - start)


def seek_ms(clip: vs.VideoNode, factor: int, seeks: int) -> list[float]:
    """The times of requests for interpolated frames at random positions, in ms."""
    order = random.Random(1)
    clip.get_frame(1)
    times = []
    for _ in range(seeks):
        n = order.randrange(1000, clip.num_frames // factor - 1000) * factor + 1
        start = time.perf_counter()
        clip.get_frame(n).close()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def engine(args: argparse.Namespace, width: int, height: int, expected: float) -> dict:
    """Measures the engine alone, for about the same time."""
    pairs = max(20, round(args.seconds * expected))
    command = [args.engine, args.model, args.device, f"{width}x{height}", args.format, str(pairs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()

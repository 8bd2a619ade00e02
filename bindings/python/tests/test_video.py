"""`interpolate_video`: the same job as the command."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_clip, start_python

import rife

OPTIONS: dict[str, Any] = {"model": "4.6", "device": "cpu"}


@pytest.fixture(autouse=True)
def _weights_folder(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIFE_WEIGHTS", str(weights))


def frames(path: Path) -> list[str]:
    """The hashes of all frames."""
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-map", "0:v", "-f", "framehash"]
    output = subprocess.run([*command, "-"], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1] for line in output.splitlines() if not line.startswith("#")]


def pixels(path: Path, size: tuple[int, int]) -> Any:
    """All frames as RGB: N x H x W x 3."""
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True)
    return np.frombuffer(raw.stdout, np.uint8).reshape(-1, *size, 3)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_result_equals_that_of_the_command(clip: Path) -> None:
    out, reference = clip.with_name("out.mkv"), clip.with_name("reference.mkv")
    result = rife.interpolate_video(clip, out, factor=2, codec="ffv1", **OPTIONS)
    command = [sys.executable, "-m", "rife", "interpolate", str(clip), "-o", str(reference)]
    command += ["--codec", "ffv1", "--model", "4.6", "--device", "cpu"]
    subprocess.run(command, check=True, capture_output=True)
    assert frames(out) == frames(reference)
    assert (result.frames, result.read, result.cuts) == (24, 12, 0)
    assert result.interpolated + result.stills == 11
    assert result.seconds > 0
    assert names(clip.parent) == ["in.mkv", "out.mkv", "reference.mkv"]


def test_stream_equals_the_video_job(
    ffmpeg: str, net: rife.Interpolator, tmp_path: Path
) -> None:
    clip, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    # RGB, so that no conversion rounds. The scene changes in the middle.
    source = "testsrc2=s=64x48:r=25:d=0.4[a];smptebars=s=64x48:r=25:d=0.4[b];[a][b]concat"
    command = [ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "gbrp"]
    subprocess.run([*command, "-c:v", "ffv1", str(clip)], check=True)
    for options in ({"factor": 2}, {"factor": "5/2", "hold_last": False}, {"fps": 60}):
        rife.interpolate_video(
            clip, out, codec="ffv1", overwrite=True, **OPTIONS, **options  # type: ignore[arg-type]
        )
        rate = {"source_fps": 25} if "fps" in options else {}
        outputs = list(net.stream(pixels(clip, (48, 64)), **options, **rate))  # type: ignore[arg-type]
        assert np.array_equal(np.stack(outputs), pixels(out, (48, 64))), options


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 24),
        ({"factor": 3}, 36),
        ({"factor": Fraction(5, 2)}, 30),
        ({"factor": 2, "hold_last": True}, 24),
        ({"factor": 2, "hold_last": False}, 23),
        ({"factor": "5/2", "hold_last": False}, 28),
        ({"fps": 60}, 29),
        ({"fps": 60, "hold_last": False}, 27),
        ({"slow": 2, "codec": None}, 24),
    ],
)
def test_options_are_those_of_the_command(
    clip: Path, options: dict[str, Any], count: int
) -> None:
    out = clip.with_name("out.y4m")
    assert rife.interpolate_video(clip, str(out), **options, **OPTIONS).frames == count
    assert len(frames(out)) == count


def test_sound_and_frames_end_together_without_a_held_frame(clip: Path) -> None:
    out = clip.with_name("out.mkv")
    rife.interpolate_video(clip, out, hold_last=False, **OPTIONS)
    command = ["ffprobe", "-v", "error", "-show_entries", "packet=stream_index,pts_time"]
    packets = json.loads(
        subprocess.run(
            [*command, "-of", "json", str(out)], check=True, capture_output=True
        ).stdout
    )["packets"]
    video = [float(packet["pts_time"]) for packet in packets if packet["stream_index"] == 0]
    assert len(video) == 23 and max(video) - min(video) == pytest.approx(0.44, abs=1e-3)
    assert any(packet["stream_index"] == 1 for packet in packets)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dance": 1}, TypeError, "unexpected option 'dance': expected one of .*factor"),
        ({"dry_run": True}, TypeError, "unexpected option 'dry_run'"),
        ({"overwrite": 1}, TypeError, "overwrite: expected True or False, got 1"),
        ({"factor": True}, TypeError, "factor: expected a string or a number, got True"),
        ({"factor": 0}, ValueError, "invalid value '0' for 'factor': expected a number above 1"),
        ({"factor": 2, "fps": 60}, ValueError, "'factor' cannot be used with .*'fps'"),
        ({"scene": "skip"}, ValueError, "invalid value 'skip' for 'scene'"),
        ({"crf": "x"}, ValueError, "invalid value 'x' for 'crf'"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        rife.interpolate_video(tmp_path / "in.mkv", tmp_path / "out.mkv", **options)
    assert "--" not in str(caught.value) and "\n" not in str(caught.value)


def test_option_that_is_not_valid_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        rife.interpolate_video(tmp_path / "in.mkv", tmp_path / "out.mkv", scene="\ud800")


def test_errors_name_the_file_and_the_python_option(clip: Path) -> None:
    out = clip.with_name("out.y4m")
    with pytest.raises(rife.VideoError, match="missing.mkv"):
        rife.interpolate_video(clip.with_name("missing.mkv"), out, **OPTIONS)
    out.write_text("x")
    with pytest.raises(rife.VideoError, match=r"out\.y4m exists: add overwrite=True"):
        rife.interpolate_video(clip, out, **OPTIONS)
    with pytest.raises(rife.DeviceError, match="cuda:63 is unavailable"):
        rife.interpolate_video(clip, out, device="cuda:63", overwrite=True)
    with pytest.raises(rife.VideoError, match="unsupported extension"):
        rife.interpolate_video(clip, "-strange.doc", **OPTIONS)
    assert names(clip.parent) == ["in.mkv", "out.y4m"]


def test_messages_go_to_the_logger(
    ffmpeg: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "in.mkv"
    make_clip(ffmpeg, clip, 3)
    with caplog.at_level(logging.INFO, logger="rife"):
        rife.interpolate_video(clip, tmp_path / "out.mp4", max_memory="1K", **OPTIONS)
    notes = [record for record in caplog.records if "max_memory 1K is too small" in record.message]
    assert len(notes) == 1 and notes[0].levelno == logging.INFO
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="rife"):
        rife.interpolate_video(clip, tmp_path / "slow.mkv", slow=2, **OPTIONS)
    assert any("audio=True keeps the audio" in record.message for record in caplog.records)


def test_progress_is_reported_in_the_calling_thread(ffmpeg: str, tmp_path: Path) -> None:
    clip = tmp_path / "in.mkv"
    make_clip(ffmpeg, clip, 100)
    seen: list[rife.Progress] = []
    threads = set()

    def progress(at: rife.Progress) -> None:
        seen.append(at)
        threads.add(threading.current_thread())

    start = time.monotonic()
    rife.interpolate_video(clip, tmp_path / "out.y4m", progress=progress, factor=4, **OPTIONS)
    assert 1 <= len(seen) <= 6 * (time.monotonic() - start) + 2
    assert threads == {threading.current_thread()}
    assert all(at.total == 400 and 0 <= at.frames <= 400 for at in seen)
    assert [at.frames for at in seen] == sorted(at.frames for at in seen)
    assert seen[-1].slowest in ("decode", "scenes", "network", "encode")


def test_slow_callback_receives_the_newest_progress(ffmpeg: str, tmp_path: Path) -> None:
    clip = tmp_path / "in.mkv"
    make_clip(ffmpeg, clip, 100)
    seen: list[int] = []

    def progress(at: rife.Progress) -> None:
        seen.append(at.frames)
        time.sleep(0.6)

    start = time.monotonic()
    rife.interpolate_video(clip, tmp_path / "out.y4m", progress=progress, factor=4, **OPTIONS)
    assert len(seen) <= (time.monotonic() - start) / 0.6 + 1
    assert seen[-1] == 400


def test_exception_in_progress_cancels_the_job(ffmpeg: str, tmp_path: Path) -> None:
    clip = tmp_path / "in.mkv"
    make_clip(ffmpeg, clip, 250)

    def progress(at: rife.Progress) -> None:
        raise RuntimeError(f"enough after {at.total}")

    for name in ("out.mkv", "out.y4m", "frames"):
        with pytest.raises(RuntimeError, match="enough after 1000"):
            rife.interpolate_video(clip, tmp_path / name, progress=progress, factor=4, **OPTIONS)
        assert names(tmp_path) == ["in.mkv"]


def test_exception_of_progress_is_raised_unchanged(clip: Path) -> None:
    def progress(at: rife.Progress) -> None:
        raise ValueError("--factor is not translated here")

    with pytest.raises(ValueError, match="--factor is not translated") as caught:
        rife.interpolate_video(clip, clip.with_name("out.y4m"), progress=progress, **OPTIONS)
    assert caught.traceback[-1].name == "progress"


def test_cancelled_job_can_be_resumed(
    ffmpeg: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip, out, whole = (tmp_path / name for name in ("in.mkv", "out.mkv", "whole.mkv"))
    make_clip(ffmpeg, clip, 450)
    rife.interpolate_video(clip, whole, codec="ffv1", **OPTIONS)
    segments = tmp_path / ".out.mkv.rife-job"

    def progress(at: rife.Progress) -> None:
        if any(segments.glob("000000.*")) and at.frames < 850:
            raise RuntimeError("enough")

    with caplog.at_level(logging.INFO, logger="rife"), pytest.raises(RuntimeError, match="enough"):
        rife.interpolate_video(clip, out, progress=progress, codec="ffv1", **OPTIONS)
    assert any("resume=True continues after them" in record.message for record in caplog.records)
    assert segments.is_dir() and not out.exists()
    with pytest.raises(rife.VideoError, match="resume=True continues after them"):
        rife.interpolate_video(clip, out, codec="ffv1", **OPTIONS)
    with caplog.at_level(logging.INFO, logger="rife"):
        result = rife.interpolate_video(clip, out, resume=True, codec="ffv1", **OPTIONS)
    assert any(record.message.startswith("resuming after") for record in caplog.records)
    assert result.frames == 900
    assert frames(out) == frames(whole)
    assert not segments.exists()


def test_jobs_run_at_the_same_time(ffmpeg: str, tmp_path: Path) -> None:
    clip = tmp_path / "in.mkv"
    make_clip(ffmpeg, clip, 20)
    results: dict[str, str] = {}

    def work(name: str) -> None:
        out = tmp_path / name
        rife.interpolate_video(clip, out, threads=1, **OPTIONS)
        results[name] = hashlib.sha256(out.read_bytes()).hexdigest()

    threads = [threading.Thread(target=work, args=(f"{i}.y4m",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(results) == 3 and len(set(results.values())) == 1


INTERRUPTED = """
import rife

def progress(at):
    print(at.frames)

try:
    rife.interpolate_video(
        "in.mkv", "out.mkv", factor=8, model="4.6", device="cpu", progress=progress
    )
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_ends_a_job_and_its_programs(ffmpeg: str, tmp_path: Path) -> None:
    import signal

    make_clip(ffmpeg, tmp_path / "in.mkv", 500)
    # Links in a separate folder distinguish the processes of this job from those of other jobs.
    for name in ("ffmpeg", "ffprobe"):
        program = shutil.which(name)
        assert program is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(program)
    code = INTERRUPTED.replace("factor=8", 'factor=8, ffmpeg="bin"')
    job = start_python(code, tmp_path)
    assert job.stdout is not None
    while int(job.stdout.readline()) == 0:
        pass
    job.send_signal(signal.SIGINT)
    start = time.monotonic()
    output, errors = job.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert output.endswith("interrupted\n") and job.returncode == 0, errors
    assert names(tmp_path) == ["bin", "in.mkv"]
    if shutil.which("pgrep") is not None:
        left = subprocess.run(
            ["pgrep", "-f", f"{tmp_path}/"], capture_output=True, text=True
        )
        assert left.stdout == "", "processes are still running"

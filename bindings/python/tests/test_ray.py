"""`rife.ray` on a cluster of several nodes on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rife

ray = pytest.importorskip("ray", reason="needs ray: pip install 'rife-rs[ray]'")
from ray.cluster_utils import Cluster  # noqa: E402

import rife.ray as rife_ray  # noqa: E402
from rife._job import Job, StagedJob, job_of  # noqa: E402

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg and ffprobe on PATH"),
]

OPTIONS: dict[str, Any] = {"model": "4.6", "factor": 2, "codec": "ffv1"}
ARGUMENTS = ["--model=4.6", "--factor=2", "--codec=ffv1"]


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """While this file exists, the file of segment 1 cannot be read back."""
    folder = tmp_path_factory.mktemp("bin")
    poison = folder / "poison"
    for program in ("ffmpeg", "ffprobe"):
        script = folder / program
        script.write_text(
            f"#!/bin/sh\ncase \"$*\" in *000001*) [ ! -e {poison} ] || exit 1;; esac\n"
            f'exec {shutil.which(program)} "$@"\n'
        )
        script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=os.pathsep)
        yield poison


@pytest.fixture(scope="module")
def cluster(weights: Path, poison: Path) -> Iterator[Cluster]:
    """Two nodes of one CPU."""
    with pytest.MonkeyPatch.context() as patch:
        # Other programs may fill the memory of the machine.
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        try:
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            cluster.add_node(num_cpus=1)
            ray.init(address=cluster.address, log_to_driver=False)
        except Exception as error:
            pytest.skip(f"Ray cannot start on this machine: {error}")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with sound, of several segments."""
    path = tmp_path_factory.mktemp("ray") / "in.mkv"
    source = "-f lavfi -i testsrc2=s=48x32:r=2:d=40 -f lavfi -i sine=d=40"
    codecs = "-c:v libx264 -preset ultrafast -c:a flac"
    command = ["ffmpeg", "-v", "error", *source.split(), *codecs.split(), str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def expected(video: Path, weights: Path) -> bytes:
    """The output of one machine."""
    path = video.with_name("expected.mkv")
    rife.interpolate_video(video, path, **OPTIONS)
    return path.read_bytes()


def segment_processes() -> list[int]:
    """The processes that compute a segment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"job" in command and b"--segment" in command:
                found.append(int(entry.name))
    return found


def parent_of(process: int) -> int:
    stat = Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def wait_for(condition: Callable[[], Any], seconds: float = 300.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("the condition did not become true")


def work_dir(job: Job) -> Path:
    return Path(json.loads(Path(job.plan).read_text())["work_dir"])


def test_result_equals_the_file_of_one_machine(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path
) -> None:
    states: list[rife_ray.Progress] = []
    result = rife_ray.interpolate_video(
        video, tmp_path / "out.mkv", progress=states.append, **OPTIONS
    )
    assert (tmp_path / "out.mkv").read_bytes() == expected
    assert result.segments == result.run > 3
    assert states[0].finished == 0 and states[-1] == (result.segments, result.segments, 0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_killed_worker_is_replaced(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill() -> None:
        worker = parent_of(wait_for(segment_processes)[0])
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    thread = threading.Thread(target=kill)
    thread.start()
    rife_ray.interpolate_video(video, tmp_path / "out.mkv", **OPTIONS)
    thread.join()
    assert len(killed) == 1
    assert (tmp_path / "out.mkv").read_bytes() == expected


def test_removed_node_is_replaced(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=1)
    removed = []

    def remove(state: rife_ray.Progress) -> None:
        if state.finished >= 1 and not removed:
            cluster.remove_node(node, allow_graceful=False)
            removed.append(node)

    rife_ray.interpolate_video(video, tmp_path / "out.mkv", progress=remove, **OPTIONS)
    assert removed
    assert (tmp_path / "out.mkv").read_bytes() == expected


def start_driver(cluster: Cluster, video: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rife.ray", str(video), "-o", str(output)]
    command += ["--address", cluster.address, *ARGUMENTS]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_killed_driver_can_be_restarted(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    job = job_of(str(video), str(output), [], None)
    driver = start_driver(cluster, video, output)
    wait_for(lambda: Path(job.plan).exists() and list(work_dir(job).glob("0*.json")))
    driver.kill()
    driver.communicate()
    assert not output.exists()
    driver = start_driver(cluster, video, output)
    _, messages = driver.communicate()
    assert driver.returncode == 0, messages
    assert output.read_bytes() == expected
    last = messages.splitlines()[-1]
    total, run = (int(word) for word in last.split() if word.isdigit())
    assert run < total, last


def test_interrupted_driver_cancels_its_tasks(
    cluster: Cluster, video: Path, tmp_path: Path
) -> None:
    driver = start_driver(cluster, video, tmp_path / "out.mkv")
    wait_for(segment_processes)
    driver.send_signal(signal.SIGINT)
    driver.communicate(timeout=300)
    assert driver.returncode == 130
    wait_for(lambda: not segment_processes())
    assert not (tmp_path / "out.mkv").exists()


def test_failing_segment_is_named_and_the_rest_completes(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path, poison: Path
) -> None:
    output = tmp_path / "out.mkv"
    poison.touch()
    with pytest.raises(rife_ray.SegmentsFailed, match=r"1 of \d+ segments failed \(1\)") as failed:
        rife_ray.interpolate_video(video, output, max_retries=1, **OPTIONS)
    assert list(failed.value.errors) == [1]
    missing, total = job_of(str(video), str(output), ARGUMENTS, None).missing()
    assert missing == [1] and total > 3
    poison.unlink()
    result = rife_ray.interpolate_video(video, output, **OPTIONS)
    assert result.run == 1
    assert output.read_bytes() == expected


def test_files_of_an_object_store_are_staged(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    store = tmp_path / "store"
    store.mkdir()
    (store / "in.mkv").write_bytes(video.read_bytes())
    url = f"file://{store}"
    rife_ray.interpolate_video(f"{url}/in.mkv", f"{url}/out.mkv", **OPTIONS)
    assert (store / "out.mkv").read_bytes() == expected
    assert sorted(path.name for path in store.iterdir()) == ["in.mkv", "out.mkv"]


def test_plan_of_another_job_is_kept(cluster: Cluster, video: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    job = job_of(str(video), str(output), ARGUMENTS, None)
    job.make_plan()
    with pytest.raises(rife.RifeError, match="unfinished job with other settings"):
        rife_ray.interpolate_video(video, output, **{**OPTIONS, "factor": 3})
    rife_ray.interpolate_video(video, output, overwrite=True, **{**OPTIONS, "factor": 3})


def test_errors_of_the_plan_are_one_line(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(rife.RifeError, match="missing.mkv") as error:
        rife_ray.interpolate_video(tmp_path / "missing.mkv", tmp_path / "out.mkv", **OPTIONS)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="two paths or two URLs"):
        rife_ray.interpolate_video("file:///in.mkv", tmp_path / "out.mkv")
    with pytest.raises(TypeError, match="unexpected option 'factr'"):
        rife_ray.interpolate_video(tmp_path / "in.mkv", tmp_path / "out.mkv", factr=2)


def test_urls_are_staged_and_paths_are_shared() -> None:
    assert type(job_of("a.mp4", "b.mp4", [], None)) is Job
    assert type(job_of("s3://x/a.mp4", "s3://x/b.mp4", [], None)) is StagedJob
    assert job_of("s3://x/a.mp4", "s3://x/y/b.mp4", [], None).plan == (
        "s3://x/y/.b.mp4.rife-job.json"
    )
    # Tasks run in other working directories.
    job = job_of("a.mp4", "x/b.mp4", [], None)
    here = Path.cwd()
    assert (job.input, job.output) == (str(here / "a.mp4"), str(here / "x/b.mp4"))
    assert job.plan == str(here / "x/.b.mp4.rife-job.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("in.mkv", "required: -o/--output"),
        ("in.mkv -o out.mkv --factr 2", "unrecognized arguments: --factr"),
        ("in.mkv -o out.mkv --gpus-per-task -1", "expected a number of at least 0, got -1"),
        ("in.mkv -o out.mkv --max-retries x", "expected a whole number of at least 0, got x"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        rife_ray.main(arguments.split())
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_options_may_precede_the_input(
    cluster: Cluster, video: Path, expected: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    words = ["--factor", "2", "--model=4.6", "--codec", "ffv1", str(video), "-o", str(output)]
    assert rife_ray.main(words) == 0
    assert output.read_bytes() == expected
    assert rife_ray.main(words) == 1, "the output exists"


def test_absent_cluster_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: Any) -> None:
        raise ConnectionError("no running Ray instance\nmore about it")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    assert rife_ray.main(["in.mkv", "-o", "out.mkv", "--address", "auto"]) == 1
    error = "error: cannot connect to a Ray cluster: no running Ray instance"
    assert capsys.readouterr().err.splitlines() == [error]


def test_errors_of_the_job_are_one_line(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rife_ray.main([str(tmp_path / "in.mkv"), "-o", str(tmp_path / "out.mkv")]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: cannot read ") and "in.mkv" in error
    assert not list(tmp_path.iterdir())

"""The `rife` command that the package installs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import make_clip

import rife


def run(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rife", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def script() -> str:
    found = shutil.which("rife", path=os.path.dirname(sys.executable))
    assert found is not None, "pip installs a script"
    return found


def test_module_and_script_are_the_command() -> None:
    module = run("--help")
    assert module.returncode == 0 and "Usage: rife <COMMAND>" in module.stdout
    installed = subprocess.run([script(), "--help"], capture_output=True, text=True)
    assert installed.stdout == module.stdout
    version = subprocess.run([script(), "--version"], capture_output=True, text=True)
    assert version.stdout.startswith(f"rife {rife.__version__}")
    assert "cpu:" in version.stdout


def test_exit_codes_are_those_of_the_command(tmp_path: Path) -> None:
    usage = run("interpolate", "--dance")
    assert usage.returncode == 2 and "--dance" in usage.stderr
    failure = run("interpolate", "missing.mp4", "-o", "out.mp4", cwd=tmp_path)
    assert failure.returncode == 1
    assert failure.stderr.startswith("error: ") and "Traceback" not in failure.stderr
    hint = run("interpolate", "in.mp4", "-o", "-clip.mp4")
    assert "write ./-clip.mp4" in hint.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_the_command_as_they_end_the_binary(
    ffmpeg: str, weights: Path, tmp_path: Path, name: str
) -> None:
    make_clip(ffmpeg, tmp_path / "in.mkv", 500)
    command = [script(), "interpolate", "in.mkv", "-o", "out.mkv", "--factor", "8"]
    command += ["--model", "4.6", "--device", "cpu"]
    env = {**os.environ, "RIFE_WEIGHTS": str(weights)}
    job = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    start = time.monotonic()
    while not list(tmp_path.glob(".out.mkv.rife-job/unfinished-*")):
        assert job.poll() is None and time.monotonic() - start < 60
        time.sleep(0.01)
    job.send_signal(getattr(signal, name))
    _, errors = job.communicate(timeout=30)
    assert job.returncode == 130
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]

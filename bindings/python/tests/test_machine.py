"""Devices, versions, weights, and the package itself."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import rife


def test_devices_include_the_cpu() -> None:
    cpu = [d for d in rife.devices() if d.device == "cpu" and d.engine == "optimized"]
    assert len(cpu) == 1
    assert cpu[0].available and "f32" in cpu[0].precisions


def test_versions_can_be_loaded_by_name() -> None:
    assert {"4.6", "4.25", "4.26"} <= set(rife.versions())


def test_version_is_that_of_the_distribution() -> None:
    assert rife.__version__ == version("rife-rs")


def test_everything_public_is_documented() -> None:
    for name in rife.__all__:
        value = getattr(rife, name)
        if name.startswith("__"):
            continue
        assert inspect.getdoc(value), name
        if inspect.isclass(value):
            for member, method in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_") and method.__module__.startswith("rife"):
                    assert inspect.getdoc(method), f"{name}.{member}"


def test_fetch_returns_the_file_of_the_weights(weights: Path) -> None:
    assert rife.fetch_weights("4.6", weights) == weights / "rife46.safetensors"
    with pytest.raises(ValueError, match="9"):
        rife.fetch_weights("9")


def test_weights_of_another_version_are_reported(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rife.fetch_weights("4.26")
    shutil.copy(weights / "rife426.safetensors", tmp_path)
    with rife.Interpolator("4.25", device="cpu", weights=tmp_path) as net:
        assert net.info.note is not None and "4.26" in net.info.note
    warnings = [record for record in caplog.records if record.name == "rife"]
    assert [record.message for record in warnings] == [net.info.note]
    assert warnings[0].levelname == "WARNING"


def test_damaged_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "rife46.safetensors"
    content = bytearray((weights / "rife46.safetensors").read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(rife.WeightsError, match="SHA-256.*\nhint: delete"):
        rife.fetch_weights("4.6", tmp_path)


def tensors_of(path: Path) -> bytes:
    """The tensors of a safetensors file, without the header that names its origin."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


def test_checkpoint_is_converted(weights: Path, tmp_path: Path) -> None:
    checkpoints = [weights / f"rife46.{extension}" for extension in ("pkl", "pth", "pt")]
    checkpoint = next((path for path in checkpoints if path.exists()), None)
    if checkpoint is None:
        pytest.skip("the weights folder has no checkpoint of 4.6")
    source = Path(shutil.copy(checkpoint, tmp_path / "flownet.pkl"))
    report = rife.convert(source)
    assert report.path == tmp_path / "flownet.safetensors"
    assert tensors_of(report.path) == tensors_of(weights / "rife46.safetensors")
    assert report.models == ("4.6",)
    assert report.bytes == report.path.stat().st_size
    with pytest.raises(rife.WeightsError, match="pass overwrite=True"):
        rife.convert(source)
    assert rife.convert(source, overwrite=True) == report
    with pytest.raises(rife.WeightsError):
        rife.convert(tmp_path / "missing.pkl")


def test_import_does_not_change_signal_handlers() -> None:
    code = "import signal; a = signal.getsignal(signal.SIGINT); import rife; "
    code += "assert signal.getsignal(signal.SIGINT) is a"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_environment_is_searched_for_the_compiler_without_activation() -> None:
    code = "import os, sys, rife; print(os.environ['RIFE_PYTHON_PREFIX'] == sys.prefix)"
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "RIFE_PYTHON_PREFIX")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr

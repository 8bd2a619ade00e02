"""Fixtures: the plugin, the `rife` command, and small clips with a cut and a still pair.

Environment variables select what is tested:

- `RIFERS_PLUGIN`: the plugin, `librifers.so`
- `RIFE_COMMAND`: the `rife` command from the same build
- `RIFE_WEIGHTS`: a folder with the weights of 4.6 and 4.26
"""

import os
from pathlib import Path

import pytest
import vapoursynth as vs
from clips import Cli

core = vs.core


def required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: run bindings/vapoursynth/test.sh", returncode=2)
    return value


@pytest.fixture(scope="session")
def plugin_path() -> str:
    return required("RIFERS_PLUGIN")


@pytest.fixture(scope="session")
def rifers(plugin_path):
    core.num_threads = 4
    if not hasattr(core, "rifers"):
        core.std.LoadPlugin(plugin_path)
    return core.rifers


@pytest.fixture(scope="session")
def interpolate(rifers):
    """Interpolates with 4.6 on the CPU by default."""

    def call(clip, **arguments):
        return rifers.Interpolate(clip, **{"model": "4.6", "device": "cpu", **arguments})

    return call


@pytest.fixture(scope="session")
def cli(tmp_path_factory) -> Cli:
    return Cli(Path(required("RIFE_COMMAND")), tmp_path_factory.mktemp("cli"))

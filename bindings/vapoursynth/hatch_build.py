"""Builds the plugin with cargo and adds it to the wheel.

`RIFERS_LIBRARY` is the path of a plugin that has already been built, for example with
`cargo build --release -p rife-vapoursynth`. If it needs a newer glibc than `GLIBC`, the wheel is
tagged `linux_ARCH` instead of `manylinux_2_28_ARCH`.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The oldest supported glibc, which is also the version in the manylinux tag.
GLIBC = (2, 28)


class PluginHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict) -> None:
        if sys.platform != "linux":
            raise SystemExit(
                "cannot build the wheel: expected Linux, got " + sys.platform + "\n"
                "hint: cargo build --release -p rife-vapoursynth, then core.std.LoadPlugin"
            )
        named = os.environ.get("RIFERS_LIBRARY")
        library = Path(named) if named else self.build()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(library)}"
        folder = "vapoursynth/plugins/rifers"
        build_data["force_include"] |= {
            str(library): f"{folder}/librifers.so",
            str(Path(self.root, "manifest.vs")): f"{folder}/manifest.vs",
        }

    def build(self) -> Path:
        """Builds the plugin for an old glibc."""
        workspace = Path(self.root).parent.parent
        target = f"{platform.machine()}-unknown-linux-gnu"
        command = ["cargo", "zigbuild", "--release", "-p", "rife-vapoursynth"]
        command += ["--target", f"{target}.{GLIBC[0]}.{GLIBC[1]}"]
        subprocess.run(command, cwd=workspace, check=True)
        output = Path(os.environ.get("CARGO_TARGET_DIR") or workspace / "target")
        return output / target / "release" / "librifers.so"


def platform_tag(library: Path) -> str:
    """The platform tag of systems that can load the library."""
    symbols = re.findall(rb"GLIBC_(\d+)\.(\d+)", library.read_bytes())
    needed = max(((int(a), int(b)) for a, b in symbols), default=(0, 0))
    if needed <= GLIBC:
        return f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{platform.machine()}"
    return f"linux_{platform.machine()}"

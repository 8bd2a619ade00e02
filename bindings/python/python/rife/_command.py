"""Runs the `rife` command of this package in a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Container, Sequence

_PR_SET_PDEATHSIG = 1


class CommandFailed(Exception):
    """The command failed. The message is its error, without hints."""


def run(arguments: Sequence[str], accept: Container[int] = (0,)) -> str:
    """Run `rife` with `arguments`, and return what it prints.

    The process ends with this one, also if this one is killed (on Linux). An exception in this
    thread, such as `KeyboardInterrupt`, ends it, too.

    Raises:
        CommandFailed: if its exit code is not in `accept`.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "rife", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_end_with_parent() if sys.platform == "linux" else None,
    ) as process:
        try:
            output, messages = process.communicate()
        except BaseException:
            # The command removes its incomplete files.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            raise
    if process.returncode not in accept:
        raise CommandFailed(_error_of(messages) or f"rife: exit code {process.returncode}")
    return output


def _end_with_parent() -> Callable[[], None]:
    # Loaded here: a process must not import modules between fork and exec.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It ended before the call.
            os._exit(1)

    return prepare


def _error_of(messages: str) -> str:
    """The error among the messages, or the last of them."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    others = [line for line in lines if not line.startswith("hint: ")]
    return (errors or others or [""])[-1].removeprefix("error: ")

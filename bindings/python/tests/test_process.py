"""Exit, fork and Ctrl-C while an interpolator is in use."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import start_python

import rife

SETUP = """
import numpy as np, os, signal, sys, threading, time
import rife
a = np.zeros((512, 512, 3), np.uint8)
net = rife.Interpolator("4.6", device="cpu")
"""


def run(code: str, cwd: Path, weights: Path) -> tuple[int, str, str]:
    """Runs a program after `SETUP`: return code, output and errors."""
    program = SETUP + textwrap.dedent(code)
    process = start_python(program, cwd, RIFE_WEIGHTS=str(weights))
    try:
        out, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        pytest.fail(f"the program does not end: {out}{errors}")
    return process.returncode, out, errors


@pytest.mark.parametrize(
    "call",
    [
        "net.interpolate(a, a)",
        "net.interpolate(a, a, [0.25, 0.5])",
        "list(net.stream([a, a + 9], scene='off'))",
        "rife.devices()",
    ],
)
def test_exit_during_a_call_of_a_daemon_thread_does_not_crash(
    call: str, tmp_path: Path, weights: Path
) -> None:
    code = f"""
        started = threading.Event()
        def work():
            while True:
                {call}
                started.set()
        threading.Thread(target=work, daemon=True).start()
        started.wait()
        time.sleep(0.2)
    """
    for _ in range(5 if call.endswith("(a, a)") else 2):
        assert run(code, tmp_path, weights) == (0, "", "")


def test_no_other_thread_returns_to_the_interpreter_once_it_exits(
    tmp_path: Path, weights: Path
) -> None:
    code = """
        returned = []
        def work():
            net.interpolate(a, a)
            returned.append(True)
        rife._rife.close_at_exit()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        for _ in range(5):
            net.interpolate(a, a)
        thread.join(1)
        print(thread.is_alive(), returned)
    """
    assert run(code, tmp_path, weights) == (0, "True []\n", "")


def test_exit_handlers_and_finalizers_can_use_an_interpolator(
    tmp_path: Path, weights: Path
) -> None:
    # Handlers run in reverse order: the first after the function that keeps other threads out.
    code = """
        import atexit
        atexit.register(lambda: print(net.interpolate(a, a).shape))
        atexit.register(rife._rife.close_at_exit)
        stream = net.stream([a, a], scene="off")
        next(stream)
    """
    assert run(code, tmp_path, weights) == (0, "(512, 512, 3)\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_process_refuses_an_interpolator_of_its_parent(tmp_path: Path, weights: Path) -> None:
    code = """
        import warnings
        warnings.simplefilter("ignore")  # The process has threads.
        net.interpolate(a, a, [0.25, 0.5])
        frames = [a, a + 9, a]
        stream = net.stream(iter(frames), scene="off")
        next(stream), next(stream)
        child = os.fork()
        if child == 0:
            for call in (
                lambda: net.interpolate(a, a),
                lambda: net.interpolate(a, a, [0.25, 0.5]),
                lambda: list(net.stream(frames)),
                lambda: next(stream),
            ):
                try:
                    call()
                except rife.RifeError as error:
                    print(error)
            stream.close()
            net.close()
            print(net.closed)
            del stream, net
            small = a[:64, :64]
            with rife.Interpolator("4.6", device="cpu") as net:
                print(net.interpolate(small, small, 0.5).shape)
            sys.stdout.flush()
            os._exit(0)
        for _ in range(600):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            time.sleep(0.1)
        else:
            os.kill(child, signal.SIGKILL)
            status = "hangs"
        print(status, net.interpolate(a, a).shape, len(list(stream)))
    """
    returncode, out, errors = run(code, tmp_path, weights)
    refused = "the interpolator was created before fork: create it in this process"
    expected = [refused] * 4 + ["True", "(64, 64, 3)", "0 (512, 512, 3) 4"]
    assert (returncode, errors, out.splitlines()) == (0, "", expected)


def test_child_process_can_drop_an_interpolator_without_closing_it(
    tmp_path: Path, weights: Path
) -> None:
    code = """
        import multiprocessing, warnings
        warnings.simplefilter("ignore")  # The process has threads.
        def work():
            global net
            del net
            print("dropped")
        net.interpolate(a, a, [0.25, 0.5])
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join(60)
        print(process.exitcode)
        process.kill()
    """
    if sys.platform == "win32":
        pytest.skip("needs fork")
    assert run(code, tmp_path, weights) == (0, "dropped\n0\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_interrupts_one_call_with_many_timesteps(tmp_path: Path, weights: Path) -> None:
    code = """
        half = net.interpolate(a, a, [0.5])[0]
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            net.interpolate(a, a, [i / 3001 for i in range(1, 3001)])
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - start < 20)
        print(np.array_equal(net.interpolate(a, a, [0.5])[0], half))
    """
    assert run(code, tmp_path, weights) == (0, "interrupted True\nTrue\n", "")


def test_engine_on_the_cpu_has_nothing_to_wait_for(weights: Path) -> None:
    net: Any = rife.Interpolator("4.6", device="cpu", weights=weights)
    start = time.monotonic()
    net._engine.synchronize()
    assert time.monotonic() - start < 1
    net.close()
    with pytest.raises(rife.RifeError, match="the interpolator is closed"):
        net._engine.synchronize()

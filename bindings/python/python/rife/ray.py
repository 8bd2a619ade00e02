"""Interpolation of one video by a Ray cluster.

    pip install "rife-rs[ray]"
    python -m rife.ray INPUT -o OUTPUT --address auto --factor 2

The driver starts Ray tasks that make a plan (`rife job plan`), run each segment (`rife job run`), and
join the finished segments (`rife job join`). Only paths pass through Ray, never frames: nodes read
the input and write the segments through a file system that they share, or through an object store
that fsspec knows. A segment is complete or absent, and running it twice gives the same file, so
tasks, nodes and the driver itself may fail and start again at any time.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from os import PathLike, fspath
from typing import Any, NamedTuple

try:
    import ray
except ImportError as error:
    _MISSING = "rife.ray needs ray: pip install 'rife-rs[ray]'"
    if __name__ == "__main__":
        sys.exit(f"error: {_MISSING}")
    raise ImportError(_MISSING) from error

from . import _rife
from ._command import CommandFailed
from ._job import Job, job_of
from ._rife import RifeError
from ._video import command_arguments

_LOGGER = logging.getLogger("rife")

#: Tasks in the queue of the cluster per task that can run at once, so that no node waits for the
#: driver.
_QUEUED_PER_SLOT = 2


class Progress(NamedTuple):
    """The progress of a job."""

    finished: int
    """Finished segments, including those of an earlier driver."""
    total: int
    """Segments of the job."""
    running: int
    """Segments that run or wait for a node."""
    failed: int
    """Segments that failed after all retries."""


class Result(NamedTuple):
    """The result of a finished job."""

    segments: int
    """Segments of the job."""
    run: int
    """Segments that this driver ran; the others were already finished."""
    seconds: float
    """Duration of this run."""


class SegmentsFailed(RifeError):
    """Segments failed after all retries. The others are finished; running again retries these."""

    def __init__(self, errors: dict[int, str], total: int) -> None:
        self.errors = errors
        """The last error of each failed segment."""
        numbers = ", ".join(map(str, sorted(errors)))
        first = errors[min(errors)]
        super().__init__(
            f"{len(errors)} of {total} segments failed ({numbers}); run again to retry them. "
            f"Segment {min(errors)}: {first}"
        )


def interpolate_video(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    address: str | None = None,
    gpus_per_task: float | None = None,
    cpus_per_task: float | None = None,
    max_retries: int = 3,
    job: str | PathLike[str] | None = None,
    progress: Callable[[Progress], object] | None = None,
    **job_options: Any,
) -> Result:
    """Interpolate a video with the nodes of a Ray cluster.

    The result is the file that `rife.interpolate_video` writes on one of the nodes. After an error,
    or if the driver is killed, a second call with the same arguments continues with the segments
    that are missing. Ctrl-C cancels all tasks.

    Args:
        input: a video file: a path that all nodes can read, or a URL that fsspec knows, such as
            `s3://bucket/in.mp4`.
        output: the video to write: a path that all nodes can write, or a URL.
        address: the address of the cluster, as for `ray.init`. By default the cluster that this
            process is connected to; else a new one on this machine.
        gpus_per_task: GPUs that a task reserves. By default 1 if the cluster has GPUs, else 0.
        cpus_per_task: CPUs that a task reserves. By default 1 with a GPU; else all CPUs of the
            smallest node.
        max_retries: how often a segment is retried after an error, or after its worker or node
            died.
        job: the path or URL of the plan. By default next to the output.
        progress: called when the numbers change, in the calling thread.
        **job_options: the options of `rife job plan --help`, with underscores instead of hyphens, as
            for `rife.interpolate_video`.

    Raises:
        SegmentsFailed: if segments failed after all retries; all others are finished.
        RifeError: if the job cannot be planned or joined.
        ValueError: if an option has an invalid value, or only one of input and output is a URL.
        TypeError: if an option is unknown.
    """
    return _drive(
        fspath(input),
        fspath(output),
        command_arguments(job_options),
        address=address,
        gpus_per_task=gpus_per_task,
        cpus_per_task=cpus_per_task,
        max_retries=max_retries,
        job=None if job is None else fspath(job),
        progress=progress,
    )


def _drive(
    input: str,
    output: str,
    arguments: list[str],
    *,
    address: str | None,
    gpus_per_task: float | None,
    cpus_per_task: float | None,
    max_retries: int,
    job: str | None,
    progress: Callable[[Progress], object] | None,
) -> Result:
    """Run a job. `arguments` are options of `rife interpolate`."""
    started = time.monotonic()
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False)
        except (ConnectionError, RuntimeError) as error:
            raise RifeError(f"cannot connect to a Ray cluster: {_reason(error)}") from error
    cluster = _Cluster.measure(gpus_per_task, cpus_per_task)
    planned = job_of(input, output, arguments, job)
    with _cancelling() as tasks:
        cluster.run(tasks, planned.make_plan)
        missing, total = cluster.run(tasks, planned.missing)
        errors = _run_segments(planned, missing, total, cluster, max_retries, progress, tasks)
        if errors:
            raise SegmentsFailed(errors, total)
        cluster.run(tasks, planned.join)
    return Result(total, len(missing), time.monotonic() - started)


class _Cluster(NamedTuple):
    """The resources of a task."""

    gpus: float
    cpus: float

    @classmethod
    def measure(cls, gpus: float | None, cpus: float | None) -> _Cluster:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = 1 if any(node.get("GPU") for node in nodes) else 0
        if cpus is None:
            smallest = min((node["CPU"] for node in nodes if node.get("CPU")), default=1)
            cpus = 1 if gpus else smallest
        cluster = cls(gpus, cpus)
        if cluster._count() == 0:
            # Not an error: a cluster may start nodes when they are needed.
            _LOGGER.warning(
                "waiting for a node: none has %g GPUs and %g CPUs for a task", gpus, cpus
            )
        return cluster

    @property
    def threads(self) -> int | None:
        """CPU threads of a task; `None` for the default."""
        # GPUs are selected by CUDA_VISIBLE_DEVICES, which Ray sets.
        return None if self.gpus else max(1, int(self.cpus))

    @property
    def slots(self) -> int:
        """Tasks that can run at once, or 1. Changes as nodes join and leave."""
        return max(1, self._count())

    def _count(self) -> int:
        count = 0
        for node in ray.nodes():
            if node["Alive"]:
                resources = node["Resources"]
                by_cpu = resources.get("CPU", 0) // self.cpus if self.cpus else sys.maxsize
                by_gpu = resources.get("GPU", 0) // self.gpus if self.gpus else sys.maxsize
                count += int(min(by_cpu, by_gpu))
        return count

    def submit(self, work: Callable[..., Any], *arguments: Any, max_retries: int) -> Any:
        """Start a method of a job on a node."""
        task = _task.options(
            num_gpus=self.gpus,
            num_cpus=self.cpus,
            max_retries=max_retries,
            retry_exceptions=[CommandFailed],
            name=f"rife {getattr(work, '__name__', '')}",
        )
        return task.remote(work, *arguments)

    def run(self, tasks: set[Any], work: Callable[[], Any]) -> Any:
        """Run a method of a job on a node, and return its result."""
        task = self.submit(work, max_retries=1)
        tasks.add(task)
        try:
            return ray.get(task)
        except ray.exceptions.RayError as error:
            raise RifeError(_reason(error)) from None
        finally:
            tasks.discard(task)


@ray.remote  # type: ignore[untyped-decorator]
def _task(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def _run_segments(
    job: Job,
    missing: list[int],
    total: int,
    cluster: _Cluster,
    max_retries: int,
    progress: Callable[[Progress], object] | None,
    tasks: set[Any],
) -> dict[int, str]:
    """Run all missing segments. Returns the errors of those that failed."""
    waiting = deque(missing)
    running: dict[Any, int] = {}
    errors: dict[int, str] = {}
    finished = total - len(missing)
    reported = None
    while waiting or running:
        while waiting and len(running) < cluster.slots * _QUEUED_PER_SLOT:
            index = waiting.popleft()
            task = cluster.submit(
                job.run_segment, index, cluster.threads, max_retries=max_retries
            )
            running[task] = index
            tasks.add(task)
        state = Progress(finished, total, len(running), len(errors))
        if progress is not None and state != reported:
            progress(state)
            reported = state
        # Wakes up now and then, because nodes may have joined.
        done, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
        for task in done:
            index = running.pop(task)
            tasks.discard(task)
            try:
                ray.get(task)
                finished += 1
            except ray.exceptions.RayError as error:
                errors[index] = _reason(error)
    if progress is not None:
        progress(Progress(finished, total, 0, len(errors)))
    return errors


@contextlib.contextmanager
def _cancelling() -> Iterator[set[Any]]:
    """A set of running tasks, which are cancelled on an error."""
    tasks: set[Any] = set()
    try:
        yield tasks
    except BaseException:
        for task in tasks:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(task)
        raise


def _reason(error: BaseException) -> str:
    """The message of a failed task, in one line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, (CommandFailed, RifeError)):
        return str(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m rife.ray`. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rife.ray",
        usage="%(prog)s INPUT -o OUTPUT [options]",
        description="Interpolate a video with the nodes of a Ray cluster.",
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="INPUT")
    parser.add_argument("-o", "--output", required=True, metavar="OUTPUT")
    parser.add_argument("--address", help="the cluster, as for ray.init: auto, or HOST:PORT")
    parser.add_argument("--gpus-per-task", type=_amount, metavar="N")
    parser.add_argument("--cpus-per-task", type=_amount, metavar="N")
    parser.add_argument("--max-retries", type=_count, default=3, metavar="N")
    parser.add_argument("--job", metavar="PATH", help="the file of the plan")
    group = parser.add_argument_group("options of `rife job plan`, explained by its --help")
    for name, is_flag in _rife.job_options():
        option = f"--{name}"
        if is_flag:
            group.add_argument(option, dest=option, action="store_true")
        else:
            group.add_argument(option, dest=option, metavar="VALUE")
    parsed = vars(parser.parse_args(arguments))
    options = {name: value for name, value in parsed.items() if name.startswith("--")}
    known = {name: value for name, value in parsed.items() if name not in options}
    words = [name if value is True else f"{name}={value}" for name, value in options.items() if value]

    def show(state: Progress) -> None:
        failed = f", {state.failed} failed" if state.failed else ""
        print(f"{state.finished} of {state.total} segments{failed}", file=sys.stderr)

    try:
        result = _drive(**known, arguments=words, progress=show)
    except (RifeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(
        f"{known['output']}: {result.segments} segments, {result.run} of them in this run, "
        f"{result.seconds:.1f} s",
        file=sys.stderr,
    )
    return 0


def _amount(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if int(text) >= 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")


if __name__ == "__main__":
    sys.exit(main())

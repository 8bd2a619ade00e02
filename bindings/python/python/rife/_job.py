"""Planned jobs, whose segments are computed independently of each other: `rife job`.

The methods run in tasks, on any machine. Jobs are pickled, so they only contain paths.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ._command import run
from ._rife import RifeError

# The exit code of `rife job status` if not every segment is finished.
_INCOMPLETE = 3


@dataclass(frozen=True)
class Job:
    """A job on a file system that all machines share."""

    input: str
    output: str
    arguments: list[str]
    """Options of `rife interpolate`."""
    plan: str
    """The file of the plan."""

    @property
    def overwrite(self) -> bool:
        """Whether an existing output and the plan of another job are replaced."""
        return "--overwrite" in self.arguments

    def make_plan(self) -> None:
        """Make the plan, or check that the existing one has the same settings."""
        text = run(["job", "plan", self.input, "-o", self.output, *self.arguments])
        self._keep(text)

    def missing(self) -> tuple[list[int], int]:
        """The segments that are not finished, and the number of all segments."""
        text = run(["job", "status", self.plan, "--json"], accept=(0, _INCOMPLETE))
        status = json.loads(text)
        finished = set(status["finished"])
        return [n for n in range(status["segments"]) if n not in finished], status["segments"]

    def run_segment(self, index: int, threads: int | None = None) -> None:
        """Compute one segment, with a number of CPU threads; `None`: one per CPU."""
        self._run_segment(Path(self.plan), Path(self.input), index, threads)

    @staticmethod
    def _run_segment(plan: Path, input: Path, index: int, threads: int | None) -> None:
        arguments = ["job", "run", str(plan), "--segment", str(index)]
        if threads is not None:
            arguments += ["--threads", str(threads)]
        if input.is_file():
            # The plan contains the checksums of the frames that a segment needs. Reading all of the
            # input for each segment would take longer than the segment.
            arguments.append("--trust-input")
        run(arguments)

    def join(self) -> None:
        """Join the segments, and remove the plan and the segments."""
        run(["job", "join", self.plan, *(["--overwrite"] if self.overwrite else [])])
        Path(self.plan).unlink(missing_ok=True)

    def _keep(self, text: str) -> None:
        found = self._read_plan()
        if found == text:
            return
        if found is not None and not self.overwrite:
            raise RifeError(
                f"{self.plan} is the plan of an unfinished job with other settings or another "
                "input: continue with its settings, or discard it with overwrite"
            )
        self._write_plan(text)

    def _read_plan(self) -> str | None:
        try:
            return Path(self.plan).read_text()
        except FileNotFoundError:
            return None

    def _write_plan(self, text: str) -> None:
        path = Path(self.plan)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(path)


@dataclass(frozen=True)
class StagedJob(Job):
    """A job in an object store, or any other file system that `fsspec` knows by its URL.

    Each machine copies the input into its cache folder. A task computes a segment in a temporary
    folder, and uploads the file and then its record.
    """

    def make_plan(self) -> None:
        with self._folder() as folder:
            local = folder / self._name(self.output)
            arguments = ["job", "plan", str(self._cached_input()), "-o", str(local)]
            document = json.loads(run([*arguments, *self.arguments]))
        # Paths differ between machines, and are not part of the addresses of segments.
        document["input"]["path"] = self.input
        document["output"] = self.output
        document["work_dir"] = self.work_dir
        self._keep(json.dumps(document, indent=2) + "\n")

    def missing(self) -> tuple[list[int], int]:
        present = self._present()
        segments = self._document()["segments"]
        missing = [
            segment["index"]
            for segment in segments
            if not {segment["file"], _record(segment["file"])} <= present
        ]
        return missing, len(segments)

    def run_segment(self, index: int, threads: int | None = None) -> None:
        name = self._document()["segments"][index]["file"]
        with self._folder() as folder:
            plan, work = self._localize(folder)
            self._run_segment(plan, self._cached_input(), index, threads)
            for file in (name, _record(name)):
                self._upload(work / file, f"{self.work_dir}/{file}")

    def join(self) -> None:
        with self._folder() as folder:
            plan, work = self._localize(folder)
            work.mkdir(mode=0o700)
            segments = self._document()["segments"]
            for segment in segments:
                for file in (segment["file"], _record(segment["file"])):
                    self._download(f"{self.work_dir}/{file}", work / file)
            run(["job", "join", str(plan)])
            fs, path = self._open(self.output)
            if fs.exists(path) and not self.overwrite:
                raise RifeError(f"{self.output} exists: replace it with overwrite")
            self._upload(folder / self._name(self.output), self.output)
        fs, path = self._open(self.work_dir)
        fs.rm(path, recursive=True)
        fs, path = self._open(self.plan)
        fs.rm(path)

    @property
    def work_dir(self) -> str:
        """The URL of the folder of the segments."""
        return f"{self.plan}.segments"

    def _document(self) -> Any:
        return json.loads(self._read_plan() or "{}")

    def _localize(self, folder: Path) -> tuple[Path, Path]:
        """Write the plan with paths of this machine. Returns its path, and the work folder."""
        document = self._document()
        work = folder / "segments"
        document["input"]["path"] = str(self._cached_input())
        document["output"] = str(folder / self._name(self.output))
        document["work_dir"] = str(work)
        plan = folder / "job.json"
        plan.write_text(json.dumps(document))
        return plan, work

    def _cached_input(self) -> Path:
        """The input in the cache folder of this machine. Copied on first use."""
        fs, path = self._open(self.input)
        info = fs.info(path)
        # Names a copy by whatever changes with the content.
        key = json.dumps([self.input, info.get("size"), str(info.get("mtime", info.get("ETag")))])
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        cache = _staging() / f"rife-{_user()}"
        cache.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and cache.stat().st_uid != os.getuid():
            raise RifeError(f"{cache} belongs to another user: set RIFE_STAGING to another folder")
        copy = cache / f"{name}{PurePosixPath(path).suffix}"
        if not copy.exists():
            # Several tasks may copy at once; the last one wins, with the same content.
            temporary = cache / f"{name}.{os.getpid()}"
            try:
                self._download(self.input, temporary)
                temporary.replace(copy)
            finally:
                temporary.unlink(missing_ok=True)
        return copy

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="rife-job-", dir=_staging()))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _present(self) -> set[str]:
        """The names of all files in the work folder."""
        fs, path = self._open(self.work_dir)
        fs.invalidate_cache()
        try:
            return {PurePosixPath(name).name for name in fs.ls(path, detail=False)}
        except FileNotFoundError:
            return set()

    def _read_plan(self) -> str | None:
        fs, path = self._open(self.plan)
        try:
            return str(fs.cat_file(path).decode())
        except FileNotFoundError:
            return None

    def _write_plan(self, text: str) -> None:
        fs, path = self._open(self.plan)
        fs.pipe_file(path, text.encode())

    def _upload(self, file: Path, url: str) -> None:
        fs, path = self._open(url)
        with contextlib.suppress(FileExistsError):
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        # Object stores show a file when it is complete; others need the detour.
        temporary = f"{path}.{os.getpid()}.part"
        fs.put_file(str(file), temporary)
        fs.mv(temporary, path)

    def _download(self, url: str, file: Path) -> None:
        fs, path = self._open(url)
        fs.get_file(path, str(file))

    @staticmethod
    def _open(url: str) -> tuple[Any, str]:
        """The file system of a URL, and the path in it."""
        import fsspec

        fs, path = fsspec.core.url_to_fs(url)
        return fs, path

    @staticmethod
    def _name(url: str) -> str:
        return PurePosixPath(url).name


def job_of(input: str, output: str, arguments: list[str], plan: str | None) -> Job:
    """The job of an input and an output, which are both paths or both URLs.

    Raises:
        ValueError: if one of them is a path, and the other one a URL.
    """
    staged = "://" in input
    if staged != ("://" in output):
        raise ValueError(f"expected two paths or two URLs, got {input} and {output}")
    if not staged:
        # Tasks run in other working directories.
        input, output = os.path.abspath(input), os.path.abspath(output)
        plan = None if plan is None else os.path.abspath(plan)
    if plan is None:
        folder, name = output.rsplit("/", 1) if staged else os.path.split(output)
        plan = f"{folder.rstrip('/')}/.{name}.rife-job.json"
    return (StagedJob if staged else Job)(input, output, arguments, plan)


def _staging() -> Path:
    """The folder for copies of files in an object store."""
    folder = Path(os.environ.get("RIFE_STAGING", tempfile.gettempdir()))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _record(file: str) -> str:
    """The name of the record of a segment file."""
    return f"{PurePosixPath(file).stem}.json"


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"

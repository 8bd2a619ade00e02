"""Interpolation of video files."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from os import PathLike, fspath
from typing import Any, NamedTuple

from . import _rife

_LOGGER = logging.getLogger("rife")


class Progress(NamedTuple):
    """The progress of a job."""

    frames: int
    """Output frames so far, including those of an earlier run."""
    total: int | None
    """Output frames of the whole job, if known."""
    fps: float
    """Output frames per second of this run."""
    seconds_left: float | None
    """Estimated time left."""
    slowest: str
    """The stage with the longest busy time: `decode`, `scenes`, `network` or `encode`."""


class VideoResult(NamedTuple):
    """A finished job."""

    frames: int
    """Output frames, including those of an earlier run."""
    interpolated: int
    """Interpolated frames of this run; the others are source frames."""
    read: int
    """Source frames."""
    cuts: int
    """Scene cuts."""
    stills: int
    """Pairs of equal frames."""
    seconds: float
    """Duration of the job."""


def interpolate_video(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    progress: Callable[[Progress], object] | None = None,
    **job_options: Any,
) -> VideoResult:
    """Interpolate a video, exactly as `rife interpolate input -o output` does.

    Video files need ffmpeg and ffprobe on PATH. Notes, warnings and losses go to the logger
    `rife`. Ctrl-C, and an exception in `progress`, end the job: unfinished files are removed, and
    finished segments are kept if `resume=True` can continue after them.

    Args:
        input: a video, a folder of images, or a Y4M file.
        output: a video (.mp4, .mkv, .mov, .webm, .avi, .y4m, .yuv), or a folder for images.
        progress: called a few times per second.
        **job_options: the options of `rife interpolate --help`, with underscores instead of
            hyphens: `factor=2`, `fps="60000/1001"`, `slow=4`, `scene="blend"`, `model="4.25"`,
            `device=["cuda:0", "cuda:1"]`, `codec="h265"`, `crf=18`, `overwrite=True`,
            `resume=True`. `hold_last=False` ends the output with the last source frame.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if an option has a wrong value.
        VideoError: if a file cannot be read or written.
        DeviceError: if a device fails or is not available.
        WeightsError: if the weights are not available.
    """
    words = _words(job_options)
    report = None if progress is None else lambda *at: progress(Progress(*at))
    try:
        result = _rife.interpolate_video(
            fspath(input), fspath(output), words, report, _log
        )
    except (ValueError, _rife.RifeError) as error:
        # Errors of `progress` have more frames.
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise
        # Messages name the options of the command.
        raise type(error)(_in_python(str(error))) from None
    return VideoResult(*result)


def _log(line: str) -> None:
    kind = line.partition(": ")[0]
    level = logging.WARNING if kind in ("warning", "lost", "changed") else logging.INFO
    _LOGGER.log(level, "%s", _in_python(line))


@cache
def _options() -> dict[str, bool]:
    """The options, and whether each is a flag."""
    options = {name.replace("-", "_"): flag for name, flag in _rife.job_options()}
    return {"hold_last" if name == "no_hold_last" else name: flag for name, flag in options.items()}


def _words(options: dict[str, Any]) -> list[str]:
    """Options as arguments of the command."""
    known = _options()
    words = []
    for name, value in options.items():
        if name not in known:
            raise TypeError(
                f"interpolate_video() got an unexpected option {name!r}: expected one of "
                f"{', '.join(sorted(known))}"
            )
        if value is None:
            continue
        option = "--" + name.replace("_", "-")
        if known[name]:
            if not isinstance(value, bool):
                raise TypeError(f"{name}: expected True or False, got {value!r}")
            if name == "hold_last":
                option, value = "--no-hold-last", not value
            if value:
                words.append(option)
        else:
            words.append(f"{option}={_text(name, value)}")
    return words


def _text(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        texts = [_text(name, item) for item in value]
        return shlex.join(texts) if name == "encoder_args" else ",".join(texts)
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Fraction)):
        raise TypeError(f"{name}: expected a string or a number, got {value!r}")
    return str(value)


def _in_python(text: str) -> str:
    """A message with the options as they are written in Python."""

    def replace(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        if name == "no_hold_last":
            return "hold_last=False"
        flag = _options().get(name)
        return match[0] if flag is None else f"{name}=True" if flag else name

    return re.sub(r"--([a-z][a-z-]*)(?: <[A-Z]+>)?", replace, text)

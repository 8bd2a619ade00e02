"""Interpolation of video files."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from keyword import iskeyword
from os import PathLike, fspath
from typing import Any, NamedTuple

from . import _rife

_LOGGER = logging.getLogger("rife")


class Progress(NamedTuple):
    """The progress of a job."""

    frames: int
    """Output frames so far, including those of an interrupted earlier run."""
    total: int | None
    """Output frames of the whole job; `None` if unknown."""
    fps: float
    """Output frames per second in this run."""
    seconds_left: float | None
    """Estimated remaining time; `None` if unknown."""
    slowest: str
    """The stage with the most busy time: `decode`, `scenes`, `network` or `encode`."""


class VideoResult(NamedTuple):
    """The result of a finished job."""

    frames: int
    """Output frames, including those of an interrupted earlier run."""
    interpolated: int
    """Interpolated frames in this run."""
    read: int
    """Source frames."""
    cuts: int
    """Scene cuts."""
    stills: int
    """Pairs of equal frames."""
    seconds: float
    """Duration of this run."""
    held: int
    """Held frames of animation that were replaced, with `dedup=True`."""


def interpolate_video(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    progress: Callable[[Progress], object] | None = None,
    **job_options: Any,
) -> VideoResult:
    """Interpolate a video, exactly as `rife interpolate input -o output` does.

    Video files need ffmpeg and ffprobe on PATH. Messages go to the logger `rife`. Ctrl-C, or an
    exception in `progress`, cancels the job: unfinished files are removed, and finished segments
    are kept if `resume=True` can continue after them.

    Args:
        input: a video, a folder of images, or a Y4M file.
        output: a video (.mp4, .mkv, .mov, .webm, .avi, .y4m, .yuv), or a folder for images.
        progress: called up to five times per second, in the calling thread.
        **job_options: the options of `rife interpolate --help`, with underscores instead of
            hyphens: `factor=2`, `fps="60000/1001"`, `slow=4`, `scene="blend"`, `model="4.25"`,
            `device=["cuda:0", "cuda:1"]`, `codec="h265"`, `crf=18`, `overwrite=True`,
            `resume=True`. `hold_last=False` ends the output with the last source frame, and
            `from_="1:30"` is `--from` (`from` is a Python keyword).

    Raises:
        TypeError: if an option is unknown.
        ValueError: if an option has an invalid value.
        VideoError: if a file cannot be read or written.
        DeviceError: if a device fails or is not available.
        WeightsError: if the weights are not available.
    """
    arguments = command_arguments(job_options)
    report = None if progress is None else lambda *values: progress(Progress(*values))
    try:
        result = _rife.interpolate_video(
            fspath(input), fspath(output), arguments, report, _log
        )
    except UnicodeError:
        # Its message does not mention options, and its constructor has other arguments.
        raise
    except (ValueError, _rife.RifeError) as error:
        # Exceptions of `progress` have further traceback entries: raise them unchanged.
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise
        # Messages of the job mention command-line options.
        raise type(error)(_as_python_options(str(error))) from None
    return VideoResult(*result)


def _log(line: str) -> None:
    kind = line.partition(": ")[0]
    level = logging.WARNING if kind in ("warning", "lost", "changed") else logging.INFO
    _LOGGER.log(level, "%s", _as_python_options(line))


@cache
def _options() -> dict[str, bool]:
    """The names of all options, and whether each is a flag."""
    return {_python_name(name): flag for name, flag in _rife.job_options()}


def _python_name(option: str) -> str:
    """The name of a command-line option as a keyword argument."""
    name = option.replace("-", "_")
    if name == "no_hold_last":
        return "hold_last"
    # `from` is a keyword.
    return f"{name}_" if iskeyword(name) else name


def command_arguments(options: dict[str, Any]) -> list[str]:
    """Convert options to command-line arguments."""
    known = _options()
    arguments = []
    for name, value in options.items():
        if name not in known:
            raise TypeError(
                f"interpolate_video() got an unexpected option {name!r}: expected one of "
                f"{', '.join(sorted(known))}"
            )
        if value is None:
            continue
        option = "--" + name.rstrip("_").replace("_", "-")
        if known[name]:
            if not isinstance(value, bool):
                raise TypeError(f"{name}: expected True or False, got {value!r}")
            if name == "hold_last":
                option, value = "--no-hold-last", not value
            if value:
                arguments.append(option)
        else:
            arguments.append(f"{option}={_format_value(name, value)}")
    return arguments


def _format_value(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        items = [_format_value(name, item) for item in value]
        return shlex.join(items) if name == "encoder_args" else ",".join(items)
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Fraction)):
        raise TypeError(f"{name}: expected a string or a number, got {value!r}")
    return str(value)


def _as_python_options(text: str) -> str:
    """Replace the command-line options in a message by their Python names."""

    def replace(match: re.Match[str]) -> str:
        name = _python_name(match[1])
        if name == "hold_last":
            return "hold_last=False"
        flag = _options().get(name)
        return match[0] if flag is None else f"{name}=True" if flag else name

    return re.sub(r"--([a-z][a-z-]*)(?: <[A-Z]+>)?", replace, text)

#!/usr/bin/env python3
"""Models how a job scales over many workers, and writes the result into docs/scaling.md.

    tools/scaling.py docs/results/scaling/film.json
    tools/scaling.py docs/results/scaling/film.json --write docs/scaling.md
    tools/scaling.py docs/results/scaling/film.json --check docs/scaling.md

The input states what was measured, and what is assumed. The simulation gives every worker one
segment at a time, in order, as `rife job run --next` and the Ray driver do:

- planning is serial: it reads and decodes the whole input once;
- a task starts the program, seeks, decodes the frames that scene detection needs before the segment,
  and then computes its frames at the speed of its slowest stage;
- tasks share the bandwidth of the storage equally; a task takes at least as long as its reading and
  writing;
- joining is serial: it reads and writes every byte of the output once.

Needs Python 3.10 or later, and no packages.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKERS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
BEGIN, END = "<!-- scaling:begin -->", "<!-- scaling:end -->"


@dataclass
class Job:
    source_frames: int
    factor: int
    source_fps: float
    input_bytes: float
    output_bytes: float
    segment_s: float

    @property
    def segments(self) -> list[int]:
        """The source frames of each segment."""
        per_segment = round(self.segment_s * self.source_fps)
        full, rest = divmod(self.source_frames, per_segment)
        return [per_segment] * full + ([rest] if rest else [])


@dataclass
class Machine:
    start_s: float
    """From the start of the program to its first frame."""
    decode_fps: float
    """Source frames per second."""
    network_fps: float
    """Interpolated frames per second."""
    encode_fps: float
    """Output frames per second."""
    context_frames: float
    """Source frames decoded before a segment."""
    schedule_s: float
    """From the end of a task to the start of the next one on the same worker."""
    storage_bytes_per_s: float
    """Bandwidth of the storage, shared by all workers."""
    worker_bytes_per_s: float
    """Bandwidth of one worker."""


@dataclass
class Times:
    plan_s: float
    run_s: float
    join_s: float
    limit: str
    """What limits a task: a stage, or the storage."""

    @property
    def total_s(self) -> float:
        return self.plan_s + self.run_s + self.join_s


def simulate(job: Job, machine: Machine, workers: int) -> Times:
    """Simulates a job on a number of workers."""
    bandwidth = min(machine.worker_bytes_per_s, machine.storage_bytes_per_s / workers)
    limits: dict[str, float] = {}

    def task(frames: int) -> float:
        lead_in = machine.context_frames / machine.decode_fps
        share = frames / job.source_frames
        stages = {
            "decoder": frames / machine.decode_fps,
            "network": frames * (job.factor - 1) / machine.network_fps,
            "encoder": frames * job.factor / machine.encode_fps,
            "storage": share * (job.input_bytes + job.output_bytes) / bandwidth,
        }
        slowest = max(stages, key=lambda stage: stages[stage])
        limits[slowest] = limits.get(slowest, 0.0) + stages[slowest]
        return machine.schedule_s + machine.start_s + lead_in + stages[slowest]

    # The times at which workers become free.
    free = [0.0] * workers
    for frames in job.segments:
        heapq.heapreplace(free, free[0] + task(frames))
    alone = min(machine.worker_bytes_per_s, machine.storage_bytes_per_s)
    return Times(
        plan_s=max(job.source_frames / machine.decode_fps, job.input_bytes / alone),
        run_s=max(free),
        join_s=2 * job.output_bytes / alone,
        limit=max(limits, key=lambda stage: limits[stage]),
    )


def clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def table(job: Job, machine: Machine) -> str:
    rows = [
        "| workers | segments | all | speedup | efficiency of the segments | slowest stage |",
        "|--:|--:|--:|--:|--:|---|",
    ]
    one = simulate(job, machine, 1)
    for workers in WORKERS:
        times = simulate(job, machine, workers)
        speedup, efficiency = one.total_s / times.total_s, one.run_s / times.run_s / workers
        rows.append(
            f"| {workers} | {clock(times.run_s)} | {clock(times.total_s)} | {speedup:.1f} | "
            f"{100 * efficiency:.0f} % | {times.limit} |"
        )
    rows.append("")
    rows.append(
        f"Planning takes {clock(one.plan_s)} and joining {clock(one.join_s)}, with any number of "
        f"workers; the job has {len(job.segments)} segments."
    )
    return "\n".join(rows)


def values(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record, whether measured or assumed."""
    return {
        name: entry["value"]
        for part in ("measured", "assumed")
        for name, entry in record[part].items()
    }


def document(record: dict[str, Any]) -> str:
    """The generated part of docs/scaling.md."""
    numbers = values(record)
    job = Job(**{name: numbers[name] for name in Job.__annotations__})
    machine = Machine(**{name: numbers[name] for name in Machine.__annotations__})
    lines = [record["title"], "", table(job, machine), "", "| input | value | source |", "|---|--:|---|"]
    for part in ("measured", "assumed"):
        for name, entry in record[part].items():
            lines.append(f"| {name} | {entry['value']:g} | {part}: {entry['source']} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Model how a job scales over many workers.")
    parser.add_argument("record", type=Path)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", type=Path, metavar="DOC")
    action.add_argument("--check", type=Path, metavar="DOC")
    args = parser.parse_args()
    text = document(json.loads(args.record.read_text()))
    path = args.write or args.check
    if path is None:
        print(text)
        return 0
    before = path.read_text()
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        print(f"{path}: expected the markers {BEGIN} and {END}", file=sys.stderr)
        return 1
    after = f"{head}{BEGIN}\n{text}\n{END}{tail}"
    if args.check:
        if before != after:
            print(f"{path} differs from {args.record}: run with --write", file=sys.stderr)
        return int(before != after)
    path.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())

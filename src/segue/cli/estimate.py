"""The option --estimate of `segue run` and `segue fit`: what the command would take, without training the model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.output import grid, show, write_json_output
from segue.errors import ConfigError
from segue.reporting.console import format_duration
from segue.reporting.numbers import percent_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segue.data.log import Log
    from segue.experiments.estimate import Estimate
    from segue.experiments.experiment import Experiment
    from segue.experiments.samples import Time

_LOADED = (time.process_time(), time.perf_counter())  # clocks when this module was imported, early in a command
BASELINE_LIMIT = 0.5  # CPU seconds of each kind of work of a baseline


def check_estimate(rerank: Path | str | None) -> None:
    """Raise `ConfigError` for options that --estimate does not know."""
    from segue import distributed

    if rerank is not None:
        raise ConfigError("--estimate: not with --rerank; estimate each of the two models by itself")
    if distributed.world_size() > 1:
        raise ConfigError("--estimate: not with torchrun; estimate one process")


def estimate_run(experiment: Experiment, log: Log, *, seeds: int, baselines: Sequence[str]) -> Estimate:
    """What `segue run` will take after the log is read, with its baselines."""
    from segue.experiments.estimate import estimate
    from segue.experiments.experiment import Experiment

    whole = estimate(experiment, log).repeated(seeds)
    for name in baselines:
        baseline = Experiment(model=name, protocol=experiment.protocol, refit=experiment.refit)
        one = estimate(baseline, log, limit=BASELINE_LIMIT)
        whole = whole.followed_by(one.as_one_part(f"baseline {name}"), peak_mb=one.peak_mb)
    return whole


def show_estimate(found: Estimate, started: Time, json: Path | None, *, minutes: float | None = None) -> None:
    """Print an estimate and write it as JSON.

    Args:
        found: the estimate of all that follows the reading of the log.
        started: what the process has taken until then.
        json: the JSON file; None for no file.
        minutes: the limit of --minutes; None without one.
    """
    from segue.experiments.estimate import PartOfRun

    start = PartOfRun("start, reading the log", started)
    whole = type(found)((start, *found.parts), found.peak_mb)
    show(grid(_rows(whole), "Estimate; nothing is trained to the end, and nothing is saved"), *_notes(whole, minutes))
    write_json_output(json, {**whole.as_dict(), "minutes": minutes})


def time_so_far() -> Time:
    """What this process has taken since it began; before this module was imported, wall time is taken as CPU time."""
    from segue.experiments.samples import Time

    cpu_seconds, clock = _LOADED
    return Time(time.process_time(), cpu_seconds + time.perf_counter() - clock)


def _rows(whole: Estimate) -> list[dict[str, Any]]:
    parts = [
        {
            "part": part.name,
            "times": _range(part.least, part.most, "{:,}".format),
            "CPU s": part.time.cpu_seconds,
            "wall s": part.time.seconds,
            "all, CPU s": _range(part.least * part.time.cpu_seconds, part.most * part.time.cpu_seconds, seconds_text),
        }
        for part in whole.parts
    ]
    total = {"part": "total", "times": "", "CPU s": None, "wall s": None}
    return [*parts, {**total, "all, CPU s": _range(whole.least.cpu_seconds, whole.most.cpu_seconds, seconds_text)}]


def _range(least: float, most: float, text: Callable[[float], str]) -> str:
    """Both ends of a range, or the one value."""
    low, high = text(least), text(most)
    return low if low == high else f"{low}–{high}"


def _notes(whole: Estimate, minutes: float | None) -> list[str]:
    wall = _range(whole.least.seconds, whole.most.seconds, format_duration)
    dominant, most = whole.dominant, whole.most.cpu_seconds
    share = dominant.most * dominant.time.cpu_seconds / most if most else 0.0
    peak = "unknown" if whole.peak_mb is None else f"about {whole.peak_mb:,} MB"
    notes = [f"Wall time {wall} on this machine as it is now. Peak memory {peak}."]
    notes.append(f"Most of the time goes to: {dominant.name} ({percent_text(share)}).")
    if any(part.least < part.most for part in whole.parts):
        notes.append("Validation decides when training stops, and so the number of epochs: the figures are a range.")
    if minutes is not None:
        notes.append(f"--minutes {minutes:g} ends training, with its validations, at that limit.")
    return notes

"""A process that measures a program: its options, its clock and its result, which is one line of JSON.

    options = command_line(__doc__, repeat=5)
    options.add_argument("--loss", choices=["bce", "ce"])
    run(options, measure)                   measure(args) -> {"epochs": [{"wall_s": 1.31, "cpu_s": 1.3}, ...]}

Both sides of a comparison are measured by this module. It runs in the environment of every peer, so it imports only the
standard library.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
Seconds = dict[str, float]  # "wall_s" and "cpu_s"; of an epoch, its "loss" too
Result = TypeVar("Result")


def command_line(
    description: str | None, *, repeat: int, seed: int = 0, batches: bool = True
) -> argparse.ArgumentParser:
    """The options that all measurements have.

    Args:
        description: what is measured.
        repeat: default number of epochs (fits, rankings) that count.
        seed: default seed.
        batches: whether a part of an epoch can be run.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--warm-up", type=int, default=1, help="epochs (fits, rankings) not counted")
    parser.add_argument("--repeat", type=int, default=repeat, help="epochs (fits, rankings) after them")
    if batches:
        parser.add_argument("--batches", type=int, help="batches of each epoch that are run; all by default")
    return parser


def run(parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], dict[str, Any]]) -> None:
    """Measure with one thread and print the result; what a library prints goes to standard error."""
    args = parser.parse_args()
    os.environ.update(ONE_THREAD)  # read by libraries that `measure` imports
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(args)
    print(json.dumps(result))


class Clock:
    """Seconds since it was made; those of child processes that have ended count as CPU seconds too."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), _cpu_seconds()

    def seconds(self) -> Seconds:
        """Wall and CPU seconds until now."""
        return {"wall_s": time.perf_counter() - self.wall, "cpu_s": _cpu_seconds() - self.cpu}


def timed(work: Callable[[], Result]) -> tuple[Seconds, Result]:
    """The seconds of `work`, and its result."""
    clock = Clock()
    result = work()
    return clock.seconds(), result


def cpu_seconds(work: Callable[[], object]) -> float:
    """The CPU seconds of `work`."""
    return timed(work)[0]["cpu_s"]


def scaled(part: Seconds, factor: float) -> Seconds:
    """The seconds of an epoch, `factor` times those of the part that was run; a loss stays."""
    return {**part, "wall_s": part["wall_s"] * factor, "cpu_s": part["cpu_s"] * factor}


def training(epochs: list[Any], args: argparse.Namespace) -> dict[str, Any]:
    """The epochs of a result: first those that do not count."""
    return {"warm_up": epochs[: args.warm_up], "epochs": epochs[args.warm_up :]}


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime

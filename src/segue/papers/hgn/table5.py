"""HGN's Table 5, column CDs: seconds of one epoch of HGN, SASRec and Caser with the paper's settings.

The paper does not count the sampling of negatives. Here the making of batches, including negatives, is timed
separately. The paper used a GTX 1080 Ti.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from segue.batches.batch import Batch
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.errors import ConfigError
from segue.experiments.experiment import Experiment
from segue.models.base.model import GradientModel
from segue.papers.hgn.common import LOG, PROTOCOL
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache
from segue.reporting.console import say
from segue.training.loop import fit

_EPOCHS = 3  # the median of these is reported; one more epoch before them is not counted
TRAINING, CPU, BATCHES = "training s", "training CPU s", "batches s"


def _timed(model: str, settings: Mapping[str, Any], *, preset: str | None = None) -> Experiment:
    return Experiment(model=model, protocol=PROTOCOL, settings=settings, preset=preset)


# name -> published seconds, and the experiment: |L| = 5, |T| = 3, d = 50; SASRec has a window of 300 items
METHODS: Mapping[str, tuple[float | None, Experiment]] = {
    "HGN": (0.957, _timed("hgn", {}, preset="paper")),
    "HGN, four windows per batch row": (None, _timed("hgn", {"windows_per_row": 4}, preset="paper")),
    "SASRec": (2.242, _timed("sasrec", {"window": 300}, preset="paper")),
    "Caser": (5.063, _timed("caser", {}, preset="author")),
}


@dataclass(frozen=True)
class Cost:
    """Seconds of one epoch.

    Attributes:
        training: wall time of the training steps, without making batches.
        cpu: CPU time of the same.
        batches: wall time of making batches.
    """

    training: float
    cpu: float
    batches: float


def reproduce(*, runs: RunCache, quick: bool = False, device: str = "cpu") -> Reproduction:
    """Time some epochs of each model; times are not stored in the run cache."""
    _check(device)
    log = PROTOCOL.split(catalog.load_log(LOG)).train_valid
    rows = []
    for name, (published, experiment) in METHODS.items():
        say(f"timing {name}")
        costs = epoch_costs(experiment, log, device=device, epochs=1 if quick else _EPOCHS)
        rows.append(_row(name, TRAINING, [cost.training for cost in costs], published))
        rows.append(_row(name, CPU, [cost.cpu for cost in costs]))
        rows.append(_row(name, BATCHES, [cost.batches for cost in costs]))
    return Reproduction(
        title="HGN (KDD 2019), Table 5, Amazon-CDs: one epoch",
        rows=tuple(rows),
        notes=(
            f"Median of {1 if quick else _EPOCHS} epochs after one warm-up epoch, on train and validation together; "
            f"{_machine(device)}. The paper: a GTX 1080 Ti.",
            "Training does not include the making of batches, which is reported separately; the paper excludes only "
            "the sampling of negatives. Compare CPU seconds: wall times depend on the other load of the machine.",
            *(["QUICK: one epoch each."] if quick else []),
        ),
        details={"quick": quick, "log": LOG, "device": device, "threads": torch.get_num_threads()},
    )


def epoch_costs(experiment: Experiment, log: Log, *, device: str, epochs: int) -> list[Cost]:
    """The cost of each of `epochs` epochs, after one warm-up epoch."""
    model = experiment.build(log, epochs=epochs + 1).to(device)
    if not isinstance(model, GradientModel):
        raise ConfigError(f"{experiment.model} has no epochs that could be timed")
    timer = _BatchTimer(model)
    training = fit(model, log, seed=experiment.seed)
    return [
        Cost(max(epoch.seconds - wall, 0.0), max(epoch.cpu_seconds - cpu, 0.0), wall)
        for epoch, (wall, cpu) in zip(training.epochs[1:], timer.spent[1:], strict=True)
    ]


class _BatchTimer:
    """Measures the time for making a model's batches: (wall, CPU) seconds of each epoch."""

    def __init__(self, model: GradientModel) -> None:
        self.spent: list[tuple[float, float]] = []
        self.batches = model.batches
        object.__setattr__(model, "batches", self.timed)

    def timed(self, log: Log, rng: Any) -> Iterator[Batch]:
        wall = cpu = 0.0
        batches = self.batches(log, rng)
        while True:
            begin = time.perf_counter(), time.process_time()
            batch = next(batches, None)
            wall, cpu = wall + time.perf_counter() - begin[0], cpu + time.process_time() - begin[1]
            if batch is None:
                break
            yield batch
        self.spent.append((wall, cpu))


def _row(name: str, metric: str, seconds: list[float], published: float | None = None) -> Row:
    elsewhere = {} if published is None else {f"{metric}, the paper's GPU": published}
    return Row(method=name, metric=metric, measured=(statistics.median(seconds),), other_logs=elsewhere)


def _check(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"--device {device}: cannot be used here ({reason}); take --device cpu") from error


def _machine(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'s' if threads > 1 else ''}"

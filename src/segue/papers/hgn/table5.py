"""HGN's Table 5, column CDs: seconds of one epoch of HGN, SASRec and Caser at the paper's settings.

The paper leaves the drawing of negatives out of its seconds; here it is the making of batches, negatives among them,
that is timed apart. Its machine had a GTX 1080 Ti.
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

EPOCHS = 3  # the median of so many counts, after one that does not
TRAINING, CPU, MAKING = "training s", "training CPU s", "batches s"


def _timed(model: str, settings: Mapping[str, Any], *, preset: str | None = None) -> Experiment:
    return Experiment(model=model, protocol=PROTOCOL, settings=settings, preset=preset)


# seconds printed, and the model: |L| = 5, |T| = 3, d = 50; SASRec reads 300 items, as the paper has it for this table
METHODS: Mapping[str, tuple[float | None, Experiment]] = {
    "HGN": (0.957, _timed("hgn", {})),
    "HGN, four windows a batch row": (None, _timed("hgn", {"per_row": 4})),
    "SASRec": (2.242, _timed("sasrec", {"window": 300}, preset="paper")),
    "Caser": (5.063, _timed("caser", {}, preset="author")),
}


@dataclass(frozen=True)
class Cost:
    """Seconds of one epoch: training, on the wall and of the processor; and making batches."""

    training: float
    cpu: float
    making: float


def reproduce(*, runs: RunCache, quick: bool = False, device: str = "cpu") -> Reproduction:
    """Time some epochs of each; nothing is kept, since a time is of its day."""
    _check(device)
    log = PROTOCOL.split(catalog.load(LOG)).train_valid
    rows = []
    for name, (printed, recipe) in METHODS.items():
        say(f"timing {name}")
        costs = measure(recipe, log, device=device, epochs=1 if quick else EPOCHS)
        rows.append(_row(name, TRAINING, [cost.training for cost in costs], printed))
        rows.append(_row(name, CPU, [cost.cpu for cost in costs]))
        rows.append(_row(name, MAKING, [cost.making for cost in costs]))
    return Reproduction(
        title="HGN (KDD 2019), Table 5, Amazon-CDs: one epoch",
        rows=tuple(rows),
        notes=(
            f"Median of {1 if quick else EPOCHS} epochs after one that does not count, on train and validation "
            f"together; {_machine(device)}. The paper: a GTX 1080 Ti.",
            "Training is without the making of batches, which stands apart; the paper leaves out the drawing of "
            "negatives only. Compare processor seconds: those of the wall depend on what else the machine does.",
            *(["QUICK: a single epoch each."] if quick else []),
        ),
        details={"quick": quick, "log": LOG, "device": device, "threads": torch.get_num_threads()},
    )


def measure(recipe: Experiment, log: Log, *, device: str, epochs: int) -> list[Cost]:
    """What each of `epochs` costs, after one more."""
    model = recipe.build(log, epochs=epochs + 1).to(device)
    if not isinstance(model, GradientModel):
        raise ConfigError(f"{recipe.model} is not trained by epochs: there is nothing to time")
    watch = _Watch(model)
    training = fit(model, log, seed=recipe.seed)
    return [
        Cost(max(epoch.seconds - wall, 0.0), max(epoch.cpu_seconds - cpu, 0.0), wall)
        for epoch, (wall, cpu) in zip(training.epochs[1:], watch.spent[1:], strict=True)
    ]


class _Watch:
    """Times the making of a model's batches, epoch by epoch: (wall, processor) seconds."""

    def __init__(self, model: GradientModel) -> None:
        self.spent: list[tuple[float, float]] = []
        self.batches = model.batches
        object.__setattr__(model, "batches", self.timed)

    def timed(self, log: Log, rng: Any) -> Iterator[Batch]:
        wall = cpu = 0.0
        made = self.batches(log, rng)
        while True:
            begin = time.perf_counter(), time.process_time()
            batch = next(made, None)
            wall, cpu = wall + time.perf_counter() - begin[0], cpu + time.process_time() - begin[1]
            if batch is None:
                break
            yield batch
        self.spent.append((wall, cpu))


def _row(name: str, metric: str, seconds: list[float], printed: float | None = None) -> Row:
    return Row(method=name, metric=metric, ours=(statistics.median(seconds),), paper=printed, lower=True)


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
    return f"{threads} thread{'s' if threads > 1 else ''} of a processor"

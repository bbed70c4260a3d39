"""How time and memory grow with users, items, events and the length of histories: `python -m benchmarks.growth`.

    python -m benchmarks.growth                     # all models, ten CPU minutes, to benchmarks/results/growth.json
    python -m benchmarks.growth --only hgn,pop      # these models; what is already stored stays
    python -m benchmarks.growth --measure hgn users 4   # one measurement: JSON on stdout

Every log is generated: each user has as many events as all others, and items have the weights rank^-0.8. A sweep makes
one size 1, 2, 4 and 8 times as large:

    users     more users; each has as many events as before
    items     more items; users and events stay
    events    more users and items; each user has as many events as before
    length    more events of each user; users and items stay
    window    more items that the model reads and counts; the log is that of `length` at 8

A measurement is a process of its own. Its figures are CPU seconds of one thread, and the memory that fitting and
ranking take beyond the process with its log. An exponent is the slope of a straight line through the logarithms.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from benchmarks import jobs
from benchmarks.measurement import cpu_seconds
from benchmarks.only import add_only
from benchmarks.results_file import RESULTS, provenance

STORED = RESULTS / "growth.json"
FACTORS = (1, 2, 4, 8)
SWEEPS = ("users", "items", "events", "length", "window")
MEASURES = ("fit", "rank", "answer", "memory")
WINDOWS = {"item-knn": 10, "seq-knn": 10, "hgn": 5, "sasrec": 25}  # at 1, of the models that have one
PRESETS = {"gru4rec": "paper", "hgn": "paper"}
NETWORKS = ("bprmf", "hgn", "sasrec", "gru4rec")
MODELS = ("pop", "item-knn", "seq-knn", *NETWORKS)
EPOCHS = 10_000  # of a training of which one is measured: so many that loops are compiled at every size
SIZES = {True: (1000, 1000, 20), False: (4000, 2000, 25)}  # users, items and length at 1: of networks, of counting
SMALL = (60, 30, 12)  # the log of the warm-up, in which code is loaded and compiled
SHORT, REPEATS, ANSWERS = 1.0, 5, 30  # shorter work is repeated, and the fastest counts


def sizes(model: str, sweep: str, factor: int) -> tuple[int, int, int]:
    """The users, the items and the length of the histories of a log."""
    users, items, length = SIZES[model in NETWORKS]
    if sweep == "window":
        return users // 4, items, length * 8
    return (
        users * (factor if sweep in ("users", "events") else 1),
        items * (factor if sweep in ("items", "events") else 1),
        length * (factor if sweep == "length" else 1),
    )


def settings(model: str, sweep: str, factor: int) -> dict[str, int]:
    """The settings of a model, with which all sizes are computed by the same code."""
    window = {"window": WINDOWS[model] * factor} if sweep == "window" else {}
    return window | ({"epochs": EPOCHS} if model in NETWORKS else {})


def generate(users: int, items: int, length: int) -> Any:
    """The log, the same for the same sizes."""
    from segue.data.log import Log, Vocab

    rng = np.random.default_rng(0)
    weight = np.cumsum(np.arange(1, items + 1) ** -0.8)
    item = rng.permutation(items)[np.searchsorted(weight, rng.random(users * length) * weight[-1])] + 1
    names = [Vocab(pl.Series(np.arange(1, number + 1))) for number in (users, items)]
    lengths = np.concatenate([[0], np.full(users, length)])
    return Log.from_columns(*names, lengths, item=item.astype(np.int32), name="generated")


def measure(model: str, sweep: str, factor: int) -> dict[str, float]:
    """The CPU seconds of fitting (or of an epoch), of ranking and of an answer, and the memory in MB."""
    import segue
    from segue.models.base.model import DirectModel
    from segue.nn.compiled.loops import best_columns, neighbours, pair_counts, row_sums
    from segue.resource_usage import PeakMemory, memory_mb
    from segue.serving.recommend import recommend
    from segue.training.loop import train_epoch

    for loop in (row_sums, pair_counts, neighbours, best_columns):
        loop.load_at_first_use()  # so that all sizes are computed by the same code
    small, protocol = generate(*SMALL), segue.Protocol.named("leave-one-out")
    experiment = segue.Experiment(
        model=model, protocol=protocol, preset=PRESETS.get(model), settings=settings(model, sweep, factor)
    )

    def fitted(log: Any) -> tuple[Any, float]:
        made = experiment.build(log)
        if isinstance(made, DirectModel):
            return made, shortest(lambda: made.fit(log))
        optimizer = made.optimizer()
        return made, shortest(lambda: train_epoch(made, optimizer, log, 0, 1))

    split = experiment.protocol.split(small)
    experiment.protocol.evaluate(fitted(split.train)[0], split, "test")
    log = generate(*sizes(model, sweep, factor))
    split, before = experiment.protocol.split(log), memory_mb() or 0
    with PeakMemory() as memory:
        made, fit = fitted(split.train)
        rank = shortest(lambda: experiment.protocol.evaluate(made, split, "test"))
    answers = [shortest(lambda user=user: recommend(made, log, user=user, k=10)) for user in range(1, ANSWERS + 1)]
    return {"fit": fit, "rank": rank, "answer": float(np.median(answers)), "memory": (memory.mb or 0) - before}


def shortest(work: Callable[[], object]) -> float:
    """CPU seconds of some work; of the fastest call, if it is short."""
    found: list[float] = []
    while not found or (len(found) < REPEATS and sum(found) < SHORT):
        found.append(cpu_seconds(work))
    return min(found)


def exponent(values: dict[int, float]) -> float:
    """The slope of a straight line through the logarithms of the values by factor."""
    known = {factor: value for factor, value in values.items() if value > 0}
    slope: float = np.polyfit(np.log(list(known)), np.log(list(known.values())), 1)[0]
    return round(slope, 2)


def exponents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exponent of every measure, by model and sweep."""
    found = []
    for model, sweep in dict.fromkeys((row["model"], row["sweep"]) for row in rows):
        chosen = {row["factor"]: row for row in rows if (row["model"], row["sweep"]) == (model, sweep)}
        slopes = {name: exponent({factor: row[name] for factor, row in chosen.items()}) for name in MEASURES}
        found.append({"model": model, "sweep": sweep, **slopes})
    return found


def plan(models: list[str]) -> list[tuple[str, str, int]]:
    """All measurements; the log at 1 is the same in every sweep but `window`, and is measured once."""
    whole = [(model, sweep, factor) for model in models for sweep in SWEEPS for factor in FACTORS]
    return [
        (model, sweep, factor)
        for model, sweep, factor in whole
        if (sweep == "window" and model in WINDOWS) or (sweep != "window" and (factor > 1 or sweep == SWEEPS[0]))
    ]


def run(models: list[str]) -> None:
    """Measure, and store the figures after each model."""
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {"measured": {}, "rows": []}
    for model in models:
        rows: list[dict[str, Any]] = []
        for _, sweep, factor in plan([model]):
            command = [sys.executable, "-m", "benchmarks.growth", "--measure", model, sweep, str(factor)]
            figures = {name: float(f"{value:.3g}") for name, value in jobs.measure(command)["output"].items()}
            also = [one for one in SWEEPS[:-1] if factor == 1 and sweep != "window"] or [sweep]
            rows += [{"model": model, "sweep": one, "factor": factor, **figures} for one in also]
            print(model, sweep, factor, figures, flush=True)
        kept = [row for row in stored["rows"] if row["model"] != model] + rows
        kept.sort(key=lambda row: (MODELS.index(row["model"]), SWEEPS.index(row["sweep"]), row["factor"]))
        sizes_at_1 = {"networks": list(SIZES[True]), "counting": list(SIZES[False])}
        measured = {**stored["measured"], model: provenance()}
        stored = {"command": "python -m benchmarks.growth", "sizes": sizes_at_1, "measured": measured, "rows": kept}
        jobs.write(STORED, json.dumps({**stored, "exponents": exponents(kept)}, indent=1) + "\n")


def main() -> None:
    """Measure all models, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_only(parser, MODELS, "model")
    parser.add_argument("--measure", nargs=3, metavar=("MODEL", "SWEEP", "FACTOR"))
    args = parser.parse_args()
    if args.measure:
        model, sweep, factor = args.measure
        print(json.dumps(measure(model, sweep, int(factor))))
    else:
        run(args.only)


if __name__ == "__main__":
    main()

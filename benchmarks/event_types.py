"""What events of other types bring: hotels that are clicked out, from earlier clicks alone and from all interactions.

    python -m benchmarks.event_types --model sasrec [--seeds 3] [--json FILE]

The log is trivago_100k.parquet in the folder SEGUE_DATA (RecSys Challenge 2019). Every variant of a model answers the
same instances: each click of the newest 10% of events. The variants are

    clicks alone        trained on clicks, and shown the clicks of a history
    all interactions    trained on all interactions with a hotel to predict clicks, and shown all of them
    with their types    the same, and the model reads which interaction is which (SASRec, HSTU)
    all learnt          trained to predict every interaction, and shown all of them

The JSON has the form of `segue run --json --by`: a group for each variant, and for each difference from the first one
with its 95% interval. `docs/stored_runs.py` stores it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.cache_folder import folder_of_variable
from segue.data.cold_items import keep_rows
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.data.splits import Split
from segue.evaluation.protocol import Protocol
from segue.evaluation.repeated_predictions import RepeatedPredictions
from segue.evaluation.significance import interval
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.io import write_json
from segue.models.base.model import Model
from segue.models.registry import find
from segue.training.loop import fit

CLICK = "clickout item"
EVENTS = (CLICK, *(f"interaction item {kind}" for kind in ("image", "info", "deals", "rating")), "search for item")
PROTOCOL = Protocol.named("global-time").with_settings({"targets": (CLICK,)})
METRICS = ("recall@10", "ndcg@10")
VARIANTS = ("clicks alone", "all interactions", "with their types", "all learnt")


class ShownClicks(Model):
    """A model to which only the clicks of a history are shown."""

    name = "shown-clicks"
    reads_event_types = True

    def __init__(self, model: Model, click: int) -> None:
        super().__init__(model.config, model.sizes)
        self.model, self.click, self.window = model, click, None
        self.exclude_seen = model.exclude_seen

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        shown = replace(batch, history=torch.where(batch.types == self.click, batch.history, 0))
        return self.model.score(self.model.readable(shown.without_gaps()), items)


def trained(model: str, variant: str, split: Split, settings: Mapping[str, Any], seed: int) -> Model:
    """A variant of a model, with the weights of its best epoch on validation."""
    of_variant = {VARIANTS[2]: {"event_types": True}, VARIANTS[3]: {"event_weights": [f"{one}=1" for one in EVENTS]}}
    all_settings = {**settings, **of_variant.get(variant, {})}
    experiment = Experiment(model=model, protocol=PROTOCOL, settings=all_settings, seed=seed)
    rows, wrap = split.train, _unchanged
    if variant == VARIANTS[0]:
        assert rows.is_target is not None
        rows = keep_rows(rows, rows.column(rows.is_target))
        wrap = _shown_clicks(split.log)
    built = experiment.build(split.log)
    fit(
        built,
        rows,
        seed=seed,
        validate=lambda candidate: PROTOCOL.validation_metric(wrap(candidate), split, experiment.monitor),
        patience=experiment.patience,
    )
    return wrap(built.eval()).eval()


def _unchanged(model: Model) -> Model:
    return model


def _shown_clicks(log: Log) -> Callable[[Model], Model]:
    click = 1 + log.event_types.index(CLICK)
    return lambda model: ShownClicks(model, click)


def hotels(**columns: str) -> Log:
    """The interactions with hotels, and further columns of the log."""
    folder = folder_of_variable("SEGUE_DATA")
    assert folder is not None, "set SEGUE_DATA to the folder of trivago_100k.parquet"
    return read_log(
        folder / "trivago_100k.parquet",
        user="user_id",
        item="reference",
        time="timestamp",
        event="action_type",
        events=EVENTS,
        **columns,
    )


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", required=True, help="name of a model")
    made.add_argument("--seeds", type=int, default=1, help="number of trainings of each variant")
    made.add_argument("--set", nargs="*", default=[], help="settings of the model, such as lr=0.003")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Train every variant, and compare them on the same instances."""
    arguments = parser().parse_args()
    log = hotels()
    split = PROTOCOL.split(log)
    settings = dict(word.split("=", 1) for word in arguments.set)
    reads_types = "event_types" in find(arguments.model).Config.model_fields
    found: dict[str, RepeatedPredictions] = {}
    for variant in VARIANTS if reads_types else (*VARIANTS[:2], VARIANTS[3]):
        models = [trained(arguments.model, variant, split, settings, seed) for seed in range(arguments.seeds)]
        found[variant] = RepeatedPredictions([PROTOCOL.evaluate(model, split, "test") for model in models])
    rows = [row for metric in METRICS for row in _rows(found, metric)]
    for row in rows:
        print(f"{row['group']:40s} {row['metric']:10s} {row['mean']:.4f} ({row['low']:.4f} to {row['high']:.4f})")
    if arguments.json:
        about = {
            "protocol": {**PROTOCOL.as_dict(), "fingerprint": PROTOCOL.fingerprint},
            "settings": {name: value for name, value in vars(arguments).items() if name != "json"},
            "seed": 0,
        }
        content = {
            "log": log.fingerprint,
            "by events": rows,
            "models": [{"model": arguments.model, "metrics": {}, "cpu_seconds": time.process_time()}],
            "experiment": {"model": arguments.model, **about},
            "seeds": [{"seed": seed} for seed in range(arguments.seeds)],
            "training": {},
        }
        write_json(arguments.json, content)


def _rows(found: Mapping[str, RepeatedPredictions], metric: str) -> list[dict[str, Any]]:
    """The figure of each variant, and its difference from the first one, with 95% intervals over users."""
    users = next(iter(found.values())).users(metric)
    values = {variant: np.stack([measure(run, metric) for run in one.runs]) for variant, one in found.items()}
    first = values[VARIANTS[0]]  # (seeds, C)
    groups = {**values, **{f"{name}, gain": value - first for name, value in values.items() if name != VARIANTS[0]}}
    rows = []
    for group, figures in groups.items():
        low, high = interval(figures.mean(0), users)
        runs = {"runs": figures.mean(1).tolist()} if len(figures) > 1 else {}
        figure = {"mean": float(figures.mean()), "low": low, "high": high, **runs}
        rows.append({"group": group, "instances": figures.shape[1], "metric": metric, **figure})
    return rows


if __name__ == "__main__":
    main()

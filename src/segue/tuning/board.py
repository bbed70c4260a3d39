"""`Board`: comparisons of the same models with equal budgets, on several logs and protocols, gathered in one file.

    board/
      board.json  board.html         every figure, and the page made from this file alone
      ml-100k-leave-one-out/         the comparison of a log under a protocol; a later call resumes it
      ml-100k-leave-one-out.ties.json    the figures over other orders of events with the same time, model by model

Each table stands for itself: one log, one protocol, the same test instances for all. Tests compare with the best of the
usual baselines that are on the board, or with the best of the column if none is. Lists that were made elsewhere stand
beside the models (`segue.experiments.lists`); what they cost is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from segue.data.log import Floats, Ids, Log
from segue.data.splits import Split
from segue.errors import require
from segue.evaluation.breakdown import by_popularity
from segue.evaluation.ranks import Ranks
from segue.evaluation.result import Result
from segue.evaluation.score_interval import ratio_error, score_interval
from segue.evaluation.summary import CONFIDENCE, summary
from segue.experiments.lists import Lists
from segue.experiments.tie_range import has_ties, tie_ranges
from segue.io import json_hash, plain_values, write_json
from segue.json_files import OpenStored, read_json
from segue.models.registry import MODELS, find
from segue.resource_usage import total
from segue.serving.saved_model import load
from segue.tuning.comparison import Comparison, best_on_validation
from segue.tuning.entry import Entry


@dataclass(frozen=True, eq=False, kw_only=True)
class BoardTable:
    """The models on one log under one protocol.

    Attributes:
        log: the log.
        comparison: of the models.
        metrics: the columns, such as "recall@10".
        orders: number of random orders of the events with the same time, for the range of each figure; 0 for no range.
        lists: recommendations that were made elsewhere.
    """

    log: Log
    comparison: Comparison
    metrics: tuple[str, ...]
    orders: int = 0
    lists: tuple[Lists, ...] = ()

    def __post_init__(self) -> None:
        names = [*self.comparison.references, *(one.name for one in self.lists)]
        twice = next((name for name in names if names.count(name) > 1), None)
        require(twice is None, f"{self.name}: two entries are called {twice!r}; name the file of the lists otherwise")

    @property
    def name(self) -> str:
        """The log and the protocol."""
        return f"{self.log.name}, {self.comparison.protocol.name}"

    @property
    def folder_name(self) -> str:
        """The name of the folder of its comparison."""
        return re.sub(r"[^\w.+-]+", "-", self.name)

    @property
    def budget(self) -> dict[str, Any]:
        """What each model may take for its tuning; the time is an equal share, and what is left goes to later ones."""
        plan = self.comparison
        minutes = plan.minutes * plan.jobs / len(plan.models)
        return {"trials": plan.trials, "minutes_per_model": minutes, "jobs": plan.jobs, "seed": plan.seed}

    @cached_property
    def listed(self) -> list[Result]:
        """The results of the lists that were made elsewhere.

        Raises:
            DataError: lists do not fit the test instances.
        """
        return [one.result(self.comparison.protocol, refit=self.comparison.refit) for one in self.lists]

    def run(self, folder: Path) -> tuple[list[Result], dict[str, Any]]:
        """Run or resume the comparison.

        Args:
            folder: of the board.

        Returns:
            The results, in the order of the monitored metric, and all that the board says of them, as plain values.
        """
        listed = self.listed  # before the hours that follow
        entries = self.comparison.run(self.log, folder / self.folder_name)
        tested = [entry.result for entry in entries if entry.result is not None]
        baselines = self.comparison.protocol.task.baselines
        results = [replace(one, baseline=one.model in baselines) for one in tested]
        results = sorted([*results, *listed], key=lambda one: -float(_values(one, self.comparison.monitor).mean()))
        facts = summary(results, self.metrics)
        for row in facts["models"]:
            row.update(self._about(row, entries))
        split = self.comparison.protocol.split(self.log)
        cold = _cold_figures(results, self.metrics, split, refit=self.comparison.refit)
        ranges = self._tie_ranges([entry for entry in entries if entry.result is not None], folder)
        for row in facts["models"]:
            row["cold"] = cold["models"].get(row["model"])
            row["tie_range"] = ranges.get(row["model"])
        return results, {
            "name": self.name,
            "folder": self.folder_name,
            "data": {"name": self.log.name, "users": self.log.num_users, "events": len(self.log)},
            **facts,
            "budget": self.budget,
            "monitor": self.comparison.monitor,
            "refit": self.comparison.refit,
            "best_on_validation": best_on_validation(entries).model,
            "left_out_models": {entry.model: entry.reason for entry in entries if entry.result is None},
            "cold": {name: value for name, value in cold.items() if name != "models"},
            "orders": self.orders if ranges else 0,
        }

    def _about(self, row: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
        """Where a row comes from, what was chosen for it, and what it cost."""
        for entry in entries:
            if entry.model == row["model"]:
                search = entry.about["search"]
                tuning = search.get("cpu_seconds")
                return {
                    "made_by": "segue",
                    "trials": entry.trials.as_dict(),
                    "validation": entry.validation_metric,
                    "settings": search["trial"]["settings"],
                    "epochs": search["trial"]["best_epoch"] or None,
                    "tuning_cpu_seconds": tuning,
                    "total_cpu_seconds": total(tuning, row["cpu_seconds"]),
                    "answer_cpu_ms": _per_answer(row["test_cpu_seconds"], len(entry.result.predictions))
                    if entry.result
                    else None,
                    "experiment": plain_values(entry.about["experiment"]),
                }
        lists = next(one for one in self.lists if one.name == row["model"])
        return {
            "made_by": "elsewhere",
            "shortest_list": lists.shortest,
            "unused_lists": lists.num_unused(self.comparison.protocol),
            **dict.fromkeys(("tuning_cpu_seconds", "total_cpu_seconds", "answer_cpu_ms")),
        }

    def _tie_ranges(self, tested: Sequence[Entry], folder: Path) -> dict[str, dict[str, Any]]:
        """The lowest and the highest figure of each model; empty without ties. Those of earlier calls are read."""
        if not self.orders or not has_ties(self.log):
            return {}
        known = TieFile(folder / f"{self.folder_name}.ties.json")
        found = {}
        for entry in tested:
            key = json_hash([entry.about["experiment"], self.orders, self.metrics, self.log.fingerprint])
            if key not in known.ranges:
                known.add(key, self._tie_range(entry, folder))
            found[entry.model] = known.ranges[key]
        return found

    def _tie_range(self, entry: Entry, folder: Path) -> dict[str, Any]:
        plan = self.comparison
        reference = plan.references[entry.model]
        outside = [] if reference in MODELS else [find(reference)]
        model = load(folder / self.folder_name / entry.model, models=outside).model
        (found,) = tie_ranges(
            {entry.model: model}, plan.protocol, self.log, self.metrics, orders=self.orders, refit=plan.refit
        ).values()
        return {"low": dict(found.low), "high": dict(found.high), "trained_on": found.trained_on}


class StoredRange(OpenStored):
    """The range of a model over other orders of events with the same time."""

    low: dict[str, float]
    high: dict[str, float]
    trained_on: float | None


class StoredRanges(OpenStored):
    """The content of a file of ranges, by what each depends on."""

    ranges: dict[str, StoredRange]


class TieFile:
    """The ranges of the models of a table that are known so far, in a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.ranges = path, dict[str, dict[str, Any]]()
        if path.exists():
            stored = read_json(path, StoredRanges, repair="delete it, and it is computed again")
            self.ranges = {key: one.model_dump() for key, one in stored.ranges.items()}

    def add(self, key: str, found: Mapping[str, Any]) -> None:
        """Add the range of a model, and write the file."""
        self.ranges[key] = dict(found)
        write_json(self.path, {"ranges": self.ranges})


def gather(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of `board.json`: the tables that `BoardTable.run` returned."""
    return plain_values({"segue": version("segue"), "tables": list(tables)})


def _cold_figures(results: Sequence[Result], metrics: Sequence[str], split: Split, *, refit: bool) -> dict[str, Any]:
    """The figures over the instances whose only target has no training event: how many there are, and by model."""
    ranks = results[0].predictions
    if not isinstance(ranks, Ranks) or ranks.row is None or (ranks.num_targets != 1).any():
        return {"instances": 0, "users": 0, "models": {}}
    is_cold = by_popularity(split, ranks, refit=refit).number == 0
    user = ranks.user[is_cold]
    models = {
        one.model: {metric: _figure(_values(one, metric)[is_cold], user) for metric in metrics}
        for one in results
        if len(user)
    }
    return {"instances": len(user), "users": len(np.unique(user)), "models": models}


def _figure(values: Floats, user: Ids) -> dict[str, float]:
    """The mean and its interval, which is right for a few instances too: no hit among three is not a rate of 0."""
    _, cluster = np.unique(user, return_inverse=True)
    sums, sizes = np.bincount(cluster, values), np.bincount(cluster)
    squares = (float(sums @ sums), float(sums @ sizes), float(sizes @ sizes))
    mean = float(values.mean())
    error = ratio_error(float(values.sum()), len(values), squares, len(sizes))
    low, high = score_interval(mean, error, len(sizes), confidence=CONFIDENCE)
    return {"mean": mean, "low": low, "high": high}


def _values(result: Result, metric: str) -> Floats:
    values = result.predictions.values(metric)
    assert values is not None, "a protocol that ranks has a value for every instance"
    return values


def _per_answer(seconds: float | None, instances: int) -> float | None:
    """Milliseconds of an answer."""
    return None if seconds is None else 1000 * seconds / instances

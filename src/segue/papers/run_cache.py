"""`RunCache`: trainings that are kept, so that a table can be interrupted, and tables share what they have in common.

    runs/choose-4f1c….json     which epoch validation chose
         best-c07e….json .npz  the same, and the test of the model as it was then
         final-92ab….json      what decided the run, its settings, what it took
         final-92ab….npz       its answers, question by question: any metric and any test can be taken from them later
         final-92ab…/          the state of a training that was interrupted
         model-1d7e….model/    a trained model, to be read from; its .json says what decided it

A run is found again by a digest of what decides it: model, settings where they are not the defaults, protocol, log,
seed, epochs. Its settings are kept whole beside it: where a default has changed since, it is run anew.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segue.data.datasets.catalog import cache_folder
from segue.data.log import Log
from segue.errors import DataError
from segue.evaluation.metrics import answers, measure, value
from segue.evaluation.predictions import RatingPredictions
from segue.evaluation.ranks import Ranks
from segue.experiments.blend import WEIGHTS, blend
from segue.experiments.experiment import Experiment
from segue.io import atomic_file, json_hash, write_json
from segue.models.registry import find
from segue.reporting.console import say
from segue.serving.saved_model import SavedModel, load, save
from segue.training.state import Training

FORMAT = 1  # to be raised when the same recipe comes to mean other numbers


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation chose.

    Attributes:
        epochs: the best; 0 where a model learns by counting.
        weight: of the second model of a blend; None where nothing is blended.
        metric: what it reached on validation; None where nobody looked.
        course: (epoch, metric) of every look.
        seconds: wall time of training.
        cpu_seconds: processor time of the same.
    """

    epochs: int
    weight: float | None = None
    metric: float | None = None
    course: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A model that was trained and tested.

    Attributes:
        seed: of all that was drawn.
        epochs: passes over the log; 0 where the model learns by counting.
        ranks: the test, question by question; what it said of ratings, where those were asked for.
        seconds: wall time of training.
        cpu_seconds: processor time of the same.
        peak_mb: the most memory that the process had taken by then; None where the system does not say.
    """

    seed: int
    epochs: int
    ranks: Ranks | RatingPredictions
    seconds: float
    cpu_seconds: float
    peak_mb: float | None

    def mean(self, metric: str) -> float:
        """The figure of a metric such as "recall@10" or "rmse" over the questions."""
        return value(float(measure(self.ranks, metric).mean()), metric)


class RunCache:
    """Trains what has not been trained before.

    Args:
        folder: where runs are kept; None for `runs` in the folder of `SEGUE_CACHE`.
        fresh: train anew whatever is there.
    """

    def __init__(self, folder: Path | None = None, *, fresh: bool = False) -> None:
        self.folder = folder or cache_folder() / "runs"
        self.fresh = fresh

    def choose(self, recipe: Experiment, log: Log) -> Choice:
        """The epoch that is best on validation, of a model trained on the train part."""
        decides = _choosing(recipe, log)
        place = self._place("choose", decides)
        if kept := self._kept(place, recipe):
            return _choice(kept["choice"])
        choice = _chosen(recipe.choose(recipe.build(log), recipe.split(log), folder=place))
        self._keep(place, {"decides": decides, "configs": [_config(recipe)], "choice": vars(choice)})
        return choice

    def best(self, recipe: Experiment, log: Log) -> tuple[Choice, Run]:
        """A model trained on the train part alone, and tested as it was in the epoch that validation chose."""
        decides = _choosing(recipe, log)
        place = self._place("best", decides)
        if kept := self._kept(place, recipe):
            choice = _choice(kept["choice"])
            return choice, self._read(place, recipe.seed, choice.epochs, kept)
        outcome = replace(recipe, refit=False).run(log, folder=place)
        choice, training = _chosen(outcome.training), outcome.training
        cost: dict[str, Any] = {"seconds": training.seconds, "cpu_seconds": training.cpu_seconds, "peak_mb": _peak_mb()}
        run = Run(seed=recipe.seed, epochs=choice.epochs, ranks=outcome.result.ranks, **cost)
        content = {"decides": decides, "configs": [_config(recipe)], "choice": vars(choice), "cost": cost}
        self._keep_run(place, run, recipe, content)
        return choice, run

    def model(self, recipe: Experiment, log: Log) -> SavedModel:
        """The model of `best`, for what ranks cannot tell: its weights, gates, attention. `about` has its test."""
        decides = _choosing(recipe, log)
        place = self._place("model", decides)
        folder = place.with_suffix(".model")
        if not (self._kept(place, recipe) and folder.is_dir()):
            outcome = replace(recipe, refit=False).run(log, folder=place)
            save(outcome.model, log, folder, **outcome.about())
            self._keep(place, {"decides": decides, "configs": [_config(recipe)]})
        return load(folder)

    def final(self, recipe: Experiment, log: Log, epochs: int) -> Run:
        """A model trained on train and validation together for `epochs`, and tested."""
        decides = {**_identity(recipe, log), "epochs": epochs}
        place = self._place("final", decides)
        if kept := self._kept(place, recipe):
            return self._read(place, recipe.seed, epochs, kept)
        outcome = recipe.final(log, epochs, folder=place)
        training = outcome.training
        cost: dict[str, Any] = {"seconds": training.seconds, "cpu_seconds": training.cpu_seconds, "peak_mb": _peak_mb()}
        run = Run(seed=recipe.seed, epochs=epochs, ranks=outcome.result.ranks, **cost)
        self._keep_run(place, run, recipe, {"decides": decides, "configs": [_config(recipe)], "cost": cost})
        return run

    def blended(self, first: Experiment, second: Experiment, log: Log) -> tuple[Choice, Run]:
        """Two models, and their blend tested, with the weight that is best on validation."""
        parts = [{**_identity(recipe, log), "epochs": _config(recipe).get("epochs")} for recipe in (first, second)]
        decides = {"parts": parts, "monitor": first.monitor, "weights": WEIGHTS}
        place = self._place("blend", decides)
        if kept := self._kept(place, first, second):
            choice = Choice(epochs=0, **kept["choice"])
            return choice, self._read(place, first.seed, 0, kept)
        made = blend(first, second, log)
        chosen: dict[str, Any] = {"weight": made.choice.weight, "metric": made.choice.values[made.choice.weight]}
        trainings = [part.training for part in made.parts]
        cost: dict[str, Any] = {
            "seconds": sum(training.seconds for training in trainings),
            "cpu_seconds": sum(training.cpu_seconds for training in trainings),
            "peak_mb": _peak_mb(),
        }
        run = Run(seed=first.seed, epochs=0, ranks=made.result.ranks, **cost)
        configs = [_config(first), _config(second)]
        self._keep_run(place, run, first, {"decides": decides, "configs": configs, "choice": chosen, "cost": cost})
        return Choice(epochs=0, **chosen), run

    def _read(self, place: Path, seed: int, epochs: int, kept: Mapping[str, Any]) -> Run:
        with np.load(place.with_suffix(".npz")) as arrays:
            return Run(seed=seed, epochs=epochs, ranks=_unpacked(dict(arrays), kept["ranks"]), **kept["cost"])

    def _keep_run(self, place: Path, run: Run, recipe: Experiment, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(place.with_suffix(".npz"), lambda path: _pack(path, run.ranks))
        asked = recipe.protocol.shown([*recipe.protocol.ks])
        means = {metric: run.mean(metric) for metric in asked if answers(run.ranks, metric)}
        depth = {"depth": run.ranks.depth} if isinstance(run.ranks, Ranks) else {}
        self._keep(place, {**content, "ranks": {**depth, "dropped": run.ranks.dropped}, "means": means})

    def _place(self, task: str, decides: Mapping[str, Any]) -> Path:
        return self.folder / f"{task}-{json_hash({'format': FORMAT, **decides})}"

    def _kept(self, place: Path, *recipes: Experiment) -> dict[str, Any] | None:
        """What an earlier run left, unless its settings would be others today."""
        if self.fresh:
            shutil.rmtree(place, ignore_errors=True)
            return None
        try:
            kept: dict[str, Any] = json.loads(place.with_suffix(".json").read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DataError(f"{place}.json: cannot be read ({error}); delete it to run it anew") from error
        other = [key for recipe, then in zip(recipes, kept["configs"], strict=True) for key in _changed(recipe, then)]
        if other:
            say(f"{place.name}: run anew, as the default of {', '.join(other)} has changed")
        return None if other else kept

    def _keep(self, place: Path, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(place.with_suffix(".json"), lambda path: write_json(path, content))
        shutil.rmtree(place, ignore_errors=True)


def _config(recipe: Experiment) -> dict[str, Any]:
    """All settings, as JSON has them."""
    config = find(recipe.model).configure(dict(recipe.settings), recipe.preset)
    return json.loads(json.dumps(config.as_dict()))


def _changed(recipe: Experiment, then: Mapping[str, Any]) -> list[str]:
    """The settings that are others today; those that have come or gone since change nothing."""
    today = _config(recipe)
    return [key for key, value in then.items() if key != "epochs" and today.get(key, value) != value]


def _identity(recipe: Experiment, log: Log) -> dict[str, Any]:
    """What decides a training, its epochs apart. Settings that are the defaults are left out: they may come to be."""
    defaults = json.loads(json.dumps(find(recipe.model).configure().as_dict()))
    settings = {key: value for key, value in _config(recipe).items() if value != defaults[key] and key != "epochs"}
    return {
        "model": recipe.model,
        "settings": settings,
        "protocol": recipe.protocol.fingerprint,
        "depth": recipe.protocol.depth,
        "log": log.fingerprint,
        "seed": recipe.seed,
    }


def _choosing(recipe: Experiment, log: Log) -> dict[str, Any]:
    """What decides which epoch is chosen."""
    looks = {"monitor": recipe.monitor, "every": recipe.eval_every, "patience": recipe.patience}
    return {**_identity(recipe, log), **looks, "epochs": _config(recipe).get("epochs", 0)}


def _chosen(training: Training) -> Choice:
    return Choice(
        epochs=training.best,
        metric=training.metric,
        course=tuple((epoch.epoch, epoch.metric) for epoch in training.epochs if epoch.metric is not None),
        seconds=training.seconds,
        cpu_seconds=training.cpu_seconds,
    )


def _choice(kept: Mapping[str, Any]) -> Choice:
    return Choice(**{**kept, "course": tuple((look[0], look[1]) for look in kept["course"])})


def _peak_mb() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _pack(path: Path, ranks: Ranks | RatingPredictions) -> None:
    arrays: dict[str, Any] = ranks.arrays()
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _unpacked(arrays: dict[str, Any], notes: Mapping[str, Any]) -> Ranks | RatingPredictions:
    """The inverse of `_pack`; only ranks have a depth."""
    return Ranks.of(arrays, **notes) if "depth" in notes else RatingPredictions.of(arrays, **notes)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write(path)`; an error names the file."""
    try:
        write(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error

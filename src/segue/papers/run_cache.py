"""`RunCache`: stored trainings, so that a table can be interrupted, and tables share their common runs.

    runs/choose-4f1c….json     the epoch that validation chose
         best-c07e….json .npz  the same, and the test of the model with the weights of this epoch
         final-92ab….json      what identifies the run, its settings, its cost
         final-92ab….npz       its ranks or predictions, for each evaluation instance: for any metric and test
         final-92ab…/          the state of an interrupted training
         model-1d7e….model/    a saved model; its .json has what identifies it

A run is found by a hash of what determines it: model, settings that are not the defaults, protocol, log, seed, epochs.
Its complete settings are stored too: if a default has changed since, the run is repeated.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from segue.data.cache_folder import cache_folder
from segue.data.log import Log
from segue.errors import ArtefactError, DataError
from segue.evaluation.result import Result
from segue.evaluation.result_files import read_arrays
from segue.evaluation.task import Predictions, can_measure, mean_metric
from segue.experiments.blend import WEIGHTS, blend
from segue.experiments.experiment import Experiment
from segue.io import atomic_file, json_hash, reason, write_json
from segue.json_files import OpenStored, read_json, read_strictly
from segue.models.registry import find
from segue.reporting.console import say
from segue.serving.saved_model import SavedModel, load, save
from segue.training.state import Training

RATING_DEPTH = 20  # stored in the identity of runs that predict ratings, which have no depth
_FORMAT = 2  # raised when the same experiment would give other numbers, or the files have other keys


@read_strictly
@dataclass(frozen=True, kw_only=True)
class EpochSelection:
    """The number of epochs, or the weight of a blend, that validation chose.

    Attributes:
        epochs: the best epoch; 0 for a model without gradient training.
        weight: of the second model of a blend; None if nothing is blended.
        metric: its value on validation; None if there was no validation.
        validation_curve: (epoch, metric) of every validation.
        losses: the training loss of every epoch; empty for runs of earlier versions.
        seconds: wall time of the training.
        cpu_seconds: CPU time of the training.
    """

    epochs: Annotated[int, Field(ge=0)] = 0
    weight: float | None = None
    metric: float | None = None
    validation_curve: tuple[tuple[int, float], ...] = ()
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@read_strictly
@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training and its test took.

    Attributes:
        seconds: wall time of the training.
        cpu_seconds: CPU time of the training.
        peak_mb: peak memory of the process meanwhile; None where the operating system does not report it.
        test_cpu_seconds: CPU time of the test; None for a run of an earlier version.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: int | None
    test_cpu_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Run(Cost):
    """The test result of a trained model, and what its training took.

    Attributes:
        seed: of the training.
        epochs: number of trained epochs; 0 for a model without gradient training.
        predictions: the ranks of the targets for each evaluation instance, or the predicted ratings.
    """

    seed: int
    epochs: int
    predictions: Predictions

    def mean(self, metric: str) -> float:
        """The mean of a metric, such as "recall@10" or "rmse", over the evaluation instances."""
        return mean_metric(self.predictions, metric)


class StoredRun(OpenStored):
    """The content of the JSON file of a run; a file has those parts that its kind of run needs."""

    configs: tuple[dict[str, Any], ...]
    selection: EpochSelection = EpochSelection()
    ranks: dict[str, Any] = Field(default_factory=dict)
    cost: Cost = Cost(seconds=0.0, cpu_seconds=0.0, peak_mb=None)


class RunCache:
    """Runs experiments that are not stored yet, and reads those that are.

    Args:
        folder: of the stored runs; None for `runs` in the folder of `SEGUE_CACHE`.
        overwrite: repeat stored runs.
    """

    def __init__(self, folder: Path | None = None, *, overwrite: bool = False) -> None:
        self.folder = folder or cache_folder() / "runs"
        self.overwrite = overwrite

    def select_epochs(self, experiment: Experiment, log: Log) -> EpochSelection:
        """The best epoch on validation of a model trained on the train part; only its metric if there are no epochs."""
        identity = _selection_identity(experiment, log)
        path = self._path("choose", identity)
        if stored := self._read_json(path, experiment):
            return stored.selection
        model, split = experiment.build(log), experiment.split(log)
        selection = _selection(experiment.select_epoch(model, split, folder=path))
        if not model.trained_by_gradient:
            metric = experiment.protocol.validation_metric(model, split, experiment.monitor)
            selection = replace(selection, metric=metric)
        self._write_json(path, {"identity": identity, "configs": [_config(experiment)], "selection": vars(selection)})
        return selection

    def run_best_epoch(self, experiment: Experiment, log: Log) -> tuple[EpochSelection, Run]:
        """Train on the train part alone and test the model with the weights of its best epoch on validation."""
        identity = _selection_identity(experiment, log)
        path = self._path("best", identity)
        if stored := self._read_json(path, experiment):
            selection = stored.selection
            return selection, self._read_run(path, experiment, selection.epochs, stored)
        outcome = replace(experiment, refit=False).run(log, folder=path)
        selection, cost = _selection(outcome.training), _cost(outcome.result, outcome.training)
        run = Run(seed=experiment.seed, epochs=selection.epochs, predictions=outcome.result.predictions, **cost)
        self._write_run(
            path,
            run,
            experiment,
            {"identity": identity, "configs": [_config(experiment)], "selection": vars(selection), "cost": cost},
        )
        return selection, run

    def train_model(self, experiment: Experiment, log: Log) -> SavedModel:
        """The model of `run_best_epoch` itself, to read its weights, gates or attention. `about` has its test."""
        identity = _selection_identity(experiment, log)
        path = self._path("model", identity)
        folder = path.with_suffix(".model")
        if not (self._read_json(path, experiment) and folder.is_dir()):
            outcome = replace(experiment, refit=False).run(log, folder=path)
            save(outcome.model, log, folder, **outcome.about())
            self._write_json(path, {"identity": identity, "configs": [_config(experiment)]})
        return load(folder)

    def run_refit(self, experiment: Experiment, log: Log, epochs: int) -> Run:
        """Train on train and validation together for a number of epochs, and test."""
        identity = {**_identity(experiment, log), "epochs": epochs}
        path = self._path("final", identity)
        if stored := self._read_json(path, experiment):
            return self._read_run(path, experiment, epochs, stored)
        outcome = experiment.run_refit(log, epochs, folder=path)
        cost = _cost(outcome.result, outcome.training)
        run = Run(seed=experiment.seed, epochs=epochs, predictions=outcome.result.predictions, **cost)
        self._write_run(path, run, experiment, {"identity": identity, "configs": [_config(experiment)], "cost": cost})
        return run

    def run_blend(self, first: Experiment, second: Experiment, log: Log) -> tuple[EpochSelection, Run]:
        """Train two models and test their blend with the weight that is best on validation."""
        parts = [{**_identity(part, log), "epochs": _config(part).get("epochs")} for part in (first, second)]
        identity = {"parts": parts, "monitor": first.monitor, "weights": WEIGHTS, "refit": first.refit}
        path = self._path("blend", identity)
        if stored := self._read_json(path, first, second):
            selection = stored.selection
            return selection, self._read_run(path, first, 0, stored)
        outcome = blend(first, second, log)
        chosen: dict[str, Any] = {
            "weight": outcome.selection.weight,
            "metric": outcome.selection.values[outcome.selection.weight],
        }
        cost = _cost(outcome.result, *(part.training for part in outcome.parts))
        run = Run(seed=first.seed, epochs=0, predictions=outcome.result.predictions, **cost)
        self._write_run(
            path,
            run,
            first,
            {"identity": identity, "configs": [_config(first), _config(second)], "selection": chosen, "cost": cost},
        )
        return EpochSelection(**chosen), run

    def _read_run(self, path: Path, experiment: Experiment, epochs: int, stored: StoredRun) -> Run:
        arrays = read_arrays(path.with_suffix(".npz"))
        try:
            predictions = experiment.protocol.task.from_arrays(arrays, **stored.ranks)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(
                f"{path}.npz: damaged ({reason(error)}); delete {path}.json to repeat the run"
            ) from error
        return Run(seed=experiment.seed, epochs=epochs, predictions=predictions, **vars(stored.cost))

    def _write_run(self, path: Path, run: Run, experiment: Experiment, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(path.with_suffix(".npz"), lambda file: _write_predictions(file, run.predictions))
        metrics = experiment.protocol.table_metrics(experiment.protocol.cut_offs)
        means = {metric: run.mean(metric) for metric in metrics if can_measure(run.predictions, metric)}
        self._write_json(path, {**content, "ranks": run.predictions.attributes(), "means": means})

    def _path(self, task: str, identity: Mapping[str, Any]) -> Path:
        return self.folder / f"{task}-{json_hash({'format': _FORMAT, **identity})}"

    def _read_json(self, path: Path, *experiments: Experiment) -> StoredRun | None:
        """The stored description of a run; None if there is none, or if its settings would be different today."""
        if self.overwrite:
            shutil.rmtree(path, ignore_errors=True)
            return None
        if not path.with_suffix(".json").exists():
            return None
        stored = read_json(path.with_suffix(".json"), StoredRun, repair="delete it to repeat the run")
        if len(stored.configs) != len(experiments):
            raise ArtefactError(
                f"{path}.json: damaged (configs of {len(stored.configs)} models); delete it to repeat the run"
            )
        pairs = zip(experiments, stored.configs, strict=True)
        changed = [key for experiment, config in pairs for key in _changed_settings(experiment, config)]
        if changed:
            say(f"{path.name}: repeated, since the default of {', '.join(changed)} has changed")
        return None if changed else stored

    def _write_json(self, path: Path, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(path.with_suffix(".json"), lambda file: write_json(file, content))
        shutil.rmtree(path, ignore_errors=True)


def _config(experiment: Experiment) -> dict[str, Any]:
    """All settings of the model, as JSON has them."""
    config = find(experiment.model).configure(dict(experiment.settings), experiment.preset)
    return json.loads(json.dumps(config.as_dict()))


def _changed_settings(experiment: Experiment, stored: Mapping[str, Any]) -> list[str]:
    """The settings whose value differs from the stored one; settings that exist in only one of them are ignored."""
    config = _config(experiment)
    return [key for key, value in stored.items() if key != "epochs" and config.get(key, value) != value]


def _identity(experiment: Experiment, log: Log) -> dict[str, Any]:
    """What determines a training, except its epochs.

    Settings equal to the defaults are left out, so that a new setting does not change the identity of older runs.
    """
    defaults = json.loads(json.dumps(find(experiment.model).configure().as_dict()))
    config = _config(experiment)
    settings = {key: value for key, value in config.items() if value != defaults.get(key) and key != "epochs"}
    return {
        "model": experiment.model,
        "settings": settings,
        "protocol": experiment.protocol.fingerprint,
        "depth": max(experiment.protocol.cut_offs, default=RATING_DEPTH),
        "log": log.fingerprint,
        "seed": experiment.seed,
    }


def _selection_identity(experiment: Experiment, log: Log) -> dict[str, Any]:
    """What determines the epoch that is chosen on validation."""
    validation = {
        "monitor": experiment.monitor,
        "eval_every": experiment.eval_every,
        "patience": experiment.patience,
    }
    return {**_identity(experiment, log), **validation, "epochs": _config(experiment).get("epochs", 0)}


def _selection(training: Training) -> EpochSelection:
    return EpochSelection(
        epochs=training.best,
        metric=training.metric,
        validation_curve=tuple((epoch.epoch, epoch.metric) for epoch in training.epochs if epoch.metric is not None),
        losses=tuple(epoch.loss for epoch in training.epochs),
        seconds=training.seconds,
        cpu_seconds=training.cpu_seconds,
    )


def _cost(result: Result, *trainings: Training) -> dict[str, Any]:
    """Time of all trainings together, time of the test, and the peak memory."""
    return {
        "seconds": sum(training.seconds for training in trainings),
        "cpu_seconds": sum(training.cpu_seconds for training in trainings),
        "test_cpu_seconds": result.test_cpu_seconds,
        "peak_mb": result.peak_mb,
    }


def _write_predictions(path: Path, predictions: Predictions) -> None:
    arrays: dict[str, Any] = predictions.arrays()
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write(path)`; an error names the file."""
    try:
        write(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {reason(error)}") from error

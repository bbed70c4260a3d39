"""The best model of a search: trained once more, evaluated on the test set once, saved.

models/hgn/          the saved model
models/hgn.search/   the study, and
  result.npz         the test result of the best model, one value per evaluation instance; later calls read it
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.evaluation import result_files
from segue.evaluation.result import Result
from segue.experiments.experiment import Experiment
from segue.io import plain_values
from segue.json_files import OpenStored, Stored, parse_json
from segue.resource_usage import peak_memory_mb, total
from segue.serving import saved_model
from segue.serving.model_facts import TrainingFacts
from segue.tuning.search import Search
from segue.tuning.trial import Trial


def search_folder(model_folder: Path) -> Path:
    """The folder of the trials of a model: the sibling `NAME.search` of its folder."""
    return model_folder.with_name(f"{model_folder.name}.search")


class TrialFacts(OpenStored):
    """The best trial: what is read of `segue.tuning.trial.Trial`."""

    metric: float
    best_epoch: int
    settings: dict[str, Any]


class SearchFacts(OpenStored):
    """The trials of the search."""

    trials: int
    of: int = 0
    states: dict[str, int] = Field(default_factory=dict)
    trial: TrialFacts


class CostFacts(Stored):
    """The peak memory of the last training; None where the operating system does not report it."""

    peak_mb: float | None


class TestedFacts(OpenStored):
    """What is stored with the test result of a best model."""

    experiment: dict[str, Any] = Field(default_factory=dict)
    training: TrainingFacts
    search: SearchFacts
    cost: CostFacts


def read_tested(path: Path) -> tuple[Result, dict[str, Any]]:
    """The test result of a best model, and what is stored with it.

    Raises:
        ArtefactError: there is no such file, or it is damaged.
    """
    result, about = result_files.read(path)
    parse_json(json.dumps(about), TestedFacts, where=str(path), repair=result_files.REPAIR)
    return result, about


def refit_and_test(search: Search, log: Log, trials: list[Trial], path: Path) -> tuple[Result, dict[str, Any]]:
    """Train the best of `trials` once more, evaluate it on the test set and save it to `path`.

    If this was done before, the stored result is read, unless another trial has become the best, the model is gone, or
    a shorter time limit ended its training.

    Returns:
        The test result, and plain values about the experiment, its training, the search and the cost.
    """
    folder, experiment, best = search_folder(path), search.best_experiment(trials), search.best_trial(trials)
    result_path = folder / "result.npz"
    with search.study(log, folder).locked():
        about_search = {
            "trials": len(trials),
            "of": search.max_trials,
            "states": dict(Counter(t.state for t in trials)),
            "cpu_seconds": total(*(t.cpu_seconds for t in trials)),
            "trial": best.as_dict(),
        }
        before = read_tested(result_path) if _is_saved(experiment, path) and result_path.is_file() else None
        if (
            before is not None
            and is_tested(path, before[1])
            and _is_of(before[1], experiment)
            and _has_ended(before[1], search)
        ):
            stored, about = before
            result = replace(stored, warnings=experiment.warnings(experiment.split(log)))
            if about["search"] != json.loads(json.dumps(about_search)):
                result_files.write(result, result_path, **{**about, "search": about_search})
            return result, {**about, "search": about_search}
        outcome = search.train_best(log, trials)
        about = {**outcome.about(), "search": about_search, "cost": {"peak_mb": peak_memory_mb()}}
        saved_model.save(outcome.model, log, path, **about)
        result_files.write(outcome.result, result_path, **about)
    return outcome.result, about


def is_tested(path: Path, about: Mapping[str, Any]) -> bool:
    """Whether `path` holds the very model of a test result, and no other that was saved there later.

    Args:
        path: the folder of the model.
        about: what is stored with the result. Its search may have gone on since, without a better trial.
    """
    try:
        facts = saved_model.read_facts(path)
    except ArtefactError:
        return False
    return all(facts.get(key) == value for key, value in plain_values(about).items() if key != "search")


def check_no_other(path: Path) -> None:
    """Raise `ConfigError` if the folder for the best model of a search holds a model that no search has found."""
    try:
        facts = saved_model.read_facts(path)
    except ArtefactError:
        return
    if "search" not in facts:
        raise ConfigError(
            f"{path}: holds the model {facts['model']} that no search has found and that would be lost; move it "
            "to another place, or choose another folder with -o"
        )


def _has_ended(about: dict[str, Any], search: Search) -> bool:
    """Whether the stored training ended by itself, or by a limit that is not below that of `search`."""
    stopped_after = about["training"].get("stopped_after_minutes")
    return stopped_after is None or (search.seconds is not None and search.seconds / 60 <= stopped_after)


def _is_saved(experiment: Experiment, path: Path) -> bool:
    """Whether `path` holds the model of exactly this experiment."""
    try:
        return _is_of(saved_model.read_facts(path), experiment)
    except ArtefactError:
        return False


def _is_of(about: dict[str, Any], experiment: Experiment) -> bool:
    """Whether what is stored about a model or a result says that it is of exactly this experiment."""
    return bool(about.get("experiment") == json.loads(json.dumps(experiment.as_dict())))

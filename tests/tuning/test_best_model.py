"""The best model of a search: trained again, tested once, stored."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_search import LEAVE_ONE_OUT, LOG, SMALL, Clock, ignore, small_search

from segue.evaluation import result_files
from segue.experiments.experiment import Experiment
from segue.serving.saved_model import load
from segue.training import loop
from segue.tuning.best_model import refit_and_test, search_folder
from segue.tuning.trial import Trial


def test_the_best_model_is_tested_once_and_its_result_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = []
    test = Experiment.evaluate
    monkeypatch.setattr(Experiment, "evaluate", lambda self, *rest: tested.append(self) or test(self, *rest))
    search, place = small_search(trials=3), tmp_path / "models/best"
    trials = search.run_trials(LOG, search_folder(place), on_trial=ignore)
    assert not tested
    result, about = refit_and_test(search, LOG, trials, place)
    assert len(tested) == 1
    saved = load(place)
    assert saved.about["experiment"]["settings"] == {
        **SMALL,
        **search.best_trial(trials).settings,
        "epochs": search.best_trial(trials).best_epoch,
    }
    assert saved.about["training"]["validation"] == {"ndcg@10": search.best_trial(trials).metric}
    assert about["search"]["trials"] == 3
    again, about_again = refit_and_test(search, LOG, trials, place)
    assert len(tested) == 1
    assert about_again == {**about, "results": about_again["results"]}
    assert np.array_equal(again.predictions.rank, result.predictions.rank)
    assert again.protocol.fingerprint == LEAVE_ONE_OUT.fingerprint
    shutil.rmtree(place)
    refit_and_test(search, LOG, trials, place)
    assert len(tested) == 2
    assert load(place).about["experiment"] == saved.about["experiment"]


def test_a_result_of_another_model_than_the_saved_one_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tested(folder: Path, *searches: Any) -> list[int]:
        """The ranks of the test after each search; the process of the first was killed before it stored its result."""
        place, ranks = folder / "best", []
        for search in searches:
            trials = search.run_trials(LOG, search_folder(place), on_trial=ignore)
            result, _ = refit_and_test(search, LOG, trials, place)
            ranks.append(result.predictions.rank.tolist())
        return ranks[-1]

    few, many = small_search(trials=1), small_search(trials=5)
    expected = tested(tmp_path / "whole", few, many)
    assert expected != tested(tmp_path / "few", few)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    tested(tmp_path / "killed", few)
    with monkeypatch.context() as patch:
        patch.setattr(result_files, "write", die)
        with pytest.raises(KeyboardInterrupt):
            tested(tmp_path / "killed", many)
    assert tested(tmp_path / "killed", many) == expected


def test_a_last_training_that_the_limit_stopped_is_repeated_with_more_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    trained: list[int] = []
    train_epoch = loop.train_epoch

    def slow(*args: Any) -> float:
        clock.now += 5.0
        trained.append(args[-1])
        return train_epoch(*args)

    monkeypatch.setattr(loop, "train_epoch", slow)
    monkeypatch.setattr("segue.training.budget.time", clock)
    monkeypatch.setattr(loop, "stopwatch", lambda: nullcontext(SimpleNamespace(seconds=5.0, cpu_seconds=5.0)))
    trials = [Trial(0, {"lr": 0.01, "embedding_dim": 4}, "complete", 0.5, best_epoch=8, epochs=8, seconds=1.0)]
    search, path = small_search(seconds=20.0), tmp_path / "m"
    _, about = refit_and_test(search, LOG, trials, path)
    assert 0 < about["training"]["epochs"] < 8
    assert about["training"]["stopped_after_minutes"] == 20 / 60
    assert about["training"]["validation"] == {"ndcg@10": None}
    trained.clear()
    assert refit_and_test(search, LOG, trials, path)[1]["training"] == about["training"]
    assert trained == []
    _, about = refit_and_test(replace(search, seconds=None), LOG, trials, path)
    assert trained == list(range(1, 9))
    assert about["training"]["validation"] == {"ndcg@10": 0.5}

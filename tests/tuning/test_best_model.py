"""The best model of a search: trained again, tested once, stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_search import LEAVE_ONE_OUT, LOG, SMALL, ignore, small_search

from segue.experiments.experiment import Experiment
from segue.serving.saved_model import load
from segue.tuning.best_model import refit_and_test, search_folder


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

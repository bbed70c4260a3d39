"""Saved models in Python: their own protocol, their figures, and their figures on newer events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ArtefactError, ConfigError
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import mean_metric
from segue.experiments.experiment import Experiment
from segue.experiments.newer_events import _extent, evaluate_newer
from segue.experiments.saved_models import check_not_refitted, evaluate_saved, stored_protocol
from segue.serving.saved_model import SavedModel, load, save

WHOLE = synthetic.markov(num_users=30, num_items=12, length=9, seed=3)


def before(log: Log, stop: int) -> Log:
    """The rows of each user up to a place."""
    rows = np.arange(len(log)) - log.start[log.events()[0]] < stop
    counts = np.concatenate([[0], np.full(log.num_users, stop)])
    ends = np.cumsum(counts)
    assert log.time is not None
    return replace(log, start=ends - counts, stop=ends, item=log.item[rows], time=log.column(log.time)[rows])


def trained(folder: Path, log: Log, protocol: str = "leave-one-out", **settings: bool) -> SavedModel:
    outcome = Experiment(model="pop", protocol=Protocol.named(protocol), **settings).run(log)
    save(outcome.model, log, folder, **outcome.about())
    return load(folder)


def test_a_saved_model_has_the_figures_of_its_run(tmp_path: Path) -> None:
    outcome = Experiment(model="pop", protocol=Protocol.named("leave-one-out")).run(WHOLE)
    save(outcome.model, WHOLE, tmp_path / "pop", **outcome.about())
    saved = load(tmp_path / "pop")
    found = evaluate_saved(saved, WHOLE)
    assert stored_protocol(saved).fingerprint == found.protocol.fingerprint == outcome.result.protocol.fingerprint
    assert found.model == saved.name == str(tmp_path / "pop")
    assert mean_metric(found.predictions, "ndcg@10") == mean_metric(outcome.result.predictions, "ndcg@10")
    only = evaluate_saved(saved, WHOLE, adapt=lambda protocol: protocol.with_cut_offs([3], only=True))
    assert only.protocol.cut_offs == (3,)


@pytest.mark.parametrize("refit", [False, True])
def test_popularity_is_counted_on_the_rows_that_the_model_was_trained_on(tmp_path: Path, refit: bool) -> None:
    found = evaluate_saved(trained(tmp_path / "pop", WHOLE, refit=refit), WHOLE)
    split = found.protocol.split(WHOLE)
    assert np.array_equal(found.counts, (split.train_valid if refit else split.train).counts())


def test_a_model_that_saw_the_test_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"without --final \(final=True in Python\)"):
        evaluate_saved(trained(tmp_path / "pop", WHOLE, final=True), WHOLE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"final": True}, r"fitted on the whole log.* --final"), ({"refit": True}, r"refitted on .* --refit")],
)
def test_a_model_that_saw_the_validation_data_cannot_be_chosen_by_it(
    tmp_path: Path, settings: dict[str, bool], message: str
) -> None:
    check_not_refitted(trained(tmp_path / "plain", WHOLE), "a weight")
    with pytest.raises(ArtefactError, match=rf"{message}.* \("):
        check_not_refitted(trained(tmp_path / "seen", WHOLE, **settings), "a weight")


@pytest.mark.parametrize("settings", [{}, {"refit": True}, {"final": True}])
def test_a_model_of_an_earlier_version_has_the_extent_of_its_rows(tmp_path: Path, settings: dict[str, bool]) -> None:
    """What it was trained on is not stored with it, and is counted again."""
    saved = trained(tmp_path / "pop", WHOLE, **settings)
    older = replace(saved, about={key: value for key, value in saved.about.items() if key != "trained_on"})
    stored, counted = _extent(saved), _extent(older)
    assert (counted.events, counted.newest) == (stored.events, stored.newest)


def test_the_events_after_the_training_are_the_test(tmp_path: Path) -> None:
    old = before(WHOLE, 6)
    newer = evaluate_newer([trained(tmp_path / "pop", old, final=True)], WHOLE)
    (result,) = newer.results
    assert result.protocol.name == "newer-events"
    assert newer.facts["newer"]["events"] == len(result.predictions)
    assert newer.notes[0].startswith("markov is another log than the model was trained on")


def test_models_that_were_trained_on_different_events_are_told_apart(tmp_path: Path) -> None:
    old = before(WHOLE, 6)
    final, held = trained(tmp_path / "a", old, final=True), trained(tmp_path / "b", old)
    note = evaluate_newer([final, held], WHOLE).notes[-1]
    assert f"{tmp_path}/a on 180, the newest at" in note
    assert f"{tmp_path}/b on 120, the newest at" in note
    assert "which alone may make one better" not in " ".join(evaluate_newer([final, final], WHOLE).notes)


def test_models_of_other_rules_are_not_compared(tmp_path: Path) -> None:
    old = before(WHOLE, 6)
    models = [trained(tmp_path / name, old, name) for name in ("leave-one-out", "recbole")]
    with pytest.raises(ConfigError, match="exclude_seen=True on one side, exclude_seen=False on the other"):
        evaluate_newer(models, WHOLE, adapt=lambda protocol: protocol.with_cut_offs([10], only=True))

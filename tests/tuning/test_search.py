"""Searches: the settings are chosen on validation; searches resume and run in several processes."""

from __future__ import annotations

import errno
import signal
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_search import LEAVE_ONE_OUT, LOG, SMALL, Clock, ignore, results, small_search

from segue.data import synthetic
from segue.errors import ConfigError, DataError, TrainingError
from segue.evaluation.task import measure
from segue.models.base.search_space import Choice, LogUniform, Uniform
from segue.training import loop as train
from segue.training import state
from segue.tuning.time_limit import TimeIsUp, time_limit, uninterrupted


def use_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches measure their time with a `Clock`."""
    clock = Clock()
    for module in ("search", "trial_training"):
        monkeypatch.setattr(f"segue.tuning.{module}.time", clock)


@pytest.mark.parametrize("changes", [{"trials": 0}, {"seconds": 0.0}])
def test_invalid_searches_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(changes))}=0"):
        small_search(**changes)


def test_the_best_trial_is_trained_again_to_the_same_weights(tmp_path: Path) -> None:
    search = small_search()
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert len(trials) == 5
    best = search.best_trial(trials)
    assert best.metric == max(t.metric for t in trials if t.metric is not None and t.state == "complete")
    outcome = search.train_best(LOG, trials)
    assert outcome.training.metric == best.metric
    expected = replace(search.experiment, settings={**SMALL, **best.settings}).run(LOG)
    assert (expected.training.metric, expected.training.best) == (best.metric, best.best_epoch)
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(value, expected.model.state_dict()[key]), key
    assert np.array_equal(outcome.result.predictions.rank, expected.result.predictions.rank)


def test_the_first_trial_has_the_default_settings_or_the_nearest(tmp_path: Path) -> None:
    search = small_search(
        space={"lr": Choice(0.1, 5e-3), "embedding_dim": Choice(4, 8), "l2": Uniform(0.1, 0.5)}, trials=1
    )
    (trial,) = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert trial.settings == {"lr": 5e-3, "embedding_dim": 8, "l2": 0.1}


def test_a_small_space_is_enumerated(tmp_path: Path) -> None:
    search = small_search(
        "item-knn", {"window": Choice(1, None), "num_neighbours": Uniform(2, 4)}, trials=30, settings={}
    )
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    points = {(t.settings["window"], t.settings["num_neighbours"]) for t in trials}
    assert len(trials) == len(points) == search.max_trials == 6
    assert all(t.state == "complete" and t.best_epoch == t.epochs == 0 for t in trials)
    expected = search.experiment.build(LOG, **search.best_trial(trials).settings)
    train.fit(expected, LEAVE_ONE_OUT.split(LOG).train)
    assert (
        search.best_trial(trials).metric
        == measure(LEAVE_ONE_OUT.rank(expected, LEAVE_ONE_OUT.split(LOG), "valid"), "ndcg@10").mean()
    )


def test_the_same_settings_are_not_tried_twice(tmp_path: Path) -> None:
    search = small_search("item-knn", {"window": Uniform(1, 4), "num_neighbours": Choice(5, 9)}, trials=7, settings={})
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert len({str(t.settings) for t in trials}) == len(trials) == 7


def test_a_model_without_a_space_has_one_trial(tmp_path: Path) -> None:
    search = small_search("pop", {}, settings={})
    (trial,) = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert (trial.settings, trial.state) == ({}, "complete")


def test_an_interrupted_search_ends_where_the_uninterrupted_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small_search().run_trials(LOG, tmp_path / "whole", on_trial=ignore)
    epoch, count = train.train_epoch, 0

    def stop(*args: Any) -> float:
        nonlocal count
        count += 1
        if count in (4, 13):
            raise KeyboardInterrupt
        return epoch(*args)

    monkeypatch.setattr(train, "train_epoch", stop)
    monkeypatch.setattr("segue.training.state.SAVE_EVERY", 0)  # each epoch is saved, however busy the machine
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            small_search().run_trials(LOG, tmp_path / "interrupted", on_trial=ignore)
    again = small_search().run_trials(LOG, tmp_path / "interrupted", on_trial=ignore)
    assert results(again) == results(whole)
    assert count < sum(t.epochs for t in whole) + 3  # finished epochs were not trained again


def test_more_trials_extend_a_study_and_another_search_is_refused(tmp_path: Path) -> None:
    first = small_search(trials=2).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    more = small_search(trials=3).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert results(more)[:2] == results(first)
    for other, what in (
        (small_search(space={"lr": LogUniform(1e-3, 1e-2)}), "space"),
        (small_search(settings={**SMALL, "epochs": 9}), "settings"),
        (small_search("hgn"), "model"),
    ):
        with pytest.raises(ConfigError, match=f"s: holds a search with another .*{what}"):
            other.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    log = synthetic.markov(60, 15, 12, seed=2, shortest=4)
    with pytest.raises(
        ConfigError,
        match=r"another log, or of an older version of segue; delete it to start afresh, or choose another folder",
    ):
        small_search().run_trials(log, tmp_path / "s", on_trial=ignore)


def test_a_failed_trial_is_reported_and_the_search_continues(tmp_path: Path) -> None:
    lines: list[str] = []
    search = small_search(space={"lr": Choice(5e-3, 1e30)}, trials=4)
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=lines.append)
    assert [t.state for t in trials] == ["complete", "failed"]
    assert "not finite" in trials[1].error or "NaN" in trials[1].error
    assert "failed (" in lines[1]
    assert search.best_trial(trials).number == 0
    with pytest.raises(TrainingError, match=r"bprmf: no trial of 1 succeeded; the first: .*lr"):
        search.best_trial(trials[1:])


def test_an_unusable_log_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DataError("no times")

    monkeypatch.setattr("segue.tuning.trial_training.fit", fail)
    with pytest.raises(DataError, match="no times"):
        small_search().run_trials(LOG, tmp_path / "s", on_trial=ignore)
    (trial,) = small_search().study(LOG, tmp_path / "s").trials()
    assert (trial.state, trial.error) == ("failed", "no times")


def test_a_protocol_without_validation_is_refused(tmp_path: Path) -> None:
    search = small_search()
    bare = replace(LEAVE_ONE_OUT, name="bare", arguments={"valid": 0})
    search_without_validation = replace(search, experiment=replace(search.experiment, protocol=bare))
    with pytest.raises(DataError, match="no validation instance is left to choose settings by"):
        search_without_validation.run_trials(LOG, tmp_path / "s", on_trial=ignore)


def test_the_test_set_does_not_influence_the_search(tmp_path: Path) -> None:
    last = LOG.stop[1:] - 1
    item = LOG.item.copy()
    item[last] = LOG.num_items + 1 - item[last]
    other = replace(LOG, item=item)
    trials = small_search(trials=3).run_trials(LOG, tmp_path / "one", on_trial=ignore)
    assert results(trials) == results(small_search(trials=3).run_trials(other, tmp_path / "two", on_trial=ignore))


def test_the_time_is_shared_and_the_best_trials_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_clock(monkeypatch)
    search = small_search(trials=4, seconds=80.0, settings={**SMALL, "epochs": 40})
    lines: list[str] = []
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=lines.append)
    first = [int(text.split("trial ")[1].split()[0]) for text in lines]
    assert first[:4] == [0, 1, 2, 3]
    assert len(first) > 4
    cut = [text for text in lines[:4] if "time is up" in text]
    assert cut
    assert sum(t.seconds for t in trials) <= 80 + 10
    best = search.best_trial(trials)
    assert best.epochs > 10
    # resumed after the interruption: the same as without one
    expected = replace(search.experiment, settings={**SMALL, **best.settings, "epochs": best.epochs}, patience=99).run(
        LOG
    )
    assert expected.training.metric == best.metric


def test_without_time_one_trial_has_one_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_clock(monkeypatch)
    monkeypatch.setattr("segue.tuning.search.time_limit", lambda seconds: nullcontext())
    (trial,) = small_search(seconds=0.5).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert (trial.state, trial.epochs) == ("timed_out", 1)


def stuck(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every epoch after the first ones go on for ever."""
    epoch, count = train.train_epoch, 0

    def endless(*args: Any) -> float:
        nonlocal count
        count += 1
        while count > after:
            pass
        return epoch(*args)

    monkeypatch.setattr(train, "train_epoch", endless)


def test_a_trial_is_stopped_in_the_middle_of_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck(0, monkeypatch)
    search = small_search(seconds=0.2)
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert [(t.state, t.metric) for t in trials] == [("timed_out", None)]
    with pytest.raises(
        TrainingError, match=r"no trial of 1 succeeded; the first: no validation within the 0\.1 s that it had"
    ):
        search.best_trial(trials)
    monkeypatch.undo()
    again = replace(search, seconds=None).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert search.best_trial(again).metric is not None


def test_a_trial_that_is_stopped_keeps_its_validated_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck(3, monkeypatch)
    search = small_search(seconds=5.0, settings={**SMALL, "epochs": 40}, trials=1)
    (trial,) = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert (trial.state, trial.epochs) == ("timed_out", 3)
    monkeypatch.undo()
    assert search.train_best(LOG, [trial]).training.metric == trial.metric


def test_a_time_limit_ends_its_block_and_is_gone_after_it() -> None:
    def endless() -> None:
        with time_limit(0.01):
            while True:
                pass

    with pytest.raises(TimeIsUp):
        endless()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with time_limit(float("inf")):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_time_limit_does_not_interrupt_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.tuning.time_limit._AGAIN", 0.01)
    finished: list[str] = []

    def spin() -> None:
        while True:
            pass

    def wait(name: str) -> None:
        time.sleep(0.1)
        finished.append(name)

    def clean_up() -> None:
        with time_limit(0.01):
            try:
                spin()
            finally:
                with suppress(ValueError):
                    wait("finally")
                    raise ValueError
                wait("after an error")

    def lose_the_first() -> None:
        with time_limit(0.01):
            with suppress(TimeIsUp):
                spin()
            spin()

    def write() -> None:
        with time_limit(0.01):
            with uninterrupted():
                wait("uninterrupted")
            spin()

    for block in (clean_up, lose_the_first, write):
        with pytest.raises(TimeIsUp):
            block()
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert finished == ["finally", "after an error", "uninterrupted"]


def test_two_processes_share_one_study(tmp_path: Path) -> None:
    search = small_search(trials=6)
    trials = search.run(LOG, tmp_path / "s", jobs=2)
    assert [t.number for t in trials] == list(range(6))
    assert len({str(t.settings) for t in trials}) == 6
    assert all(t.state != "running" for t in trials)
    assert search.best_trial(trials).metric is not None


def test_refit_trains_on_train_and_validation(tmp_path: Path) -> None:
    search = small_search(trials=1)
    trials = search.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    again = replace(search, experiment=replace(search.experiment, refit=True))
    assert results(again.run_trials(LOG, tmp_path / "s", on_trial=ignore)) == results(trials)
    outcome = again.train_best(LOG, trials)
    expected = again.best_experiment(trials).build(LOG)
    train.fit(expected, LEAVE_ONE_OUT.split(LOG).train_valid)
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(value, expected.state_dict()[key]), key


def test_a_full_disk_ends_the_search_and_is_no_failure_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    search = small_search(trials=2)
    expected = search.run_trials(LOG, tmp_path / "whole", on_trial=ignore)
    with monkeypatch.context() as patch:
        patch.setattr(state, "save_file", full)
        with pytest.raises(TrainingError, match=r"state of the training cannot be written \(No space left on device\)"):
            search.run_trials(LOG, tmp_path / "full", on_trial=ignore)
    assert results(search.run_trials(LOG, tmp_path / "full", on_trial=ignore)) == results(expected)


def test_an_error_that_an_error_of_the_system_caused_is_a_failed_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise TrainingError("no such table of embeddings") from FileNotFoundError()

    monkeypatch.setattr("segue.tuning.trial_training.fit", fail)
    trials = small_search(trials=2).run_trials(LOG, tmp_path, on_trial=ignore)
    assert [(trial.state, trial.error) for trial in trials] == 2 * [("failed", "no such table of embeddings")]

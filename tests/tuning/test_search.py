"""Searches: chosen on validation, taken up where they were left, shared between processes, tested once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.data import synthetic
from segue.errors import ArtefactError, ConfigError, DataError, TrainingError
from segue.evaluation import result_files as archive
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.registry import MODELS
from segue.models.sequential.hgn import HGN
from segue.serving.saved_model import load
from segue.training import loop as train
from segue.tuning import search as search_module
from segue.tuning.best_model import refit_and_test, search_folder
from segue.tuning.importance import setting_importance, sort_trials
from segue.tuning.report import describe_trial, trial_rows, write_report
from segue.tuning.search import Search
from segue.tuning.study import Study
from segue.tuning.trial import Trial
from segue.tuning.validate_space import validate_space
from segue.tuning.workers import WorkerPool, peak_memory_mb

LOG = synthetic.markov(60, 15, 12, seed=1, shortest=4)
LEAVE_ONE_OUT = Protocol.named("leave-one-out")
SMALL = {"epochs": 8, "batch_size": 64}
SPACE: Space = {"lr": LogUniform(1e-3, 1e-1), "embedding_dim": Choice(4, 8)}


def search(model: str = "bprmf", space: Space = SPACE, **changes: Any) -> Search:
    experiment = Experiment(model=model, protocol=LEAVE_ONE_OUT, settings=changes.pop("settings", SMALL), patience=3)
    return Search(experiment=experiment, space=space, **{"trials": 5, **changes})


def results(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """What an interruption must not change."""
    return [(t.number, t.settings, t.state, t.metric, t.best_epoch, t.epochs) for t in trials]


def ignore(text: str) -> None:
    pass


class Clock:
    """A clock that advances by one second per call."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


# ---------------------------------------------------------------------------------------- the space


def test_values_are_converted_to_the_types_of_the_settings() -> None:
    found = validate_space(
        {"lr": Choice("0.1"), "reg_weight": Choice("[0.00,0.00]", (0.5, 1)), "window": Uniform(2, 8, 2)}, HGN
    )
    assert found == {
        "lr": Choice(0.1),
        "reg_weight": Choice((0.0, 0.0), (0.5, 1.0)),
        "window": Uniform(2, 8, 2),
    }
    l2 = validate_space({"l2": Uniform(0, 1)}, MODELS["bprmf"])["l2"]
    assert isinstance(l2, Uniform)
    assert isinstance(l2.low, float)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"lrr": Choice(0.1)}, r"search space of hgn: unknown setting 'lrr', did you mean 'lr'"),
        ({"embedding_dim": Choice(4, "big")}, r"embedding_dim='big': must be a whole number"),
        ({"embedding_dim": Uniform(4.5, 8)}, r"embedding_dim=4\.5: must be a whole number"),
        ({"lr": Uniform(-1.0, 1.0)}, r"lr=-1\.0: must be above 0"),
        ({"pooling": Choice("averge")}, r"pooling='averge': must be one of avg, max"),
        ({"epochs": Choice(3)}, r"epochs is both fixed and searched"),
    ],
)
def test_a_value_outside_the_declaration_of_a_setting_is_refused_before_the_first_trial(
    space: Space, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        Search(experiment=Experiment(model="hgn", protocol=LEAVE_ONE_OUT, settings={"epochs": 3}), space=space)


def test_a_value_may_be_valid_only_with_another_value_of_the_space() -> None:
    with pytest.raises(ConfigError, match="gate_avg divides"):
        validate_space({"pooling": Choice("gate_avg")}, HGN, settings={"instance_gate": False})
    both = {"pooling": Choice("gate_avg", "avg"), "instance_gate": Choice(True, False)}
    assert validate_space(both, HGN) == both


@pytest.mark.parametrize("changes", [{"trials": 0}, {"seconds": 0.0}])
def test_invalid_searches_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(changes))}=0"):
        search(**changes)


# ---------------------------------------------------------------------------------------- the trials


def test_the_best_trial_is_trained_again_to_the_same_weights(tmp_path: Path) -> None:
    one = search()
    trials = one.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert len(trials) == 5
    best = one.best_trial(trials)
    assert best.metric == max(t.metric for t in trials if t.metric is not None and t.state == "complete")
    outcome = one.train_best(LOG, trials)
    assert outcome.training.metric == best.metric
    expected = replace(one.experiment, settings={**SMALL, **best.settings}).run(LOG)
    assert (expected.training.metric, expected.training.best) == (best.metric, best.best_epoch)
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(value, expected.model.state_dict()[key]), key
    assert np.array_equal(outcome.result.ranks.rank, expected.result.ranks.rank)


def test_the_first_trial_has_the_default_settings_or_the_nearest(tmp_path: Path) -> None:
    one = search(space={"lr": Choice(0.1, 5e-3), "embedding_dim": Choice(4, 8), "l2": Uniform(0.1, 0.5)}, trials=1)
    (trial,) = one.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert trial.settings == {"lr": 5e-3, "embedding_dim": 8, "l2": 0.1}


def test_a_small_space_is_enumerated(tmp_path: Path) -> None:
    one = search("item-knn", {"window": Choice(1, None), "num_neighbours": Uniform(2, 4)}, trials=30, settings={})
    trials = one.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    points = {(t.settings["window"], t.settings["num_neighbours"]) for t in trials}
    assert len(trials) == len(points) == one.max_trials == 6
    assert all(t.state == "complete" and t.best_epoch == t.epochs == 0 for t in trials)
    expected = one.experiment.build(LOG, **one.best_trial(trials).settings)
    train.fit(expected, LEAVE_ONE_OUT.split(LOG).train)
    assert (
        one.best_trial(trials).metric
        == measure(LEAVE_ONE_OUT.rank(expected, LEAVE_ONE_OUT.split(LOG), "valid"), "ndcg@10").mean()
    )


def test_the_same_settings_are_not_tried_twice(tmp_path: Path) -> None:
    one = search("item-knn", {"window": Uniform(1, 4), "num_neighbours": Choice(5, 9)}, trials=7, settings={})
    trials = one.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert len({str(t.settings) for t in trials}) == len(trials) == 7


def test_a_model_without_a_space_has_one_trial(tmp_path: Path) -> None:
    one = search("pop", {}, settings={})
    (trial,) = one.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert (trial.settings, trial.state) == ({}, "complete")


def test_an_interrupted_search_ends_where_the_uninterrupted_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search().run_trials(LOG, tmp_path / "whole", on_trial=ignore)
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
            search().run_trials(LOG, tmp_path / "timed_out", on_trial=ignore)
    again = search().run_trials(LOG, tmp_path / "timed_out", on_trial=ignore)
    assert results(again) == results(whole)
    assert count < sum(t.epochs for t in whole) + 3  # what had been learnt was not learnt again


def test_more_trials_extend_a_study_and_another_search_is_refused(tmp_path: Path) -> None:
    first = search(trials=2).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    more = search(trials=3).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert results(more)[:2] == results(first)
    for other, what in (
        (search(space={"lr": LogUniform(1e-3, 1e-2)}), "space"),
        (search(settings={**SMALL, "epochs": 9}), "settings"),
        (search("hgn"), "model"),
    ):
        with pytest.raises(ConfigError, match=f"s: holds a search with another .*{what}"):
            other.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    log = synthetic.markov(60, 15, 12, seed=2, shortest=4)
    with pytest.raises(ConfigError, match=r"another log; delete it to start afresh, or choose another folder"):
        search().run_trials(log, tmp_path / "s", on_trial=ignore)


def test_a_failed_trial_is_reported_and_the_search_continues(tmp_path: Path) -> None:
    lines: list[str] = []
    one = search(space={"lr": Choice(5e-3, 1e30)}, trials=4)
    trials = one.run_trials(LOG, tmp_path / "s", on_trial=lines.append)
    assert [t.state for t in trials] == ["complete", "failed"]
    assert "not finite" in trials[1].error or "NaN" in trials[1].error
    assert "failed (" in lines[1]
    assert one.best_trial(trials).number == 0
    with pytest.raises(TrainingError, match=r"bprmf: no trial of 1 succeeded; the first: .*lr"):
        one.best_trial(trials[1:])


def test_an_unusable_log_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DataError("no times")

    monkeypatch.setattr(search_module, "fit", fail)
    with pytest.raises(DataError, match="no times"):
        search().run_trials(LOG, tmp_path / "s", on_trial=ignore)
    (trial,) = search().study(LOG, tmp_path / "s").trials()
    assert (trial.state, trial.error) == ("failed", "no times")


def test_a_protocol_without_validation_is_refused(tmp_path: Path) -> None:
    one = search()
    bare = replace(LEAVE_ONE_OUT, name="bare", arguments={"valid": 0})
    bare_search = replace(one, experiment=replace(one.experiment, protocol=bare))
    with pytest.raises(DataError, match="no validation instance is left to choose settings by"):
        bare_search.run_trials(LOG, tmp_path / "s", on_trial=ignore)


def test_the_test_set_does_not_influence_the_search(tmp_path: Path) -> None:
    last = LOG.stop[1:] - 1
    item = LOG.item.copy()
    item[last] = LOG.num_items + 1 - item[last]
    other = replace(LOG, item=item)
    trials = search(trials=3).run_trials(LOG, tmp_path / "one", on_trial=ignore)
    assert results(trials) == results(search(trials=3).run_trials(other, tmp_path / "two", on_trial=ignore))


def test_the_time_is_shared_and_the_best_trials_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "time", Clock())
    one = search(trials=4, seconds=80.0, settings={**SMALL, "epochs": 40})
    lines: list[str] = []
    trials = one.run_trials(LOG, tmp_path / "s", on_trial=lines.append)
    first = [int(text.split("trial ")[1].split()[0]) for text in lines]
    assert first[:4] == [0, 1, 2, 3]
    assert len(first) > 4
    cut = [text for text in lines[:4] if "time is up" in text]
    assert cut
    assert sum(t.seconds for t in trials) <= 80 + 10
    best = one.best_trial(trials)
    assert best.epochs > 10
    # taken up where it was left: the same as in one go
    expected = replace(one.experiment, settings={**SMALL, **best.settings, "epochs": best.epochs}, patience=99).run(LOG)
    assert expected.training.metric == best.metric


def test_without_time_one_trial_has_one_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "time", Clock())
    (trial,) = search(seconds=0.5).run_trials(LOG, tmp_path / "s", on_trial=ignore)
    assert (trial.state, trial.epochs) == ("timed_out", 1)


# ---------------------------------------------------------------------------------------- the study


def study(folder: Path, **changes: Any) -> Study:
    return Study(folder, {"x": Uniform(0.0, 1.0)}, identity={"a": 1}, **changes)


def test_successive_halving_prunes_the_worse_half(tmp_path: Path) -> None:
    one = study(tmp_path / "s", min_epochs=2)
    for metric, worse in ((0.5, False), (0.4, True), (0.6, False)):
        work = one.next_trial(9)
        assert work is not None
        assert not work.report(1, 0.0)
        assert work.report(2, metric) is worse
        one.finish(
            work, state="pruned" if worse else "complete", metric=metric, best_epoch=2, epochs=2, seconds=1.0, error=""
        )
    assert [t.state for t in one.trials()] == ["complete", "pruned", "complete"]
    assert [t.number for t in sort_trials(one.trials())] == [2, 0, 1]


def test_a_trial_is_locked_by_one_process_and_resumed_after_its_release(tmp_path: Path) -> None:
    one, two = study(tmp_path / "s"), study(tmp_path / "s")
    work = one.next_trial(9)
    other = two.next_trial(9)
    assert work is not None
    assert other is not None
    assert (work.trial.number, other.trial.number) == (0, 1)
    assert work.trial.settings != other.trial.settings
    work.release()
    again = two.next_trial(9)
    assert again is not None
    assert again.trial == work.trial
    assert again.folder == work.folder
    assert not again.report(1, 0.5)
    two.finish(again, state="timed_out", metric=0.5, best_epoch=1, epochs=1, seconds=1.0, error="")
    two.finish(other, state="complete", metric=0.1, best_epoch=1, epochs=1, seconds=1.0, error="")
    assert one.next_trial(2) is None
    more = one.resume_timed_out()
    assert more is not None
    assert (more.trial.number, more.trial.metric) == (0, 0.5)
    assert two.resume_timed_out() is None
    one.finish(more, state="complete", metric=0.7, best_epoch=3, epochs=4, seconds=2.0, error="")
    assert (
        two.trials()[0]
        == one.trials()[0]
        == replace(more.trial, state="complete", metric=0.7, best_epoch=3, epochs=4, seconds=2.0)
    )
    assert not any(path.name.startswith("trial-") for path in (tmp_path / "s").iterdir())


def test_a_file_at_the_path_of_the_study_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(ArtefactError, match=r"s: is a file, but the search keeps its trials in a folder there"):
        study(tmp_path / "s")


def test_the_error_without_optuna_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ConfigError, match=r'searching needs optuna, .*pip install "segue\[tune\]"'):
        study(tmp_path / "s")


# ---------------------------------------------------------------------------------------- several processes


def test_two_processes_share_one_study(tmp_path: Path) -> None:
    one = search(trials=6)
    trials = one.run(LOG, tmp_path / "s", jobs=2)
    assert [t.number for t in trials] == list(range(6))
    assert len({str(t.settings) for t in trials}) == 6
    assert all(t.state != "running" for t in trials)
    assert one.best_trial(trials).metric is not None


def echo(value: Any, *, send: Any) -> Any:
    send(f"got {value}")
    if value == "bad":
        raise ConfigError("bad value")
    if value == "bug":
        raise ZeroDivisionError("a bug\nof two lines")
    if value == "death":
        import os

        os.kill(os.getpid(), 9)
    return value


def test_results_failures_and_crashes_of_workers_arrive_as_messages() -> None:
    found: dict[str, list[Any]] = {}
    values = ["good", "bad", "bug", "death"]
    with WorkerPool(2) as pool:
        while values or pool.running:
            while values and len(pool.running) < 2:
                pool.start(values[0], echo, values.pop(0))
            for message in pool.messages():
                found.setdefault(message.name, []).append(message)
    told = {name: [(n.kind, n.content) for n in news] for name, news in found.items()}
    assert told == {
        "good": [("progress", "got good"), ("done", "good")],
        "bad": [("progress", "got bad"), ("failed", "bad value")],
        "bug": [("progress", "got bug"), ("failed", "ZeroDivisionError: a bug")],
        "death": [
            ("progress", "got death"),
            ("failed", "its process ended unexpectedly (killed by signal 9, perhaps out of memory)"),
        ],
    }
    assert "test_search.py" in found["bug"][1].details
    with pytest.raises(ConfigError, match="jobs=0"):
        WorkerPool(0)


class Unreadable:
    """Cannot be read where it arrives."""

    def __init__(self, much: bytes) -> None:
        self.much = much

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number", self.much)


def test_arguments_that_cannot_be_unpickled_fail_without_waiting() -> None:
    with WorkerPool(1) as pool:
        pool.start("x", echo, Unreadable(bytes(1 << 22)))
        (message,) = pool.messages()
        assert message.kind == "failed"
        assert pool.running == []


def test_peak_memory_is_in_megabytes() -> None:
    found = peak_memory_mb()
    assert found is None or 50 < found < 50_000


# ---------------------------------------------------------------------------------------- the end


def test_the_best_model_is_tested_once_and_its_result_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    test = Experiment.test
    monkeypatch.setattr(Experiment, "test", lambda self, *rest: asked.append(self) or test(self, *rest))
    one, place = search(trials=3), tmp_path / "models/best"
    trials = one.run_trials(LOG, search_folder(place), on_trial=ignore)
    assert not asked
    result, about = refit_and_test(one, LOG, trials, place)
    assert len(asked) == 1
    saved = load(place)
    assert saved.about["recipe"]["settings"] == {
        **SMALL,
        **one.best_trial(trials).settings,
        "epochs": one.best_trial(trials).best_epoch,
    }
    assert saved.about["training"]["validation"] == {"ndcg@10": one.best_trial(trials).metric}
    assert about["search"]["trials"] == 3
    again, about_again = refit_and_test(one, LOG, trials, place)
    assert len(asked) == 1
    assert about_again == {**about, "results": about_again["results"]}
    assert np.array_equal(again.ranks.rank, result.ranks.rank)
    assert again.protocol.fingerprint == LEAVE_ONE_OUT.fingerprint
    shutil.rmtree(place)
    refit_and_test(one, LOG, trials, place)
    assert len(asked) == 2
    assert load(place).about["recipe"] == saved.about["recipe"]


def test_refit_trains_on_train_and_validation(tmp_path: Path) -> None:
    one = search(trials=1)
    trials = one.run_trials(LOG, tmp_path / "s", on_trial=ignore)
    again = replace(one, experiment=replace(one.experiment, refit=True))
    assert results(again.run_trials(LOG, tmp_path / "s", on_trial=ignore)) == results(trials)
    outcome = again.train_best(LOG, trials)
    expected = again.best_experiment(trials).build(LOG)
    train.fit(expected, LEAVE_ONE_OUT.split(LOG).train_valid)
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(value, expected.state_dict()[key]), key


@pytest.mark.parametrize("counts", [True, False])
def test_a_result_file_round_trip(tmp_path: Path, counts: bool) -> None:
    result = Experiment(model="pop", protocol=LEAVE_ONE_OUT, baseline=True).run(LOG).result
    result = result if counts else replace(result, counts=None)
    found, about = archive.read(archive.write(result, tmp_path / "a/b.npz", note={"x": [1.5, None]}))
    assert about == {"note": {"x": [1.5, None]}}
    for name in ("user", "rank", "offsets", "top", "depth", "dropped"):
        one, two = getattr(found.ranks, name), getattr(result.ranks, name)
        assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two
    for name in ("model", "protocol", "log", "items", "seconds", "baseline"):
        assert getattr(found, name) == getattr(result, name)
    assert (found.counts is None) is (result.counts is None)
    (tmp_path / "a/b.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ArtefactError, match=r"b\.npz: damaged \(.*delete it"):
        archive.read(tmp_path / "a/b.npz")
    with pytest.raises(ArtefactError, match="there is no such result"):
        archive.read(tmp_path / "c.npz")


# ---------------------------------------------------------------------------------------- what was found


def trial(number: int, metric: float | None, state: Any = "complete", **settings: Any) -> Trial:
    return Trial(number, settings, state, metric, 3, 5, 1.0, "no memory" if state == "failed" else "")


def test_importance_is_epsilon_squared() -> None:
    trials = [trial(n, (n % 2) + n / 1000, a="xy"[n % 2], b=float(n * 7 % 12), c=1) for n in range(12)]
    found = setting_importance(trials, {"a": Choice("x", "y"), "b": Uniform(0.0, 12.0), "c": Choice(1)})
    assert [row["setting"] for row in found] == ["a", "b"]
    within, around = 2 * sum((2 * k - 5) ** 2 for k in range(6)), sum((2 * k - 11) ** 2 for k in range(12))
    assert found[0]["importance"] == pytest.approx(1 - within / around * 11 / 10)
    assert found[0]["best quarter"] == "y"
    assert found[1]["importance"] < 0.3
    assert setting_importance(trials[:3], {"a": Choice("x", "y")}) == []
    assert setting_importance([replace(t, metric=0.5) for t in trials], {"a": Choice("x", "y")}) == []


def test_trials_as_rows_and_text() -> None:
    trials = [
        trial(0, 0.25, a=(0.1, 2.0)),
        trial(1, 0.5, "pruned", a=(0.0, 0.0)),
        trial(2, None, "failed", a=(0.0, 1.0)),
        trial(3, 0.125, "timed_out", a=(0.0, 2.0)),
    ]
    assert [row["trial"] for row in trial_rows(trials, "m")] == [0, 3, 1, 2]
    assert trial_rows(trials, "m")[0] == {
        "trial": 0,
        "validation m": 0.25,
        "epoch": 3,
        "of": 5,
        "seconds": 1.0,
        "ended": "",
        "a": "0.1,2.0",
    }
    assert (
        describe_trial(trials[0], trials, 9)
        == "trial 0 (4 of 9), 1 s: .2500 in epoch 3 of 5; best .2500, trial 0: a=0.1,2.0"
    )
    assert "pruned (not in the better half)" in describe_trial(trials[1], trials, 9)
    assert "failed (no memory)" in describe_trial(trials[2], trials, 9)
    assert ".1250 in epoch 3 of 5, time is up" in describe_trial(trials[3], trials, 9)


@pytest.mark.parametrize("pictures", [True, False])
def test_the_report_of_a_search(tmp_path: Path, pictures: bool) -> None:
    if pictures:
        pytest.importorskip("vl_convert")
    space: Space = {"a": Choice("x", "y"), "b": LogUniform(1.0, 20.0), "c": Choice(1)}
    trials = [trial(n, n / 10, a="xy"[n % 2], b=float(n + 1), c=1) for n in range(8)]
    path = write_report(trials, space, title="hgn on log", monitor="ndcg@10", folder=tmp_path, pictures=pictures)
    text = path.read_text()
    assert "hgn on log" in text
    assert text.count("<img") == (3 if pictures else 0)
    assert (tmp_path / "importance.svg").exists() is pictures

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
from segue.tuning.best_model import conclude, study_of
from segue.tuning.importance import line, matters, ordered, page, rows
from segue.tuning.search import Search
from segue.tuning.study import Study
from segue.tuning.trial import Trial
from segue.tuning.validate_space import fitting
from segue.tuning.workers import WorkerPool, peak_mb

LOG = synthetic.markov(60, 15, 12, seed=1, shortest=4)
LAST = Protocol.named("leave-one-out")
SMALL = {"epochs": 8, "batch_size": 64}
SPACE: Space = {"lr": LogUniform(1e-3, 1e-1), "dim": Choice(4, 8)}


def search(model: str = "bprmf", space: Space = SPACE, **changes: Any) -> Search:
    recipe = Experiment(model=model, protocol=LAST, settings=changes.pop("settings", SMALL), patience=3)
    return Search(recipe=recipe, space=space, **{"trials": 5, **changes})


def seen(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """What must not depend on interruptions."""
    return [(t.number, t.settings, t.state, t.metric, t.best, t.epochs) for t in trials]


def silent(line: str) -> None:
    pass


class Clock:
    """Time that goes by one second a look."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


# ---------------------------------------------------------------------------------------- the space


def test_values_are_taken_as_the_model_takes_them() -> None:
    found = fitting(
        {"lr": Choice("0.1"), "reg_weight": Choice("[0.00,0.00]", (0.5, 1)), "window": Uniform(2, 8, 2)}, HGN
    )
    assert found == {
        "lr": Choice(0.1),
        "reg_weight": Choice((0.0, 0.0), (0.5, 1.0)),
        "window": Uniform(2, 8, 2),
    }
    l2 = fitting({"l2": Uniform(0, 1)}, MODELS["bprmf"])["l2"]
    assert isinstance(l2, Uniform)
    assert isinstance(l2.low, float)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"lrr": Choice(0.1)}, r"search space of hgn: unknown setting 'lrr', did you mean 'lr'"),
        ({"dim": Choice(4, "big")}, r"dim='big': must be a whole number"),
        ({"dim": Uniform(4.5, 8)}, r"dim=4\.5: must be a whole number"),
        ({"lr": Uniform(-1.0, 1.0)}, r"lr=-1\.0: must be above 0"),
        ({"pooling": Choice("averge")}, r"pooling='averge': must be one of avg, max"),
        ({"epochs": Choice(3)}, r"epochs is both fixed and searched"),
    ],
)
def test_a_value_that_the_model_cannot_take_is_refused_before_the_first_trial(space: Space, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Search(recipe=Experiment(model="hgn", protocol=LAST, settings={"epochs": 3}), space=space)


def test_a_value_may_need_another_of_the_space() -> None:
    with pytest.raises(ConfigError, match="gate_avg divides"):
        fitting({"pooling": Choice("gate_avg")}, HGN, settings={"instance_gate": False})
    both = {"pooling": Choice("gate_avg", "avg"), "instance_gate": Choice(True, False)}
    assert fitting(both, HGN) == both


@pytest.mark.parametrize("changes", [{"trials": 0}, {"seconds": 0.0}])
def test_a_search_of_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(changes))}=0"):
        search(**changes)


# ---------------------------------------------------------------------------------------- the trials


def test_the_best_on_validation_is_trained_again_to_the_same_weights(tmp_path: Path) -> None:
    one = search()
    trials = one.explore(LOG, tmp_path / "s", tell=silent)
    assert len(trials) == 5
    best = one.winner(trials)
    assert best.metric == max(t.metric for t in trials if t.metric is not None and t.state == "complete")
    outcome = one.finish(LOG, trials)
    assert outcome.training.metric == best.metric
    by_hand = replace(one.recipe, settings={**SMALL, **best.settings}).run(LOG)
    assert (by_hand.training.metric, by_hand.training.best) == (best.metric, best.best)
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(value, by_hand.model.state_dict()[key]), key
    assert np.array_equal(outcome.result.ranks.rank, by_hand.result.ranks.rank)


def test_the_first_trial_is_the_default_or_what_is_closest(tmp_path: Path) -> None:
    one = search(space={"lr": Choice(0.1, 5e-3), "dim": Choice(4, 8), "l2": Uniform(0.1, 0.5)}, trials=1)
    (trial,) = one.explore(LOG, tmp_path / "s", tell=silent)
    assert trial.settings == {"lr": 5e-3, "dim": 8, "l2": 0.1}


def test_a_small_space_is_tried_whole_and_once(tmp_path: Path) -> None:
    one = search("item-knn", {"last": Choice(1, None), "neighbours": Uniform(2, 4)}, trials=30, settings={})
    trials = one.explore(LOG, tmp_path / "s", tell=silent)
    points = {(t.settings["last"], t.settings["neighbours"]) for t in trials}
    assert len(trials) == len(points) == one.most == 6
    assert all(t.state == "complete" and t.best == t.epochs == 0 for t in trials)
    by_hand = one.recipe.build(LOG, **one.winner(trials).settings)
    train.fit(by_hand, LAST.split(LOG).train)
    assert one.winner(trials).metric == measure(LAST.rank(by_hand, LAST.split(LOG), "valid"), "ndcg@10").mean()


def test_the_same_settings_are_not_tried_twice(tmp_path: Path) -> None:
    one = search("item-knn", {"last": Uniform(1, 4), "neighbours": Choice(5, 9)}, trials=7, settings={})
    trials = one.explore(LOG, tmp_path / "s", tell=silent)
    assert len({str(t.settings) for t in trials}) == len(trials) == 7


def test_a_model_without_a_space_has_one_trial(tmp_path: Path) -> None:
    one = search("pop", {}, settings={})
    (trial,) = one.explore(LOG, tmp_path / "s", tell=silent)
    assert (trial.settings, trial.state) == ({}, "complete")


def test_an_interrupted_search_ends_where_the_uninterrupted_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search().explore(LOG, tmp_path / "whole", tell=silent)
    epoch, count = train._epoch, 0

    def stop(*args: Any) -> float:
        nonlocal count
        count += 1
        if count in (4, 13):
            raise KeyboardInterrupt
        return epoch(*args)

    monkeypatch.setattr(train, "_epoch", stop)
    monkeypatch.setattr(train, "RARELY", 0)  # each epoch is saved, however busy the machine
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search().explore(LOG, tmp_path / "cut", tell=silent)
    again = search().explore(LOG, tmp_path / "cut", tell=silent)
    assert seen(again) == seen(whole)
    assert count < sum(t.epochs for t in whole) + 3  # what had been learnt was not learnt again


def test_more_trials_go_on_and_another_search_is_refused(tmp_path: Path) -> None:
    first = search(trials=2).explore(LOG, tmp_path / "s", tell=silent)
    more = search(trials=3).explore(LOG, tmp_path / "s", tell=silent)
    assert seen(more)[:2] == seen(first)
    for other, what in (
        (search(space={"lr": LogUniform(1e-3, 1e-2)}), "space"),
        (search(settings={**SMALL, "epochs": 9}), "settings"),
        (search("hgn"), "model"),
    ):
        with pytest.raises(ConfigError, match=f"s: holds a search with another .*{what}"):
            other.explore(LOG, tmp_path / "s", tell=silent)
    log = synthetic.markov(60, 15, 12, seed=2, shortest=4)
    with pytest.raises(ConfigError, match=r"another log; delete it to start afresh, or choose another folder"):
        search().explore(log, tmp_path / "s", tell=silent)


def test_a_trial_that_fails_is_said_and_the_search_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    one = search(space={"lr": Choice(5e-3, 1e30)}, trials=4)
    trials = one.explore(LOG, tmp_path / "s", tell=said.append)
    assert [t.state for t in trials] == ["complete", "failed"]
    assert "not finite" in trials[1].error or "NaN" in trials[1].error
    assert "failed (" in said[1]
    assert one.winner(trials).number == 0
    with pytest.raises(TrainingError, match=r"bprmf: no trial of 1 succeeded; the first: .*lr"):
        one.winner(trials[1:])


def test_a_log_that_no_settings_will_mend_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DataError("no times")

    monkeypatch.setattr(search_module, "fit", fail)
    with pytest.raises(DataError, match="no times"):
        search().explore(LOG, tmp_path / "s", tell=silent)
    (trial,) = search().study(LOG, tmp_path / "s").trials()
    assert (trial.state, trial.error) == ("failed", "no times")


def test_without_validation_there_is_nothing_to_choose_by(tmp_path: Path) -> None:
    one = search()
    bare = replace(LAST, name="bare", arguments={"valid": 0})
    bare_search = replace(one, recipe=replace(one.recipe, protocol=bare))
    with pytest.raises(DataError, match="no validation question is left to choose by"):
        bare_search.explore(LOG, tmp_path / "s", tell=silent)


def test_the_test_part_changes_no_choice(tmp_path: Path) -> None:
    last = LOG.stop[1:] - 1
    item = LOG.item.copy()
    item[last] = LOG.num_items + 1 - item[last]
    other = replace(LOG, item=item)
    trials = search(trials=3).explore(LOG, tmp_path / "one", tell=silent)
    assert seen(trials) == seen(search(trials=3).explore(other, tmp_path / "two", tell=silent))


def test_time_is_shared_and_the_best_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "time", Clock())
    one = search(trials=4, seconds=80.0, settings={**SMALL, "epochs": 40})
    said: list[str] = []
    trials = one.explore(LOG, tmp_path / "s", tell=said.append)
    first = [int(text.split("trial ")[1].split()[0]) for text in said]
    assert first[:4] == [0, 1, 2, 3]
    assert len(first) > 4
    cut = [text for text in said[:4] if "time is up" in text]
    assert cut
    assert sum(t.seconds for t in trials) <= 80 + 10
    best = one.winner(trials)
    assert best.epochs > 10
    # taken up where it was left: the same as in one go
    by_hand = replace(one.recipe, settings={**SMALL, **best.settings, "epochs": best.epochs}, patience=99).run(LOG)
    assert by_hand.training.metric == best.metric


def test_no_time_leaves_one_look_for_one_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "time", Clock())
    (trial,) = search(seconds=0.5).explore(LOG, tmp_path / "s", tell=silent)
    assert (trial.state, trial.epochs) == ("cut", 1)


# ---------------------------------------------------------------------------------------- the study


def study(folder: Path, **changes: Any) -> Study:
    return Study(folder, {"x": Uniform(0.0, 1.0)}, identity={"a": 1}, **changes)


def test_behind_the_better_half_is_pruned(tmp_path: Path) -> None:
    one = study(tmp_path / "s", rung=2)
    for metric, worse in ((0.5, False), (0.4, True), (0.6, False)):
        work = one.take(9)
        assert work is not None
        assert not work.report(1, 0.0)
        assert work.report(2, metric) is worse
        one.close(work, state="pruned" if worse else "complete", metric=metric, best=2, epochs=2, seconds=1.0, error="")
    assert [t.state for t in one.trials()] == ["complete", "pruned", "complete"]
    assert [t.number for t in ordered(one.trials())] == [2, 0, 1]


def test_a_trial_is_held_by_one_and_taken_up_when_it_is_left(tmp_path: Path) -> None:
    one, two = study(tmp_path / "s"), study(tmp_path / "s")
    work = one.take(9)
    other = two.take(9)
    assert work is not None
    assert other is not None
    assert (work.trial.number, other.trial.number) == (0, 1)
    assert work.trial.settings != other.trial.settings
    work.release()
    again = two.take(9)
    assert again is not None
    assert again.trial == work.trial
    assert again.folder == work.folder
    assert not again.report(1, 0.5)
    two.close(again, state="cut", metric=0.5, best=1, epochs=1, seconds=1.0, error="")
    two.close(other, state="complete", metric=0.1, best=1, epochs=1, seconds=1.0, error="")
    assert one.take(2) is None
    more = one.go_on()
    assert more is not None
    assert (more.trial.number, more.trial.metric) == (0, 0.5)
    assert two.go_on() is None
    one.close(more, state="complete", metric=0.7, best=3, epochs=4, seconds=2.0, error="")
    assert (
        two.trials()[0]
        == one.trials()[0]
        == replace(more.trial, state="complete", metric=0.7, best=3, epochs=4, seconds=2.0)
    )
    assert not any(path.name.startswith("trial-") for path in (tmp_path / "s").iterdir())


def test_a_file_in_the_place_of_the_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(ArtefactError, match=r"s: is a file where the search should keep its trials"):
        study(tmp_path / "s")


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert one.winner(trials).metric is not None


def echo(value: Any, *, tell: Any) -> Any:
    tell(f"got {value}")
    if value == "bad":
        raise ConfigError("bad value")
    if value == "bug":
        raise ZeroDivisionError("a bug\nof two lines")
    if value == "death":
        import os

        os.kill(os.getpid(), 9)
    return value


def test_what_happens_in_a_process_stays_there() -> None:
    found: dict[str, list[Any]] = {}
    values = ["good", "bad", "bug", "death"]
    with WorkerPool(2) as crew:
        while values or crew.names:
            while values and len(crew.names) < 2:
                crew.start(values[0], echo, values.pop(0))
            for news in crew.news():
                found.setdefault(news.name, []).append(news)
    told = {name: [(n.kind, n.content) for n in news] for name, news in found.items()}
    assert told == {
        "good": [("told", "got good"), ("done", "good")],
        "bad": [("told", "got bad"), ("failed", "bad value")],
        "bug": [("told", "got bug"), ("failed", "ZeroDivisionError: a bug")],
        "death": [
            ("told", "got death"),
            ("failed", "its process ended without a word (killed by signal 9, for want of memory?)"),
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


def test_arguments_that_cannot_be_read_are_no_reason_to_wait() -> None:
    with WorkerPool(1) as crew:
        crew.start("x", echo, Unreadable(bytes(1 << 22)))
        (news,) = crew.news()
        assert news.kind == "failed"
        assert crew.names == []


def test_memory_is_told_in_mb() -> None:
    found = peak_mb()
    assert found is None or 50 < found < 50_000


# ---------------------------------------------------------------------------------------- the end


def test_the_winner_is_tested_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    test = Experiment.test
    monkeypatch.setattr(Experiment, "test", lambda self, *rest: asked.append(self) or test(self, *rest))
    one, place = search(trials=3), tmp_path / "models/best"
    trials = one.explore(LOG, study_of(place), tell=silent)
    assert not asked
    result, about = conclude(one, LOG, trials, place)
    assert len(asked) == 1
    saved = load(place)
    assert saved.about["recipe"]["settings"] == {
        **SMALL,
        **one.winner(trials).settings,
        "epochs": one.winner(trials).best,
    }
    assert saved.about["training"]["validation"] == {"ndcg@10": one.winner(trials).metric}
    assert about["search"]["trials"] == 3
    again, about_again = conclude(one, LOG, trials, place)
    assert len(asked) == 1
    assert about_again == {**about, "results": about_again["results"]}
    assert np.array_equal(again.ranks.rank, result.ranks.rank)
    assert again.protocol.fingerprint == LAST.fingerprint
    shutil.rmtree(place)
    conclude(one, LOG, trials, place)
    assert len(asked) == 2
    assert load(place).about["recipe"] == saved.about["recipe"]


def test_refit_learns_from_validation_too(tmp_path: Path) -> None:
    one = search(trials=1)
    trials = one.explore(LOG, tmp_path / "s", tell=silent)
    again = replace(one, recipe=replace(one.recipe, refit=True))
    assert seen(again.explore(LOG, tmp_path / "s", tell=silent)) == seen(trials)
    outcome = again.finish(LOG, trials)
    by_hand = again.chosen(trials).build(LOG)
    train.fit(by_hand, LAST.split(LOG).train_valid)
    for key, value in outcome.model.state_dict().items():
        assert torch.equal(value, by_hand.state_dict()[key]), key


@pytest.mark.parametrize("counts", [True, False])
def test_a_result_survives_its_file(tmp_path: Path, counts: bool) -> None:
    result = Experiment(model="pop", protocol=LAST, baseline=True).run(LOG).result
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


def test_what_mattered_has_a_known_answer() -> None:
    trials = [trial(n, (n % 2) + n / 1000, a="xy"[n % 2], b=float(n * 7 % 12), c=1) for n in range(12)]
    found = matters(trials, {"a": Choice("x", "y"), "b": Uniform(0.0, 12.0), "c": Choice(1)})
    assert [row["setting"] for row in found] == ["a", "b"]
    within, around = 2 * sum((2 * k - 5) ** 2 for k in range(6)), sum((2 * k - 11) ** 2 for k in range(12))
    assert found[0]["share"] == pytest.approx(1 - within / around * 11 / 10)
    assert found[0]["the best quarter"] == "y"
    assert found[1]["share"] < 0.3
    assert matters(trials[:3], {"a": Choice("x", "y")}) == []
    assert matters([replace(t, metric=0.5) for t in trials], {"a": Choice("x", "y")}) == []


def test_trials_as_rows_and_words() -> None:
    trials = [
        trial(0, 0.25, a=(0.1, 2.0)),
        trial(1, 0.5, "pruned", a=(0.0, 0.0)),
        trial(2, None, "failed", a=(0.0, 1.0)),
        trial(3, 0.125, "cut", a=(0.0, 2.0)),
    ]
    assert [row["trial"] for row in rows(trials, "m")] == [0, 3, 1, 2]
    assert rows(trials, "m")[0] == {
        "trial": 0,
        "validation m": 0.25,
        "epoch": 3,
        "of": 5,
        "seconds": 1.0,
        "ended": "",
        "a": "0.1,2.0",
    }
    assert line(trials[0], trials, 9) == "trial 0 (4 of 9), 1 s: .2500 in epoch 3 of 5; best .2500, trial 0: a=0.1,2.0"
    assert "behind the better half" in line(trials[1], trials, 9)
    assert "failed (no memory)" in line(trials[2], trials, 9)
    assert ".1250 in epoch 3 of 5, time is up" in line(trials[3], trials, 9)


@pytest.mark.parametrize("pictures", [True, False])
def test_the_page_of_a_search(tmp_path: Path, pictures: bool) -> None:
    if pictures:
        pytest.importorskip("vl_convert")
    space: Space = {"a": Choice("x", "y"), "b": LogUniform(1.0, 20.0), "c": Choice(1)}
    trials = [trial(n, n / 10, a="xy"[n % 2], b=float(n + 1), c=1) for n in range(8)]
    path = page(trials, space, title="hgn on log", monitor="ndcg@10", folder=tmp_path, pictures=pictures)
    text = path.read_text()
    assert "hgn on log" in text
    assert text.count("<img") == (3 if pictures else 0)
    assert (tmp_path / "matters.svg").exists() is pictures

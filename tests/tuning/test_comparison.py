"""Comparisons: every model alike, each failure its own, taken up where they were left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segue.data import synthetic
from segue.errors import ArtefactError, ConfigError, DataError, TrainingError
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol
from segue.evaluation.table import table
from segue.experiments.experiment import Experiment
from segue.models.base.model import DirectModel
from segue.models.popularity.pop import Pop
from segue.models.registry import MODELS
from segue.serving.saved_model import load
from segue.tuning import comparison as compare_module
from segue.tuning.comparison import Comparison, Entry, costs, served
from segue.tuning.workers import Message

LOG = synthetic.markov(40, 12, 10, seed=1, shortest=4)
LAST = Protocol.named("leave-one-out")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_QUIET", "1")


@pytest.fixture
def here(at_once: Any) -> Any:
    return at_once


def plan(*models: str, **changes: Any) -> Comparison:
    return Comparison(**{"models": models, "protocol": LAST, "trials": 2, "minutes": 1.0, **changes})


class Broken(Pop):
    """Has a bug."""

    name = "broken"

    def fit(self, log: Any) -> None:
        raise RuntimeError("a bug")


class Choosy(Pop):
    """Wants another log."""

    name = "choosy"

    def fit(self, log: Any) -> None:
        raise DataError("needs times, and this log has none")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Broken, Choosy):
        monkeypatch.setitem(MODELS, kind.name, kind)


def test_each_model_is_tuned_alike_and_tested_once(tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    test = Experiment.test
    monkeypatch.setattr(Experiment, "test", lambda self, *rest: asked.append(self.model) or test(self, *rest))
    one = plan("bprmf", "item-knn", "pop")
    entries = one.run(LOG, tmp_path / "c")
    assert sorted(asked) == ["bprmf", "item-knn", "pop"]
    tested = [float(measure(entry.result.ranks, "ndcg@10").mean()) for entry in entries if entry.result]
    assert len(tested) == 3
    assert tested == sorted(tested, reverse=True)
    assert {entry.model: entry.about["search"]["trials"] for entry in entries} == {
        name: one.search(name, 1.0).most for name in one.models
    }
    best = max(entries, key=lambda entry: entry.about["training"]["validation"]["ndcg@10"] or entry.validation)
    assert served(entries).validation == max(entry.validation for entry in entries) == best.validation
    for entry in entries:
        assert load(tmp_path / "c" / entry.model).about["recipe"] == entry.about["recipe"]
        assert entry.tuning > 0
    rows = costs(entries, "ndcg@10")
    assert [row["model"] for row in rows] == [entry.model for entry in entries]
    assert all(row["peak MB"] is None or row["peak MB"] > 0 for row in rows)
    table([entry.result for entry in entries if entry.result])


def test_models_that_count_come_first_and_what_is_left_goes_on(tmp_path: Path, here: Any) -> None:
    plan("bprmf", "item-knn", "pop", minutes=1.0, jobs=2).run(LOG, tmp_path / "c")
    tuned = [(name, seconds) for name, work, seconds in here.begun if work == "tune"]
    assert [name for name, _ in tuned] == ["item-knn", "pop", "bprmf"]
    shares = [seconds or 0.0 for _, seconds in tuned]
    assert shares[0] == pytest.approx(40.0)
    assert shares[1] == pytest.approx(40.0)
    assert 75 < shares[2] < 120  # all but what the first two took
    assert {work for name, work, _ in here.begun if name == "bprmf"} == {"tune", "test"}


def test_the_same_call_reads_what_was_found(tmp_path: Path, here: Any) -> None:
    first = plan("pop", "item-knn").run(LOG, tmp_path / "c")
    here.begun.clear()
    again = plan("pop", "item-knn").run(LOG, tmp_path / "c")
    assert here.begun == []
    plain = [[(e.model, e.tuning, json.loads(json.dumps(e.about))) for e in entries] for entries in (first, again)]
    assert plain[0] == plain[1]
    wider = plan("pop", "item-knn", "bprmf").run(LOG, tmp_path / "c")
    assert [name for name, _, _ in here.begun] == ["bprmf", "bprmf"]
    assert {e.model for e in wider} == {"pop", "item-knn", "bprmf"}
    here.begun.clear()
    more = plan("pop", "item-knn", trials=3).run(LOG, tmp_path / "c")
    assert [name for name, _, _ in here.begun] == ["item-knn", "item-knn"]
    assert {e.model: e.about["search"]["trials"] for e in more} == {"pop": 1, "item-knn": 3}
    here.begun.clear()
    refit = plan("pop", refit=True).run(LOG, tmp_path / "c")
    assert [work for _, work, _ in here.begun] == ["tune", "test"]
    assert refit[0].about["recipe"]["refit"] is True


def test_an_interrupted_comparison_keeps_what_was_spent(
    tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = plan("item-knn", "bprmf").run(LOG, tmp_path / "whole")
    news = here.news

    def stop(self: Any) -> Iterator[Message]:
        if len(here.begun) > 3:
            raise KeyboardInterrupt
        return news(self)

    here.begun.clear()
    monkeypatch.setattr(here, "news", stop)
    with pytest.raises(KeyboardInterrupt):
        plan("item-knn", "bprmf").run(LOG, tmp_path / "cut")
    assert set(json.loads((tmp_path / "cut/compare.json").read_text())["spent"]) == {"item-knn", "bprmf"}
    monkeypatch.setattr(here, "news", news)
    again = plan("item-knn", "bprmf").run(LOG, tmp_path / "cut")
    for one, two in zip(whole, again, strict=True):
        assert one.model == two.model
        assert one.result is not None
        assert two.result is not None
        assert np.array_equal(one.result.ranks.rank, two.result.ranks.rank)


def test_one_that_fails_takes_nobody_with_it(tmp_path: Path, here: Any, odd: None) -> None:
    entries = plan("broken", "choosy", "pop").run(LOG, tmp_path / "c")
    assert [(entry.model, entry.reason) for entry in entries] == [
        ("pop", ""),
        ("broken", "broken: no trial of 1 succeeded; the first: RuntimeError: a bug"),
        ("choosy", "needs times, and this log has none"),
    ]
    assert [row["model"] for row in costs(entries, "ndcg@10")] == ["pop"]
    assert served(entries).model == "pop"
    with pytest.raises(TrainingError, match=r"no model could be compared; choosy: needs times"):
        plan("choosy").run(LOG, tmp_path / "d")


def test_where_a_bug_happened_is_kept(tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, tell: Any) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(compare_module, "test", fail)
    with pytest.raises(TrainingError, match="pop: RuntimeError: out of luck"):
        plan("pop").run(LOG, tmp_path / "c")
    assert (tmp_path / "c/pop.error.txt").read_text() == "Traceback: here"


def test_another_comparison_is_refused(tmp_path: Path, here: Any) -> None:
    plan("pop").run(LOG, tmp_path / "c")
    with pytest.raises(ConfigError, match=r"c: holds a comparison with another log; choose another folder"):
        plan("pop").run(synthetic.markov(40, 12, 10, seed=2, shortest=4), tmp_path / "c")
    with pytest.raises(ConfigError, match="another protocol"):
        plan("pop", protocol=replace(LAST, exclude_seen=False)).run(LOG, tmp_path / "c")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(ArtefactError, match="full: is there and is not a comparison"):
        plan("pop").run(LOG, tmp_path / "full")
    (tmp_path / "c/compare.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"compare\.json: damaged .*delete"):
        plan("pop").run(LOG, tmp_path / "c")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"models": ()}, "no model to compare"),
        ({"models": ("popp",)}, "no model 'popp', did you mean 'pop'"),
        ({"trials": 0}, "trials=0"),
        ({"minutes": 0.0}, r"minutes=0\.0"),
        ({"jobs": 0}, "jobs=0"),
        ({"patience": 0}, "patience=0"),
        ({"monitor": "ndcg@99"}, "ndcg@99"),
    ],
)
def test_a_comparison_of_nothing_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan(**{"models": ("pop",), **changes})


def test_in_processes_of_their_own(tmp_path: Path) -> None:
    (entry,) = plan("pop", jobs=1).run(LOG, tmp_path / "c")
    assert isinstance(entry, Entry)
    assert entry.result is not None
    by_hand = Experiment(model="pop", protocol=LAST).run(LOG)
    assert np.array_equal(entry.result.ranks.rank, by_hand.result.ranks.rank)
    assert issubclass(MODELS[entry.model], DirectModel)

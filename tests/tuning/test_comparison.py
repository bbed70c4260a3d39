"""Comparisons: equal budgets, isolated failures, resuming."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segue.data import synthetic
from segue.errors import ArtefactError, ConfigError, DataError, TrainingError
from segue.evaluation import result_files
from segue.evaluation.protocol import Protocol
from segue.evaluation.table import table
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.models.base.model import DirectModel
from segue.models.popularity.pop import Pop
from segue.models.registry import LOCATIONS, MODELS, find
from segue.serving.saved_model import load, read_facts, save
from segue.temporary import locked_folder
from segue.tuning import scheduler as scheduler_module
from segue.tuning.budget import Budget
from segue.tuning.comparison import Comparison, best_on_validation, cost_rows
from segue.tuning.entry import Entry, trials_sentence
from segue.tuning.run_order import run_order
from segue.tuning.workers import Message

LOG = synthetic.markov(40, 12, 10, seed=1, shortest=4)
LEAVE_ONE_OUT = Protocol.named("leave-one-out")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_QUIET", "1")


def comparison(*models: str, **changes: Any) -> Comparison:
    return Comparison(**{"models": models, "protocol": LEAVE_ONE_OUT, "trials": 2, "minutes": 1.0, **changes})


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file and folder below `folder`, with the number and the content of the file."""
    return {path: (path.stat().st_ino, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")}


class Broken(Pop):
    """A model with a bug."""

    name = "broken"

    def fit(self, log: Any) -> None:
        raise RuntimeError("a bug")


class Choosy(Pop):
    """A model that cannot use the log."""

    name = "choosy"

    def fit(self, log: Any) -> None:
        raise DataError("needs times, and this log has none")


@pytest.fixture
def failing_models(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Broken, Choosy):
        monkeypatch.setitem(LOCATIONS, kind.name, f"{__name__}:{kind.__name__}")


def test_each_model_has_the_same_trials_and_one_test(
    tmp_path: Path, sequential_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested: list[str] = []
    test = Experiment.evaluate
    monkeypatch.setattr(Experiment, "evaluate", lambda self, *rest: tested.append(self.model) or test(self, *rest))
    plan = comparison("bprmf", "item-knn", "pop")
    entries = plan.run(LOG, tmp_path / "c")
    assert sorted(tested) == ["bprmf", "item-knn", "pop"]
    metrics = [float(measure(entry.result.predictions, "ndcg@10").mean()) for entry in entries if entry.result]
    assert len(metrics) == 3
    assert metrics == sorted(metrics, reverse=True)
    assert {entry.model: entry.about["search"]["trials"] for entry in entries} == {
        name: plan.search(name).max_trials for name in plan.models
    }
    best = max(entries, key=lambda entry: entry.about["training"]["validation"]["ndcg@10"] or entry.validation_metric)
    assert (
        best_on_validation(entries).validation_metric
        == max(entry.validation_metric for entry in entries)
        == best.validation_metric
    )
    for entry in entries:
        assert load(tmp_path / "c" / entry.model).about["experiment"] == entry.about["experiment"]
        assert entry.tuning_seconds > 0
        trials = plan.search(entry.model).study(LOG, tmp_path / "c" / f"{entry.model}.search").trials()
        assert all(trial.cpu_seconds is not None and trial.cpu_seconds > 0 for trial in trials)
        assert entry.about["search"]["cpu_seconds"] == sum(trial.cpu_seconds or 0.0 for trial in trials)
    rows = cost_rows(entries, "ndcg@10")
    assert [row["model"] for row in rows] == [entry.model for entry in entries]
    assert all(row["peak MB"] is None or row["peak MB"] > 0 for row in rows)
    table([entry.result for entry in entries if entry.result])


def test_every_setting_of_a_comparison_is_that_of_its_searches() -> None:
    plan = comparison("pop", "bprmf", seed=3, monitor="recall@5", eval_every=2, patience=4, refit=True, trials=7)
    search = plan.search("bprmf", 9.0)
    shared = {one.name for one in fields(Comparison)} & {one.name for one in fields(Experiment)}
    assert shared >= {"protocol", "seed", "monitor", "eval_every", "patience", "refit"}
    assert {name: getattr(search.experiment, name) for name in shared} == {name: getattr(plan, name) for name in shared}
    assert (search.experiment.model, search.trials, search.seconds) == ("bprmf", 7, 9.0)
    assert search.space == find("bprmf").space


def test_the_model_to_serve_is_the_best_on_validation_and_not_on_the_test(
    tmp_path: Path, sequential_workers: Any
) -> None:
    entries = comparison("pop", "item-knn", trials=1).run(LOG, tmp_path / "c")
    for chosen in entries:
        changed = []
        for entry in entries:
            search = entry.about["search"]
            trial = {**search["trial"], "metric": 0.9 if entry is chosen else 0.1}
            changed.append(replace(entry, about={**entry.about, "search": {**search, "trial": trial}}))
        assert best_on_validation(changed).model == chosen.model


def test_direct_models_come_first_and_unused_time_goes_to_later_models(tmp_path: Path, sequential_workers: Any) -> None:
    comparison("bprmf", "item-knn", "pop", minutes=1.0, jobs=2).run(LOG, tmp_path / "c")
    tuned = [(name, seconds) for name, work, seconds in sequential_workers.started if work == "tune_in_worker"]
    assert [name for name, _ in tuned] == ["pop", "item-knn", "bprmf"]
    shares = [seconds or 0.0 for _, seconds in tuned]
    assert shares[0] == pytest.approx(40.0, abs=5)
    assert shares[1] == pytest.approx(40.0, abs=5)
    assert 45 < shares[2] <= 60  # all that is left, but no more than one process can use until the end
    assert {work for name, work, _ in sequential_workers.started if name == "bprmf"} == {
        "tune_in_worker",
        "refit_and_test_in_worker",
    }


def test_the_same_call_reads_earlier_results(tmp_path: Path, sequential_workers: Any) -> None:
    first = comparison("pop", "item-knn").run(LOG, tmp_path / "c")
    sequential_workers.started.clear()
    again = comparison("pop", "item-knn").run(LOG, tmp_path / "c")
    assert sequential_workers.started == []
    plain = [
        [(e.model, e.tuning_seconds, json.loads(json.dumps(e.about))) for e in entries] for entries in (first, again)
    ]
    assert plain[0] == plain[1]
    wider = comparison("pop", "item-knn", "bprmf").run(LOG, tmp_path / "c")
    assert [name for name, _, _ in sequential_workers.started] == ["bprmf", "bprmf"]
    assert {e.model for e in wider} == {"pop", "item-knn", "bprmf"}
    sequential_workers.started.clear()
    more = comparison("pop", "item-knn", trials=3).run(LOG, tmp_path / "c")
    assert [name for name, _, _ in sequential_workers.started] == ["item-knn", "item-knn"]
    assert {e.model: e.about["search"]["trials"] for e in more} == {"pop": 1, "item-knn": 3}
    sequential_workers.started.clear()
    refit = comparison("pop", refit=True).run(LOG, tmp_path / "c")
    assert [work for _, work, _ in sequential_workers.started] == ["tune_in_worker", "refit_and_test_in_worker"]
    assert refit[0].about["experiment"]["refit"] is True


def test_an_interrupted_comparison_keeps_the_spent_time(
    tmp_path: Path, sequential_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = comparison("item-knn", "bprmf").run(LOG, tmp_path / "whole")
    messages = sequential_workers.messages

    def stop(self: Any, timeout: float | None = None) -> Iterator[Message]:
        if len(sequential_workers.started) > 3:
            raise KeyboardInterrupt
        return messages(self)

    sequential_workers.started.clear()
    monkeypatch.setattr(sequential_workers, "messages", stop)
    with pytest.raises(KeyboardInterrupt):
        comparison("item-knn", "bprmf").run(LOG, tmp_path / "cut")
    assert set(json.loads((tmp_path / "cut/compare.json").read_text())["spent"]) == {"item-knn", "bprmf"}
    monkeypatch.setattr(sequential_workers, "messages", messages)
    again = comparison("item-knn", "bprmf").run(LOG, tmp_path / "cut")
    for one, two in zip(whole, again, strict=True):
        assert one.model == two.model
        assert one.result is not None
        assert two.result is not None
        assert np.array_equal(one.result.predictions.rank, two.result.predictions.rank)


def test_a_failure_does_not_affect_the_other_models(
    tmp_path: Path, sequential_workers: Any, failing_models: None
) -> None:
    entries = comparison("broken", "choosy", "pop").run(LOG, tmp_path / "c")
    assert [(entry.model, entry.reason) for entry in entries] == [
        ("pop", ""),
        ("broken", "broken: no trial of 1 succeeded; the first: RuntimeError: a bug"),
        ("choosy", "needs times, and this log has none"),
    ]
    assert [row["model"] for row in cost_rows(entries, "ndcg@10")] == ["pop"]
    assert best_on_validation(entries).model == "pop"
    with pytest.raises(TrainingError, match=r"no model could be compared; choosy: needs times"):
        comparison("choosy").run(LOG, tmp_path / "d")


def test_what_the_time_does_not_suffice_for_is_left_out_with_the_reason(
    tmp_path: Path, sequential_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequential_workers.started.clear()
    left = property(lambda self: 60.0 if len(sequential_workers.started) < 3 else 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(Budget, "remaining", left)
        entries = comparison("bprmf", "item-knn", "pop").run(LOG, tmp_path / "c")
    assert {entry.model: entry.reason for entry in entries} == {
        "pop": "",
        "item-knn": "the 1 minutes were up before the last training and the test ended; give more with --minutes",
        "bprmf": "the 1 minutes were up before a first trial; give more with --minutes",
    }
    again = comparison("bprmf", "item-knn", "pop").run(LOG, tmp_path / "c")
    assert not any(entry.reason for entry in again)
    with pytest.raises(TrainingError, match="pop: the 1e-09 minutes were up before a first trial"):
        comparison("pop", minutes=1e-9).run(LOG, tmp_path / "d")


def test_a_result_with_fewer_trials_is_kept_where_no_time_is_left(tmp_path: Path, sequential_workers: Any) -> None:
    comparison("item-knn", trials=2).run(LOG, tmp_path / "c")
    (entry,) = comparison("item-knn", trials=3, minutes=1e-9).run(LOG, tmp_path / "c")
    assert (entry.reason, entry.trials.text) == ("", "2 of 3")
    assert trials_sentence([entry], 3) == "Trials: fewer, as the time was up: item-knn 2 of 3."


def test_the_trials_of_each_model_are_told_apart(tmp_path: Path, sequential_workers: Any) -> None:
    entries = comparison("pop", "item-knn", "bprmf", trials=2).run(LOG, tmp_path / "c")
    counts = {entry.model: entry.trials.as_dict() for entry in entries}
    assert counts["pop"] == {"run": 1, "of": 1, "complete": 1}
    assert counts["bprmf"]["run"] == counts["bprmf"]["of"] == 2
    sentence = trials_sentence([entry for entry in entries if entry.model != "bprmf"], 2)
    assert sentence == "Trials: 2 each: item-knn; all points of a smaller search space: pop 1."


def test_warnings_of_a_result_that_was_read_are_those_of_a_new_one(
    tmp_path: Path, sequential_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segue.evaluation.protocol.leakage_warnings", lambda split, **options: ("It leaks",))
    for _ in range(2):
        (entry,) = comparison("pop").run(LOG, tmp_path / "c")
        assert entry.result is not None
        assert entry.result.warnings == ("It leaks",)


def test_models_run_in_the_order_of_the_cost_that_they_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("caser", "sasrec", "item-knn", "hgn", "gru4rec", "gru4rec+", "pop")
    assert run_order({name: name for name in names}) == ["pop", "item-knn", "hgn", "sasrec", "gru4rec", *names[::5]]
    monkeypatch.setattr(MODELS["pop"], "training_cost", "none")
    with pytest.raises(ConfigError, match="pop: training_cost is 'none'; it must be one of low, medium, high"):
        comparison("pop")


def test_a_second_process_in_the_folder_is_refused_and_changes_nothing(tmp_path: Path, sequential_workers: Any) -> None:
    folder = tmp_path / "c"
    comparison("pop").run(LOG, folder)
    temporary = folder / ".compare.json.0123abcd"  # of a process that has not locked it yet
    with locked_folder(folder):
        temporary.mkdir()
        facts = json.loads((folder / "compare.json").read_text())
        (folder / "compare.json").write_text(json.dumps({**facts, "spent": {"pop": 7.5}}))  # the first has gone on
        before = contents(folder)
        with pytest.raises(TrainingError, match=r"c: another process is comparing there; wait until it ends"):
            comparison("pop").run(LOG, folder)
        assert contents(folder) == before


def test_the_traceback_of_a_bug_is_kept(
    tmp_path: Path, sequential_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, send: Any) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(scheduler_module, "refit_and_test_in_worker", fail)
    with pytest.raises(TrainingError, match="pop: RuntimeError: out of luck"):
        comparison("pop").run(LOG, tmp_path / "c")
    assert (tmp_path / "c/pop.error.txt").read_text() == "Traceback: here"


def test_results_of_an_older_version_are_refused(tmp_path: Path, sequential_workers: Any) -> None:
    comparison("pop").run(LOG, tmp_path / "c")
    (path,) = (tmp_path / "c").rglob("result.npz")
    result, about = result_files.read(path)
    about["recipe"] = about.pop("experiment")
    result_files.write(result, path, **about)
    with pytest.raises(ConfigError, match=r"pop: was written by an older version of segue; delete .*c, or choose"):
        comparison("pop").run(LOG, tmp_path / "c")


def test_a_model_that_was_put_in_the_place_of_a_tested_one_is_not_taken_for_it(
    tmp_path: Path, sequential_workers: Any
) -> None:
    folder, names = tmp_path / "c", ("pop", "item-knn")
    before = comparison(*names).run(LOG, folder)
    shutil.rmtree(folder / "pop")
    shutil.copytree(folder / "item-knn", folder / "pop")
    sequential_workers.started.clear()
    after = comparison(*names).run(LOG, folder)
    assert read_facts(folder / "pop")["model"] == "pop"
    assert {one.model: one.validation_metric for one in after} == {one.model: one.validation_metric for one in before}
    assert {name for name, *_ in sequential_workers.started} == {"pop"}


def test_a_model_that_no_search_has_found_is_not_replaced(tmp_path: Path, sequential_workers: Any) -> None:
    folder = tmp_path / "c"
    comparison("pop").run(LOG, folder)
    outcome = Experiment(model="item-knn", protocol=LEAVE_ONE_OUT).run(LOG)
    save(outcome.model, LOG, folder / "pop", **outcome.about())
    before = contents(folder / "pop")
    with pytest.raises(
        ConfigError, match=r"c/pop: holds the model item-knn that no search has found and that would be lost"
    ):
        comparison("pop").run(LOG, folder)
    assert contents(folder / "pop") == before


def test_another_comparison_is_refused(tmp_path: Path, sequential_workers: Any) -> None:
    comparison("pop").run(LOG, tmp_path / "c")
    with pytest.raises(ConfigError, match=r"c: holds a comparison with another log; choose another folder"):
        comparison("pop").run(synthetic.markov(40, 12, 10, seed=2, shortest=4), tmp_path / "c")
    with pytest.raises(ConfigError, match="another protocol"):
        comparison("pop", protocol=replace(LEAVE_ONE_OUT, exclude_seen=False)).run(LOG, tmp_path / "c")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(ArtefactError, match="full: is there and is not a comparison"):
        comparison("pop").run(LOG, tmp_path / "full")
    (tmp_path / "c/compare.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"compare\.json: damaged, .*delete"):
        comparison("pop").run(LOG, tmp_path / "c")


@pytest.mark.parametrize(
    ("changes", "message"),
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
def test_invalid_comparisons_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        comparison(**{"models": ("pop",), **changes})


def test_workers_in_processes_give_the_same_result_as_an_experiment(tmp_path: Path) -> None:
    (entry,) = comparison("pop", jobs=1).run(LOG, tmp_path / "c")
    assert isinstance(entry, Entry)
    assert entry.result is not None
    expected = Experiment(model="pop", protocol=LEAVE_ONE_OUT).run(LOG)
    assert np.array_equal(entry.result.predictions.rank, expected.result.predictions.rank)
    assert issubclass(MODELS[entry.model], DirectModel)

"""The files of a search and of a comparison, damaged or forged: one error that names the file and what to delete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segue.data import synthetic
from segue.errors import ArtefactError, ConfigError, SegueError, TrainingError
from segue.evaluation import result_files
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.search_space import Choice, Uniform
from segue.training.state import read_epochs
from segue.tuning.best_model import read_tested
from segue.tuning.comparison_state import ComparisonState
from segue.tuning.space_files import read_space
from segue.tuning.study import Study

NO_OBJECTS = ("", "[]", "3", "null", '"x"', "[" * 99_999, '{"a": 1, "a": 2}', '{"a": NaN}', "9" * 5000, "[1]", "\x00{")
EPOCH = '{"epoch": "1", "loss": 1, "metric": 1, "seconds": 1, "cpu_seconds": 1}'
SPENT = ("{}", '{"spent": [1]}', '{"spent": {"pop": "1"}}', '{"spent": {"pop": -1}}')
RECBOLE = (
    "choice " + "[" * 5000,
    f"choice [{'9' * 5000}]",
    f"uniform 0,{'9' * 400}",
    "uniform True, 2",
    "choice {1: 2}",
)
SPACE = {"x": Uniform(0.0, 1.0), "y": Choice("a", "b")}


def open_study(folder: Path) -> Study:
    return Study(folder, SPACE, identity={"a": 1})


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with a finished trial."""
    opened = open_study(tmp_path / "s")
    active = opened.next_trial(5)
    assert active is not None
    opened.finish(active, state="complete", metric=0.5, best_epoch=1, epochs=2, seconds=1.0, error="")
    return tmp_path / "s"


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_the_identity_of_a_search(study: Path, text: str) -> None:
    (study / "search.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"search\.json: damaged.*; delete .*s to start afresh"):
        open_study(study)


@pytest.mark.parametrize("text", NO_OBJECTS[1:])
def test_a_line_of_a_journal(study: Path, text: str) -> None:
    journal = study / "journal.log"
    journal.write_text(f"{text}\n{journal.read_text()}")
    with pytest.raises(ArtefactError, match=r"journal\.log: damaged .*; delete .*s to start afresh"):
        open_study(study)


def forged(edit: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """Changes every entry of a journal."""

    def change(text: str) -> str:
        entries = [json.loads(line) for line in text.splitlines()]
        for entry in entries:
            edit(entry)
        return "".join(json.dumps(entry) + "\n" for entry in entries)

    return change


def with_result(**changes: Any) -> Callable[[str], str]:
    """Changes the stored result of a trial."""

    def edit(entry: dict[str, Any]) -> None:
        for result in entry.get("user_attr", {}).values():
            result.update(changes)

    return forged(edit)


JOURNALS: dict[str, Callable[[str], str]] = {
    "no kinds": forged(lambda entry: entry.pop("op_code")),
    "unknown kinds": forged(lambda entry: entry.update(op_code=99)),
    "kinds in words": forged(lambda entry: entry.update(op_code="x")),
    "parameter of a list": forged(lambda entry: "distribution" in entry and entry.update(distribution="[]")),
    "unknown choice": lambda text: text.replace('\\"b\\"', '\\"q\\"').replace('\\"a\\"', '\\"r\\"'),
    "metric in words": with_result(metric="good"),
    "epochs below 0": with_result(epochs=-3),
    "unknown state": with_result(state="gone"),
    "unknown field": with_result(more=1),
}


@pytest.mark.parametrize("edit", JOURNALS.values(), ids=JOURNALS)
def test_a_forged_journal(study: Path, edit: Callable[[str], str]) -> None:
    journal = study / "journal.log"
    before = journal.read_text()
    journal.write_text(edit(before))
    assert journal.read_text() != before
    with pytest.raises(ArtefactError, match=r"journal\.log: damaged .*; delete .*s to start afresh"):
        open_study(study).trials()


@pytest.mark.parametrize("text", [*NO_OBJECTS, *SPENT])
def test_the_state_of_a_comparison(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "compare.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"compare\.json: .*; delete .*c to start afresh"):
        ComparisonState(tmp_path / "c", {"log": "x"})


@pytest.mark.parametrize("text", [*NO_OBJECTS[1:], "{}", EPOCH])
def test_the_records_of_epochs(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.jsonl").write_text(text)
    with pytest.raises(TrainingError, match=r"training\.jsonl: cannot be read .*; delete .* to start afresh"):
        read_epochs(tmp_path / "training.jsonl")


LOG = synthetic.markov(12, 9, 8, seed=1)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the facts of the stored result of a best model."""
    outcome = Experiment(model="pop", protocol=Protocol.named("leave-one-out")).run(LOG)
    trial = {"metric": 0.5, "best_epoch": 0, "settings": {}}
    about = {**outcome.about(), "search": {"trials": 1, "trial": trial}, "cost": {"peak_mb": 1.0}}
    path = result_files.write(outcome.result, tmp_path_factory.mktemp("result") / "result.npz", **about)
    assert read_tested(path)[1]["search"]["trials"] == 1
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return arrays, json.loads(str(arrays.pop("facts")))


RESULTS: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "no facts": lambda arrays, facts: facts.clear(),
    "facts in a list": lambda arrays, facts: facts.update(about=[]),
    "no protocol": lambda arrays, facts: facts.pop("protocol"),
    "protocol in words": lambda arrays, facts: facts.update(protocol="x"),
    "cut-offs in words": lambda arrays, facts: facts["protocol"].update(ks="5"),
    "history in words": lambda arrays, facts: facts["protocol"].update(min_history="1"),
    "unknown split": lambda arrays, facts: facts["protocol"].update(by="x"),
    "name of a number": lambda arrays, facts: facts.update(model=3),
    "seconds in words": lambda arrays, facts: facts.update(seconds="1"),
    "warnings of numbers": lambda arrays, facts: facts.update(warnings=[1]),
    "items in words": lambda arrays, facts: facts.update(items="9"),
    "fewer items": lambda arrays, facts: facts.update(items=3),
    "depth in words": lambda arrays, facts: facts.update(depth="x"),
    "smaller depth": lambda arrays, facts: facts.update(depth=1),
    "no users": lambda arrays, facts: arrays.pop("user"),
    "fewer users": lambda arrays, facts: arrays.update(user=arrays["user"][:-1]),
    "rank 0": lambda arrays, facts: arrays.update(rank=arrays["rank"] * 0),
    "more targets": lambda arrays, facts: arrays.update(sizes=arrays["sizes"] + 1),
    "lists of text": lambda arrays, facts: arrays.update(top=arrays["top"].astype(str)),
    "fewer counts": lambda arrays, facts: arrays.update(counts=arrays["counts"][:-1]),
    "no search": lambda arrays, facts: facts["about"].pop("search"),
    "no best trial": lambda arrays, facts: facts["about"]["search"].update(trial=None),
    "no cost": lambda arrays, facts: facts["about"].pop("cost"),
    "training in words": lambda arrays, facts: facts["about"].update(training={"seconds": "1"}),
}


@pytest.mark.parametrize("edit", RESULTS.values(), ids=RESULTS)
def test_a_forged_result(tmp_path: Path, result: tuple[dict[str, Any], dict[str, Any]], edit: Any) -> None:
    arrays, facts = dict(result[0]), json.loads(json.dumps(result[1]))
    edit(arrays, facts)
    np.savez_compressed(tmp_path / "result.npz", facts=np.array(json.dumps(facts)), **arrays)
    with pytest.raises(ArtefactError, match=r"result\.npz: .*; delete it, and it is computed again"):
        read_tested(tmp_path / "result.npz")


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 5000, f"x = {'9' * 5000}", "x = { uniform = [0, 1e400] }", "x = [1979-05-27]", "x = {}"]
)
def test_a_space_in_toml(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"x\.toml"):
        read_space(tmp_path / "x.toml", ["x"])


@pytest.mark.parametrize("text", RECBOLE)
def test_a_space_of_recbole(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.test").write_text(f"x {text}")
    with pytest.raises(SegueError, match=r"x\.test, line 1: "):
        read_space(tmp_path / "x.test", ["x"])

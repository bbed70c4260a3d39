"""Tables whose methods can be run alone: in a result file that grows, new methods join those that it has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segue.cli import output
from segue.data import synthetic
from segue.data.datasets import catalog
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.papers import TABLES
from segue.papers.departures import departures
from segue.papers.growing_result import merge, read_growing
from segue.papers.methods import Method, printed_method
from segue.papers.printed import AS_PRINTED
from segue.papers.printed_table import EPOCHS, MOST_EPOCHS, PrintedTable
from segue.papers.reproduction import Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

LOG = synthetic.markov(40, 15, 12, seed=1, shortest=6)
HGN = Protocol.named("hgn")
METRIC = "recall@10"


def bpr(name: str, lr: float, **more: Any) -> Method:
    settings = {"embedding_dim": 4, "epochs": 2, "lr": lr}
    experiment = Experiment(model="bprmf", protocol=HGN, settings=settings, refit=True)
    return printed_method(name, experiment, {"embedding_dim": 4, "item_bias": False}, published={METRIC: 0.5}, **more)


TABLE = PrintedTable(
    title="Table 0",
    log="small",
    log_title="Small",
    protocol=HGN,
    methods=(
        Method(name="POP", experiment=Experiment(model="pop", protocol=HGN, refit=True)),
        bpr("BPR, slow", 0.01, seeds=(0, 1)),
        bpr("BPR + RE", 0.05),
        bpr("BPR", 0.1),
    ),
    metrics=(METRIC,),
    notes=("A note.",),
)
FORM = f", {AS_PRINTED}"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Reproduction]:
    """`make("BPR")`: the table with this method alone."""
    monkeypatch.setattr(catalog, "load_log", lambda name: {"small": LOG}[name])
    return lambda *methods, quick=False: TABLE.reproduce(runs=RunCache(tmp_path / "runs"), quick=quick, methods=methods)


@pytest.fixture
def run(segue: Any, make: Callable[..., Reproduction], monkeypatch: pytest.MonkeyPatch, here: Path) -> Run:
    """`run("--methods BPR")`: the content of the file that `segue reproduce toy` wrote; or its error message."""

    def reproduce(*, runs: RunCache, quick: bool = False, methods: Any = ()) -> Reproduction:
        return TABLE.reproduce(runs=runs, quick=quick, methods=methods)

    monkeypatch.setitem(TABLES, "toy", reproduce)

    def command(*words: str, table: str = "toy") -> Any:
        code, _, err = segue(["reproduce", table, "--json", "toy.json", "--runs", "kept", *words])
        return json.loads(Path("toy.json").read_text()) if code == 0 else err

    return command


def test_a_table_has_the_named_methods_in_its_own_order(make: Callable[..., Reproduction]) -> None:
    made = make("BPR", f"BPR, slow{FORM}")
    assert list(made.details["runs"]) == [f"BPR, slow{FORM}", f"BPR{FORM}"]
    assert made.details["methods"] == [method.name for method in TABLE.methods]
    assert list(make().details["runs"]) == made.details["methods"]
    assert len(made.row(f"BPR, slow{FORM}", METRIC).measured) == 2
    assert made.row(f"BPR{FORM}", EPOCHS).mean == made.details["runs"][f"BPR{FORM}"]["epochs"]
    assert made.row(f"BPR{FORM}", MOST_EPOCHS).mean == 2
    assert [row.metric for row in make("POP").rows] == [METRIC]  # it has no epochs


def test_an_unknown_method_is_named_with_the_nearest(make: Callable[..., Reproduction]) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown method 'BPR \+ RA', did you mean 'BPR \+ RE'\?; known: POP, BPR, slow"
    ):
        make("BPR + RA")


def test_the_notes_do_not_depend_on_the_methods(make: Callable[..., Reproduction]) -> None:
    assert make("POP").notes == make().notes
    assert "A note." in make().notes


def test_a_file_grows_to_what_one_command_writes(run: Run) -> None:
    grown = [run("--methods", *names) for names in (["BPR"], ["POP", "BPR + RE"], ["BPR, slow"])]
    assert [list(one["runs"]) for one in grown[:2]] == [[f"BPR{FORM}"], ["POP", f"BPR + RE{FORM}", f"BPR{FORM}"]]
    assert grown[0]["command"] == "segue reproduce toy --methods BPR"
    assert grown[1]["command"] == "segue reproduce toy --methods POP 'BPR + RE' BPR"
    assert grown[2] == run()
    assert list(grown[2]["runs"]) == grown[2]["methods"]
    assert grown[2]["command"] == "segue reproduce toy"


def test_a_method_that_is_run_again_takes_the_place_of_its_older_run(run: Run) -> None:
    first = run("--methods", "BPR", "POP")
    for row in first["rows"]:
        row["measured"], row["seeds"] = 0.9, [0.9]
    first["runs"][f"BPR{FORM}"]["version"] = first["runs"]["POP"]["version"] = "0.0"
    first["cpu_seconds"] = dict.fromkeys(first["runs"], 99.0)
    Path("toy.json").write_text(json.dumps(first))
    second = run("--methods", "BPR", "BPR + RE")
    measured = {row["method"]: row["measured"] for row in second["rows"] if row["metric"] == METRIC}
    assert [name for name, value in measured.items() if value == 0.9] == ["POP"]
    assert [name for name, value in second["cpu_seconds"].items() if value == 99.0] == ["POP"]
    assert [name for name, one in second["runs"].items() if one["version"] == "0.0"] == ["POP"]
    assert len(second["rows"]) == 1 + 3 + 3


def test_methods_that_depart_alike_share_an_entry(run: Run) -> None:
    """As in a table of which all methods are run at once, also where one leaves the entry that it had."""
    run("--methods", "BPR", "BPR + RE")
    grown = run("--methods", "BPR, slow")
    assert grown["departures"] == [dict(entry) for entry in departures({"Small": TABLE.methods})]
    stored = json.loads(Path("toy.json").read_text())
    stored["departures"] = [{**stored["departures"][0], "methods": f"BPR, slow{FORM}; BPR{FORM}", "departs": "another"}]
    Path("toy.json").write_text(json.dumps(stored))
    entries = {entry["methods"]: entry["departs"] for entry in run("--methods", "BPR")["departures"]}
    assert entries[f"BPR, slow{FORM}"] == "another"
    assert entries[f"BPR{FORM}"] == "nothing that it prints"


def test_words_are_those_of_all_rows() -> None:
    """A figure is published with as many decimals as any of its metric, those of the other file included."""
    row = {"metric": "m", "seeds": [0.1, 0.1], "interval": [0.0951, 0.1049]}
    new = {"rows": [{**row, "method": "A", "published": 0.1}], "runs": {"A": {}}, "methods": ["A", "B"], "quick": False}
    stored = {"rows": [{**row, "method": "B", "published": 0.0949}], "runs": {"B": {}}}
    assert [one["verdict"] for one in merge(None, new, "toy")["rows"]] == ["agrees"]
    assert [one["verdict"] for one in merge(stored, new, "toy")["rows"]] == ["agrees", "above"]


def test_pictures_show_all_methods_of_a_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the last command alone; the form is in their names and titles, not in their methods."""

    def draw(rows: Sequence[Row]) -> tuple[Picture, ...]:
        points = tuple({"x": row.method, "y": row.mean} for row in rows if row.metric == METRIC)
        return (
            Picture(name="dots", kind="scatter", rows=points, encoding={"x": "x", "y": "y", "title": "Dots"}),
            Picture(name="none", kind="scatter", rows=(), encoding={"x": "x", "y": "y", "title": "None"}),
        )

    monkeypatch.setitem(TABLES, "toy", replace(TABLE, draw=draw).reproduce)
    run("--methods", "BPR")
    grown = run("--methods", "POP")
    (picture,) = grown["pictures"]
    assert (picture["name"], picture["encoding"]["title"]) == ("dots-paper", f"Dots{FORM}")
    assert [point["x"] for point in picture["rows"]] == ["POP", "BPR"]
    assert [point["y"] for point in picture["rows"]] == [
        row["measured"] for row in grown["rows"] if row["metric"] == METRIC
    ]


OTHER = {
    "another table": (
        {"command": "segue reproduce hgn-table3", "rows": [], "quick": False},
        "holds 'segue reproduce hgn-table3', which toy cannot be added to",
    ),
    "another command": ({"command": "segue run pop", "rows": [], "quick": False}, "holds 'segue run pop'"),
    "an older version": (
        {"command": "segue reproduce toy", "rows": [], "quick": False},
        "a file of an older version, whose methods cannot be kept",
    ),
    "a quick version": (
        {"command": "segue reproduce toy --quick", "rows": [], "quick": True, "methods": ["POP"]},
        "holds a quick version, which a full one cannot be added to",
    ),
    "no result": ({"rows": []}, "command is missing"),
    "half a file": ('{"command": "segue rep', "damaged, not JSON"),
    "another row": (
        {"command": "segue reproduce toy", "rows": [{"method": 1}], "quick": False},
        r"rows\.0\.method: must be a valid string",
    ),
}


@pytest.mark.parametrize(("content", "message"), OTHER.values(), ids=OTHER)
def test_a_file_that_cannot_grow_is_refused_before_the_work(
    content: Any, message: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    Path("toy.json").write_text(text)
    monkeypatch.setattr(catalog, "load_log", None)
    error = run("--methods", "POP")
    assert isinstance(error, str)
    assert error.startswith("segue: --json toy.json: ")
    assert error.endswith("give --json another file\n")
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert Path("toy.json").read_text() == text


def test_a_file_that_changes_meanwhile_is_read_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands may add to one file."""
    run("--methods", "BPR")
    other = Path("toy.json").read_text()
    Path("toy.json").unlink()
    monkeypatch.setattr(catalog, "load_log", lambda name: Path("toy.json").write_text(other) and LOG)
    assert list(run("--methods", "POP")["runs"]) == ["POP", f"BPR{FORM}"]


def test_a_write_that_fails_leaves_the_file_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--methods", "BPR")
    before = Path("toy.json").read_text()

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output, "io", SimpleNamespace(write_json=full, reason=output.io.reason))
    assert "--json toy.json: cannot be written" in str(run("--methods", "POP"))
    assert Path("toy.json").read_text() == before


def test_a_method_that_the_table_no_longer_has_is_not_lost(run: Run) -> None:
    stored = run("--methods", "BPR")
    stored["runs"]["Old"] = {}
    Path("toy.json").write_text(json.dumps(stored))
    assert "has 'Old', which is no method of toy any more" in str(run("--methods", "POP"))
    assert json.loads(Path("toy.json").read_text()) == stored


def test_no_file_yet(tmp_path: Path) -> None:
    assert read_growing(tmp_path / "none.json", "toy", quick=False) is None


def test_tables_that_compare_their_methods_take_none(run: Run) -> None:
    error = str(run("--methods", "HGN", table="hgn-table3"))
    assert "--methods: hgn-table3 compares its methods with each other, so it runs all of them" in error

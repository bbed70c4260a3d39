"""Every output of every command is checked before anything is read: a bad one costs no time and changes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from segue import papers
from segue.cli import app
from segue.data.datasets import catalog
from segue.reporting import chart_files
from segue.serving import saved_model

from .bad_input import Bad, check, content, not_writable, written

WORKS = {  # command -> words with which it works, without its outputs
    "run": "run pop events.csv --by length --no-baselines",
    "fit": "fit pop events.csv",
    "search": "search pop events.csv --no-baselines",
    "compare": "compare events.csv --models pop",
    "board": "board events.csv --models pop",
    "blend": "blend models/hgn models/pop --data events.csv",
    "evaluate": "evaluate models/pop --data events.csv --by length",
    "recommend": "recommend models/pop --all --out many.csv",
    "explain": "explain models/pop --user u1",
    "similar": "similar models/hgn --item 3",
    "models": "models",
    "data": "data events.csv",
    "demo": "demo",
    "reproduce": "reproduce hgn-table6",
    "serve": "serve models/pop",
    "retrain": "retrain models/pop --store sqlite:///events.db",
    "export": "export models/hgn --no-onnx",
    "monitor": "monitor http://127.0.0.1:9 --once",
}
FILES = {"--json": ".json", "--html": ".html", "--picture": ".svg"}  # option that names a file -> ending
FOLDERS = {("reproduce", "--runs")}  # folders that are written to, besides the outputs
LONG = "x" * 250  # a name that a folder holds, but not with the ending of a temporary file


def outputs() -> Iterator[tuple[str, str]]:
    """The command and the name of each of its options that say where something is written."""
    for command in WORKS:
        for argument in app[command].assemble_argument_collection():
            is_output = any(one.name == "Output" for one in argument.parameter.group or ())
            if "Path" in str(argument.hint) and (is_output or argument.name in FILES):
                yield command, argument.name
    yield from FOLDERS


def bad_values(command: str, option: str) -> list[str]:
    """Values that cannot be used: none of them may be found out late."""
    if option == "--out" and command != "recommend":
        long = 2 * LONG if command == "demo" else LONG  # the demo saves models into this folder
        return ["events.csv", "events.csv/x", "models/pop/x", "models/pop/x/y", f"new/{long}", "~/x"]
    if option == "--runs":
        return ["events.csv", "events.csv/x", "models/pop", "models/pop/x", LONG, "~/x"]
    ending = FILES.get(option, ".parquet")
    return [
        *(f"{place}/x{ending}" for place in ("no", "events.csv", "models/pop", "log", "link", "~")),
        f"folder{ending}",
        LONG + ending,
    ]


def refuse_to_begin(patch: pytest.MonkeyPatch) -> None:
    """Nothing may be read or computed."""

    def begin(*words: object, **options: object) -> None:
        raise AssertionError("the work began")

    for function in (catalog.load_log, saved_model.load, saved_model.save):
        patch.setattr(function, "__code__", begin.__code__)  # whoever imported it, or imports it meanwhile
    patch.setitem(papers.TABLES, "hgn-table6", begin)


def test_every_command_is_here() -> None:
    groups = {"rules", "store"}  # these have commands of their own
    assert {*WORKS, *groups} == {name for name in app if not name.startswith("-")}


@pytest.mark.parametrize(("command", "option"), list(outputs()), ids=lambda word: word.lstrip("-"))
def test_a_bad_output_is_refused_before_the_work(command, option, here, segue, monkeypatch) -> None:
    Path("log").mkdir()
    Path("log/log.json").write_text("{}")
    Path("folder" + FILES.get(option, ".parquet")).mkdir()
    os.symlink("models/pop", "link")
    before = content(here)
    refuse_to_begin(monkeypatch)
    for value in bad_values(command, option):
        words = WORKS[command].replace(" --out many.csv", "" if option == "--out" else " --out many.csv")
        code, out, err = segue([*words.split(), option, value])
        assert (code, out) == (2, ""), value
        assert err.startswith("segue: "), value
        assert err.count("\n") == 1
        assert value.removeprefix("new/") in err
        assert content(here) == before, value


def no_charts(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "vl_convert", None)


def no_optuna(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "optuna", None)


INSTALL = r"%s, which is not installed: pip install \"segue\[%s\]\""
VIZ, TUNE = INSTALL % ("charts need vl_convert", "viz"), INSTALL % ("searching needs optuna", "tune")
REFUSED = {
    "metric to choose an epoch without validation": Bad(
        "run hgn events.csv --valid 0 --monitor recall@5",
        r"--monitor: needs validation data, and --valid 0 leaves none; leave one of them out",
    ),
    "patience without validation": Bad("search hgn events.csv --valid 0 --patience 3", r"--patience: needs validation"),
    "interval of validations without validation": Bad(
        "run hgn events.csv --protocol hgn --valid 0 --eval-every 2", r"--eval-every: needs validation data"
    ),
    "picture without the extra": Bad("run pop events.csv --by length --picture x.svg", VIZ, prepare=no_charts),
    "picture of saved models without the extra": Bad(
        "evaluate models/pop --data events.csv --by length --picture x.svg", VIZ, prepare=no_charts
    ),
    "picture with another ending": Bad(
        "run pop events.csv --by length --picture x.pdf", r"x\.pdf: a chart is written as \.svg, \.png or \.html"
    ),
    "figures without the extra": Bad("reproduce hgn-table6 --out new", VIZ, prepare=no_charts),
    "stored trainings in a cache that is a file": Bad(
        "reproduce hgn-table6",
        r"SEGUE_CACHE: events\.csv/runs: cannot be made: .*events\.csv is not a folder that you may write to",
        prepare=lambda patch: patch.setenv("SEGUE_CACHE", "events.csv"),
    ),
    "search without the extra": Bad("search pop events.csv", TUNE, prepare=no_optuna),
    "comparison without the extra": Bad("compare events.csv", TUNE, prepare=no_optuna),
    "one file for two outputs": Bad(
        "explain models/pop --user u1 --json x.html --html ./x.html",
        r"--html x\.html: is also the file of --json; give",
    ),
    "search space in a device": Bad(
        "search pop events.csv --space /dev/zero", r"/dev/zero: cannot be read as a search.*a device"
    ),
    "picture and JSON in one file": Bad(
        "run pop events.csv --by length --picture x.svg --json x.svg", r"is also the file of --json|of --picture"
    ),
    "JSON in the folder of the result": Bad(
        "data events.csv --out new --json new/x.json",
        r"--json new/x\.json: lies in new, the folder of the result; give a file outside of it",
        prepare=lambda patch: Path("new").mkdir(),
    ),
    "JSON over the state of a comparison": Bad(
        "run pop events.csv --json shop/compare.json",
        r"--json shop/compare\.json: lies in a comparison",
        prepare=written("shop/compare.json", "{}"),
    ),
    "JSON over the search space": Bad(
        "search item-knn events.csv --space bad.csv --json bad.csv",
        r"--json bad\.csv: is also what is read",
        "window choice [1, 2]",
    ),
    "JSON over the list of items": Bad(
        "similar models/hgn --item 3 --allow bad.csv --json bad.csv", r"--json bad\.csv: is also what is read", "1\n"
    ),
    "JSON over a class of one's own": Bad(
        "explain models/pop --user u1 --model-class ./bad.csv:Mine --json bad.csv",
        r"--json bad\.csv: is also what is read",
        "class Mine: ...",
    ),
    "JSON by a link without a target": Bad(
        "data events.csv --json link.json",
        r"--json link\.json: cannot be written: there is no folder .*/no; make it",
        prepare=lambda patch: os.symlink("no/x.json", "link.json"),
    ),
    "page to a device that may not be written": Bad(
        "explain models/pop --user u1 --html pipe",
        r"--html pipe: you may not write to it",
        prepare=lambda patch: (os.symlink(os.devnull, "pipe"), not_writable(patch)),
    ),
    "fitted model in a file": Bad(
        "compare events.csv --models pop --final -o shop",
        r"shop/pop-final: is there and is not a saved model; choose another name",
        prepare=lambda patch: (written("shop/compare.json", "{}")(patch), written("shop/pop-final/x")(patch)),
    ),
}


def test_the_metric_of_a_blend_is_checked_before_the_log_is_read(here, segue, monkeypatch) -> None:
    monkeypatch.setattr(catalog, "load_log", None)
    code, _, err = segue("blend models/pop models/hgn --data events.csv --monitor ndgc@10")
    assert code == 2
    assert "unknown metric 'ndgc@10'" in err


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED)
def test_what_an_option_needs_is_checked_before_the_work(bad, here, segue, monkeypatch) -> None:
    def prepare(patch: pytest.MonkeyPatch) -> None:
        bad.prepare(patch)
        refuse_to_begin(patch)

    check(replace(bad, prepare=prepare), here, segue, monkeypatch)


DIES = (sys.executable, "-c", "import os; os.abort()")  # in place of the process that renders charts


def test_without_memory_for_charts_all_else_is_there(here, segue, monkeypatch) -> None:
    monkeypatch.setattr(chart_files, "_RENDERER", DIES)
    for words in ("run pop events.csv --no-baselines -o new/m", "evaluate models/pop --data events.csv"):
        code, out, err = segue(f"{words} --by length --picture x.svg --json x.json")
        assert code == 2
        assert re.fullmatch(r"segue: charts cannot be drawn: vl-convert was ended by SIGABRT, often for lack .*\n", err)
        assert "By length" in out
        assert json.loads(Path("x.json").read_text())["by length"]
        assert not Path("x.svg").exists()
        Path("x.json").unlink()
    assert saved_model.load(Path("new/m")).model.name == "pop"


def test_without_memory_for_charts_a_search_has_a_report_without_them(here, segue, monkeypatch) -> None:
    monkeypatch.setattr(chart_files, "_RENDERER", DIES)
    monkeypatch.delenv("SEGUE_QUIET")
    code, out, err = segue("search bprmf events.csv --trials 4 --set embedding_dim=4 epochs=1 --no-baselines -o new/m")
    assert code == 0
    assert "Importance of the settings" in out
    assert "charts cannot be drawn: vl-convert was ended by SIGABRT" in err
    assert "<img" not in Path("new/m.search/search.html").read_text()


def test_a_report_without_the_extra_is_announced_before_the_work(here, segue, monkeypatch) -> None:
    no_charts(monkeypatch)
    monkeypatch.delenv("SEGUE_QUIET")
    code, _, err = segue("search bprmf events.csv --trials 1 --set embedding_dim=4 epochs=1 --no-baselines -o new/m")
    assert code == 0
    assert err.startswith("search.html will have no charts: charts need vl_convert, which is not installed: pip")


@pytest.mark.slow
def test_tables_are_printed_where_charts_have_no_memory(here) -> None:
    """The chart library itself, in a process with too little address space for its JavaScript engine."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (5 << 30, 5 << 30)); from segue.cli import main; "
        "main('run pop events.csv --no-baselines --by length --picture x.svg --json x.json'.split())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "By length" in done.stdout
    assert done.stderr.endswith("often for lack of memory (see ulimit -v)\n")
    assert done.stderr.count("\n") == 1


def test_without_validation_a_run_says_that_no_epoch_is_chosen(here, segue, monkeypatch) -> None:
    monkeypatch.delenv("SEGUE_QUIET")
    code, _, err = segue("run hgn events.csv --valid 0 --set embedding_dim=4 epochs=2 --no-baselines")
    assert code == 0
    assert "hgn: no validation instance is left, so no epoch is chosen: all 2 epochs are trained; monitor," in err
    assert "no validation" not in segue("run pop events.csv --valid 0 --no-baselines")[2]

"""The page with all papers: every table and figure is in it, with the figures and words of the result files."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from segue.models.registry import find
from segue.papers import TABLES
from segue.papers.contents import CONTENTS, NOT_AT_HAND, Entry, list_tables
from segue.papers.hgn.other_logs import OTHER_LOGS
from segue.papers.overview import COUNTED, NOT_RUN, OTHER_LOG, Overview
from segue.papers.printed import AS_PRINTED, BEST_HERE, RELEASED
from segue.papers.reproduction import Reproduction, Row, format_figure

RESULTS = Path(__file__).parents[2] / "results"
PAGE = Path(__file__).parents[2] / "docs" / "results" / "papers.md"
ENTRY = Entry(
    paper="HGN",
    title="Table 3",
    shows="methods",
    log="CDs",
    section="hgn.md#table-3",
    table="toy",
    method="HGN",
    metrics=("recall@10",),
)


def cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def table_of(entry: Entry, folder: Path) -> dict[str, str]:
    """The line of an entry, by the name of the column."""
    head, _, line = cells(Overview(folder, [entry]).tables())
    return dict(zip(head, line, strict=True))


def write(folder: Path, *rows: Row, runs: dict[str, Any], departures: bool = True, name: str = "toy") -> None:
    """A result file; `runs` has the number of settings in which each method departs, None if it is not said."""
    details = {
        name: {"model": "pop" if name == "POP" else "hgn"}
        | ({} if number is None else {"departs": {f"s{n}": {"here": 1, "paper": 2} for n in range(number)}})
        for name, number in runs.items()
    }
    content = Reproduction(title="T", rows=rows, details={"quick": False, "runs": details}).as_dict()
    (folder / f"{name}.json").write_text(json.dumps(content | ({"departures": []} if departures else {})))


def row(method: str, *measured: float, published: float | None = 0.05, **more: Any) -> Row:
    ends = (min(measured) - 0.001, max(measured) + 0.001) if len(measured) > 1 else None
    return Row(method=method, metric="recall@10", measured=measured, interval=ends, published=published, **more)


def test_every_table_of_the_command_line_is_listed() -> None:
    assert {line["table"] for line in list_tables()} == set(TABLES)
    assert [line["on"] for line in list_tables() if line["table"] == "hcrnn-table3"] == ["CiteULike, MovieLens"]


@pytest.mark.parametrize("entry", CONTENTS, ids=lambda entry: f"{entry.paper}-{entry.title}-{entry.log}")
def test_the_line_of_an_entry_is_in_its_result_file(entry: Entry) -> None:
    """Its method and every metric; those of logs that are not at hand have no file."""
    if (RESULTS / f"{entry.table}.json").is_file():
        found = {(line.method, line.metric) for line in Overview(RESULTS).lines(entry)}
        methods = {method for method, _ in found}
        assert entry.method in methods or not entry.method
        assert not entry.method or set(entry.metrics) <= {metric for _, metric in found}
    else:
        assert entry.remark == NOT_AT_HAND or not entry.table


def test_all_published_figures_are_counted_once() -> None:
    """Over the result files, without the rows of costs and half widths."""
    head, _, *lines = cells(Overview(RESULTS).words())
    shown = {
        line[0]: Counter({word: int(n) for word, n in zip(head[1:], line[1:], strict=True) if n}) for line in lines
    }
    expected = Counter[str]()
    for path in RESULTS.glob("*.json"):
        for one in json.loads(path.read_text())["rows"]:
            if one["published"] is not None and "±" not in one["method"] + one["metric"]:
                form = next((f for f in (AS_PRINTED, RELEASED) if one["method"].endswith(f)), BEST_HERE)
                expected[form, one["verdict"]] += form != RELEASED
    counted, best, other = (shown[name] for name in (COUNTED, BEST_HERE, f"{BEST_HERE}, {OTHER_LOG}"))
    for word in ("agrees", "above", "below", "one seed"):
        assert counted[word] + best[word] + other[word] == expected[BEST_HERE, word]
    assert shown[AS_PRINTED].total() == best.total()


def test_the_page_has_the_figures_of_the_files() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for path, metric in (("hgn-table3", "recall@10"), ("hcrnn-table3", "recall@20"), ("iarn-table2", "auc")):
        for one in json.loads((RESULTS / f"{path}.json").read_text())["rows"]:
            if one["metric"] == metric and one["published"] is not None and not one["method"].endswith(RELEASED):
                name = one["method"].removesuffix(f", {AS_PRINTED}").removesuffix(f", {BEST_HERE}")
                printed, measured = (format_figure(one[key], metric) for key in ("published", "measured"))
                line = (
                    rf"^\| {re.escape(name)} \| {re.escape(printed)} \|.* {re.escape(measured)} .*{one['verdict']} \|"
                )
                assert re.search(line, text, re.MULTILINE), one["method"]


def test_a_table_with_one_form(tmp_path: Path) -> None:
    write(
        tmp_path,
        row("POP", 0.02, published=None),
        row("BPR", 0.03, 0.031),
        row("HGN", 0.04),
        row("KNN", 0.07, published=None),
        runs={"POP": None, "BPR": 0, "HGN": 3, "KNN": None},
    )
    line = table_of(ENTRY, tmp_path)
    assert line["main method"] == "HGN, recall@10"
    assert (line["as printed"], line[AS_PRINTED], line[BEST_HERE]) == (".0500", NOT_RUN, ".0400 one seed")
    assert line["best other method"] == ".0700 KNN"
    assert line["all figures"] == "as the paper says: 1 below, 1 not run yet; best here: 1 below, 1 one seed"
    assert line["why"] == "best here departs in 3 settings"


def test_a_table_with_both_forms_fills_by_itself(tmp_path: Path) -> None:
    write(
        tmp_path,
        row("BPR", 0.03, 0.031),
        row("HGN", 0.049, 0.051, error=0.0001),
        row(f"HGN, {AS_PRINTED}", 0.06, 0.062),
        row(f"HGN, {RELEASED}", 0.9, 0.9),
        runs={"BPR": 0, "HGN": 3, f"HGN, {AS_PRINTED}": 1, f"HGN, {RELEASED}": 2},
    )
    line = table_of(ENTRY, tmp_path)
    assert (line[AS_PRINTED], line[BEST_HERE]) == (".0610 above", ".0500 agrees")
    assert line["all figures"] == "as the paper says: 1 above, 1 below; best here: 1 agree, 1 below"
    assert line["why"] == "best here departs in 3 settings; as the paper says departs in 1 setting"
    methods = Overview(tmp_path, [ENTRY]).methods("hgn")
    assert [one[0] for one in cells(methods)[2:]] == ["BPR", "HGN"]
    alone = ".0610 (.0590–.0630, seeds alone) above"  # the file does not say the error over users
    assert cells(methods)[3] == ["HGN", ".0500", alone, ".0500 (.0480–.0520) agrees"]


@pytest.mark.parametrize("part", ["", "CDs"])
def test_the_form_of_the_paper_may_have_a_file_of_its_own(part: str, tmp_path: Path) -> None:
    """Its rows join those of best here; one that is not there yet is not run yet, whatever best here departs in."""
    write(tmp_path, row("BPR", 0.03, part=part), row("HGN", 0.049, 0.051, part=part), runs={"BPR": 2, "HGN": 3})
    if part:  # a table of several logs has its runs by log
        content = json.loads((tmp_path / "toy.json").read_text())
        other = {**content["rows"][1], "part": "Books", "measured": 0.9}
        content |= {"rows": [*content["rows"], other], "runs": {part: content["runs"]}}
        (tmp_path / "toy.json").write_text(json.dumps(content))
    entry = Entry(**{**vars(ENTRY), "paper_table": "toy-paper", "part": part})
    alone = table_of(entry, tmp_path)
    assert (alone[AS_PRINTED], alone[BEST_HERE]) == (NOT_RUN, ".0500 agrees")
    paper = [row(f"HGN, {AS_PRINTED}", 0.06, 0.062), row("KNN", 0.07, published=None)]
    write(tmp_path, *paper, runs={f"HGN, {AS_PRINTED}": 1, "KNN": None}, name="toy-paper")
    line = table_of(entry, tmp_path)
    assert (line[AS_PRINTED], line[BEST_HERE], line["best other method"]) == (
        ".0610 above",
        ".0500 agrees",
        ".0700 KNN",
    )
    assert line["all figures"] == "as the paper says: 1 above, 1 not run yet; best here: 1 agree, 1 one seed"
    assert line["why"] == "best here departs in 3 settings; as the paper says departs in 1 setting"
    assert [one[0] for one in cells(Overview(tmp_path, [entry]).methods("hgn"))[2:]] == ["BPR", "HGN"]
    assert {(one["table"], one["shows"]) for one in list_tables()} >= {
        ("hgn-table3", "seven methods"),
        ("hgn-table3-paper", f"seven methods, {AS_PRINTED}"),
    }


def test_both_forms_may_have_names(tmp_path: Path) -> None:
    names = [f"HGN, {AS_PRINTED}", f"HGN, {BEST_HERE}"]
    write(tmp_path, row(names[0], 0.03), row(names[1], 0.05, 0.05), runs=dict.fromkeys(names, 0))
    line = table_of(ENTRY, tmp_path)
    assert (line[AS_PRINTED], line[BEST_HERE]) == (".0300 one seed", ".0500 agrees")


@pytest.mark.parametrize(("departures", "form"), [(True, ".0200 below"), (False, NOT_RUN)])
def test_counting_has_both_forms_where_the_file_says_what_departs(departures: bool, form: str, tmp_path: Path) -> None:
    assert not find("pop").depends_on_seed
    pop = Row(method="POP", metric="recall@10", measured=(0.02,), interval=(0.01, 0.03), published=0.05)
    write(tmp_path, pop, runs={"POP": None}, departures=departures)
    line = table_of(Entry(**{**vars(ENTRY), "method": "POP"}), tmp_path)
    assert (line[AS_PRINTED], line[BEST_HERE]) == (form, ".0200 below")


def test_figures_of_another_log_are_counted_apart(tmp_path: Path) -> None:
    write(tmp_path, row("HGN", 0.04), row("BPR", 0.03, 0.031), runs={"HGN": 1, "BPR": 1})
    entry = Entry(**{**vars(ENTRY), "is_papers_log": False})
    lines = {line[0]: line[1:] for line in cells(Overview(tmp_path, [entry]).words())[2:]}
    assert lines[BEST_HERE] == ["", "", ""]
    assert lines[f"{BEST_HERE}, {OTHER_LOG}"] == ["1", "1", ""]


def test_a_drawn_figure_says_that_it_has_no_printed_number(tmp_path: Path) -> None:
    write(tmp_path, row("HGN", 0.04, published=None), runs={"HGN": 0})
    entry = Entry(**{**vars(ENTRY), "is_drawn": True})
    line = table_of(entry, tmp_path)
    assert (line["as printed"], line[AS_PRINTED], line[BEST_HERE]) == ("drawn", ".0400", ".0400")
    write(tmp_path, row("HGN", 0.04), runs={"HGN": 0})
    assert table_of(entry, tmp_path)["as printed"] == ".0500"


def test_a_log_that_is_not_at_hand(tmp_path: Path) -> None:
    entry = next(entry for entry in CONTENTS if entry.table == "hgn-figure4")
    line = table_of(entry, tmp_path)
    published = next(other.recall[-1] for other in OTHER_LOGS if other.name == "hgn-figure4")
    assert line["as printed"] == format_figure(published, "recall@10")
    assert (line[AS_PRINTED], line[BEST_HERE], line["why"]) == ("not run here", "not run here", NOT_AT_HAND)


def test_errors_that_are_smaller_are_better(tmp_path: Path) -> None:
    write(
        tmp_path,
        *(Row(method=name, metric="rmse", measured=(value,)) for name, value in (("HGN", 0.9), ("A", 0.8), ("B", 1.0))),
        runs={},
    )
    assert table_of(Entry(**{**vars(ENTRY), "metrics": ("rmse",)}), tmp_path)["best other method"] == "0.8000 A"

"""Charts and pages show the values of the rows, in files that need no network."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from segue.errors import ConfigError, DataError
from segue.reporting import chart_files
from segue.reporting.chart_files import render, save_chart
from segue.reporting.charts import bar_chart, heatmap_chart, line_chart, scatter_chart
from segue.reporting.html import write_page

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

ROWS: list[dict[str, Any]] = [
    {"k": k, "recall@k": value * k, "low[a].b": value * k / 2, "high": value * k * 2, "model": model}
    for model, value in (("hgn", 0.005), ("item-knn", 0.006), ("<pop>", 0.001))
    for k in (5, 10, 20)
]
BETWEEN = ("low[a].b", "high")


CELLS = {"gate": (0.2, 0.6, 0.4), "change": (float("nan"), 0.02, 0.01), "same": (5.0, 5.0, 5.0)}


def charts() -> dict[str, Any]:
    cells = [
        {"item": item, "of": of, "v": v} for of, values in CELLS.items() for item, v in zip("cab", values, strict=True)
    ]
    steps = [{"step": step, "y": step / 7} for step in (1, 2, 3)]
    gap = [{"x": 1, "y": 0.5}, {"x": 2, "y": float("nan")}, {"x": 3, "y": 0.7}]
    return {
        "lines": line_chart(ROWS, x="k", y="recall@k", by="model", between=BETWEEN, title="Lines"),
        "line": line_chart(ROWS[:3], x="k", y="recall@k", log="xy"),
        "bars": bar_chart(ROWS[::3], x="recall@k", y="model", between=BETWEEN, title="Bars"),
        "grouped bars": bar_chart(ROWS, x="recall@k", y="model", by="k"),
        "points": scatter_chart(ROWS, x="k", y="recall@k", by="model", label="model", log="x", title="Points"),
        "plain points": scatter_chart(pl.DataFrame(ROWS), x="k", y="recall@k"),
        "bounds": scatter_chart(ROWS, x="k", y="recall@k", label="model", between=BETWEEN),
        "cells": heatmap_chart(cells, x="of", y="item", value="v", title="Cells"),
        "two bars": bar_chart([{"model": "a", "x": 1.0}, {"model": "b", "x": 2.0}], x="x", y="model"),
        "steps": line_chart(steps, x="step", y="y"),
        "gap": line_chart(gap, x="x", y="y"),
    }


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """Each of the charts as SVG."""
    files = render(list(charts().values()), "svg")
    return {name: file.decode() for name, file in zip(charts(), files, strict=True)}


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_chart_names_its_axis(drawn: dict[str, str]) -> None:
    for name in ("lines", "line", "bars", "grouped bars", "points", "plain points"):
        assert "recall@k" in texts(drawn[name])


def test_bounds_of_points_are_lines_through_them(drawn: dict[str, str]) -> None:
    assert drawn["bounds"].count('aria-roledescription="rule mark"') == len(ROWS)
    assert "rule mark" not in drawn["points"]


def test_names_keep_the_order_of_the_rows(drawn: dict[str, str]) -> None:
    words = texts(drawn["lines"])
    legend = [word for word in words if word in ("hgn", "item-knn", "<pop>")]
    assert legend == ["hgn", "item-knn", "<pop>"]
    assert {"Lines", "k"} <= set(words)


def test_bar_lengths_are_proportional_to_values(drawn: dict[str, str]) -> None:
    """Two bars, one twice as long as the other."""
    bars = re.findall(r'aria-roledescription="bar"[^>]* d="M0,[\d.]+h([\d.]+)v', drawn["two bars"])
    assert float(bars[1]) == pytest.approx(2 * float(bars[0]))


def steps_between_points(svg: str, axis: int) -> list[float]:
    """The distances in pixels of neighbouring points of a chart, along x (0) or y (1)."""
    found = re.findall(r'aria-roledescription="point" transform="translate\(([\d.]+),([\d.]+)\)"', svg)
    places = sorted({round(float(point[axis]), 3) for point in found})
    return [after - before for before, after in pairwise(places)]


@pytest.mark.parametrize(
    ("name", "axis", "ratio"),
    [("plain points", 0, 2), ("points", 0, 1), ("line", 0, 1), ("line", 1, 1), ("steps", 1, 1)],
)
def test_a_logarithmic_axis_shows_ratios_and_another_one_differences(
    drawn: dict[str, str], name: str, axis: int, ratio: float
) -> None:
    """k is 5, 10 and 20, so its steps are equal on a logarithmic axis, and double on another one."""
    first, second = steps_between_points(drawn[name], axis)
    assert second / first == pytest.approx(ratio, abs=0.01)


def test_heatmap_opacity_is_relative_to_the_column(drawn: dict[str, str]) -> None:
    svg = drawn["cells"]
    opacities = re.findall(r'aria-roledescription="rect mark"[^>]* fill="#0072b2" opacity="([\d.]+)"', svg)
    assert [float(one) for one in opacities] == pytest.approx([0, 0.75, 0.375, 0.75, 0, 0, 0, 0])
    words = texts(svg)
    assert [word for word in words if word in "abc"] == ["c", "a", "b"]
    assert [word for word in words if word in CELLS] == list(CELLS)
    assert [word for word in words if word[:2] == "0."] == ["0.200", "0.600", "0.400", "0.0200", "0.0100"]


def test_whole_numbers_have_integer_ticks(drawn: dict[str, str]) -> None:
    assert [word for word in texts(drawn["steps"]) if word[0].isdigit() and "." not in word] == ["1", "2", "3"]


def test_nan_leaves_a_gap(drawn: dict[str, str]) -> None:
    assert "NaN" not in drawn["gap"]


def test_a_chart_becomes_the_same_file_again(drawn: dict[str, str], tmp_path: Path) -> None:
    assert save_chart(charts()["lines"], tmp_path / "chart.svg").read_text() == drawn["lines"]
    assert [path.name for path in tmp_path.iterdir()] == ["chart.svg"]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            "import os; os.kill(os.getpid(), 5)",
            r"vl-convert was ended by SIGTRAP, often for lack of memory \(see ulimit",
        ),
        ("raise ValueError('no such scale')", r"vl-convert failed \(ValueError: no such scale\)"),
        ("import sys; sys.exit(3)", r"vl-convert failed \(exit code 3\)"),
    ],
)
def test_a_renderer_that_dies_is_an_error(
    program: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(chart_files, "_RENDERER", (sys.executable, "-c", program))
    with pytest.raises(DataError, match=f"charts cannot be drawn: {message}"):
        save_chart(charts()["line"], tmp_path / "chart.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "kinds"), [(7, "rows"), (8, "rows many"), (11, "rows many"), (12, "rows many too-many")]
)
def test_a_table_says_how_wide_it_is(tmp_path: Path, number: int, kinds: str) -> None:
    """The style of the page turns a table of many columns on a narrow screen, and one of very many on any."""
    rows = [{f"column {n}": n for n in range(number)}]
    text = write_page("Wide", [("Rows", [rows])], tmp_path / "page.html").read_text()
    assert re.findall(r'<table class="([^"]*)">', text) == [kinds]


def test_png_and_html_files(tmp_path: Path) -> None:
    assert save_chart(charts()["bars"], tmp_path / "chart.PNG").read_bytes().startswith(b"\x89PNG")
    text = save_chart(charts()["bars"], tmp_path / "chart.html").read_text()
    assert len(text) > 500_000, "the drawing library is in the file"
    assert not re.search(r"<(script|link)[^>]+(src|href)\s*=", text), "nothing is fetched"
    assert not re.search(r"""import\s[^;]*from\s*["']https?:|import\(["']https?:""", text)


def test_page_contains_text_tables_and_charts(tmp_path: Path) -> None:
    parts = ["Words & <tags>.", ROWS[:2], charts()["lines"], pl.DataFrame({"n": [1234, None], "on": [True, False]})]
    text = write_page("A page", [("First", parts), ("Second", [charts()["bars"]])], tmp_path / "page.html").read_text()
    assert "<h1>A page</h1>" in text
    assert text.index("<h2>First</h2>") < text.index("Words &amp; &lt;tags&gt;.") < text.index("<h2>Second</h2>")
    assert text.count('src="data:image/svg+xml;base64,') == 2
    assert 'alt="Lines"' in text
    assert 'class="number">.0250</td>' in text
    assert '<tr><td data-name="n" class="number">1,234</td><td data-name="on" class="name">True</td></tr>' in text
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: line_chart([], x="k", y="v"), "no rows to draw"),
        (lambda: line_chart(ROWS, x="k", y="recal@k"), "row 0 has no column 'recal@k', did you mean 'recall@k'"),
        (lambda: bar_chart([*ROWS[:2], {"k": 1}], x="k", y="model"), "row 2 has no column 'model'; it has: k"),
        (lambda: scatter_chart(ROWS, x="k", y="high", label="name"), "has no column 'name'"),
        (lambda: heatmap_chart(ROWS, x="k", y="model", value="low"), "row 0 has no column 'low'"),
        (
            lambda: save_chart(charts()["line"], "chart.pdf"),
            r"chart\.pdf: a chart is written as \.svg, \.png or \.html",
        ),
    ],
)
def test_invalid_arguments(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    "make", [lambda path: save_chart(charts()["line"], path), lambda path: write_page("A", [], path)]
)
def test_unwritable_path_raises(make: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        make(tmp_path / "nowhere" / "a.svg")


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "vl_convert":
            raise ImportError(name, name=name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'vl_convert, which is not installed: pip install "segue\[viz\]"'):
        line_chart(ROWS, x="k", y="high")


def test_importing_charts_loads_neither_torch_nor_altair() -> None:
    names = ("torch", "altair", "vl_convert", "polars")
    code = f"import sys, segue.reporting.charts; print([m for m in {names} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

"""Heat maps: colours by size and sign, and escaped text."""

from __future__ import annotations

import re

from segue.reporting.heatmap import Heatmap, HeatmapCell, decimals_of, format_contribution, format_score
from segue.reporting.html import write_page

ROWS = [
    {"item": "<b>", "gate": HeatmapCell(0.5, "0.5"), "one": HeatmapCell(-4.0, "-4"), "two": HeatmapCell(0.0, "·")},
    {"item": "B", "gate": HeatmapCell(None, "–"), "one": HeatmapCell(1.0, "+1"), "two": HeatmapCell(2.0, "+2 ▾1")},
]


def test_largest_value_of_a_scale_has_the_strongest_colour() -> None:
    text = Heatmap(ROWS, [["one", "two"], ["gate"]]).as_html()
    colours = re.findall(r"rgba\((\d+), \d+, \d+, ([\d.]+)\)\">([^<]*)<", text)
    assert colours == [
        ("213", "0.750", "0.5"),
        ("0", "0.750", "-4"),
        ("213", "0.188", "+1"),
        ("213", "0.375", "+2 ▾1"),
    ]
    assert "<td>&lt;b&gt;</td>" in text
    assert text.count("<tr>") == 3


def test_zero_has_no_colour() -> None:
    text = Heatmap([{"one": HeatmapCell(0.0, "0")}], [["one"]]).as_html()
    assert "rgba" not in text


def test_heatmap_on_a_page(tmp_path) -> None:
    path = write_page("Heat", [("Here", [Heatmap(ROWS, [["one"]]), "words"])], tmp_path / "page.html")
    assert re.search(
        r"<h2>Here</h2>\n.*<table>\n<tr><th>item</th>.*</table></div>\n<p>words</p>", path.read_text(), re.DOTALL
    )


def test_numbers_have_the_digits_of_the_largest() -> None:
    decimals = decimals_of([123.456, -0.5, 1e-9])
    assert [format_contribution(value, decimals) for value in (123.456, -0.5, 1e-9, -0.04, 0.0)] == [
        "+123.5",
        "-0.5",
        "0",
        "0",
        "0",
    ]
    assert format_score(-0.04, decimals) == "0.0"
    assert decimals_of([float("-inf"), 2e-5]) == 8
    assert (decimals_of([]), decimals_of([0.0]), decimals_of([7.0, -3.0])) == (0, 0, 0)

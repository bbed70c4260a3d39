"""Sortable tables of HTML pages: complete without a script, and sorted by it with the keyboard."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from segue.reporting.html import write_page
from segue.reporting.sortable_table import SORTING, Heading, SortableTable, SortCell

TABLE = SortableTable(
    [Heading("model", rising=True), Heading("ndcg@10"), Heading("CPU s", "of <all> trials", rising=True)],
    [
        [SortCell("b<1>", "b<1>"), SortCell(".1000\n.0500–.1500", 0.1), SortCell("9.0", 9.0)],
        [SortCell("a", "a"), SortCell("–", None), SortCell("10", 10.0)],
        [SortCell("c", "c"), SortCell(".2000", 0.2), SortCell("–", None)],
    ],
    "Figures & costs",
)


def test_a_table_holds_every_text_and_what_it_is_sorted_by() -> None:
    text = TABLE.as_html()
    assert "<caption>Figures &amp; costs</caption>" in text
    assert '<th scope="col" title="of &lt;all&gt; trials" data-first="ascending">CPU s</th>' in text
    assert (
        '<td data-value="b&lt;1&gt;">b&lt;1&gt;</td><td class="number" data-value="0.1">.1000\n.0500–.1500</td>' in text
    )
    assert '<td data-value="">–</td>' in text


def test_a_reader_sorts_a_table_with_the_keyboard(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = os.environ.get("SEGUE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    path = write_page("Board", [("Table", [TABLE, SORTING])], tmp_path / "page.html")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(path.as_uri())

        def press(column: int) -> tuple[list[str], list[str | None]]:
            page.locator("th button").nth(column).focus()
            page.keyboard.press("Enter")
            heads = page.locator("th").all()
            names = page.locator("tbody tr td:first-child").all_inner_texts()
            return names, [head.get_attribute("aria-sort") for head in heads]

        assert press(1) == (["c", "b<1>", "a"], [None, "descending", None])
        assert press(1) == (["b<1>", "c", "a"], [None, "ascending", None])
        assert press(2) == (["b<1>", "a", "c"], [None, None, "ascending"])
        assert press(0) == (["a", "b<1>", "c"], ["ascending", None, None])
        browser.close()

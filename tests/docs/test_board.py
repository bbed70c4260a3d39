"""The committed page of the board has every figure of its JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from segue.cli.board_page import board_table

RESULTS = Path(__file__).parents[2] / "results" / "board"


def test_the_page_of_the_board_is_made_from_its_file() -> None:
    board = json.loads((RESULTS / "board.json").read_text(encoding="utf-8"))
    page = (RESULTS / "board.html").read_text(encoding="utf-8")
    assert board["tables"]
    for table in board["tables"]:
        assert board_table(table).as_html() in page, table["name"]
        assert table["protocol"]["fingerprint"] in page
        assert (RESULTS / f"{table['folder']}.svg").exists()

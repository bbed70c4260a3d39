"""Items of the table without an event become part of the log."""

from __future__ import annotations

import polars as pl
import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError

EVENTS = pl.DataFrame({"user": [1, 1, 2, 2, 2], "item": [7, 5, 5, 9, 7], "time": [1, 2, 3, 4, 4]})
ITEMS = pl.DataFrame({"item": [5, 6, 7, 6], "kind": ["a", "b", "c", "d"]})


def test_they_come_last_and_bring_their_rows():
    log = read_log(EVENTS, items=ITEMS, all_items=True)
    assert log.items.tokens.to_list() == [5, 7, 9, 6]
    assert log.item_metadata["kind"].to_list() == ["a", "c", None, "b"]
    assert log.counts().tolist() == [0, 2, 2, 1, 0]
    assert [warning for warning in log.warnings if "1 item without an event is part of the log" in warning]
    plain = read_log(EVENTS, items=ITEMS)
    assert plain.items.tokens.to_list() == [5, 7, 9]
    assert plain.item.tolist() == log.item.tolist()


def test_filters_do_not_take_them_out():
    log = read_log(EVENTS, items=ITEMS, all_items=True, item_core=2, user_core=2)
    assert log.items.tokens.to_list() == [5, 7, 6]


def test_what_cannot_be_added_is_refused():
    with pytest.raises(DataError, match=r"all_items \(--all-items\) needs a table of items; give one with items"):
        read_log(EVENTS, all_items=True)
    text = pl.DataFrame({"item": ["5", "x"], "kind": ["a", "b"]})
    with pytest.raises(DataError, match="'x' is text, and the names in the log are whole numbers"):
        read_log(EVENTS, items=text, all_items=True)

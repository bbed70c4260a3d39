"""Impressions: how they are read, checked, filtered and stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue import testing
from segue.data.filters import without_items
from segue.data.impressions import MAX_IMPRESSIONS, packed
from segue.data.log import Log
from segue.data.readers.ingest import read_log
from segue.data.splits import leave_last_out
from segue.data.store import open_log, save_log
from segue.errors import ArtefactError, DataError
from segue.experiments.tie_range import reordered
from segue.models.registry import MODELS
from segue.serving.saved_model import load, save

FRAME = pl.DataFrame(
    {
        "user": ["b", "a", "a", "b", "a", "b"],
        "item": ["i", "i", "j", "k", "k", "j"],
        "time": [1_600_000_001, 1_600_000_001, 1_600_000_002, 1_600_000_002, 1_600_000_003, 1_600_000_003],
        "shown": ["i|k", None, " j | x|i", "", "k|k|j", "y"],
    }
)
NAMES = {"a": [[], ["j", "i"], ["k", "j"]], "b": [["i", "k"], [], []]}


def read(shown: Any = FRAME["shown"], **options: Any) -> Log:
    return read_log(FRAME.with_columns(pl.Series("shown", shown)), impressions="shown", **options)


def shown_names(log: Log) -> dict[str, list[list[str]]]:
    assert log.impressions is not None
    return {
        name: [log.items.names(row[row > 0]) for row in log.impressions[log.start[user] : log.stop[user]]]
        for user, name in enumerate(log.users.tokens, 1)
    }


@pytest.mark.parametrize(
    "shown",
    [
        FRAME["shown"],
        [["i", "k"], None, ["j", "x", None, "i"], [], ["k", "k", "j"], ["y"]],
        pl.Series([["i", "k"], None, [" j", "i"], [], ["k", "j"], None]),
    ],
    ids=["text", "lists", "unknown"],
)
def test_lists_and_texts_are_read(shown: Any) -> None:
    assert shown_names(read(shown)) == NAMES


def test_numbers_are_the_names_that_items_have(tmp_path: Path) -> None:
    rows = "user,item,time,shown\na,7,1600000000,3|07|7\na,3,1600000001,7\nb,7,1600000002,\nb,3,1600000003,3|9\n"
    (tmp_path / "log.csv").write_text(rows)
    log = read_log(tmp_path / "log.csv", impressions="shown")
    assert shown_names(log) == {"a": [[3, 7], [7]], "b": [[], [3]]}
    assert [one for one in log.warnings if "shown" in one] == [
        "log.csv, column 'shown': 2 of 6 items shown have no event, and are left out"
    ]
    lists = pl.DataFrame({"user": [1, 1, 2], "item": [7, 3, 7], "time": [1, 2, 3], "shown": [[7, 3], [3], []]})
    assert shown_names(read_log(lists, impressions="shown")) == {1: [[7, 3], [3]], 2: [[]]}
    single = lists.with_columns(shown=pl.Series([3, 7, None]))
    assert shown_names(read_log(single, impressions="shown")) == {1: [[3], [7]], 2: [[]]}


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ([None] * 6, "column 'shown': all empty; read the log without impressions"),
        (
            ["i,j"] * 6,
            "none of its 1 names, such as 'i,j', is an item of the log; write the items of an event as a list",
        ),
        (['["i"]'] * 6, r"row 1: looks like a JSON list, and a text has \| between the items"),
        ([1.5] * 6, "Float64 is no list of items"),
        ([[[1]]] * 6, "is no list of items"),
    ],
)
def test_other_columns_are_refused(shown: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(shown)


def test_what_cannot_be_given_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'shon' for the impressions, did you mean 'shown'"):
        read_log(FRAME, impressions="shon")
    with pytest.raises(DataError, match="column 'item' cannot be both the item and the impressions"):
        read_log(FRAME, impressions="item")
    with pytest.raises(DataError, match="a store keeps no impressions; leave out impressions"):
        read_log("sqlite:///events.db", impressions="shown")
    save_log(read(), tmp_path / "log")
    with pytest.raises(DataError, match="a saved log has its columns already; leave out impressions"):
        read_log(tmp_path / "log", impressions="shown")
    many = pl.DataFrame({"user": ["a"] * 1001, "item": [f"i{n}" for n in range(1001)], "shown": [None] * 1001})
    many = many.with_columns(shown=pl.Series(["|".join(many["item"])] + [None] * 1000))
    with pytest.raises(DataError, match=f"row 1: 1,001 items, and at most {MAX_IMPRESSIONS:,} are read"):
        read_log(many, impressions="shown")


def test_filters_keep_what_is_left() -> None:
    log = read(item_core=2, user_core=2, where={"item": ["i", "k"]})
    assert shown_names(log) == {"a": [[], ["k"]], "b": [["i", "k"], []]}
    without = without_items(read(), ["k"], "no k")
    assert shown_names(without) == {"a": [[], ["j", "i"]], "b": [["i"], []]}


def test_saved_logs_and_saved_models_keep_them(tmp_path: Path) -> None:
    log = read()
    for view in (log, leave_last_out(log, valid=0).train):
        again = open_log(save_log(view, tmp_path / "log"), verify=True)
        assert shown_names(again) == shown_names(view) if view is log else len(again) == len(view)
        assert again.fingerprint == view.fingerprint
    assert log.fingerprint != replace(log, impressions=None).fingerprint
    model = testing.subject(MODELS["pop"]).train(log)
    loaded = load(save(model, log, tmp_path / "model")).log
    assert shown_names(loaded) == NAMES
    assert loaded.fingerprint == log.fingerprint
    nothing = replace(log, impressions=np.zeros((len(log), 1), np.int32))
    assert open_log(save_log(nothing, tmp_path / "nothing")).fingerprint == nothing.fingerprint


def test_wrong_impressions_are_not_saved_nor_opened(tmp_path: Path) -> None:
    log = read()
    assert log.impressions is not None
    for wrong in (log.impressions + 3, -log.impressions, np.zeros((len(log), MAX_IMPRESSIONS + 1), np.int32)):
        with pytest.raises(DataError, match="cannot be saved, because its column impressions has"):
            save_log(replace(log, impressions=wrong), tmp_path / "wrong")
    folder = save_log(log, tmp_path / "log")
    values = np.load(folder / "impressions.npy")
    np.save(folder / "impressions.npy", values[:-1])
    with pytest.raises(ArtefactError, match=r"impressions\.npy"):
        open_log(folder)


def test_ties_keep_their_impressions() -> None:
    log = read(pl.Series(["i", None, "j", "k", "k", "j"]))
    log = replace(log, time=np.full(len(log), 1_600_000_000))
    other, source = reordered(log, 3)
    assert log.impressions is not None
    np.testing.assert_array_equal(other.impressions, log.impressions[source])


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=6))
def test_packed_items_stand_on_the_left(rows: list[list[int]]) -> None:
    found = packed(np.array(rows, np.int32))
    assert [[item for item in row if item] for row in found.tolist()] == [
        [item for item in row if item] for row in rows
    ]
    assert found.shape[1] == max(1, *(sum(map(bool, row)) for row in rows))

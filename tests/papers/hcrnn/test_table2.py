"""HCRNN's Table 2 counts prefixes, and says which log is not at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from segue.data.datasets import catalog
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.errors import DataError
from segue.papers import find
from segue.papers.hcrnn import table2 as hcrnn_table2
from segue.papers.reproduction import grid
from segue.papers.run_cache import RunCache

PARTS = pl.DataFrame({"split": ["train", "valid", "test"]})
LOG = replace(from_sequences([[1, 2, 3, 4], [1, 2], [4, 3, 2]]), user_metadata=PARTS)


def load(name: str) -> Log:
    if name == "hcrnn-lastfm":
        raise DataError("hcrnn-lastfm could not be had")
    return LOG


def test_prefixes_are_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(catalog, "load", load)
    monkeypatch.delenv("SEGUE_QUIET", raising=False)
    made = find("hcrnn-table2")(runs=RunCache(Path("nowhere")))
    ours = {row.method: row.mean for row in made.rows if row.metric == "CiteULike"}
    assert ours == {
        "sequences (train)": 3 + 1,
        "sequences (test)": 2,
        "clicks": (2 + 3 + 4) + 2 + (2 + 3),
        "items": 4,
        "avg. len": 16 / 6,
        "whole sequences": 3,
        "events": 9,
    }
    assert made.row("clicks", "MovieLens").paper == 5_041_882
    assert made.notes[-1] == "LastFM's log is not at hand: its column is the paper's."
    assert "hcrnn-lastfm could not be had" in capsys.readouterr().err
    head, *body = grid(made.as_dict())
    assert dict(zip(head, body[2], strict=True))["LastFM paper"] == "4,575,159"
    assert dict(zip(head, body[2], strict=True))["CiteULike"] == "16"


def test_a_log_that_comes_by_itself_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Log:
        raise DataError(f"no {name}")

    monkeypatch.setattr(catalog, "load", nothing)
    with pytest.raises(DataError, match="no citeulike"):
        hcrnn_table2.reproduce(runs=RunCache(Path("nowhere")))


def test_lastfm_is_counted_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "load", lambda name: LOG)
    made = hcrnn_table2.reproduce(runs=RunCache(Path("nowhere")), quick=True)
    assert made.row("items", "LastFM").paper == 5_778
    assert made.notes[0].startswith("QUICK: ")
    assert not any("not at hand" in note for note in made.notes)


def test_the_printed_figures_agree_with_each_other() -> None:
    """The mean length is clicks over sequences."""
    for train, test, clicks, _, mean in zip(*hcrnn_table2.METHODS.values(), strict=True):
        assert clicks / (train + test) == pytest.approx(mean, abs=0.005)

"""HCRNN's Table 2 counts prefixes, and names a log that is not available."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from segue.data.datasets import catalog
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.errors import DataError
from segue.papers import find_table
from segue.papers.hcrnn import table2 as hcrnn_table2
from segue.papers.reproduction import text_table
from segue.papers.run_cache import RunCache

PARTS = pl.DataFrame({"split": ["train", "valid", "test"]})
LOG = replace(from_sequences([[1, 2, 3, 4], [1, 2], [4, 3, 2]]), user_metadata=PARTS)


def load(name: str) -> Log:
    if name == "hcrnn-lastfm":
        raise DataError("hcrnn-lastfm is not available")
    return LOG


def test_number_of_prefixes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(catalog, "load_log", load)
    monkeypatch.delenv("SEGUE_QUIET", raising=False)
    table = find_table("hcrnn-table2")(runs=RunCache(Path("nowhere")))
    measured = {row.method: row.mean for row in table.rows if row.metric == "CiteULike"}
    assert measured == {
        "sequences (train)": 3 + 1,
        "sequences (test)": 2,
        "clicks": (2 + 3 + 4) + 2 + (2 + 3),
        "items": 4,
        "avg. len": 16 / 6,
        "whole sequences": 3,
        "events": 9,
    }
    assert table.row("clicks", "MovieLens").published == 5_041_882
    assert table.notes[-1] == "LastFM's log is not available: its column has the published figures."
    assert "hcrnn-lastfm is not available" in capsys.readouterr().err
    head, *body = text_table(table.as_dict())
    assert dict(zip(head, body[2], strict=True))["LastFM published"] == "4,575,159"
    assert dict(zip(head, body[2], strict=True))["CiteULike"] == "16"


def test_an_error_of_a_downloadable_log_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Log:
        raise DataError(f"no {name}")

    monkeypatch.setattr(catalog, "load_log", nothing)
    with pytest.raises(DataError, match="no citeulike"):
        hcrnn_table2.reproduce(runs=RunCache(Path("nowhere")))


def test_lastfm_is_included_if_it_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "load_log", lambda name: LOG)
    table = hcrnn_table2.reproduce(runs=RunCache(Path("nowhere")), quick=True)
    assert table.row("items", "LastFM").published == 5_778
    assert table.notes[0].startswith("QUICK: ")
    assert not any("not available" in note for note in table.notes)


def test_the_printed_figures_agree_with_each_other() -> None:
    """The mean length is clicks over sequences."""
    for train, test, clicks, _, mean in zip(*hcrnn_table2.METHODS.values(), strict=True):
        assert clicks / (train + test) == pytest.approx(mean, abs=0.005)

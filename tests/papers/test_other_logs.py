"""HGN's other logs, and the tables of sizes: read from generated files in the publishers' formats."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from raw_logs import BOOKS, CHILDREN, COMICS, rating_line, shelf_line, write_dataset

from segue.data.datasets import catalog
from segue.data.datasets.download import NotFound
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.errors import DataError
from segue.papers import find_table
from segue.papers.criteo import table1 as criteo_table1
from segue.papers.hgn import table2, table3
from segue.papers.hgn.common import direct_experiment
from segue.papers.hgn.other_logs import OTHER_LOGS, OtherLog
from segue.papers.reproduction import text_table
from segue.papers.run_cache import RunCache

FILES = {
    "ml-20m": ("ratings.csv", None),
    "amazon-books": (f"ratings_{BOOKS}.csv", rating_line),
    "goodreads-children": (f"{CHILDREN}.json.gz", shelf_line),
    "goodreads-comics": (f"{COMICS}.json", shelf_line),
}


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder SEGUE_DATA with a small file of each log but that of CDs; no log can be downloaded."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name, (file, form) in FILES.items():
        _, entry = write_dataset(folder, name, file, form)
        monkeypatch.setitem(catalog.DATASETS, name, entry)
    monkeypatch.setenv("SEGUE_DATA", str(folder))
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    return folder


def test_sizes_are_counted_where_the_log_is(tmp_path: Path) -> None:
    made = table2.reproduce(runs=RunCache(tmp_path))
    assert made.details["log"] == list(FILES)
    for title, name in table2.LOGS.items():
        if name in FILES:
            entry = catalog.DATASETS[name]
            assert made.row("users", title).measured == (entry.num_users,)
            assert made.row("interactions", title).measured == (entry.num_rows,)
    assert made.row("users", "Books").published == 52_406
    head, users, *_, density = text_table(made.as_dict())
    assert dict(zip(head, users, strict=True))["CDs published"] == "17,052"
    assert dict(zip(head, density, strict=True))["CDs published"] == "0.079"
    assert "Books published" in head
    assert made.notes == ("Not available here, so that only their published figures are shown: CDs.",)


def test_the_published_densities_agree_with_the_published_counts() -> None:
    for users, items, interactions, density in zip(*table2.METHODS.values(), strict=True):
        assert 100 * interactions / (users * items) == pytest.approx(density, abs=5e-4)


def test_a_log_with_other_sizes_than_the_published_ones_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(catalog.DATASETS["goodreads-comics"], num_users=7)
    monkeypatch.setitem(catalog.DATASETS, other.name, other)
    assert "not the published 7 users, " in table2.reproduce(runs=RunCache(tmp_path)).notes[-1]


def test_a_damaged_log_is_not_taken_for_a_missing_one(shelf: Path, tmp_path: Path) -> None:
    (shelf / f"ratings_{BOOKS}.csv").write_text("A1,B1,five,1300000000\n")
    with pytest.raises(DataError, match=r"Books\.csv: cannot be read"):
        table2.reproduce(runs=RunCache(tmp_path))


def test_without_any_log_the_error_says_how_to_get_one(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, _ in FILES.values():
        (shelf / file).unlink()
    with pytest.raises(NotFound, match=r"ml-20m .* could not be found"):
        table2.reproduce(runs=RunCache(tmp_path))


def test_a_figure_of_a_log_that_is_not_there(shelf: Path, tmp_path: Path) -> None:
    (shelf / f"ratings_{BOOKS}.csv").unlink()
    with pytest.raises(DataError, match=r"(?s)amazon-books .*By hand: download"):
        find_table("hgn-figure4")(runs=RunCache(tmp_path), quick=True)


@pytest.mark.parametrize("other", OTHER_LOGS, ids=lambda other: other.title)
def test_figures_of_other_logs(other: OtherLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the publisher's file to both pictures; every method is POP here, so that it takes no time."""
    experiment = direct_experiment("pop")
    pop = tuple(replace(method, experiment=experiment, seeds=(0,), printed=None) for method in table3.METHODS)
    monkeypatch.setattr(table3, "METHODS", pop)
    made = find_table(other.name)(runs=RunCache(tmp_path))
    assert made.details["log"] == other.log
    for picture, metric in zip(made.pictures, ("recall", "ndcg"), strict=True):
        assert picture.name == f"hgn-figure{other.figure}-{metric}"
        assert other.title in picture.encoding["title"]
        assert {(row["method"], row["k"]) for row in picture.rows} == set(
            itertools.product([method.name for method in pop], (5, 10, 15, 20))
        )
    assert made.row("HGN", "ndcg-full@10").published == other.ndcg[-1]
    assert made.row("HGN", "ndcg@10").published is None, "the paper prints another NDCG"
    assert made.row("POP", "recall@10").published is None
    assert made.row("HGN", "recall@20").published is None


def test_the_real_methods_run_on_a_publishers_file(tmp_path: Path) -> None:
    made = find_table("hgn-figure6")(runs=RunCache(tmp_path), quick=True)
    assert {row.method for row in made.rows} == {method.name for method in table3.METHODS}
    assert all(0 <= row.mean <= 1 for row in made.rows)
    assert made.notes[0].startswith("QUICK: ")
    assert "The settings of all methods were chosen on Amazon-CDs." in made.notes


@pytest.mark.parametrize(
    ("figure", "improvements"),
    [(3, (0.0736, 0.0707)), (4, (0.1983, 0.2417)), (6, (0.0841, 0.1221)), (7, (0.1667, 0.1829))],
)
def test_published_figures_agree_with_the_published_improvements(
    figure: int, improvements: tuple[float, float]
) -> None:
    other = next(other for other in OTHER_LOGS if other.figure == figure)
    for figures, improvement in zip((other.recall, other.ndcg), improvements, strict=True):
        hgn, best = figures[-1], max(figures[:-1])
        assert hgn / best - 1 == pytest.approx(improvement, abs=2e-3)


def test_sizes_of_criteos_log_and_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = pl.DataFrame({"split": ["train", "valid", "test", "test"]})
    log = replace(from_sequences([[1, 2, 3], [1, 2], [2, 3], [2, 1]]), user_metadata=parts)

    def load(name: str) -> Log:
        if name == "yoochoose":
            raise NotFound("not here")
        return log

    monkeypatch.setattr(catalog, "load_log", load)
    made = criteo_table1.reproduce(runs=RunCache(tmp_path), quick=True)
    measured = {row.method: row.mean for row in made.rows}
    assert measured == {
        "sequences": 4,
        "events": 9,
        "distinct items": 3,
        "training sequences": 1,
        "validation sequences": 1,
        "test sequences": 2,
    }
    assert all(row.published is None for row in made.rows), "it is another log than the paper's"
    assert made.row("test sequences", "YooChoose 1/64").other_logs == {"YooChoose published": 173_000}
    assert made.row("events", "YooChoose 1/64").other_logs == {
        "YooChoose published": 31_708_408,
        "Internal published": 36_547_161,
    }
    assert made.notes[0].startswith("QUICK: ")

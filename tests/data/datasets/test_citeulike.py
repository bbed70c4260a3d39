"""HCRNN's logs: the authors' sequences as published, and MovieLens prepared from MovieLens 1M."""

import dataclasses
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segue.data.datasets import citeulike
from segue.data.datasets.catalog import DATASETS, load_dataset, load_log
from segue.data.datasets.dataset import package_file
from segue.data.splits import given_split
from segue.errors import DataError
from segue.io import json_hash

REAL = os.environ.get("SEGUE_DATA", "nowhere")
TEST_USERS = [8, 17, 18, 26, 28, 34, 35, 42, 48, 52, 56, 58]  # of users 1 to 60
TABLE_2 = {"citeulike": (38_724, 9_140, 1_163_813, 1_980), "hcrnn-movielens": (136_233, 34_682, 5_041_882, 930)}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The folder SEGUE_DATA, empty; an empty cache."""
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_citeulike_has_the_order_and_the_split_of_the_file(shelf):
    table = {"user": [5, 5, 5, 2, 2], "item": [1, 2, 3, 1, 2], "raw_item": ["90", "7", "90", "7", "123"]}
    rest = {"timestamp": [10, 10, 11, 3, 4], "split": ["test", "test", "test", "train", "train"]}
    pl.DataFrame({**table, **rest}).write_parquet(shelf / "hcrnn_citeulike.parquet")
    log = load_dataset(dataclasses.replace(DATASETS["citeulike"], num_users=2, num_items=3, num_rows=5))
    assert [log.items.names(log.history(user)) for user in (1, 2)] == [[7, 123], [90, 7, 90]]
    assert log.user_metadata["split"].to_list() == ["train", "test"]
    assert log.time.tolist() == [3, 4, 10, 10, 11]


def ratings():
    """(user, film, rating, time): films 1 to 20 have enough ratings, 21 has not; users 1 to 60, and 70 with two."""
    rows = [(user, film, 5, 1000 - 10 * film + user % 3) for user in range(1, 61) for film in range(1, 21)]
    rows += [(70, 1, 5, 3), (70, 2, 5, 4), (60, 30, 4, 5)]
    return rows + [(user, 21, 5, 7) for user in range(1, 50)]


def test_the_split_of_movielens_is_that_of_the_authors():
    split = json.loads(package_file(citeulike.SPLIT))
    assert {part: len(users) for part, users in split.items()} == {"test": 928, "valid": 371}
    assert not set(split["test"]) & set(split["valid"])
    assert json_hash(split) == "1dc56f040d30b71b", "the lists as they were first read off the authors' files"


def test_data_files_are_installed_with_the_package():
    root = Path(__file__).parents[3]
    with (root / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    installed = {
        path
        for package, globs in patterns.items()
        for glob in globs
        for path in (root / "src" / package.replace(".", "/")).glob(glob)
    }
    found = {path for path in (root / "src/segue").rglob("*") if path.is_file() and path.suffix != ".py"}
    files = {path for path in found if path.parent.name != "__pycache__"}
    assert files == installed


def test_movielens_is_prepared_from_movielens_1m(shelf):
    lines = [f"{user}::{film}::{rating}::{time}\n" for user, film, rating, time in ratings()]
    (shelf / "ratings.dat").write_text("".join(lines))
    log = load_dataset(
        dataclasses.replace(DATASETS["hcrnn-movielens"], num_users=60, num_items=20, num_rows=1200, sources=())
    )
    assert log.items.tokens.to_list() == list(range(1, 21)), "21 has 49 ratings of 5, 30 has one of 4"
    assert log.items.names(log.history(1)) == list(range(20, 0, -1))
    parts = dict(zip(log.users.tokens, log.user_metadata["split"], strict=True))
    assert [user for user, part in parts.items() if part == "test"] == TEST_USERS
    assert "valid" in parts.values()
    with pytest.raises(DataError, match=r"has 60 users, 20 items, 1,200 rows, but MovieLens 1M as prepared for HCRNN"):
        load_log("hcrnn-movielens")


def test_only_the_last_hundred_events_are_used(shelf):
    rows = [(user, film, 5, film) for user in range(1, 51) for film in range(1, 121)]
    (shelf / "ratings.dat").write_text("".join("{}::{}::{}::{}\n".format(*row) for row in rows))
    log = load_dataset(
        dataclasses.replace(DATASETS["hcrnn-movielens"], num_users=50, num_items=100, num_rows=5000, sources=())
    )
    assert log.items.names(log.history(1)) == list(range(21, 121))


def test_lastfm_keeps_the_last_plays_of_tracks_with_many_users(shelf):
    """60 users play tracks a to d 30 times each, newest first; e has 49 users; some plays have no track id."""
    lines = []
    for user in range(1, 61):
        plays = [(minute, "abcd"[minute % 4]) for minute in range(120)]
        plays += [(120 + minute, "e") for minute in range(2) if user < 50]
        lines += [f"user_{user:06d}\t2009-05-04T01:01:{30 + user % 5:02d}Z\t\tN\t\tNo number\n"]
        for m, track in reversed(plays):
            time = f"2009-05-0{1 + m // 60}T{m % 60 // 30:02d}:{m % 30:02d}:00Z"
            lines.append(f'user_{user:06d}\t{time}\tx\tBand\t{track}\tSong "{track}\n')
    (shelf / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("".join(lines))
    log = load_dataset(dataclasses.replace(DATASETS["hcrnn-lastfm"], num_users=60, num_items=4, num_rows=6000))
    assert [step.rule for step in log.steps[1:]] == [
        "items of at least 50 different users",
        "users with at least 10 rows, counted once",
        "the last 100 rows of each user",
    ]
    assert (log.items.names(log.history(1)), log.titles([1])) == ([*"abcd"] * 25, ['Band - Song "a'])
    assert (np.diff(log.time[:100]) > 0).all()
    parts = log.user_metadata["split"].to_list()
    assert [parts.count(part) for part in ("train", "valid", "test")] == [43, 5, 12]


def test_prefixes_agree_with_a_loop():
    sizes = np.array([2, 10, 37])
    prefixes = [sequence[:stop] for sequence in map(range, sizes) for stop in range(2, len(sequence) + 1)]
    assert citeulike.count_prefixes(sizes) == (len(prefixes), sum(map(len, prefixes)))


@pytest.mark.parametrize(("name", "file"), [("citeulike", "hcrnn_citeulike"), ("hcrnn-movielens", "ml-1m")])
def test_the_counts_of_table_2(name, file, tmp_path, monkeypatch):
    """Also of the prepared MovieLens: only the file of MovieLens 1M is in SEGUE_DATA."""
    real = Path(REAL, f"{file}.parquet")
    if not real.is_file():
        pytest.skip(f"SEGUE_DATA holds no {real.name}")
    (tmp_path / real.name).symlink_to(real)
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    log = load_log(name)
    split = given_split(log)
    test_users = log.stop > split.test
    train, test = (
        citeulike.count_prefixes(log.lengths[1:][~test_users[1:]]),
        citeulike.count_prefixes(log.lengths[test_users]),
    )
    assert (train[0], test[0], train[1] + test[1], log.num_items) == TABLE_2[name]

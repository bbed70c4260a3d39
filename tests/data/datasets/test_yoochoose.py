"""The split of a log of sessions is read, saved, filtered and used by the session protocol."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segue.data.datasets.catalog import DATASETS, load_dataset, load_log
from segue.data.store import open_log, save_log
from segue.errors import DataError
from segue.evaluation.protocol import Protocol

REAL = Path(os.environ.get("SEGUE_DATA", "nowhere"), "yoochoose1_64.parquet")
EVENTS = {"user": [3, 3, 0, 0, 0, 7, 7], "item": [5, 9, 9, 5, 9, 4, 5], "order": [1, 0, 0, 2, 1, 0, 1]}
SPLIT = ["test", "test", "train", "train", "train", "train", "train"]


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """The folder SEGUE_DATA with a small log of sessions, under the names of both data sets."""
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    table = pl.DataFrame({**EVENTS, "split": SPLIT})
    table.write_parquet(tmp_path / "yoochoose1_64.parquet")
    times = (1_396_000_000.25 + pl.col("order")).alias("timestamp")
    table.select("user", "item", times, "split").write_parquet(tmp_path / "yoochoose-100k.parquet")
    return tmp_path


def small(name):
    return dataclasses.replace(DATASETS[name], num_users=3, num_items=3, num_rows=7)


@pytest.mark.parametrize("name", ["yoochoose-64", "yoochoose-100k"])
def test_sessions_keep_their_order_and_the_split_of_the_source(name, shelf):
    log = load_dataset(small(name))
    assert [log.items.names(log.history(u)) for u in (1, 2, 3)] == [[9, 9, 5], [9, 5], [4, 5]]
    assert log.user_metadata.to_dict(as_series=False) == {"split": ["train", "test", "train"]}
    assert (log.time is None) == (name == "yoochoose-64")
    again = open_log(save_log(log, shelf / "kept"))
    assert again.user_metadata.equals(log.user_metadata)
    fewer = load_dataset(small(name), user_core=2, item_core=2)
    assert fewer.user_metadata.to_dict(as_series=False) == {"split": ["train", "test"]}


def test_times_keep_their_fractions():
    log = load_dataset(small("yoochoose-100k"))
    assert log.time.tolist()[:3] == [1_396_000_000_250, 1_396_000_001_250, 1_396_000_002_250]


def test_a_session_cannot_be_in_two_parts(shelf):
    table = pl.DataFrame({**EVENTS, "split": ["train", *SPLIT[1:]]})
    table.write_parquet(shelf / "yoochoose1_64.parquet")
    with pytest.raises(DataError, match=r"yoochoose1_64.parquet: session 3 is part of train and test; it can be one"):
        load_dataset(small("yoochoose-64"))


def test_the_split_can_be_a_column_of_user_metadata(shelf):
    pl.DataFrame(EVENTS).write_csv(shelf / "events.csv")
    pl.DataFrame({"user": [7, 3, 0], "split": ["train", "test", "train"]}).write_csv(shelf / "sessions.csv")
    log = load_log(shelf / "events.csv", users=shelf / "sessions.csv")
    assert Protocol.guess(log) is Protocol.named("session")
    assert len(Protocol.named("session").instances(Protocol.named("session").split(log), "test")) == 1


def day(number, hour=0):
    return f"2014-{4 + number // 30:02d}-{1 + number % 30:02d}T{hour:02d}:51:09.277Z"


def test_the_raw_clicks_are_filtered_and_split_as_by_criteo(shelf):
    """40 days of a session each of the items 1, 2, 3; one item occurs in the last week only, and one is rare."""
    lines = [f"{n + 1},{day(n, hour)},{item},0\n" for n in range(40) for hour, item in enumerate((1, 2, 3))]
    lines += [f"{50 + n},{day(36 + n % 4, n)},9,S\n{50 + n},{day(36 + n % 4, n + 1)},1,2\n" for n in range(6)]
    lines += [f"70,{day(5)},1,0\n", f"71,{day(6)},8,0\n71,{day(6, 1)},1,0\n"]
    (shelf / "yoochoose-clicks.dat").write_text("".join(lines))
    log = load_dataset(dataclasses.replace(DATASETS["yoochoose"], num_users=40, num_items=3, num_rows=120))
    rules = [(step.rule, step.users, step.items) for step in log.steps[1:]]
    assert rules == [
        ("users with at least 2 rows, counted once", 47, 5),
        ("items with at least 5 rows, counted once", 47, 4),
        ("users with at least 2 rows, counted once", 46, 4),
        ("items of the training sessions", 46, 3),
        ("users with at least 2 rows, counted once", 40, 3),
    ]
    parts = log.user_metadata["split"].to_list()
    assert parts == ["train"] * 26 + ["valid"] * 7 + ["test"] * 7
    assert log.time[0] == 1_396_313_469_277, "milliseconds"
    assert "random" not in log.steps[0].rule
    assert [log.items.names(log.history(user)) for user in (1, 40)] == [[1, 2, 3]] * 2
    assert Protocol.guess(log) is Protocol.named("session")


def test_a_damaged_line_of_clicks_is_refused(shelf):
    (shelf / "yoochoose-clicks.dat").write_text("1,yesterday,3,0\n")
    with pytest.raises(DataError, match=r"yoochoose-clicks\.dat: cannot be read as YooChoose clicks"):
        load_log("yoochoose")


@pytest.mark.skipif(not REAL.is_file(), reason="SEGUE_DATA holds no yoochoose1_64.parquet")
def test_the_real_evaluation_instances(monkeypatch):
    """The usual 1/64 of YooChoose: the prefixes that SR-GNN (Wu et al., AAAI 2019) counts."""
    monkeypatch.setenv("SEGUE_DATA", str(REAL.parent))
    log, session = load_log("yoochoose-64"), Protocol.named("session")
    split = session.split(log)
    train = split.train_valid.lengths
    assert len(session.instances(split, "test")) == 55_898
    assert train.sum() - (train > 0).sum() == 369_859
    valid_users = np.flatnonzero(split.train.lengths < train)
    assert (len(valid_users), valid_users[0], valid_users[-1]) == (11_617, 104_551, 116_167)

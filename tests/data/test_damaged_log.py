"""A saved log that is damaged, or forged with the right hashes, is one error that names the file and what is wrong."""

import json
import os
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from forged_logs import rehash_log
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.data import log_checks
from segue.data.log_checks import log_problem
from segue.data.readers.ingest import read_log
from segue.data.store import open_log, save_log
from segue.data.synthetic import from_sequences
from segue.errors import ArtefactError

FRAME = pl.DataFrame({"user": ["a", "b", "a"], "item": [5, 5, 7], "time": [1, 2, 3], "rating": [1.0, 2.0, 3.0]})


@pytest.fixture
def log():
    items = pl.DataFrame({"item": [5, 7], "name": ["five", "seven"]})
    return read_log(FRAME, name="shop", items=items, users=pl.DataFrame({"user": ["b", "a"], "age": [20, 30]}))


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def longer(path):
    path.write_bytes(path.read_bytes() + bytes(4))


def swap(path):
    other = save_log(from_sequences([[1, 2, 3, 4], [1]]), path.parent.parent / "other")
    path.write_bytes((other / path.name).read_bytes())


def rewrite(**change):
    def edit(path):
        about = json.loads(path.read_text()) | change
        path.write_text(json.dumps({key: value for key, value in about.items() if value is not None}))

    return edit


def column(*values):
    """Another column of the same type."""

    def edit(path):
        np.save(path, np.array(values, np.load(path).dtype))

    return edit


def table(**columns):
    return lambda path: pl.DataFrame(columns).write_parquet(path)


MISSING = "missing; copy the whole folder again, or save the log again"
BROKEN = [
    *((f"{name}.npy", os.remove, f"{name}.npy: {MISSING}") for name in ("item", "time", "stop")),
    *((f"{name}.parquet", os.remove, f"{name}.parquet: {MISSING}") for name in ("users", "user_table", "item_table")),
    ("log.json", os.remove, "not a saved log; there is no log.json in it"),
    ("log.json", cut, "log.json: damaged, not JSON"),
    ("log.json", lambda path: path.write_text("[" * 100_000), "log.json: damaged .lists in lists, too deep"),
    ("log.json", rewrite(version=1), "log.json: version 1, but this segue reads version 2; save the log again, from"),
    ("log.json", rewrite(format="a diary"), "log.json: format: must be 'segue log', not 'a diary'"),
    ("log.json", lambda path: path.write_text("[]"), "log.json: damaged, its version is not a whole number"),
    ("log.json", rewrite(name="shap"), r"log\.json: damaged \(its hash is not the one written into it\)"),
    ("log.json", rewrite(rows=None), r"log\.json: rows is missing; copy"),
    ("log.json", rewrite(rows=-1), r"log\.json: rows: must be greater than or equal to 0, not -1"),
    ("log.json", rewrite(users="2"), r"log\.json: users: must be a valid integer, not '2'"),
    (
        "log.json",
        rewrite(columns=["item", "weight"]),
        r"log\.json: columns\.1: must be 'item', 'time', 'rating', 'part', 'event_type', 'session', ",
    ),
    ("log.json", rewrite(steps=[{"rule": "x"}]), r"log\.json: steps\.0\.rows is missing"),
    ("log.json", rewrite(files=["item.npy"]), r"log\.json: files: must be an object"),
    ("log.json", rewrite(owner="me"), r"log\.json: owner is not a known key"),
]


@pytest.mark.parametrize(("name", "damage", "message"), BROKEN)
def test_a_damaged_folder_is_refused(log, tmp_path, name, damage, message):
    folder = save_log(log, tmp_path / "shop")
    damage(folder / name)
    with pytest.raises(ArtefactError, match=message):
        open_log(folder)


CHANGED = [
    *((name, cut) for name in ("rating.npy", "stop.npy", "items.parquet", "user_table.parquet")),
    *((name, longer) for name in ("item.npy", "users.parquet")),
    ("item.npy", lambda path: path.write_bytes(b"")),
    ("item.npy", column(2, 1, 1)),
    ("time.npy", column(1, 4, 2)),
    ("rating.npy", column(1, 3, 1)),
    ("items.parquet", table(name=[5, 8])),
    ("item_table.parquet", table(title=["five", "six"])),
]


@pytest.mark.parametrize(("name", "damage"), CHANGED)
def test_a_file_that_is_not_the_one_that_was_saved(log, tmp_path, name, damage):
    folder = save_log(log, tmp_path / "shop")
    damage(folder / name)
    for verify in (False, True):
        with pytest.raises(ArtefactError, match=rf"{name}: damaged \(its hash is not the one that was saved\)"):
            open_log(folder, verify=verify)


FORGED = [
    ("item.npy", cut, r"item\.npy: damaged or cut short \(135 bytes for 3 values\)"),
    ("item.npy", longer, r"item\.npy: damaged or cut short \(144 bytes for 3 values\)"),
    ("item.npy", lambda path: path.write_bytes(b""), r"item\.npy: damaged, not an array of int32"),
    ("item.npy", lambda path: np.save(path, np.array(["a"], object)), r"item\.npy: 1 values of type \|O, expected 3"),
    ("item.npy", lambda path: np.save(path, np.ones((3, 1), np.int32)), r"item\.npy: damaged, not an array of int32"),
    ("item.npy", swap, r"item\.npy: 5 values of type <i4, expected 3 of <i4"),
    ("time.npy", lambda path: np.save(path, np.zeros(3)), r"time\.npy: 3 values of type <f8, expected 3 of <i8"),
    ("stop.npy", swap, r"stop\.npy: does not cut 3 rows"),
    ("stop.npy", column(0, 5, 3), r"stop\.npy: does not cut 3 rows"),
    ("stop.npy", column(1, 2, 3), r"stop\.npy: does not cut 3 rows"),
    ("items.parquet", swap, r"items\.parquet: 4 rows, expected 2"),
    ("items.parquet", cut, r"items\.parquet: damaged or cut short"),
    ("items.parquet", table(title=["a", "b"]), r"items\.parquet: must have one column, name"),
    ("items.parquet", table(name=[5, 5]), r"its column items has a name twice"),
    ("items.parquet", table(name=[5, None]), r"its column items has an empty name"),
    ("users.parquet", table(name=[0.5, 1.5]), r"its column users has names of type Float64, which are neither text"),
    ("item_table.parquet", table(title=["five", None]), r"its column items has a title that is no text"),
    ("item_table.parquet", table(title=[5, 6]), r"its column items has a title that is no text"),
    ("user_table.parquet", table(age=[5]), r"user_table\.parquet: 1 rows, expected 2"),
    ("item.npy", column(-1, 1, 1), r"its column item has an id outside 1 to 2, the items"),
    ("item.npy", column(1, 0, 1), r"its column item has an id outside 1 to 2, the items"),
    ("item.npy", column(1, 3, 1), r"its column item has an id outside 1 to 2, the items"),
    ("time.npy", column(3, 1, 2), r"its column time has a time before that of the same user's row above"),
    ("rating.npy", column(1, np.nan, 1), r"its column rating has a rating that is not a finite number"),
    ("rating.npy", column(1, np.inf, 1), r"its column rating has a rating that is not a finite number"),
]


@pytest.mark.parametrize(("name", "damage", "message"), FORGED)
def test_a_forged_file_with_the_right_hash_is_refused(log, tmp_path, name, damage, message):
    folder = save_log(log, tmp_path / "shop")
    damage(folder / name)
    rehash_log(folder)
    with pytest.raises(ArtefactError, match=message):
        open_log(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": 20_000_000}, r"stop\.npy: 3 values of type <i8, expected 20,000,001 of <i8"),
        ({"items": 20_000_000}, r"item_table\.parquet: 2 rows, expected 20,000,000"),
        ({"rows": 2**47}, r"item\.npy: 3 values of type <i4, expected 140,737,488,355,328 of <i4"),
        ({"columns": ["time", "rating"]}, r"log\.json: files: must be those of its columns and tables"),
        ({"columns": ["item", "item", "time", "rating"]}, r"log\.json: files: must be those of its columns and tables"),
        ({"files": {"item.npy": "0" * 64}}, r"log\.json: files: must be those of its columns and tables"),
        ({"tables": ["item_table", "user_table", "user_table"]}, r"log\.json: files: must be those of its columns and"),
    ],
)
def test_forged_sizes_and_names_are_refused(log, tmp_path, change, message):
    folder = save_log(log, tmp_path / "shop")
    rehash_log(folder, lambda facts: facts | change)
    with pytest.raises(ArtefactError, match=message):
        open_log(folder)


def test_parts_are_checked(tmp_path):
    frame = FRAME.with_columns(split=pl.Series(["train", "test", "valid"]))
    folder = save_log(read_log(frame), tmp_path / "parts")
    for values, message in (
        ((0, 3, 2), "a part other than 0 .train., 1"),
        ((1, 0, 2), "a part before that of the same"),
    ):
        column(*values)(folder / "part.npy")
        rehash_log(folder)
        with pytest.raises(ArtefactError, match=f"its column part has {message}"):
            open_log(folder)


def test_a_device_in_place_of_a_file_is_not_read(log, tmp_path):
    folder = save_log(log, tmp_path / "shop")
    (folder / "item.npy").unlink()
    os.mkfifo(folder / "item.npy")
    with pytest.raises(ArtefactError, match=r"item\.npy: cannot be read \(it is a pipe or a device\); copy"):
        open_log(folder)


def test_verify_compares_the_fingerprint(log, tmp_path):
    folder = save_log(log, tmp_path / "shop")
    column(1, 1, 1)(folder / "item.npy")
    rehash_log(folder)
    assert open_log(folder).item.tolist() == [1, 1, 1]
    with pytest.raises(ArtefactError, match="the content is not that of its fingerprint; copy the whole folder again"):
        open_log(folder, verify=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6), st.integers(1, 4))
def test_times_are_checked_across_pieces(monkeypatch, times, piece):
    monkeypatch.setattr(log_checks, "PIECE", piece)
    log = from_sequences([[1] * len(row) for row in times], num_items=1)
    log = replace(log, time=np.array([time for row in times for time in row], np.int64))
    sound = all(row == sorted(row) for row in times)
    assert (log_problem(log) == "") == sound

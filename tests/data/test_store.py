"""A saved log is read again unchanged and memory-mapped; a damaged folder gives one clear message."""

import errno
import os
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue import folders
from segue.data.log import Vocab
from segue.data.readers.ingest import read_log
from segue.data.store import is_log, open_log, save_log
from segue.data.synthetic import from_sequences
from segue.errors import ArtefactError, DataError

FRAME = pl.DataFrame({"user": ["a", "b", "a"], "item": [5, 5, 7], "time": [1, 2, 3], "rating": [1.0, 2.0, 3.0]})


@pytest.fixture
def log():
    items = pl.DataFrame({"item": [5, 7], "name": ["five", "seven"]})
    log = read_log(FRAME, name="shop", items=items, users=pl.DataFrame({"user": ["b", "a"], "age": [20, 30]}))
    return replace(log, warnings=("the header was guessed",))


def test_a_saved_log_is_read_back_unchanged(log, tmp_path):
    again = open_log(save_log(log, tmp_path / "shop"), verify=True)
    assert again.fingerprint == log.fingerprint
    assert (again.name, again.steps, again.warnings) == (log.name, log.steps, log.warnings)
    assert again.users.tokens.to_list() == ["a", "b"]
    assert again.items.tokens.dtype == pl.Int64
    assert again.titles([1, 2]) == ["five", "seven"]
    assert again.user_metadata["age"].to_list() == [30, 20]
    assert read_log(tmp_path / "shop", users=pl.DataFrame({"user": ["b"], "x": [1]})).user_metadata["x"][1] == 1
    for name in ("start", "stop", "item", "time", "rating"):
        assert np.array_equal(getattr(again, name), getattr(log, name))
        assert getattr(again, name).dtype == getattr(log, name).dtype
    assert isinstance(again.item, np.memmap)
    assert not again.item.flags.writeable


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.lists(st.integers(1, 5), max_size=5), max_size=5), st.integers(0, 5))
def test_a_view_is_saved_without_the_rows_behind_its_cut(tmp_path, rows, length):
    view = from_sequences(rows, num_items=5)
    view = view.until(view.start + np.minimum(view.lengths, length))
    again = open_log(save_log(view, tmp_path / "view"), verify=True)
    assert again.fingerprint == view.fingerprint
    assert [again.history(u).tolist() for u in range(1, len(rows) + 1)] == [row[:length] for row in rows]
    assert len(again.item) == len(view)
    assert again.time is None
    assert again.rating is None
    assert again.user_metadata is None
    assert again.item_metadata is None
    assert (again.num_users, again.num_items) == (len(rows), 5)


def test_only_a_saved_log_is_replaced(log, tmp_path):
    folder = save_log(from_sequences([[1, 2]]), tmp_path / "there")
    old = open_log(folder)
    save_log(log, folder)
    assert open_log(folder).fingerprint == log.fingerprint
    assert old.history(1).tolist() == [1, 2]
    save_log(open_log(folder), folder)
    assert open_log(folder).fingerprint == log.fingerprint
    (tmp_path / "mine").mkdir()
    save_log(log, tmp_path / "mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("dear")
    with pytest.raises(ArtefactError, match="is there and is not a saved log; choose another name"):
        save_log(log, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "dear"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "other", "there"]


def test_a_full_disk_changes_nothing(log, tmp_path, monkeypatch):
    folder = save_log(log, tmp_path / "shop")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    for target in (folder, tmp_path / "new"):
        with pytest.raises(ArtefactError, match=r"cannot be written \(No space left on device\); nothing was changed"):
            save_log(from_sequences([[1]]), target)
    assert open_log(folder).fingerprint == log.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


def test_a_failed_rename_restores_the_old_log(log, tmp_path, monkeypatch):
    folder = save_log(log, tmp_path / "shop")
    calls = []
    real = os.replace

    def replace(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(source, target)

    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ArtefactError, match="Input/output error"):
        save_log(from_sequences([[1]]), folder)
    assert open_log(folder, verify=True).fingerprint == log.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


def test_a_folder_that_cannot_be_written(log, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match="file/log: cannot be written"):
        save_log(log, tmp_path / "file" / "log")
    with pytest.raises(ArtefactError, match="is there and is not a saved log"):
        save_log(log, tmp_path / "file")


def test_a_log_that_could_not_be_opened_is_not_saved(log, tmp_path):
    for change, message in (
        ({"item": np.array([1, 2, 3], np.int32)}, "item has an id outside 1 to 2"),
        ({"time": np.array([3, 2, 1])}, "time has a time before"),
        ({"item_metadata": pl.DataFrame({"x": [1]})}, "items has metadata of 1 rows for 2 names"),
        ({"users": Vocab(pl.Series(["a", "a"]))}, "users has a name twice"),
    ):
        with pytest.raises(DataError, match=f"shop: cannot be saved, because its column {message}"):
            save_log(replace(log, **change), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_metadata_that_could_not_be_opened_is_not_saved(log, tmp_path):
    """A column of one value is a few bytes in the file; see the limit of `StoredTables`."""
    many = from_sequences([range(1, 60_001)])
    table = pl.DataFrame({f"x{n}": np.zeros(many.num_items, np.int64) for n in range(150)})
    folder = save_log(log, tmp_path / "shop")
    with pytest.raises(
        ArtefactError, match=r"shop/item_table\.parquet: with it the tables .*; leave out columns of metadata"
    ):
        save_log(replace(many, item_metadata=table), folder)
    assert open_log(folder).fingerprint == log.fingerprint
    save_log(replace(many, item_metadata=table[:, :2]), folder)
    assert open_log(folder).item_metadata.equals(table[:, :2])


def test_asking_whether_a_folder_is_a_log_changes_nothing(log, tmp_path):
    """A killed process left the old folder under a hidden name; opening the log puts it back."""
    old = save_log(log, tmp_path / "shop").rename(tmp_path / ".shop.0123abcd.old")
    (tmp_path / ".shop.0123abce").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert is_log(tmp_path / "shop")
    assert not is_log(tmp_path / "shops")
    assert sorted(tmp_path.rglob("*")) == before
    assert open_log(tmp_path / "shop").fingerprint == log.fingerprint
    assert not old.exists()


def test_a_name_that_is_no_text_is_saved(log, tmp_path):
    folder = save_log(replace(log, name="caf\udce9"), tmp_path / "shop")
    assert open_log(folder).name == "caf\\udce9"


def test_other_folders_are_not_logs(tmp_path):
    assert not is_log(tmp_path)
    assert not is_log(FRAME)
    with pytest.raises(ArtefactError, match="nowhere: not a saved log"):
        open_log(tmp_path / "nowhere")

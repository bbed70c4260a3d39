"""The hashes of a saved log are computed once on a machine, and again after any change of a file."""

from __future__ import annotations

import os

import numpy as np
import pytest

from segue.data import store, verified
from segue.data.store import open_log, save_log
from segue.data.synthetic import from_sequences
from segue.errors import ArtefactError
from segue.stored_files import check_hashes


@pytest.fixture
def computed(monkeypatch, tmp_path):
    """A list with an entry for every time that hashes are computed; changes of files count at once."""
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(verified, "SETTLED", 0)
    calls = []

    def check(folder, hashes, *, repair):
        calls.append(folder)
        check_hashes(folder, hashes, repair=repair)

    monkeypatch.setattr(store, "check_hashes", check)
    return calls


@pytest.fixture
def folder(tmp_path):
    return save_log(from_sequences([[1, 2], [2]]), tmp_path / "log")


def test_hashes_are_computed_once(computed, folder):
    for _ in range(3):
        open_log(folder)
    assert len(computed) == 1
    open_log(folder, verify=True)
    assert len(computed) == 2


def test_a_file_that_is_written_to_is_verified_again(computed, folder):
    open_log(folder)
    path = folder / "item.npy"
    status = path.stat()
    np.save(path, np.array([2, 2, 2], np.int32))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ArtefactError, match="its hash is not the one that was saved"):
        open_log(folder)
    save_log(from_sequences([[2, 2], [2]], num_items=2), folder)
    assert open_log(folder).item.tolist() == [2, 2, 2]


def test_another_description_is_verified_again(computed, folder, tmp_path):
    open_log(folder)
    other = save_log(from_sequences([[2, 1], [2]]), tmp_path / "other")
    os.replace(other / "log.json", folder / "log.json")
    with pytest.raises(ArtefactError, match=r"item\.npy: damaged"):
        open_log(folder)


def test_files_that_changed_just_now_are_verified_every_time(computed, folder, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED", 60_000_000_000)
    for _ in range(3):
        open_log(folder)
    assert len(computed) == 3


def test_where_nothing_can_be_remembered_every_opening_verifies(computed, folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert len(open_log(folder)) == 3
    assert len(computed) == 2

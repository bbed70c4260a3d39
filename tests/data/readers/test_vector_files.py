"""Vectors of items from files of NumPy beside the table of the items."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError


@pytest.fixture
def folder(tmp_path):
    pl.DataFrame({"user": [1, 1, 2, 2], "item": ["b", "a", "a", "c"]}).write_csv(tmp_path / "log.csv")
    pl.DataFrame({"item": ["a", "x", "b", "c"], "kind": [1, 1, 2, 2]}).write_csv(tmp_path / "things.csv")
    return tmp_path


def read(folder):
    return read_log(folder / "log.csv", items=folder / "things.csv")


def test_each_item_gets_the_vector_of_its_row(folder):
    np.save(folder / "things.image.npy", np.arange(8).reshape(4, 2))
    log = read(folder)
    vectors = dict(zip(log.items.tokens, log.item_metadata["image"].to_list(), strict=True))
    assert vectors == {"a": [0, 1], "b": [4, 5], "c": [6, 7]}


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((3, 2)), "3 rows for the 4 of things.csv; each needs its vector, in the same order"),
        (np.zeros(4), r"an array of float64, \(4,\); give one row of numbers for each item"),
        (np.array([["a"]] * 4), "give one row of numbers for each item"),
    ],
)
def test_other_arrays_are_refused(folder, vectors, message):
    np.save(folder / "things.image.npy", vectors)
    with pytest.raises(DataError, match=message):
        read(folder)


def test_a_damaged_file_and_a_column_of_the_same_name_are_refused(folder):
    (folder / "things.image.npy").write_bytes(b"no numpy")
    with pytest.raises(DataError, match=r"things.image.npy: no array of NumPy .* write it with numpy.save"):
        read(folder)
    (folder / "things.image.npy").unlink()
    np.save(folder / "things.kind.npy", np.zeros((4, 2)))
    with pytest.raises(DataError, match="has a column 'kind', too; rename one of them"):
        read(folder)

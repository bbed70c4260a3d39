"""Item features: how each type of a column is read, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.item_features import feature_arrays
from segue.data.log import Log
from segue.errors import DataError


def log_of(**columns: Any) -> Log:
    """A log whose items have these columns, one entry for each item."""
    table = pl.DataFrame(columns)
    return replace(synthetic.cycle(5, table.height, 4, seed=0), item_metadata=table)


def test_categories_of_lists_paths_and_numbers_that_are_names():
    log = log_of(genre=[["b", "a"], None, ["a"]], path=["x > y", "x", None], brand=[7, 7, 9])
    found = feature_arrays(log, ("genre", "path", "brand:category"))
    assert found.category.tolist() == [[0, 0, 0, 0, 0], [2, 1, 3, 4, 5], [0, 0, 3, 0, 5], [1, 0, 0, 0, 6]]
    np.testing.assert_allclose(found.weight[1:], [[0.5, 0.5, 0.5, 0.5, 1], [0, 0, 1, 0, 1], [1, 0, 0, 0, 1]])
    assert found.sizes == {"num_features": 6, "categories_per_item": 5, "values_per_item": 0}


@given(st.lists(st.none() | st.integers(-1000, 1000), min_size=3, max_size=8).filter(lambda x: len({*x} - {None}) > 1))
def test_numbers_are_standardised_and_missing_ones_are_marked(numbers):
    value = feature_arrays(log_of(price=pl.Series(numbers, dtype=pl.Float64)), ("price",)).value
    missing = np.array([number is None for number in numbers])
    assert (value[1:, 1] == missing).all()
    assert not value[0].any()
    assert not value[1:, 0][missing].any()
    known = value[1:, 0][~missing].astype(float)
    assert abs(known.mean()) < 1e-5
    assert abs(known.std() - 1) < 1e-5


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Array(pl.Float64, 2)])
def test_vectors_have_a_mean_square_length_of_one(dtype):
    value = feature_arrays(log_of(text=pl.Series([[3.0, 4.0], None, [0.0, 5.0]], dtype=dtype)), ("text",)).value
    np.testing.assert_allclose(value, [[0, 0], [0.6, 0.8], [0, 0], [0, 1]], rtol=1e-6)


def test_booleans_are_numbers_and_columns_stand_side_by_side():
    value = feature_arrays(log_of(new=[True, False, True], v=[[1.0], [1.0], [1.0]]), ("new", "v")).value
    assert value.shape == (4, 3)
    assert (value[1:, 0] > 0).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b", "c"], "column 'x' of its items: no two items share a value"),
        (pl.Series([None, None, None], dtype=pl.String), "is all empty; leave it out"),
        ([2.0, 2.0, 2.0], "all items have 2; leave it out"),
        (pl.Series([None, None, None], dtype=pl.Float64), "all empty; leave it out"),
        ([1.0, float("inf"), 2.0], "the number of item 2 is infinite; correct it or leave it empty"),
        ([[1.0], [1.0, 2.0], None], "vectors of 1 to 2 numbers; all items with a vector need one of the same length"),
        (pl.Series([None, None, None], dtype=pl.List(pl.Float64)), "all empty numbers"),
        ([[1.0], [float("nan")], [2.0]], "the vector of item 2 has an empty or infinite number"),
        ([{"a": 1}] * 3, "is no feature; features are text, numbers, lists of text or of whole numbers"),
    ],
)
def test_what_is_no_feature_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        feature_arrays(log_of(x=values), ("x",))


def test_an_unknown_column_names_the_nearest():
    with pytest.raises(DataError, match=r"its items have no column 'gener', did you mean 'genre'\?; they have: genre"):
        feature_arrays(log_of(genre=["a", "a", "b"]), ("gener",))
    with pytest.raises(DataError, match="has no table of its items, which would have the column 'x'; give one with"):
        feature_arrays(synthetic.cycle(5, 4, 4, seed=0), ("x",))

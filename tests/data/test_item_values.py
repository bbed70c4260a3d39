"""Values of items of any types become one column that loses none of them."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.item_values import common_column, value_texts

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("ab1")


@given(st.lists(scalars | st.lists(scalars, max_size=3), max_size=6))
def test_no_value_is_lost_or_changed(values):
    column = common_column(values)
    assert [value_texts(value) for value in column.to_list()] == [value_texts(value) for value in values]
    assert [value is None for value in column] == [value is None for value in values]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["a", None], pl.String),
        ([1, 2], pl.Int64),
        ([1, 2.5], pl.Float64),
        ([1, True], pl.String),
        ([1.5, True], pl.String),
        ([2**53 + 1], pl.String),
        ([10**400], pl.String),
        ([None, ["a"]], pl.List(pl.String)),
        ([["a"], "b"], pl.List(pl.String)),
        ([[1], [2.5]], pl.List(pl.Float64)),
        ([[1], 2], pl.List(pl.Int64)),
        ([[1], ["a"]], pl.List(pl.String)),
    ],
)
def test_the_type_of_a_column(values, dtype):
    assert common_column(values).dtype == dtype

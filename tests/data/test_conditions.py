"""Conditions on columns: values in the type of the column, alternatives, and what does not occur."""

import doctest

import polars as pl
import pytest

from segue.data import conditions
from segue.data.readers.ingest import read_log
from segue.errors import DataError

FRAME = pl.DataFrame(
    {"user": ["u", "u", "v"], "item": ["a", "b", "c"], "stars": [4.0, 5.0, 4.0], "kind": [["x", "y"], ["y"], None]}
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({}, [True, True, True]),
        ({"stars": "4"}, [True, False, True]),
        ({"stars": [5, "4.0"]}, [True, True, True]),
        ({"kind": ["x", "y"]}, [True, True, False]),
        ({"stars": "4", "kind": "y"}, [True, False, False]),
    ],
)
def test_the_rows_that_satisfy_all_conditions(where, rows):
    assert conditions.matching_rows(FRAME, conditions.as_conditions(where), "here").to_list() == rows


def test_rows_of_a_log_are_selected_by_numbers_as_numbers():
    assert len(read_log(FRAME.drop("kind"), where={"stars": "4"})) == 2


def test_a_value_that_never_occurs_is_an_error():
    many = pl.DataFrame({"n": range(12)})
    with pytest.raises(DataError, match=r"here: column 'n' never has the value 'one'; it has '0', .*'9' and 2 more"):
        conditions.matching_rows(many, {"n": ["one"]}, "here")
    with pytest.raises(DataError, match=r"column 'n' never has the value 'True'"):
        conditions.matching_rows(many, {"n": [True]}, "here")


def test_examples():
    assert doctest.testmod(conditions).failed == 0

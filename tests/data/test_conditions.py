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


def test_whole_numbers_in_text_are_found_with_and_without_a_decimal_point(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("user,item,rating\n101.0,1,5\n101.0,2,5\n102.0,1,3\n102.0,3,5\n103.0,3,5\n")
    assert len(read_log(path, where={"user": ["101", "102"], "rating": "5"})) == 3
    with pytest.raises(DataError, match=r"column 'rating' never has the value '4'; it has '3', '5'$"):
        read_log(path, where={"rating": "4"})
    versions = pl.DataFrame({"version": ["1", "1.0", "v1.0"]})
    for value, row in (("1", 0), ("1.0", 1), ("v1.0", 2)):
        assert conditions.matching_rows(versions, {"version": [value]}, "here").arg_true().to_list() == [row]


def test_a_value_that_never_occurs_is_an_error():
    many = pl.DataFrame({"n": range(12)})
    with pytest.raises(DataError, match=r"here: column 'n' never has the value 'one'; it has '0', .*'9' and 2 more"):
        conditions.matching_rows(many, {"n": ["one"]}, "here")
    with pytest.raises(DataError, match=r"column 'n' never has the value 'True'"):
        conditions.matching_rows(many, {"n": [True]}, "here")


def test_examples():
    assert doctest.testmod(conditions).failed == 0

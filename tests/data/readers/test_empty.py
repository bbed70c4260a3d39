"""Rows without a user, an item or a time are an error that counts them, or left out and counted."""

import polars as pl
import pytest

from segue.data.readers.empty import MARKERS
from segue.data.readers.ingest import read_log
from segue.data.store import open_log, save_log
from segue.errors import DataError

ROWS = [("7", "tea", "10"), ("", "jam", "11"), ("8", "", "12"), ("", "pie", "13"), ("8", "tea", "14"), ("7", "jam", "")]


def text(rows):
    return "user,item,time\n" + "".join(",".join(row) + "\n" for row in rows)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text(ROWS))
    return path


def test_empty_rows_are_counted_in_the_error(source):
    with pytest.raises(DataError, match=r"row 2: empty, as in 2 of 6 rows; .*drop_empty=True \(--drop-empty\)"):
        read_log(source)


def clean(tmp_path, rows):
    path = tmp_path / "clean.csv"
    path.write_text(text(rows))
    return path


MORE = [*ROWS, ("7", "jam", "15")]
LEFT = [row for row in MORE if all(row)]


def test_the_log_is_that_of_the_whole_rows(tmp_path):
    expected = read_log(clean(tmp_path, LEFT)).fingerprint
    path = tmp_path / "log.csv"
    path.write_text(text(MORE))
    log = read_log(path, drop_empty=True)
    assert log.fingerprint == expected
    assert log.steps[1].rule == "no empty user (2 rows), item (1 row), time (1 row)"
    assert [(step.rows, step.users, step.items) for step in log.steps] == [(7, 2, 3), (3, 2, 2)]
    assert open_log(save_log(log, tmp_path / "saved")).steps == log.steps
    assert read_log(clean(tmp_path, LEFT), drop_empty=True).steps == read_log(clean(tmp_path, LEFT)).steps


@pytest.mark.parametrize("marker", MARKERS)
def test_what_programs_write_for_a_missing_value(tmp_path, marker):
    path = tmp_path / "log.csv"
    rows = [(user or marker, item, time) for user, item, time in MORE if item and time]
    path.write_text(text(rows).replace("7,", "u7,").replace("8,", "u8,"))
    log = read_log(path)
    assert log.warnings == (
        f"log.csv, column 'user': {marker!r} is the name in 2 rows; if it stands for a missing value, "
        "leave these rows out: drop_empty=True (--drop-empty)",
    )
    dropped = read_log(path, drop_empty=True)
    assert dropped.users.tokens.to_list() == ["u7", "u8"]
    assert dropped.warnings == ()


def test_names_are_numbers_also_where_values_are_empty(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('user,item\n7,12\n8,""\n"",13\n8,13\n')
    log = read_log(path, drop_empty=True)
    assert (log.users.tokens.to_list(), log.items.tokens.to_list()) == ([7, 8], [12, 13])


def test_a_missing_time_may_have_a_name(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text([*LEFT, ("7", "pie", "NULL")]))
    with pytest.raises(DataError, match=r"column 'time', row 4: empty \(NULL\); fill it in, or leave the row out"):
        read_log(path)
    assert len(read_log(path, drop_empty=True)) == 3


def test_frames_with_missing_values():
    frame = pl.DataFrame({"user": [1.0, float("nan"), 2.0, None], "item": ["a", "b", "c", "d"], "rating": [1, 2, 3, 4]})
    with pytest.raises(DataError, match=r"row 2: empty \(NaN\), as in 2 of 4 rows"):
        read_log(frame)
    assert read_log(frame, drop_empty=True).users.tokens.to_list() == [1, 2]
    with pytest.raises(DataError, match=r"row 2: 1\.5 is not a whole|without its empty rows, column 'user', row 1"):
        read_log(frame.with_columns(user=pl.Series([None, 1.5, 2.0, 3.0])), drop_empty=True)


def test_a_column_that_is_empty_altogether_is_the_wrong_one():
    frame = pl.DataFrame({"user": [None, None], "item": [1, 2]}, schema={"user": pl.String, "item": pl.Int64})
    with pytest.raises(DataError, match="every row has an empty user; are the columns the right ones"):
        read_log(frame, drop_empty=True)


def test_decimals_with_a_comma_are_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user;item;rating\n1;2;4,5\n2;3;5\n")
    with pytest.raises(DataError, match=r"'4,5' is not a number; write decimals with a point"):
        read_log(path)

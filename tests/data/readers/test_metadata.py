"""Metadata of users and items: the column of their names, rows without one, and what looks wrong."""

import polars as pl
import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError

LOG = pl.DataFrame({"user": [1, 1, 2, 2], "sku": ["a1", "b2", "c3", "a1"], "time": [1, 2, 3, 4]})
TITLES = ["Mug", "Pen", "Cup"]


@pytest.mark.parametrize(
    "columns",
    [
        {"sku": ["a1", "b2", "c3"], "item": TITLES},
        {"product_id": [7, 8, 9], "item": ["a1", "b2", "c3"]},
        {"item_id": [1.0, 2.0, 3.0], "asin": ["c1", "b3", "a1"], "sku": ["a1", " b2", "c3"]},
        {"item_id": ["a1", "b2", "c3"], "item": TITLES},
    ],
)
def test_the_column_that_has_the_names_of_the_log(columns, tmp_path):
    path = tmp_path / "items.csv"
    pl.DataFrame({**columns, "title": TITLES}).write_csv(path)
    assert read_log(LOG, items=path).item_metadata["title"].to_list() == TITLES


@pytest.mark.parametrize("titles", [["1984", "2.50", "7e2"], ["1.0", "2.10", "3.00"], ["300", "1984", "2046"]])
def test_titles_that_look_like_numbers_stay_as_they_are_written(tmp_path, titles):
    path = tmp_path / "items.csv"
    lines = ["sku,title", *map(",".join, zip(("a1", "b2", "c3"), titles, strict=True))]
    path.write_text("\n".join(lines))
    assert read_log(LOG, items=path).item_metadata["title"].to_list() == titles


def test_a_table_without_the_names_of_the_log_says_which_column_it_took():
    with pytest.raises(
        DataError, match=r"column 'item': none of its items \('y', ...\) is in the log \('a1', .* call it"
    ):
        read_log(LOG, items=pl.DataFrame({"sku": ["x"], "item": ["y"], "code": ["a1"]}))
    with pytest.raises(DataError, match="column 'sku': every row is empty"):
        read_log(LOG, items=pl.DataFrame({"sku": ["", None]}))


def test_rows_without_a_name_are_left_out(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("sku,title\na1,Mug\n,Nothing\nb2,Pen\n  ,Blank\nc3,Cup\n")
    log = read_log(LOG, items=path)
    assert log.item_metadata["title"].to_list() == TITLES
    assert log.warnings == ("items.csv, column 'sku': 2 rows without a name left out",)


def test_few_names_and_several_titles_of_one_item_are_warnings():
    log = read_log(LOG, items=pl.DataFrame({"sku": ["a1", "a1", "a1", "z"], "title": ["Mug", "Mug", "Cup", "Z"]}))
    few, titles = log.warnings
    assert few.endswith("column 'sku': only 1 of the 3 items of the log is in it")
    assert titles.endswith(
        "column 'title': 1 item has different titles in several rows, such as 'a1' ('Mug' and 'Cup'); "
        "the first row counts"
    )
    assert log.item_metadata["title"].to_list() == ["Mug", "b2", "c3"]
    two = pl.DataFrame({"sku": ["a1", "b2", "b2"], "title": ["Mug", "Pen", "Pen"]})
    assert read_log(LOG, items=two).warnings == ()


@pytest.mark.parametrize(
    ("color", "first"),
    [
        (["red", "blue", "red"], "red"),
        ([None, "blue", "red"], None),
        ([["red"], ["red", "blue"], ["red"]], ["red"]),
        ([1.5, float("nan"), 1.5], 1.5),
    ],
)
def test_several_values_of_one_item_are_a_warning(color, first):
    items = pl.DataFrame({"sku": ["a1", "a1", "b2"], "color": color, "size": [1, 1, 2]})
    log = read_log(LOG, items=items)
    (warning,) = log.warnings
    assert warning.endswith(
        "1 item has different values in several rows, such as 'a1', in the columns color; the first row counts, so "
        "write several categories as a list in one row"
    )
    assert log.item_metadata["color"].to_list()[0] == first
    assert read_log(LOG, items=items.with_columns(color=pl.lit("red"))).warnings == ()

"""A source that cannot be read is one message: what, where and what to do."""

import gzip
import re

import polars as pl
import pytest
from small_events import FRAME, TEXT

from segue.data.readers.ingest import read_log
from segue.data.store import save_log
from segue.errors import DataError

HEAD = "user,item,timestamp,rating\n"
GOOD = "1,1,10,5\n2,2,20,4\n"
LONG = "".join(f"{n},{n % 9},{n},3\n" for n in range(1, 10_001))


def test_an_unknown_keyword_is_refused_before_anything_is_read():
    with pytest.raises(TypeError, match=r"read_log\(\) got an unexpected keyword argument 'usr'"):
        read_log("/nowhere/log.csv", usr="owner")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "log.csv: empty"),
        ("\n\n", {}, "log.csv: empty"),
        ("\n" + HEAD + GOOD, {}, "first line is blank"),
        (HEAD, {}, "a header and no rows"),
        (HEAD + "\n\n", {}, "a header and no rows"),
        ("user,when\n1,2\n", {}, r'no column looks like the item; the columns are user, when. Name it: item="..."'),
        ("owner,item\n1,2\n", {}, r"looks like the user.*--user-col on the command line"),
        (
            HEAD + GOOD,
            {"item": "itme"},
            "no column 'itme' for the item, did you mean 'item'\\? The columns are user, item",
        ),
        (HEAD + GOOD, {"time": "when"}, "no column 'when' for the time. The columns"),
        (HEAD + GOOD, {"user": "item"}, "column 'item' cannot be both the user and the item"),
        ("user,item,user\n1,2,3\n", {}, "the header has 'user' twice; rename one"),
        (HEAD + GOOD + "3,3,30,good\n", {}, "column 'rating', row 3: 'good' is not a number"),
        (HEAD + LONG + "1,1,1,good\n", {}, "column 'rating', row 10001: 'good' is not a number"),
        (HEAD + GOOD + "3,3,30,inf\n", {}, "column 'rating', row 3: inf is not a number"),
        (HEAD + GOOD + "3,3,30,\n", {}, "column 'rating', row 3: empty"),
        (HEAD + GOOD + "3,3,NaN,1\n", {}, "column 'timestamp', row 3: nan is not a time|row 3: empty"),
        (HEAD + GOOD + "3,3,,1\n", {}, "column 'timestamp', row 3: empty"),
        (HEAD + GOOD + "3,3,-4,1\n", {}, "column 'timestamp', row 3: -4 is negative; times count from 1970"),
        (HEAD + "1,1,1969-12-31,5\n", {}, "column 'timestamp', row 1: '1969-12-31' is before 1970"),
        (HEAD + GOOD + "3,3,soon,1\n", {}, "column 'timestamp', row 3: 'soon' is not a time"),
        (HEAD + LONG + "3,3,soon,1\n", {}, "column 'timestamp', row 10001: 'soon' is not a time"),
        (HEAD + "3,3,soon,1\n", {}, "column 'timestamp', row 1: 'soon' is not a time"),
        (HEAD + "3,3,01/02/2024,1\n", {}, "row 1: '01/02/2024' may have the day or the month first"),
        (HEAD + "1,1,2024-01-31,1\n3,3,2024-02-30,1\n", {}, "row 2: '2024-02-30' is not a time"),
        (HEAD + GOOD + ",3,30,1\n", {}, "column 'user', row 3: empty"),
        (HEAD + GOOD + "3,,30,1\n", {}, "column 'item', row 3: empty"),
        (HEAD + 'a,"",30,1\n', {}, "column 'item', row 1: empty"),
        (HEAD + GOOD + "\n" + GOOD, {}, "column 'user', row 3: empty"),
        (
            HEAD + GOOD + "3,3,30,1,9\n",
            {},
            r"log.csv: row 3 \(line 4\) has 5 fields, the header has 4; put values that contain ',' in quotes",
        ),
        (HEAD + "1,1\n" + GOOD, {}, r"row 1 \(line 2\) has 2 fields, the header has 4; correct it or leave it out"),
        (HEAD + GOOD + "3,3\n", {}, "row 3 .* has 2 fields, the header has 4"),
        (HEAD + LONG + "3\n" + GOOD, {}, "row 10001 .* has 1 field, the header has 4"),
        (HEAD + LONG + "3,3,,1\n3,3\n", {}, "row 10002 .* has 2 fields"),
        (HEAD + LONG + "\n" + GOOD, {}, "column 'user', row 10001: empty"),
        (
            "1::1::5\n2::2::4\n3::3\n",
            {"user": "1", "item": "2", "time": "3"},
            "row 3 .* has 2 fields, the first row has",
        ),
        (
            "1::1::5\n2::2::4\n4\n",
            {"user": "1", "item": "2", "delimiter": "::"},
            "row 3 .* has 1 field, the first row has 3",
        ),
        (HEAD + "1,1,10,5\n1,2,20,4\n", {}, "one user only: too few to evaluate"),
        (HEAD + "1,1,10,5\n2,1,20,4\n", {}, "one item only: nothing to rank"),
        (HEAD + GOOD, {"min_rating": 6}, "the rule 'rating >= 6' leaves nothing of 2 rows"),
        (HEAD + GOOD, {"user_core": 2}, "the rule 'at least 2 rows a user.*' leaves nothing"),
        (HEAD + GOOD, {"min_rating": 4.5}, "one user only: .*after rating >= 4.5"),
        (HEAD + GOOD, {"min_rating": 3, "rating": ""}, "min_rating=3 needs ratings and this log has none"),
        (HEAD + GOOD, {"delimiter": "ab"}, "'ab' cannot separate fields; give one character"),
        (HEAD + GOOD, {"delimiter": "€"}, "'€' cannot separate fields"),
        (HEAD + GOOD, {"delimiter": ";"}, "the columns are user,item,timestamp,rating"),
        (HEAD + GOOD, {"items": pl.DataFrame({"item": ["x"], "name": ["X"]})}, r"none of its items \('x', ...\) is in"),
        (
            HEAD + GOOD,
            {"items": pl.DataFrame({"thing": ["x"]})},
            "no column looks like the item.*Call the column of names 'item'",
        ),
        (HEAD + GOOD, {"users": pl.DataFrame({"user": ["x"]})}, r"none of its users \('x', ...\) is in the log"),
        (HEAD + GOOD, {"users": pl.DataFrame({"item": ["1"]})}, "no column looks like the user; the columns are item"),
        (HEAD + GOOD, {"items": "/nowhere/items.csv"}, "/nowhere/items.csv: no such file"),
        (b"\x93\x00\x01NUMPY", {}, "binary, not text; is the suffix right?"),
        ((HEAD + GOOD).encode("utf-16"), {}, "UTF-16 text; save it as UTF-8"),
        ((HEAD + "é,1,10,5\n").encode("latin1"), {}, "not UTF-8; convert it"),
        ((HEAD + LONG + "é,1,10,5\n").encode("latin1"), {}, "not UTF-8; convert it"),
        (HEAD + 'a,"b,30,1\nb,c,31,2\n', {}, "log.csv: "),
    ],
)
def test_bad_text_gives_one_message(write, content, options, message):
    with pytest.raises(DataError, match=message) as caught:
        read_log(write(content), **options)
    assert "\n" not in str(caught.value)


def test_bad_files_and_folders_give_one_message(write, tmp_path):
    packed = gzip.compress((HEAD + LONG).encode())
    FRAME.write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    instances = [
        (tmp_path / "none.csv", "none.csv: no such file"),
        (write(TEXT, "plain.csv.gz"), "not a gzip file; rename it without .gz"),
        (write(packed[:-9], "short.csv.gz"), "short.csv.gz: .*end"),
        (write(packed[:40], "shorter.csv.gz"), "shorter.csv.gz: cannot be read"),
        (write(whole[:-20], "short.parquet"), "not a whole Parquet file"),
        (write(b"", "empty.parquet"), "not a whole Parquet file"),
        (write(whole, "parquet.csv"), "binary, not text"),
        (write(TEXT, "log.xlsx"), "cannot read .xlsx files; give CSV"),
    ]
    for source, message in instances:
        with pytest.raises(DataError, match=message):
            read_log(source)
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(
        DataError, match=r"must hold a saved log, Parquet, text or JSON files .* or one \.inter file; it holds nothing"
    ):
        read_log(bare)
    FRAME.write_parquet(bare / "a.parquet")
    FRAME.drop("rating").write_parquet(bare / "b.parquet")
    with pytest.raises(DataError, match=re.escape("its columns (user, item, timestamp) are not those of a.parquet")):
        read_log(bare)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": [None, "b"]}, "the polars frame, column 'user', row 1: empty"),
        ({"user": [True, False]}, "column 'user': Boolean cannot be a name"),
        ({"item": [1.0, 1.5]}, "column 'item', row 2: 1.5 is not a whole number"),
        ({"item": [1.0, float("nan")]}, "column 'item', row 2: empty"),
        ({"time": [1.0, float("inf")]}, "column 'time', row 2: inf is not a time"),
        ({"time": pl.Series([1e9, 1e9], dtype=pl.Float32)}, "float32 cannot hold seconds since 1970"),
        ({"time": [True, False]}, "Boolean is not a time"),
        ({"time": pl.Series([1e30, 1e30])}, "row 1: .* does not fit in 64 bits"),
        ({"rating": [[1], [2]]}, r"column 'rating': List\(Int64\) is not a rating"),
        ({"rating": pl.Series(["5", "good"], dtype=pl.Categorical)}, "column 'rating', row 2: 'good' is not a number"),
    ],
)
def test_bad_columns_of_a_frame_give_one_message(change, message):
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "time": [1, 2]} | change)
    with pytest.raises(DataError, match=message):
        read_log(frame)


def test_other_objects_are_refused():
    with pytest.raises(DataError, match="cannot read a log from a dict; give a path, or a polars or pandas DataFrame"):
        read_log({"user": [1]})
    with pytest.raises(DataError, match="the polars frame: cannot be read"):
        read_log(pl.scan_parquet("/nowhere/log.parquet"))
    with pytest.raises(DataError, match="the polars frame: no rows"):
        read_log(FRAME.clear())


def test_a_saved_log_has_its_columns_already(tmp_path):
    with pytest.raises(DataError, match="a saved log has its columns already"):
        read_log(save_log(read_log(FRAME), tmp_path / "saved"), user="user")

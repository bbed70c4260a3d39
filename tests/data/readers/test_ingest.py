"""Every kind of source gives the same log, and every kind of bad source gives one clear message."""

import doctest
import gzip
import re
import subprocess
import sys
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.readers import roles
from segue.data.readers.ingest import read_log
from segue.data.store import save_log
from segue.errors import DataError

ROWS = [("ann", "tea", 30, 4.0), ("bob", "tea", 20, 5.0), ("ann", "jam", 10, 3.5), ("ann", "pie", 10, 1.0)]
FRAME = pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "rating"], orient="row")
TEXT = "user,item,timestamp,rating\n" + "".join(f"{u},{i},{t},{r}\n" for u, i, t, r in ROWS)


def events(log):
    """(user name, item name) of every row, in the order of the log."""
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a file of that name; the path."""

    def put(content, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def test_rows_are_sorted_by_user_then_time_and_ties_keep_the_order_of_the_source(write):
    log = read_log(write(TEXT))
    assert events(log) == [("ann", "jam"), ("ann", "pie"), ("ann", "tea"), ("bob", "tea")]
    assert log.users.tokens.to_list() == ["ann", "bob"]
    assert log.items.tokens.to_list() == ["jam", "pie", "tea"]
    assert log.time.tolist() == [10, 10, 30, 20]
    assert log.rating.tolist() == [3.5, 1.0, 4.0, 5.0]
    assert (log.item.dtype, log.time.dtype, log.rating.dtype) == (np.int32, np.int64, np.float32)
    assert log.start.tolist() == [0, 0, 3]
    assert log.stop.tolist() == [0, 3, 4]
    assert log.name == "log"


names = st.one_of(st.text("ab7", min_size=1, max_size=2), st.integers(-3, 10**12).map(str))
event = st.tuples(names, names, st.integers(0, 5))


@given(st.lists(event, min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_a_log_has_the_events_of_its_source(rows, shuffle):
    rows += [("a", "b", 0), ("b", "a", 1)]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    log = read_log(frame, duplicates="keep")
    expected = sorted(rows, key=lambda row: (row[0], row[2]))  # Python's sort is stable
    assert events(log) == [row[:2] for row in expected]
    assert log.time.tolist() == [row[2] for row in expected]
    shuffle.shuffle(rows)
    other = read_log(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))
    assert other.users.tokens.equals(log.users.tokens)
    assert other.items.tokens.equals(log.items.tokens)


def atomic(delimiter="\t"):
    lines = [line.replace(",", delimiter) for line in TEXT.splitlines()]
    return "\n".join(["user_id:token\titem_id:token\ttimestamp:float\trating:float", *lines[1:]]) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", TEXT),
        ("log.csv", "\ufeff" + TEXT),
        ("log.csv", TEXT.replace("\n", "\r\n")),
        ("log.csv", TEXT.rstrip() + "\n\n\n"),
        ("log.csv", TEXT.rstrip()),
        ("log.csv", TEXT.replace("tea", '"tea"').replace(",30,", ',"30",')),
        ("log.tsv", TEXT.replace(",", "\t")),
        ("log.txt", TEXT.replace(",", ";")),
        ("log.csv", TEXT.replace(",", "|")),
        ("log.dat", TEXT.replace(",", "::")),
        ("log.data", TEXT.replace(",", " ")),
        ("log.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("log.csv", gzip.compress(TEXT.encode(), mtime=0)),
        ("log.inter", atomic()),
    ],
)
def test_every_text_format_gives_the_same_log(write, name, content):
    assert read_log(write(content, name)).fingerprint == read_log(FRAME).fingerprint


def test_frames_parquet_and_folders_give_the_same_log(tmp_path):
    expected = read_log(FRAME).fingerprint
    FRAME.write_parquet(tmp_path / "log.parquet")
    parts = tmp_path / "parts"
    parts.mkdir()
    FRAME[:1].write_parquet(parts / "0.parquet")
    FRAME[1:].write_parquet(parts / "1.parquet")
    recbole = tmp_path / "recbole"
    recbole.mkdir()
    (recbole / "recbole.inter").write_text(atomic())
    saved = save_log(read_log(FRAME), tmp_path / "saved")
    sources = [FRAME.lazy(), FRAME.to_pandas(), tmp_path / "log.parquet", str(parts), recbole, saved]
    assert [read_log(source).fingerprint for source in sources] == [expected] * 6


@pytest.mark.parametrize(
    ("header", "user", "item"),
    [
        ("UserID,Item ID", "UserID", "Item ID"),
        ("visitorid,itemid", "visitorid", "itemid"),
        ("session_id,sku", "session_id", "sku"),
        ("customer_id,product_id", "customer_id", "product_id"),
        ("uid,movieId", "uid", "movieId"),
        ("track,session_id,user", "user", "track"),
        ("product_id,sku,asin,session,userid", "userid", "asin"),
        ("userId,user_id,item", "userId", "item"),
    ],
)
def test_columns_are_guessed_in_order_of_preference(header, user, item):
    assigned = roles.assign_roles(header.split(","), {"user": None, "item": None}, "x.csv")
    assert assigned == {"user": user, "item": item}


def test_a_named_column_is_preferred_and_an_empty_name_means_none(write):
    path = write("user,owner,item,timestamp,score\n1,7,5,30,2\n2,8,6,20,3\n")
    log = read_log(path, user="owner", time="", rating="")
    assert log.users.tokens.to_list() == [7, 8]
    assert log.time is None
    assert log.rating is None
    assert log.steps[0].rule == "read log.csv: user 'owner', item 'item', in the order of the source"


def test_without_times_the_order_of_the_source_is_used(write):
    log = read_log(write("user,item\nb,2\na,9\nb,1\na,3\n"))
    assert events(log) == [("a", 9), ("a", 3), ("b", 2), ("b", 1)]
    assert log.time is None


def test_a_column_called_order_gives_the_order_and_no_times(write):
    log = read_log(write("user,item,Order\nb,2,7\na,9,2\nb,1,3\na,3,1\n"))
    assert events(log) == [("a", 3), ("a", 9), ("b", 1), ("b", 2)]
    assert log.time is None
    assert "in the order of 'Order'" in log.steps[0].rule


def test_a_file_without_a_header_is_read_by_column_number(write):
    path = write("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", "u.data")
    log = read_log(path, user="1", item="2", rating="3", time="4")
    assert events(log) == [(186, 302), (196, 242)]
    assert log.time.tolist() == [891717742, 881250949]
    double = write("1::1193::5::978300760\n2::661::3::978302109\n", "ratings.dat")
    assert read_log(double, user="1", item="2", rating="3", time="4").items.tokens.to_list() == [661, 1193]
    with pytest.raises(DataError, match=r'columns are 1, 2, 3, 4.*first line looks like data.*user="1"'):
        read_log(path)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pl.Series([12, 7]), [7, 12]),
        (pl.Series([12, 7], dtype=pl.UInt8), [7, 12]),
        (pl.Series([12.0, 7.0]), [7, 12]),
        (pl.Series([2**62, -7]), [-7, 2**62]),
        (pl.Series(["12", "7"]), ["12", "7"]),
        (pl.Series(["é", "a"], dtype=pl.Categorical), ["a", "é"]),
        (pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"])), ["a", "b"]),
    ],
)
def test_names_are_whole_numbers_or_text(values, names):
    log = read_log(pl.DataFrame({"user": values, "item": ["x", "y"]}))
    assert log.users.tokens.to_list() == names
    assert log.users.ids(names).tolist() == [1, 2]


def test_names_in_text_are_numbers_only_if_all_are(write):
    assert read_log(write("user,item\n007,1\n7,2\n")).users.tokens.to_list() == ["007", "7"]
    many = "user,item\n" + "".join(f"{n},{n % 7}\n" for n in range(20_000))
    late = read_log(write(many + "u1,3\n"))
    assert late.users.tokens.dtype == pl.String
    assert late.items.tokens.to_list() == list(range(7))
    for odd in ("007", "+7", "-0", "7_0"):  # each is a name, also where numbers are all that the first lines have
        log = read_log(write(many + f"{odd},3\n"))
        assert log.users.ids([odd, "7", "19999"]).all()
        assert log.num_users == 20_001
        assert log.items.tokens.dtype == pl.Int64
    huge = read_log(write(many + f"{10**20},3\n"))
    assert huge.num_users == 20_001
    assert huge.users.tokens.dtype == pl.String


SECONDS = 1_706_695_200  # 2024-01-31T10:00:00Z
TEN = datetime(2024, 1, 31, 10)


@pytest.mark.parametrize(
    ("given", "stored", "unit"),
    [
        ([SECONDS], SECONDS, "seconds"),
        ([SECONDS * 1000 + 1], SECONDS * 1000 + 1, "milliseconds"),
        ([SECONDS * 10**6], SECONDS * 10**6, "microseconds"),
        ([SECONDS * 10**9], SECONDS * 10**9, "nanoseconds"),
        ([7], 7, "an unknown unit"),
        ([float(SECONDS)], SECONDS, "seconds"),
        ([SECONDS + 0.277], SECONDS * 1000 + 277, "milliseconds"),
        ([SECONDS + 0.123456], SECONDS * 10**6 + 123_456, "microseconds"),
        ([str(SECONDS)], SECONDS, "seconds"),
        ([f"{SECONDS}.0"], SECONDS, "seconds"),
        (["1.7066952e9"], SECONDS, "seconds"),
        (["2024-01-31"], SECONDS - 36_000, "seconds"),
        (["2024-01-31 10:00"], SECONDS, "seconds"),
        (["2024-01-31 10:00:00"], SECONDS, "seconds"),
        (["2024-01-31T10:00:00"], SECONDS, "seconds"),
        (["2024-01-31T10:00:00Z"], SECONDS, "seconds"),
        (["2024-01-31T12:00:00+02:00"], SECONDS, "seconds"),
        (["2024-01-31 05:00:00 -0500"], SECONDS, "seconds"),
        (["2024-01-31T10:00:00.250Z"], SECONDS * 1000 + 250, "milliseconds"),
        ([date(2024, 1, 31)], SECONDS - 36_000, "seconds"),
        ([TEN], SECONDS, "seconds"),
        ([TEN.replace(tzinfo=UTC)], SECONDS, "seconds"),
        ([TEN.replace(microsecond=7)], SECONDS * 10**6 + 7, "microseconds"),
    ],
)
def test_times_are_int64_and_their_unit_is_recorded(given, stored, unit):
    log = read_log(pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": given * 2}))
    assert log.time.tolist() == [stored] * 2
    assert log.steps[0].rule.endswith(f"time 'time' in {unit}")


def test_times_of_a_text_file_never_pass_through_float32(write):
    path = write("user_id:token\titem_id:token\ttimestamp:float\n1\t1\t978300761\n2\t2\t978300760\n", "x.inter")
    assert read_log(path).time.tolist() == [978300761, 978300760]


def test_a_late_fraction_changes_the_unit_and_not_the_names(write):
    log = read_log(write(HEAD + LONG + "7,8,20000.5,3\n"))
    assert log.steps[0].rule.endswith("time 'timestamp' in an unknown unit")
    assert log.time.max() == 20_000_500
    assert log.users.tokens.dtype == log.items.tokens.dtype == pl.Int64


def test_nanoseconds_and_zones_of_parquet(tmp_path):
    stamps = pl.Series([TEN, TEN]).cast(pl.Datetime("ns")).dt.replace_time_zone("Europe/Amsterdam")
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": stamps})
    frame.write_parquet(tmp_path / "x.parquet")
    assert read_log(tmp_path / "x.parquet").time.tolist() == [SECONDS - 3600] * 2
    odd = frame.with_columns(pl.col("time") + pl.duration(nanoseconds=5))
    assert read_log(odd).steps[0].rule.endswith("in nanoseconds")


ITEMS = pl.DataFrame(
    {
        "movieId": ["2", "1", "9", "1"],
        "movie_title": ["GoldenEye", "Toy Story (1995)", "Unseen", "Twice"],
        "release_year": [1995, 1995, 2000, 2001],
    }
)
FILMS = pl.DataFrame({"user": [1, 2, 2], "item": [2, 1, 3], "time": [5, 6, 7]})


def test_items_are_matched_by_name_and_get_a_title():
    log = read_log(FILMS, items=ITEMS)
    assert log.titles([1, 2, 3]) == ["Toy Story (1995)", "GoldenEye (1995)", "3"]
    assert log.item_metadata.columns == ["title", "release_year"]
    assert log.item_metadata["release_year"].to_list() == [1995, 1995, None]


def test_item_metadata_beside_the_log_is_used(tmp_path):
    FILMS.write_parquet(tmp_path / "films.parquet")
    ITEMS.write_parquet(tmp_path / "films.items.parquet")
    assert read_log(tmp_path / "films.parquet").titles([2]) == ["GoldenEye (1995)"]
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "ml.inter").write_text("user_id:token\titem_id:token\n1\t2\n2\t1\n")
    (folder / "ml.item").write_text('item_id:token\tmovie_title:token_seq\n2\tThe "Eye\n1\tToy, Story\n')
    assert read_log(folder).titles([1, 2]) == ["Toy, Story", 'The "Eye']
    assert read_log(folder / "ml.inter").titles([1]) == ["Toy, Story"]


def test_a_delimiter_of_two_characters_leaves_single_ones_alone(write):
    path = write(
        'item::title::genres\n1::Star Wars: "Episode" IV (1977)::Sci-Fi|War\n2::Alien: 3::Horror\n', "movies.dat"
    )
    log = read_log(FILMS, items=path)
    assert log.titles([1, 2]) == ['Star Wars: "Episode" IV (1977)', "Alien: 3"]
    assert log.item_metadata["genres"].to_list() == ["Sci-Fi|War", "Horror", None]


USERS = pl.DataFrame({"user_id": ["2", "9", "2"], "name": ["Ann", "Bob", "Twice"], "year": [1995, 1990, 1980]})


def test_users_are_matched_by_name_and_keep_their_columns():
    log = read_log(FILMS, users=USERS)
    assert log.user_metadata.rows() == [(None, None), ("Ann", 1995)]
    assert log.user_metadata.columns == ["name", "year"]
    assert log.item_metadata is None
    assert log.fingerprint == read_log(FILMS).fingerprint


def test_user_metadata_beside_the_log_is_used(tmp_path, write):
    FILMS.write_parquet(tmp_path / "films.parquet")
    USERS.write_parquet(tmp_path / "films.users.parquet")
    log = read_log(tmp_path / "films.parquet")
    assert (log.user_metadata["name"].to_list(), log.item_metadata) == ([None, "Ann"], None)
    path = write("user_id:token\titem_id:token\n1\t2\n2\t1\n", "ml.inter")
    write('user_id:token\tage:float\tjob:token\n2\t20\t"a\n1\t30\tb\n', "ml.user")
    assert read_log(path).user_metadata.rows() == [(30, "b"), (20, '"a')]
    given = read_log(path, users=pl.DataFrame({"user": [1], "age": [31]}))
    assert given.user_metadata["age"].to_list() == [31, None]


def test_items_without_titles_keep_their_columns(write):
    path = write("item,colour\n3,red\n", "i.csv")
    log = read_log(FILMS, items=path)
    assert log.item_metadata["colour"].to_list() == [None, None, "red"]
    assert log.titles([3]) == ["3"]


def test_filters_are_recorded_and_names_are_renumbered(tmp_path):
    log = read_log(FRAME, min_rating=3.5, name="shop", items=pl.DataFrame({"item": ["tea", "pie"], "name": ["T", "P"]}))
    assert log.items.tokens.to_list() == ["jam", "tea"]
    assert log.titles([1, 2]) == ["jam", "T"]
    assert [(s.rows, s.users, s.items) for s in log.steps] == [(4, 2, 3), (3, 2, 2)]
    assert log.steps[1].rule == "rating >= 3.5"
    assert log.name == "shop"
    again = read_log(save_log(read_log(FRAME), tmp_path / "saved"), min_rating=3.5)
    assert again.fingerprint == log.fingerprint
    assert again.steps[1:] == log.steps[1:]


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


def test_pandas_without_pyarrow_names_the_extra(monkeypatch):
    frame = FRAME.to_pandas()
    monkeypatch.setattr(pl, "from_pandas", lambda _: (_ for _ in ()).throw(ModuleNotFoundError("pyarrow")))
    with pytest.raises(DataError, match=r"pip install 'segue\[pandas\]'"):
        read_log(frame)


def test_pandas_columns_with_missing_values_and_mixed_types():
    frame = pd.DataFrame({"user": [1.0, None], "item": [1, 2]})
    with pytest.raises(DataError, match="the pandas frame, column 'user', row 2: empty"):
        read_log(frame)
    with pytest.raises(DataError, match="the pandas frame, column 'user': its values cannot be converted to one type"):
        read_log(pd.DataFrame({"user": ["a", 3], "item": [1, 2]}, dtype=object))


def test_reading_needs_no_torch():
    code = "import sys, segue.data.readers.ingest; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_examples():
    assert doctest.testmod(roles).failed == 0


@pytest.mark.parametrize(
    ("header", "user", "item"),
    [
        ("user,user_id,item,item_id", "user_id", "item_id"),
        ("item,item_id,user,uid", "uid", "item_id"),
        ("user,session_id,iid,item", "user", "iid"),
        ("session,session_id,movie,movie_id", "session_id", "movie_id"),
        ("customer,customer_id,product,product_id", "customer_id", "product_id"),
    ],
)
def test_the_column_of_ids_is_preferred_to_that_of_names(header, user, item, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"{header}\n" + "".join(f"a{n},b{n},c{n},d{n}\n" for n in range(4)))
    assert read_log(path).steps[0].rule.startswith(f"read x.csv: user '{user}', item '{item}'")


@pytest.mark.parametrize("name", ["value", "score"])
def test_a_guessed_rating_with_empty_values_is_left_out(name, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"user,item,timestamp,{name}\n1,7,1600000000,\n1,8,1600000001,2.5\n2,7,1600000002,\n")
    log = read_log(path)
    assert log.rating is None
    assert "rating" not in log.steps[0].rule
    assert log.warnings[-1].startswith(f"x.csv, column '{name}': empty in 2 of 3 rows, so that the log has no ratings")
    assert read_log(path, rating="").warnings == ()
    for options in ({"rating": name}, {"min_rating": 2}):
        with pytest.raises(DataError, match=f"column '{name}', row 1: empty; fill it in.*--rating-col"):
            read_log(path, **options)


@pytest.mark.parametrize("options", [{"time": ""}, {"rating": ""}, {"drop_empty": True}])
def test_options_of_columns_are_refused_for_a_saved_log(options, tmp_path):
    save_log(read_log(pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": [1, 2], "rating": [1, 2]})), tmp_path / "x")
    with pytest.raises(DataError, match=f"a saved log has its columns already; leave out {next(iter(options))}"):
        read_log(tmp_path / "x", **options)
    assert read_log(tmp_path / "x", split="", where={}).num_users == 2

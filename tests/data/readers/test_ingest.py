"""Every kind of source gives the same log, and every kind of bad source gives one clear message."""

import doctest
import gzip
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_events import FRAME, TEXT, events

from segue.data.readers import roles
from segue.data.readers.ingest import read_log
from segue.data.store import save_log
from segue.errors import DataError


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

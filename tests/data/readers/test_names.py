"""Every source gives one name to one user, and values that may have been rounded are refused."""

import doctest
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.log import BLANKS, INVISIBLE, Vocab
from segue.data.readers import names as module
from segue.data.readers.ingest import read_log
from segue.data.readers.names import as_names, rounding_warnings
from segue.errors import DataError

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def write(path, users, items=("1", "2")):
    """A text file of these users with times, so that its rows are in the order of the text."""
    rows = (f"{user},{items[n % len(items)]},{n}\n" for n, user in enumerate(users))
    path.write_text("user,item,time\n" + "".join(rows), encoding="utf-8")
    return path


def frame(users):
    """The same log as a polars frame."""
    users = users if isinstance(users, pl.Series) else pl.Series(users)
    n = len(users)
    return pl.DataFrame({"user": users, "item": [1 + row % 2 for row in range(n)], "time": range(n)})


NUMBERS = [17850, 536365, 3]


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        pl.Series(NUMBERS, dtype=pl.UInt32),
        pl.Series(NUMBERS, dtype=pl.UInt64),
        pl.Series(NUMBERS, dtype=pl.Int128),
        pl.Series(NUMBERS, dtype=pl.Float64),
        pl.Series(NUMBERS, dtype=pl.Float32),
        [Decimal(n) for n in NUMBERS],
        [Decimal(n).quantize(Decimal("0.00")) for n in NUMBERS],
        [f"{n}.0" for n in NUMBERS],
        [f" {n}.00" for n in NUMBERS],
    ],
)
def test_whole_numbers_have_one_name_whatever_their_type(values, tmp_path):
    expected = read_log(frame(NUMBERS))
    log = read_log(frame(values))
    assert log.users.tokens.to_list() == sorted(NUMBERS)
    assert log.fingerprint == expected.fingerprint
    frame(values).write_parquet(tmp_path / "x.parquet")
    assert read_log(tmp_path / "x.parquet").fingerprint == expected.fingerprint


@pytest.mark.parametrize("form", ["{}", "{}.0", " {}", "{} ", "{}.00", '"{}.0"'])
def test_whole_numbers_have_one_name_however_a_text_file_writes_them(form, tmp_path):
    log = read_log(write(tmp_path / "x.csv", map(form.format, NUMBERS)))
    assert log.fingerprint == read_log(frame(NUMBERS)).fingerprint


def test_categories_of_whole_numbers_in_pandas_are_whole_numbers():
    log = read_log(frame(NUMBERS).to_pandas().assign(user=pd.Categorical(NUMBERS)))
    assert log.fingerprint == read_log(frame(NUMBERS)).fingerprint


def test_numbers_beyond_64_bits_are_text_in_every_source(tmp_path):
    huge = [2**64 - 1, 12, 7]
    log = read_log(frame(pl.Series(huge, dtype=pl.UInt64)))
    assert log.users.tokens.to_list() == sorted(map(str, huge))
    assert read_log(write(tmp_path / "x.csv", huge)).fingerprint == log.fingerprint
    assert log.users.ids([2**64 - 1, "12"]).tolist() == [2, 1]


def test_names_with_a_decimal_point_are_said():
    assert as_names(pl.Series(["12.0", "7.0"]), "x").warnings == (
        "x: names such as '12.0' are read as whole numbers, 12",
    )
    mixed = as_names(pl.Series(["12.0", "12", "7"]), "x")  # a file put together from two exports
    assert mixed.values.to_list() == [12, 12, 7]
    text = as_names(pl.Series(["12.0", "A7", "12", "A7"]), "x")
    assert text.values.to_list() == ["12.0", "A7", "12", "A7"]
    assert text.warnings == (
        "x: 1 of 3 names are whole numbers with a decimal point, such as '12.0', and others are text; they are kept, "
        "so '12.0' and '12' are two names",
    )
    assert as_names(pl.Series(["1.10", "1.1"]), "x").warnings == ()


@pytest.mark.parametrize(("dtype", "bits"), [(pl.Float16, 11), (pl.Float32, 24), (pl.Float64, 53)])
def test_floats_that_may_have_been_rounded_are_no_names(dtype, bits):
    fine = as_names(pl.Series([2**bits - 1, 1], dtype=dtype), "x")
    assert fine.values.to_list() == [2**bits - 1, 1]
    with pytest.raises(DataError, match=rf"x, row 2: {2**bits} may be several names, because {str(dtype).lower()} .*"):
        as_names(pl.Series([1, 2**bits], dtype=dtype), "x")
    with pytest.raises(DataError, match=r"row 1: .* may be several names"):
        as_names(pl.Series([-(2**bits), 1], dtype=dtype), "x")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_forty_users_of_a_narrow_type_are_refused_and_not_merged(dtype):
    start = {"float16": 2_100, "float32": 17_000_000}[dtype]
    users = np.arange(start, start + 40).astype(dtype)
    assert len(np.unique(users)) < 40
    events = pd.DataFrame({"user": users, "item": np.arange(40) % 7, "time": np.arange(40)})
    for source in (events, pl.from_pandas(events)):
        with pytest.raises(DataError, match=r"column 'user', row 1: .* may be several names, because float"):
            read_log(source)


def test_text_that_was_written_from_rounded_floats_is_refused():
    with pytest.raises(DataError, match=r"x, row 2: 9007199254740992\.0 may be several names, because float64"):
        as_names(pl.Series(["1.0", "9007199254740992.0"]), "x")
    for value in ("1.23457E+12", "4e+17", " -5.0e+15"):
        with pytest.raises(DataError, match=r"x, row 2: .* is a number without its last digits, .*export"):
            as_names(pl.Series(["7", value]), "x")
    assert as_names(pl.Series(["1E5", "12e+3x"]), "x").values.to_list() == ["1E5", "12e+3x"]


def test_whole_numbers_that_a_float_may_have_rounded_before_are_said():
    ids = np.arange(17_000_001, 17_000_101)
    assert rounding_warnings(Vocab(pl.Series(ids)), "x") == ()
    rounded = np.unique(ids.astype(np.float32).astype(np.int64))
    (warning,) = rounding_warnings(Vocab(pl.Series(rounded)), "x")
    assert warning.startswith("x: all 51 names from 16,777,216 are numbers that float32 can hold; if they were")
    large = np.unique(np.arange(2**60, 2**60 + 10_000, 7).astype(np.float64).astype(np.int64))
    assert "float64 can hold" in rounding_warnings(Vocab(pl.Series(large)), "x")[0]
    assert rounding_warnings(Vocab(pl.Series(["a"])), "x") == ()


def test_blanks_around_names_do_not_count_in_any_source(tmp_path):
    users = ["ann", " ann", "bob ", "\tbob", "eve\u00a0"]
    expected = read_log(frame(["ann", "ann", "bob", "bob", "eve"]))
    file, table = read_log(write(tmp_path / "x.csv", users)), read_log(frame(users))
    for log in (file, table):
        assert log.fingerprint == expected.fingerprint
        assert log.users.ids(["ann ", "\tbob", "eve", "a nn"]).tolist() == [1, 2, 3, 0]
        assert [warning.partition(": ")[2] for warning in log.warnings] == [
            "2 names were merged with others that differ only in the blanks around them or in how Unicode writes a "
            "letter, such as ' ann' and 'ann'"
        ]
    assert read_log(frame([" ann", "bob"])).warnings == ()


def test_the_same_characters_are_blanks_when_a_source_is_read_and_when_a_name_is_looked_up():
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    stripped = pl.Series(characters).str.strip_chars() == ""
    assert [character for character, blank in zip(characters, stripped, strict=True) if blank] == sorted(
        set(BLANKS) - set(INVISIBLE)
    )


@pytest.mark.parametrize("odd", ["\x1c", "\x1d", "\x1e", "\x1f"])
def test_separators_of_ascii_are_part_of_a_name(odd):
    log = read_log(frame(["ann", f"ann{odd}", f"{odd}ann", "7"]))
    assert log.users.names(log.users.ids(["ann", f"ann{odd}", f" {odd}ann "])) == ["ann", f"ann{odd}", f"{odd}ann"]
    assert log.users.ids([f"7{odd}"]).tolist() == [0]


def test_blanks_after_the_delimiter_do_not_count(tmp_path):
    (tmp_path / "x.csv").write_text("user, item, time, rating\n7, a, 10, 5\n8, b, 11, 4.5\n")
    log = read_log(tmp_path / "x.csv")
    assert (log.users.tokens.to_list(), log.items.tokens.to_list()) == ([7, 8], ["a", "b"])
    assert (log.time.tolist(), log.rating.tolist()) == ([10, 11], [5.0, 4.5])


def test_a_blank_name_is_missing():
    with pytest.raises(DataError, match="x, row 2: empty; fill it in"):
        as_names(pl.Series(["a", " "]), "x")


def test_two_ways_to_write_a_letter_are_one_name(tmp_path):
    log = read_log(write(tmp_path / "x.csv", [COMPOSED, DECOMPOSED, "tea"]))
    assert log.users.tokens.to_list() == [COMPOSED, "tea"]
    assert log.users.ids([COMPOSED, DECOMPOSED, "cafe"]).tolist() == [1, 1, 0]
    assert "1 name was merged with others" in log.warnings[0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series([True, False]), "x: Boolean cannot be a name; turn it into text"),
        (pl.Series([b"a"]), "x: Binary cannot be a name"),
        (pl.Series([[1]]), r"x: List\(Int64\) cannot be a name"),
        (pl.Series([Decimal("1.50"), Decimal("2.00")]), r"x, row 1: 1\.50 is not a whole number"),
        (pl.Series([1.0, 2.5]), r"x, row 2: 2\.5 is not a whole number, so it cannot be a name"),
        (pl.Series([1.0, float("inf")]), "x, row 2: inf may be several names"),
    ],
)
def test_types_that_cannot_be_names(column, message):
    with pytest.raises(DataError, match=message):
        as_names(column, "x")


WHOLE = Vocab(pl.Series([7, 1003, -5]))
ODD = ["1_003", "01003", "+1003", "1003.0", "1e3", "１００３", "10 03", "-05", "", "0x3eb", "--5", True, None]


@pytest.mark.parametrize("token", [*ODD, 1003.5, float("nan"), float("inf"), np.float32(2**24)])
def test_other_forms_of_a_number_are_unknown(token):
    assert WHOLE.ids([token]).tolist() == [0]


@pytest.mark.parametrize("token", ["1003", " 1003 ", 1003, 1003.0, np.int32(1003), np.float32(1003), Decimal(1003)])
def test_a_number_is_found_in_its_usual_form(token):
    assert WHOLE.ids([token, "-5"]).tolist() == [2, 3]


def test_a_float_names_the_text_of_its_whole_number():
    text = Vocab(pl.Series(["7", "None", "nan"]))
    assert text.ids([7.0, 7, "7", "7.0", None, float("nan")]).tolist() == [1, 1, 1, 0, 0, 0]


def test_names_that_an_earlier_version_kept_are_found_as_they_are():
    old = Vocab(pl.Series([" ann", "ann", DECOMPOSED]))
    assert old.ids([" ann", "ann", "ann ", DECOMPOSED]).tolist() == [1, 2, 2, 3]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4), min_size=1))
def test_every_name_of_a_source_is_found_as_the_source_writes_it(values):
    values = [value for value in values if pl.Series([value]).str.strip_chars()[0]]
    if not values:
        return
    try:
        names = as_names(pl.Series(values), "x").values
    except DataError:  # scientific notation
        return
    vocab, codes = module.encode(names)
    if names.dtype == pl.String:
        assert vocab.ids(values).tolist() == codes.tolist()
    assert vocab.ids(names.to_list()).tolist() == codes.tolist()


FILMS = pl.DataFrame({"user": [1, 2, 2], "item": [2, 1, 3], "time": [5, 6, 7]})


@pytest.mark.parametrize(
    ("title", "year", "shown"),
    [
        ("Alien", pl.Series([1979.0, 1985.0]), "Alien (1979)"),
        ("Alien", pl.Series([1979.0, None]), "Alien (1979)"),
        ("Alien", pl.Series([1979.0, float("nan")]), "Alien (1979)"),
        ("Alien", pl.Series([float("nan"), 1985.0]), "Alien"),
        ("Alien", pl.Series(["1979.0", ""]), "Alien (1979)"),
        ("Alien", pl.Series(["", "1985"]), "Alien"),
        ("Alien", pl.Series([1979, 1985], dtype=pl.Float32), "Alien (1979)"),
        ("Alien", pl.Series(["1979-05-25", "1985-01-01"]).str.to_date(), "Alien (1979)"),
        ("007", pl.Series([1962, 1963]), "007 (1962)"),
        ("", pl.Series([1962, 1963]), "1"),
        (" ", pl.Series([1962, 1963]), "1"),
        (300.0, pl.Series([2006, 2007]), "300 (2006)"),
        (float("nan"), pl.Series([2006, 2007]), "1"),
    ],
)
def test_titles_have_no_decimal_points(title, year, shown):
    titles = [title, title if isinstance(title, float) else "Brazil"]
    log = read_log(FILMS, items=pl.DataFrame({"item": [1, 2], "title": titles, "year": year}))
    assert log.titles([1]) == [shown]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ("1,007,1962\n2,7.5,1963\n", ["007 (1962)", "7.5 (1963)"]),
        ("1,1984,1984.0\n2,2001,1968.0\n", ["1984 (1984)", "2001 (1968)"]),
        ("1,Alien,1979.0\n2,Brazil,\n", ["Alien (1979)", "Brazil"]),
        ("1.0,Alien,1979\n2.0,Brazil,1985\n", ["Alien (1979)", "Brazil (1985)"]),
        (" 1,Alien,1979\n 2,Brazil,1985\n", ["Alien (1979)", "Brazil (1985)"]),
    ],
)
def test_titles_of_a_text_file_are_text(rows, shown, tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item,title,year\n" + rows)
    assert read_log(FILMS, items=path).titles([1, 2]) == shown


def test_other_columns_of_a_text_file_keep_leading_zeros(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item,postcode,size\n1,01003,1.5\n2,10115,2\n")
    table = read_log(FILMS, items=path).item_metadata
    assert table["postcode"].to_list() == ["01003", "10115", None]
    assert table["size"].to_list() == [1.5, 2.0, None]


@pytest.mark.parametrize("odd", list(INVISIBLE))
def test_characters_without_width_do_not_make_two_names(odd):
    log = read_log(pl.DataFrame({"user": ["ann", f"ann{odd}", f"{odd}bob"], "item": ["a", "b", "a"]}))
    assert log.users.tokens.to_list() == ["ann", "bob"]
    assert log.users.ids([f"ann{odd}", "bob"]).tolist() == [1, 2]
    assert "1 name was merged with others" in log.warnings[0]
    with pytest.raises(DataError, match="column 'user', row 2: empty"):
        read_log(pl.DataFrame({"user": ["ann", odd, "bob"], "item": ["a", "b", "a"]}))


def test_the_text_of_spreadsheets_is_read_without_its_formula(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('user,item\n"=""007""",1\n008,2\n"=""7""",1\n')
    log = read_log(path)
    assert log.users.tokens.to_list() == ["007", "008", "7"]
    assert "names such as '=\"007\"', a spreadsheet's form of text, are read without = and quotes" in log.warnings[0]


@pytest.mark.parametrize("marker", ["(not set)", "00000000-0000-0000-0000-000000000000"])
def test_markers_of_missing_users_are_said(marker):
    log = read_log(pl.DataFrame({"user": ["a", marker, marker], "item": ["x", "y", "z"]}))
    assert f"{marker!r} is the name in 2 rows; if it stands for a missing value" in log.warnings[0]


@pytest.mark.parametrize(
    "names",
    [
        ["N55189 N42782", "N42782", "N3 N4 N5"],  # the histories of MIND
        ["tea milk jam", "tea", "milk", "jam tea"],
        ["1 5", "7", "5 2"],
        ["1|5", "7|1"],
    ],
)
def test_lists_that_are_read_as_names_are_said(names):
    log = read_log(pl.DataFrame({"user": list(range(len(names))), "item": names}))
    assert "look like lists, and each is one name; write one event per row" in log.warnings[0]


@pytest.mark.parametrize(
    "names",
    [
        ["The Matrix", "The Matrix Reloaded", "Brazil", "Me, Myself and Irene"],
        ["iPhone 7", "iPhone 8 Plus", "Galaxy S9"],
        ["u1 2024-01-31", "u2 2024-01-31"],
        ["N1", "N2", "N3 N4"],
    ],
)
def test_titles_of_several_words_are_names(names):
    assert not read_log(pl.DataFrame({"user": list(range(len(names))), "item": names})).warnings


def test_examples():
    assert doctest.testmod(module).failed == 0

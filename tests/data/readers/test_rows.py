"""Every row has its fields counted as Python's csv module counts them, whatever the size of the blocks."""

import csv
import gzip
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.readers import rows
from segue.data.readers.dialect import Dialect
from segue.data.readers.ingest import read_log
from segue.data.readers.rows import BadRow, count_rows
from segue.errors import DataError

EVENTS = [("ann", "tea", "x", 3), ("bob", "jam", "y", 2), ("ann", "jam", "x", 1)]
CSV = Dialect(",", '"')


def table(delimiter, *more):
    """Events with four columns and then more rows, as text."""
    lines = [("user", "item", "note", "time"), *EVENTS, *more]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines)


def written(cells, line_end, quoting):
    stream = io.StringIO()
    csv.writer(stream, lineterminator=line_end, quoting=quoting).writerows(cells)
    return stream.getvalue()


cells = st.integers(2, 4).flatmap(
    lambda n: st.lists(st.lists(st.text('ab",\né ', max_size=4), min_size=n, max_size=n), min_size=1, max_size=8)
)
quotings = st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 5)


@given(cells=cells, line_end=st.sampled_from(["\n", "\r\n"]), quoting=quotings)
def test_whole_tables_have_the_rows_that_csv_reads(cells, line_end, quoting):
    block, rows.BLOCK = rows.BLOCK, 5
    try:
        text = written(cells, line_end, quoting).encode()
        assert count_rows(io.BytesIO(text), CSV, len(cells[0])).rows == len(cells)
        assert count_rows(io.BytesIO(b"\xef\xbb\xbf" + text.rstrip(b"\r\n")), CSV, len(cells[0])).rows == len(cells)
    finally:
        rows.BLOCK = block


@given(cells=cells, bad=st.integers(0, 7), more=st.sampled_from([-1, 1]), quoting=quotings)
def test_the_first_row_with_other_fields_is_found(cells, bad, more, quoting):
    bad, fields = bad % len(cells), len(cells[0])
    cells = [*cells[:bad], cells[bad][:-1] if more < 0 else [*cells[bad], "z"], *cells[bad + 1 :]]
    if more < 0 and not any(cells[bad]):  # looks blank
        cells[bad] = ["a"] * (fields - 1)
    text = written(cells, "\n", quoting)
    with pytest.raises(BadRow) as caught:
        count_rows(io.BytesIO(text.encode()), CSV, fields)
    assert (caught.value.row, caught.value.fields) == (bad, fields + more)
    assert caught.value.line == written(cells[:bad], "\n", quoting).count("\n") + 1


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "::", " "])
@pytest.mark.parametrize(("more", "fields"), [(("ann", "Me", "Myself", "Irene", 4), 5), (("ann", "tea", 4), 3)])
def test_a_row_with_other_fields_is_an_error_with_any_delimiter(tmp_path, delimiter, more, fields):
    path = tmp_path / "log.dat"
    path.write_text(table(delimiter, more, *EVENTS))
    with pytest.raises(DataError, match=rf"row 4 \(line 5\) has {fields} fields, the header has 4"):
        read_log(path)
    with pytest.raises(DataError, match=rf"log\.dat: row 4 \(line 5\) has {fields} fields"):  # also of metadata
        read_log(tmp_path / "good.csv" if (tmp_path / "good.csv").write_text(table(",")) else None, items=path)


@pytest.mark.parametrize("name", ["log.csv.gz", "log.inter", "parts/2.csv"])
def test_a_row_with_other_fields_is_an_error_in_any_file(tmp_path, name):
    path = tmp_path / name
    os.makedirs(path.parent, exist_ok=True)
    text = table("\t" if name.endswith("inter") else ",", ("ann", "Me", " Myself", "tea", 4))
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    if name.startswith("parts"):
        (path.parent / "1.csv").write_text(table(","))
    with pytest.raises(DataError, match=rf"{path.name}: row 4 \(line 5\) has 5 fields, the header has 4"):
        read_log(path.parent if name.startswith("parts") else path)


def test_the_line_counts_the_lines_inside_of_quoted_fields(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(table(",", ("ann", "tea", '"two\nlines"', 4), ("ann", "tea", 4)))
    with pytest.raises(DataError, match=r"row 5 \(line 7\) has 3 fields"):
        read_log(path)


def test_the_last_row_is_not_dropped_where_the_columns_of_the_log_are_empty(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(table(",", ("", "", "x", "")) + "\n\n")
    with pytest.raises(DataError, match=r"column 'user', row 4: empty"):
        read_log(path)
    assert [step.rows for step in read_log(path, drop_empty=True).steps] == [4, 3]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("ann", '6" pipe', "x", 4), None),  # quotes inside of fields, none around one
        (("ann", '"6"" pipe"', '"a"', 4), None),
        (
            ("ann", '6" pipe', '"a"', 4),
            r"row 4 \(line 5\) has a quotation mark inside a field; put the field in quotes",
        ),
        (("ann", '"a" b', "x", 4), r"row 4 .* has a quotation mark inside a field"),
        (("ann", '"tea', "x", 4), r"row 4 .* has a quotation mark that is never closed"),
    ],
)
def test_quotes_are_where_they_should_be_or_refused(tmp_path, more, message):
    path = tmp_path / "log.csv"
    path.write_text(table(",", more))
    if message is None:
        assert read_log(path).items.ids(['6" pipe']).all()
    else:
        with pytest.raises(DataError, match=message):
            read_log(path)


def test_quotes_of_files_that_do_not_quote_are_read_with_a_warning(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_text(table("\t", ("ann", '"a" b', "x", 4)))
    log = read_log(path)
    assert log.items.ids(['"a" b']).all()
    assert log.warnings == (
        "log.tsv: quotation marks are read as ordinary characters, because row 4 has a quotation mark inside a field",
    )


def test_old_line_ends_and_mixed_ones(tmp_path):
    old, mixed, zero = tmp_path / "old.csv", tmp_path / "mixed.csv", tmp_path / "zero.csv"
    old.write_bytes(table(",").replace("\n", "\r").encode())
    assert len(read_log(old)) == 3
    mixed.write_bytes(table(",").encode() + b"ann,tea,x,4\rann,jam,x,5\n")
    with pytest.raises(DataError, match=r"row 4 \(line 5\) has a line end of another kind; write|kind than the first"):
        read_log(mixed)
    zero.write_bytes(table(",").encode() + b"ann,tea,x,4\n" * 9000 + b"ann,t\0a,x,4\n")
    with pytest.raises(DataError, match=r"row 9004 \(line 9005\) has a zero byte"):
        read_log(zero)


def test_a_row_may_be_longer_than_the_sample(tmp_path):
    path = tmp_path / "log.csv"
    long = f"ann,tea,{'x' * 200_000},4\n"
    for text in (table(",").replace("ann,tea,x,3\n", long), table(",") + long):
        path.write_text(text)
        assert read_log(path).num_users == 2


def test_the_length_of_a_row_is_limited(monkeypatch):
    monkeypatch.setattr(rows, "LONGEST", 100)
    monkeypatch.setattr(rows, "BLOCK", 50)
    with pytest.raises(BadRow, match="longer than"):
        count_rows(io.BytesIO(b"a,b\n" + b"x" * 1000), CSV, 2)


def quoted_in_two_rows(delimiter):
    """Rows of which two have one quotation mark each, as titles in files that do not quote."""
    rows = [
        ("ann", "tea", 1),
        ("bob", '"Heroes and', 2),
        ("ann", "jam", 3),
        ("bob", 'Single 12"', 4),
        ("eve", "pie", 5),
    ]
    return "".join(delimiter.join(map(str, row)) + "\n" for row in [("user", "item", "time"), *rows])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_quotes_of_two_rows_do_not_enclose_those_between(tmp_path, delimiter):
    path = tmp_path / "log.txt"
    path.write_text(quoted_in_two_rows(delimiter))
    log = read_log(path)
    assert len(log) == 5
    assert '"Heroes and' in log.items.tokens.to_list()
    assert "read as ordinary characters, because row 2 would be several lines in quotes that each" in log.warnings[0]


@pytest.mark.usefixtures("small_blocks")
def test_rows_between_two_quotes_are_suspected_where_quotes_are_usual(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(quoted_in_two_rows(","))
    log = read_log(path)
    assert len(log) == 3
    assert "row 2 has several lines in quotes that each look like a row" in log.warnings[0]


def test_a_text_of_several_lines_is_not_suspected(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('user,item,note\nann,tea,"good, hot,\nsweet"\nbob,jam,"a\nb"\nann,jam,c\n')
    assert not read_log(path).warnings

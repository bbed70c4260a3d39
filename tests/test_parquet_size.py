"""The memory that a Parquet file takes is known, from its headers, before any value is decoded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue import stored_files
from segue.data.readers.ingest import read_log
from segue.data.readers.table import parquet_table
from segue.errors import ArtefactError
from segue.expansion import Expansion
from segue.parquet_size import decoded_size
from segue.stored_files import StoredTables

FRAMES = {
    "whole numbers": pl.DataFrame({"x": np.arange(1000)}),
    "text": pl.DataFrame({"x": [f"name {n}" for n in range(1000)], "y": [None, 0.5] * 500}),
    "lists": pl.DataFrame({"x": [[["a"] * 9] * n for n in range(20)]}),
    "structures": pl.DataFrame({"x": [{"a": n, "b": {"c": "x"}} for n in range(20)]}),
    "dates": pl.DataFrame({"x": pl.Series([0, 1, None]).cast(pl.Date), "y": [True, False, None]}),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "uncompressed"])
def test_it_is_at_least_what_the_columns_take(tmp_path, frame, compression):
    path = tmp_path / "x.parquet"
    frame.write_parquet(path, compression=compression, row_group_size=300)
    size = decoded_size(path)
    assert size.rows == frame.height
    assert size.bytes >= pl.read_parquet(path).rechunk().estimated_size() * (1 - 1 / 8)  # bits that are null or not


ROWS = 300_000
BOMBS = {
    "run lengths": (pa.table({"x": np.zeros(ROWS, np.int64)}), {}),
    "deltas": (
        pa.table({"x": np.arange(ROWS)}),
        {"use_dictionary": False, "column_encoding": {"x": "DELTA_BINARY_PACKED"}},
    ),
    "compression": (pa.table({"x": ["a" * 100_000] * 50}), {"use_dictionary": False}),
    "lists": (pa.table({"x": [[None] * ROWS]}), {}),
    "wide values": (pa.table({"x": pa.array([b"a" * 10_000] * 500, pa.binary(10_000))}), {}),
}


@pytest.mark.parametrize(("table", "options"), BOMBS.values(), ids=BOMBS)
def test_a_small_file_that_holds_much_is_not_decoded(tmp_path, monkeypatch, table, options):
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd", **options)
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("decoded"))
    monkeypatch.setattr(stored_files, "DECODED", Expansion(1, 1_900_000))
    with pytest.raises(
        ArtefactError, match=r"x\.parquet: with it the tables of the folder would take \d+ MB, and .* 2 MB"
    ):
        StoredTables(tmp_path, repair="mend it").read("x.parquet", table.num_rows)


def test_the_tables_of_a_folder_share_one_limit(tmp_path, monkeypatch):
    for name in ("a.parquet", "b.parquet"):
        pl.DataFrame({"x": np.zeros(1000, np.int64)}).write_parquet(tmp_path / name)
    size = decoded_size(tmp_path / "a.parquet").bytes
    monkeypatch.setattr(stored_files, "DECODED", Expansion(0, 2 * size - 1))
    tables = StoredTables(tmp_path, repair="mend it")
    assert tables.read("a.parquet", 1000).height == 1000
    with pytest.raises(ArtefactError, match=r"b\.parquet: with it the tables"):
        tables.read("b.parquet", 1000)
    with pytest.raises(ArtefactError, match=r"/saved/b\.parquet: with it the tables"):
        StoredTables(tmp_path, repair="mend it").check(Path("/saved"))
    monkeypatch.setattr(stored_files, "DECODED", Expansion(0, 2 * size))
    StoredTables(tmp_path, repair="mend it").check(tmp_path)


def test_a_stored_table_has_no_encoding_whose_size_is_unknown(tmp_path, monkeypatch):
    """Two bytes of it may be a text of a page; see `DecodedSize.is_bound`."""
    path = tmp_path / "x.parquet"
    texts = pa.table({"x": ["a" * 100_000] * 50})
    pq.write_table(texts, path, use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"})
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(ArtefactError, match=r"damaged or cut short \(an encoding that segue does not write\); mend it"):
        StoredTables(tmp_path, repair="mend it").read("x.parquet", 50)


VALID = pa.table(
    {
        "text": pa.array([None if n < 7 else f"user {n:05}" for n in range(9000)]),
        "number": pa.array([None if n < 7 else n // 10 for n in range(9000)], pa.int64()),
        "small": pa.array([n % 100 for n in range(9000)], pa.int32()),
        "float": pa.array([n / 8 for n in range(9000)], pa.float64()),
        "truth": pa.array([n % 3 == 0 for n in range(9000)]),
        "bytes": pa.array([n.to_bytes(40, "little") for n in range(9000)], pa.binary(40)),
    }
)
ENCODINGS = {
    "text": ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
    "number": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
    "small": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
    "float": ["PLAIN", "BYTE_STREAM_SPLIT"],
    "truth": ["PLAIN", "RLE"],
    "bytes": ["PLAIN"],  # polars reads no other
}
CASES = [(name, encoding) for name, encodings in ENCODINGS.items() for encoding in [None, *encodings]]


def check_size(path, frame):
    """It is a bound, and not far from what the columns take: no valid file is refused."""
    size, taken = decoded_size(path), frame.rechunk().estimated_size()
    assert size.rows == frame.height
    assert size.bytes >= taken * (1 - 1 / 8)  # bits that are null or not
    assert size.bytes <= 4 * taken + 20 * frame.height * frame.width


@pytest.mark.parametrize(("name", "encoding"), CASES)
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_a_valid_file_of_pyarrow_is_read(tmp_path, name, encoding, version, codec):
    """The text and the numbers have 7 empty cells: the number of an encoding, in the field of another structure."""
    path, table = tmp_path / "x.parquet", VALID.select([name])
    options = {"use_dictionary": True} if encoding is None else {"use_dictionary": False}
    encodings = None if encoding is None else {name: encoding}
    pq.write_table(table, path, compression=codec, data_page_version=version, column_encoding=encodings, **options)
    frame = parquet_table([path], "x").load({name: "any"})[0]
    assert frame[name].to_list() == table[name].to_pylist()
    if encoding != "DELTA_BYTE_ARRAY":
        check_size(path, frame)
    assert decoded_size(path).is_bound == (encoding != "DELTA_BYTE_ARRAY")


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "brotli", "lz4", "zstd"])
@pytest.mark.parametrize("options", [{}, {"data_page_size": 1000}, {"row_group_size": 700}], ids=str)
def test_a_valid_file_of_polars_is_read(tmp_path, codec, options):
    path, frame = tmp_path / "x.parquet", pl.from_arrow(VALID)
    frame.write_parquet(path, compression=codec, **options)
    assert parquet_table([path], "x").load(dict.fromkeys(frame.columns, "any"))[0].equals(frame)
    assert decoded_size(path).is_bound
    check_size(path, frame)


def test_a_large_log_of_sorted_names_is_read(tmp_path):
    """Sorted names are what the encoding DELTA_BYTE_ARRAY is for: each has the start of the one before."""
    path, rows = tmp_path / "x.parquet", 300_000
    columns = {"user": [f"user {n // 10:07}" for n in range(rows)], "item": [f"item {n % 97:03}" for n in range(rows)]}
    encodings = dict.fromkeys(columns, "DELTA_BYTE_ARRAY")
    pq.write_table(pa.table(columns), path, use_dictionary=False, column_encoding=encodings)
    assert read_log(path).num_items == 97


def test_a_wide_column_counts_for_itself_alone(tmp_path):
    path = tmp_path / "x.parquet"
    wide = pa.array([b"a" * 5000] * 10, pa.binary(5000))
    pq.write_table(pa.table({"x": range(10), "y": wide}), path)
    assert decoded_size(path, ["x"]).bytes < 1000
    assert decoded_size(path, ["y"]).bytes > 50_000


def test_a_page_that_says_more_than_the_footer(tmp_path):
    """The page counts, as it does for those who decode it."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": np.zeros(10, np.int64)}), path, compression="none", use_dictionary=False)
    honest = decoded_size(path)
    content = bytearray(path.read_bytes())
    assert content[4:7] == b"\x15\x00\x15"  # field 1 of the page header, its type; field 2, its size
    assert content[7] >= 128 > content[8]  # a number of two bytes
    content[7:9] = b"\xfe\x7f"  # 8,191
    path.write_bytes(content)
    assert honest.bytes < 500
    assert decoded_size(path).bytes > 8000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_damaged_headers_are_one_error(tmp_path, data):
    path = tmp_path / "x.parquet"
    FRAMES["lists"].write_parquet(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    with suppress(ValueError):
        assert decoded_size(path).bytes >= 0

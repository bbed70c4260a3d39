"""The memory that a Parquet file takes is known, from its headers, before any value is decoded."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.errors import ArtefactError
from segue.parquet_size import decoded_size
from segue.stored_files import read_table

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
    "shared prefixes": (
        pa.table({"x": ["a" * 100_000] * 50}),
        {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}},
    ),
    "lists": (pa.table({"x": [[None] * ROWS]}), {}),
    "wide values": (pa.table({"x": pa.array([b"a" * 10_000] * 500, pa.binary(10_000))}), {}),
}


@pytest.mark.parametrize(("table", "options"), BOMBS.values(), ids=BOMBS)
def test_a_small_file_that_holds_much_is_not_decoded(tmp_path, monkeypatch, table, options):
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd", **options)
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(ArtefactError, match=r"x\.parquet: would take \d+ MB, and the tables of a folder of this size"):
        read_table(path, table.num_rows, largest=2_000_000, repair="mend it")


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

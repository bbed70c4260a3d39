"""`write_table`: blocks of rows in one file, complete or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from segue.errors import ConfigError, DataError
from segue.serving.table_writer import write_table

BLOCKS = [
    pl.DataFrame({"user": ["a", 'b,"'], "score": [0.5, 1e-9], "fallback": pl.Series([None, "x"], dtype=pl.String)}),
    pl.DataFrame({"user": ["c"], "score": [2.0], "fallback": pl.Series([None], dtype=pl.String)}),
]


@pytest.mark.parametrize("name", ["out.parquet", "out[1].parquet", "out.csv", "OUT.JSONL"])
def test_a_file_holds_all_blocks(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    assert write_table(iter(BLOCKS), path) == 3
    if name.endswith(".csv"):
        found = pl.read_csv(path)
    elif name.endswith(".parquet"):
        found = pl.read_parquet(path, glob=False)
    else:
        found = pl.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    assert found.equals(pl.concat(BLOCKS))
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.jsonl"])
def test_nothing_is_changed_by_an_error(tmp_path: Path, name: str) -> None:
    def blocks() -> Iterator[pl.DataFrame]:
        yield BLOCKS[0]
        raise KeyboardInterrupt

    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_table(blocks(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--out out\.xlsx: give a file whose name ends in \.parquet, \.csv or \.jsonl"
    ):
        write_table(BLOCKS, Path("out.xlsx"))
    with pytest.raises(DataError, match=r"cannot be written: No such file"):
        write_table(BLOCKS, tmp_path / "none" / "out.csv")

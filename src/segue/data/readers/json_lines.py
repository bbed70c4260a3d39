"""`json_table`: JSON files of one object a row, as lines (JSON Lines, NDJSON) or in one array.

{"user": "ann", "item": 12, "ts": 1706695200}
{"user": "bob", "item": 7, "ts": 1706695260}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import polars as pl

from segue.data.readers.empty import NoRows
from segue.data.readers.json_depth import check_depth
from segue.data.readers.json_rows import read_rows
from segue.data.readers.packed_text import DAMAGED, open_text
from segue.data.readers.rows import BOM
from segue.data.readers.table import FAILED, Kinds, Table, polars_table
from segue.data.readers.text import Loaded
from segue.errors import DataError

JSON = (".jsonl", ".ndjson", ".json")


def json_table(path: Path) -> Table:
    """Open a JSON file, which may be gzip-compressed. Types are inferred from all rows.

    Raises:
        DataError: the file is empty or damaged, or a row is no JSON object.
    """
    try:
        check_depth(path)
        frame = _scan(path)
        columns = frame.collect_schema().names()
    except (*FAILED, *DAMAGED):
        rows, mixed = read_rows(path)
        return _refusing(polars_table(rows.lazy(), path.name), mixed)
    if not columns:
        raise NoRows(f"{path}: has no values; one event per row is needed")
    return polars_table(frame, path.name)


def _scan(path: Path) -> pl.LazyFrame:
    with open_text(path) as file:
        first = file.read(1 << 10)
        start = len(BOM) if first.startswith(BOM) else 0
        if not first[start:].strip():
            raise NoRows(f"{path}: empty; one event per row is needed")
        file.seek(start)
        if first[start:].lstrip().startswith(b"["):
            return pl.read_json(file.read(), infer_schema_length=None).lazy()
        return pl.scan_ndjson(BytesIO(file.read()) if start else not_a_pattern(path), infer_schema_length=None)


def _refusing(table: Table, mixed: Mapping[str, tuple[str, str]]) -> Table:
    """The table; an error when a column whose values have several shapes is needed as names, times or ratings."""

    def load(kinds: Kinds) -> Loaded:
        for name in kinds.keys() & mixed.keys():
            if kinds[name] in ("name", "time", "rating"):
                one, other = mixed[name]
                raise DataError(
                    f"{table.where}, column {name!r}: has both {one} and {other}; write one form in all rows"
                )
        return table.load(kinds)

    return replace(table, load=load)


def not_a_pattern(path: Path) -> Path | bytes:
    """The path, or the content of the file if polars would take the path for a pattern of several files."""
    return path.read_bytes() if set("*?[") & set(str(path)) else path

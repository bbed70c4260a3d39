"""`json_table`: JSON files of one object a row, as lines (JSON Lines, NDJSON) or in one array.

{"user": "ann", "item": 12, "ts": 1706695200}
{"user": "bob", "item": 7, "ts": 1706695260}
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import polars as pl

from segue.data.readers.empty import NoRows
from segue.data.readers.rows import BOM
from segue.data.readers.sample import DAMAGED, open_text
from segue.data.readers.table import Table, polars_table
from segue.errors import DataError
from segue.io import reason

JSON = (".jsonl", ".ndjson", ".json")


def json_table(path: Path) -> Table:
    """Open a JSON file, which may be gzip-compressed. Types are inferred from all rows.

    Raises:
        DataError: the file is empty or damaged, or a row is no JSON object.
    """
    source: Path | bytes | BytesIO
    try:
        with open_text(path) as file:
            first = file.read(1 << 10).lstrip()
            if first.startswith(b"["):
                file.seek(0)
                return polars_table(pl.read_json(file.read(), infer_schema_length=None).lazy(), path.name)
            file.seek(len(BOM))
            source = BytesIO(file.read()) if first.startswith(BOM) else not_a_pattern(path)
        if not first.removeprefix(BOM).strip():
            raise NoRows(f"{path}: empty; one event per row is needed")
        frame = pl.scan_ndjson(source, infer_schema_length=None)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, *DAMAGED) as error:
        raise DataError(f"{path}: {_bad_line(path) or reason(error)}; give one JSON object per line") from error
    return polars_table(frame, path.name)


def not_a_pattern(path: Path) -> Path | bytes:
    """The path, or the content of the file if polars would take the path for a pattern of several files."""
    return path.read_bytes() if set("*?[") & set(str(path)) else path


def _bad_line(path: Path) -> str:
    """What is wrong with the first line that is no JSON object; an empty text if all are."""
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip() and not isinstance(json.loads(line), dict):
                    return f"line {number} is no JSON object"
    except ValueError as error:
        return f"line {number} is no JSON ({error})"
    except DAMAGED as error:
        return f"cut short or damaged ({error})"
    return ""

"""`read_rows`: JSON that polars cannot read, row by row: NaN as a number, and keys whose values have several shapes.

{"user": "ann", "item": 12, "tags": 1, "price": NaN}         tags is text, 1 and [1, 2]; the price is missing
{"user": "bob", "item": 7, "tags": [1, 2], "price": 3.5}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from segue.data.readers.head import NOT_UTF8
from segue.data.readers.packed_text import DAMAGED, open_text
from segue.errors import DataError

ADVICE = "give one JSON object per line"


def read_rows(path: Path) -> tuple[pl.DataFrame, dict[str, tuple[str, str]]]:
    """All rows, and for each key whose values have several shapes two of them; such values are JSON in text.

    Raises:
        DataError: the file is damaged, or a row is no JSON object.
    """
    try:
        with open_text(path) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {NOT_UTF8}") from error
    except DAMAGED as error:
        raise DataError(f"{path}: cut short or damaged ({error}); {ADVICE}") from error
    rows = _array(path, text) if text.lstrip().startswith("[") else _lines(path, text)
    names = dict.fromkeys(name for row in rows for name in row)
    columns, mixed = [], {}
    for name in names:
        values = [row.get(name) for row in rows]
        if different := _different_shapes(values):
            mixed[name] = different
        columns.append(_as_column(name, values, as_text=name in mixed))
    return pl.DataFrame(columns), mixed


def _array(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except RecursionError:
        raise DataError(f"{path}: has lists in lists, too deep to read; {ADVICE}") from None
    except ValueError as error:
        if "\n[" in text.strip():  # lines that are arrays
            return _lines(path, text)
        raise DataError(f"{path}: is no JSON ({error}); {ADVICE}") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"{path}: line 1 is no JSON object, and entry {number} of its array is none; {ADVICE}")
    return list(rows)


def _lines(path: Path, text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except RecursionError:
            raise DataError(f"{path}: line {number} has lists in lists, too deep to read; {ADVICE}") from None
        except ValueError as error:
            raise DataError(f"{path}: line {number} is no JSON ({error}); {ADVICE}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is no JSON object; {ADVICE}")
        rows.append(row)
    return rows


def _different_shapes(values: Sequence[Any]) -> tuple[str, str] | None:
    """Two values, as JSON, of which one is a number or a text, and the other a list or an object; None if all agree."""
    first: dict[type, Any] = {}
    for value in values:
        if value is not None:
            first.setdefault(type(value) if isinstance(value, (list, dict)) else str, value)
    if len(first) < 2:
        return None
    one, other = list(first.values())[:2]
    return json.dumps(one), json.dumps(other)


def _as_column(name: str, values: Sequence[Any], *, as_text: bool) -> pl.Series:
    """The values as numbers, if all are, otherwise as text."""
    if not as_text and not any(isinstance(value, str) for value in values):
        try:
            return pl.Series(name, values, strict=not any(isinstance(value, float) for value in values))
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            pass
    texts = (value if value is None or isinstance(value, str) else json.dumps(value) for value in values)
    return pl.Series(name, list(texts), dtype=pl.String)

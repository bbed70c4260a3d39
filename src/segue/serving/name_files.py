"""`read_names`: the names of users or items in a file.

.csv .tsv .parquet   a column `user` (or `item`), or the only column
.json                a list of names
any other file       one name a line, as it stands
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from segue.data.log import Vocab
from segue.errors import DataError
from segue.io import check_regular_file, reason

TABLES = (".csv", ".tsv", ".parquet", ".pq")


def read_names(path: Path, kind: str, vocab: Vocab, *, may_be_empty: bool = False) -> list[Any]:
    """The names in a file, in their order; a name that occurs again is left out.

    Args:
        path: the file.
        kind: "user" or "item".
        vocab: the names that are known. They tell a header from a name, and text from numbers.
        may_be_empty: whether a file without a name is no error.

    Raises:
        DataError: the file cannot be read, has no names, or does not have the expected form.
    """
    suffix = path.suffix.lower()
    try:
        check_regular_file(path)
        if may_be_empty and path.stat().st_size == 0:
            return []
        if suffix in TABLES:
            names = _from_table(path, kind, vocab)
        elif suffix == ".json":
            names = _from_json(path, kind)
        else:
            names = _from_lines(path, kind, vocab)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: cannot be read as a file of {kind}s ({reason(error)})") from error
    if not names and not may_be_empty:
        raise DataError(f"{path}: has no {kind}s in it")
    return list(dict.fromkeys(names))


def _headers(kind: str) -> tuple[str, ...]:
    return (kind, f"{kind}_id", f"{kind}s", "name")


def _from_table(path: Path, kind: str, vocab: Vocab) -> list[Any]:
    if path.suffix.lower() in (".parquet", ".pq"):
        table = pl.read_parquet(path, glob=False)
    else:
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        table = pl.read_csv(path, glob=False, separator=separator, infer_schema=False)
    named = [name for name in table.columns if name.strip().casefold() in _headers(kind)]
    if len(named) != 1 and table.width != 1:
        found = "several columns" if named else "no column"
        raise DataError(
            f"{path}: has {found} of {kind}s; call one column {kind!r} (it has: {', '.join(table.columns)})"
        )
    column = named[0] if named else table.columns[0]
    if not named and vocab.ids([column])[0]:
        raise DataError(
            f"{path}: its first line, {column!r}, is a {kind} and not a header; begin the file with the line {kind!r}, "
            "or give a .txt file with one name a line"
        )
    values = table[column]
    if values.dtype.is_nested() or values.dtype.is_float() or values.dtype.is_temporal():
        raise DataError(f"{path}: column {column!r} holds values of type {values.dtype}; names are texts or integers")
    if values.null_count():
        row = int(values.is_null().arg_max() or 0) + 1
        raise DataError(f"{path}: row {row} of column {column!r} is empty; a {kind} needs a name")
    return values.to_list()


def _from_json(path: Path, kind: str) -> list[Any]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:  # not only JSONDecodeError: a whole number may be too long
        raise DataError(f"{path}: is not JSON ({error})") from error
    wrong = not isinstance(names, list) or any(not isinstance(n, str | int) or isinstance(n, bool) for n in names)
    if wrong:
        raise DataError(f"{path}: must be a JSON list of {kind}s, each a text or an integer")
    return list(names)


def _from_lines(path: Path, kind: str, vocab: Vocab) -> list[Any]:
    names = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if names and names[0].strip().casefold() in _headers(kind) and not vocab.ids(names[:1])[0]:
        raise DataError(
            f"{path}: its first line, {names[0]!r}, looks like a header, but a text file has one {kind} a line and no "
            "header; delete the line, or call the file .csv"
        )
    return names

"""Metadata of users or items, matched to a log: row i - 1 of the table belongs to id i.

item  movie_title  year             title              year      ids 1..I of the log; the title of an item that the
2     GoldenEye    1995     ──►     GoldenEye (1995)   1995      source does not have is its name

user  age                           age                          ids 1..U; values of a user that the source does not
7     24                    ──►     24                           have are null
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.data.log import Vocab
from segue.data.readers.dialect import ATOMIC
from segue.data.readers.names import as_names
from segue.data.readers.roles import guess_column, guess_columns
from segue.data.readers.source import open_table
from segue.data.readers.table import ColumnKind
from segue.data.readers.values import is_empty
from segue.data.readers.vector_files import with_vectors
from segue.errors import DataError
from segue.event_store.address import is_store_url

Named = Literal["user", "item"]


def find_metadata(source: Any, role: Named) -> Path | None:
    """The metadata file of a log: X.item beside X.inter, X.items.parquet beside X.parquet; None if there is none."""
    if not isinstance(source, str | Path) or is_store_url(source):
        return None
    path = Path(source)
    if path.is_dir():
        atomic = sorted(path.glob(f"*{ATOMIC}"))
        return find_metadata(atomic[0], role) if len(atomic) == 1 else None
    file = path.with_suffix(f".{role}" if path.suffix == ATOMIC else f".{role}s{path.suffix}")
    return file if file.exists() else None


def read_metadata(
    source: Any, vocab: Vocab, role: Named, *, add_names: bool = False
) -> tuple[Vocab, pl.DataFrame, list[str]]:
    """The rows of `source` in the order of the ids of `vocab`; items get a column `title` first, if there are titles.

    Names are matched as text, so 12 matches "12". Of several columns that may hold them, the one with most names of
    `vocab` is used. Of several rows for one name the first is used. Rows without a name are left out. If there is a
    column `year`, titles that do not end in a year get " (year)". Vectors of items may lie in files beside the table
    (`segue.data.readers.vector_files`).

    Returns:
        The vocabulary, with `add_names` also with the names that are in the table alone, at its end; the rows; and what
        was assumed.

    Raises:
        DataError: the source cannot be read, has no column of names, or has no name of `vocab`; or it adds text to
            names that are whole numbers.
    """
    table = open_table(source)
    keys = guess_columns(role, table.columns)
    if not keys:
        raise DataError(
            f"{table.where}: no column looks like the {role}; the columns are {', '.join(table.columns)}. "
            f"Call the column of names {role!r} in a header line"
        )
    others = [column for column in table.columns if column not in keys]
    title = guess_column("title", others) if role == "item" else None
    kinds: dict[str, ColumnKind] = {**dict.fromkeys(keys, "name"), **({} if title is None else {title: "text"})}
    frame, loading = table.load({column: kinds.get(column, "any") for column in table.columns})
    if role == "item":
        frame = with_vectors(frame, source)
    tokens = vocab.tokens.cast(pl.String)
    key = max(keys, key=lambda column: _num_found(frame[column], tokens))  # the first of the best
    where = f"{table.where}, column {key!r}"
    frame, warnings = _named_rows(frame, key, where)
    names = frame["\0name"]
    found = _num_found(names, tokens)
    if not found:
        raise DataError(
            f"{where}: none of its {role}s ({names[0]!r}, ...) is in the log ({tokens[0]!r}, ...); are these the same "
            f"names? If another column has them, call it {role}_id in the header line"
        )
    if 2 * found < len(tokens):
        warnings.append(
            f"{where}: only {found:,} of the {len(tokens):,} {role}s of the log {'is' if found == 1 else 'are'} in it"
        )
    if title is not None:
        _check_text(frame, title, table.where)
        warnings += _title_warnings(frame, title, f"{table.where}, column {title!r}")
    warnings += _value_warnings(frame.drop(title or []), role, table.where)
    frame = frame.unique("\0name", keep="first", maintain_order=True)
    if add_names:
        vocab = _with_names(vocab, frame["\0name"], where)
        warnings += _added_warnings(where, len(vocab) - len(tokens))
        tokens = vocab.tokens.cast(pl.String)
    matched = pl.DataFrame({"\0name": tokens}).join(frame, on="\0name", how="left", maintain_order="left")
    matched = matched.drop("\0name")
    if title is not None:
        year = guess_column("year", matched.columns)
        if year is not None:
            _check_text(matched, year, table.where)
        matched = _with_titles(matched, title, year, tokens)
    return vocab, matched, [*loading, *warnings]


def _added_warnings(where: str, count: int) -> list[str]:
    """A warning that only some models can rank added items, if there are any."""
    added = "1 item without an event is" if count == 1 else f"{count:,} items without an event are"
    return [f"{where}: {added} part of the log; only models with features of items can rank them well"] * (count > 0)


def _with_names(vocab: Vocab, names: pl.Series, where: str) -> Vocab:
    """The vocabulary with the names that it does not have, at its end."""
    known = vocab.tokens.cast(pl.String)
    new = names.filter(~names.is_in(known.implode()))
    try:
        return Vocab(pl.concat([vocab.tokens, new.cast(vocab.tokens.dtype).alias(vocab.tokens.name)]))
    except pl.exceptions.PolarsError as error:
        text = new.filter(new.cast(vocab.tokens.dtype, strict=False).is_null())[0]
        raise DataError(f"{where}: {text!r} is text, and the names in the log are whole numbers") from error


def _named_rows(frame: pl.DataFrame, key: str, where: str) -> tuple[pl.DataFrame, list[str]]:
    """The rows that have a name, with the names as text in the column "\\0name" in place of `key`, and warnings."""
    empty = is_empty(frame[key])
    rows = "1 row" if empty.sum() == 1 else f"{empty.sum():,} rows"
    warnings = [f"{where}: {rows} without a name left out"] if empty.any() else []
    if empty.all():
        raise DataError(f"{where}: every row is empty; are the columns the right ones?")
    frame = frame.filter(~empty)
    names = as_names(frame[key], where)
    return frame.drop(key).with_columns(names.values.cast(pl.String).alias("\0name")), [*warnings, *names.warnings]


def _num_found(names: pl.Series, tokens: pl.Series) -> int:
    """The number of names of the log, `tokens`, that are among some names."""
    if _has_no_text(names.dtype):
        return 0
    text = names.cast(pl.String).str.strip_chars().str.replace(r"^(\d+)\.0$", "${1}").drop_nulls()
    return int(tokens.is_in(text.implode()).sum())


def _has_no_text(dtype: pl.DataType) -> bool:
    """Whether values of this type cannot be shown as text: lists, objects, bytes and lengths of time."""
    return dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Duration)


def _check_text(table: pl.DataFrame, column: str, where: str) -> None:
    if _has_no_text(table[column].dtype):
        raise DataError(
            f"{where}, column {column!r}: {table[column].dtype} cannot be shown as a title; turn it into text, or give "
            "the column another name"
        )


def _title_warnings(frame: pl.DataFrame, title: str, where: str) -> list[str]:
    """A warning if rows of one name have different titles."""
    titles = (
        frame.drop_nulls(title).group_by("\0name", maintain_order=True).agg(pl.col(title).unique(maintain_order=True))
    )
    several = titles.filter(pl.col(title).list.len() > 1)
    if several.is_empty():
        return []
    name, (first, second, *_) = several.row(0)
    return [
        f"{where}: {'1 item has' if several.height == 1 else f'{several.height:,} items have'} different titles in "
        f"several rows, such as {name!r} ({first!r} and {second!r}); the first row counts"
    ]


def _value_warnings(frame: pl.DataFrame, role: str, where: str) -> list[str]:
    """A warning if rows of one name have different values, such as a row for each category of an item."""
    repeated = frame.filter(pl.col("\0name").is_duplicated())
    names, columns = set[str](), []
    for column in frame.columns:
        if column == "\0name" or frame[column].dtype == pl.Object:
            continue
        values = repeated.select("\0name", column).unique(maintain_order=True)
        several = values.filter(pl.col("\0name").is_duplicated())["\0name"]
        names.update(several)
        columns += [column] * (not several.is_empty())
    if not names:
        return []
    count = f"1 {role} has" if len(names) == 1 else f"{len(names):,} {role}s have"
    return [
        f"{where}: {count} different values in several rows, such as {min(names)!r}, in the columns "
        f"{', '.join(columns)}; the first row counts, so write several categories as a list in one row"
    ]


def _with_titles(table: pl.DataFrame, title: str, year: str | None, tokens: pl.Series) -> pl.DataFrame:
    text, years = _as_text(table[title]), None if year is None else _as_text(table[year])
    if years is not None:
        years = years.str.replace(r"^(\d+)\.0$", "$1")
        has_year = text.str.contains(r"\(\d{4}\)\s*$") | years.is_null()
        text = pl.select(pl.when(has_year).then(text).otherwise(pl.format("{} ({})", text, years))).to_series()
    rest = table.drop({title, "title"} & set(table.columns))
    return rest.insert_column(0, pl.Series("title", text.zip_with(text.is_not_null(), tokens)))


def _as_text(column: pl.Series) -> pl.Series:
    """Titles or years as text, whole numbers without a decimal point, dates as their year; null for empty ones."""
    if column.dtype in (pl.Date, pl.Datetime):
        column = column.dt.year()
    text = column.cast(pl.String).str.strip_chars()
    if column.dtype.is_float():
        text = text.str.replace(r"\.0$", "").replace("NaN", None)
    return text.replace("", None)

"""Names of users and items: every source gives them in one form.

in the source            name
12, 12.0, text "12.0"    12            a whole number, also where a column of floats or its text holds it
" ann "                  ann           blanks around a name do not count
e + U+0301               é             Unicode normalisation form C: two spellings of one letter are one letter
007, +7, u7              as it is      text that is not the usual form of a number

Values that may have been rounded, so that several names became one, are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from segue.data.log import BLANKS, Codes, Vocab
from segue.data.readers.values import EXACT_BELOW, WHOLE, first_row, without_missing
from segue.errors import DataError

_DOTTED = r"^(0|-?[1-9][0-9]*)\.0+$"  # a whole number as pandas writes it from a column of floats
_SCIENTIFIC = r"^-?[0-9](\.[0-9]+)?[eE]\+[0-9]{2,}$"  # a long number as spreadsheets and float columns write it
FORMULA = r'^="([^"]*)"$'  # ="007" keeps a spreadsheet from reading 007 as a number
_MANY = 20  # names: so many round numbers are no coincidence (one chance in a million)


@dataclass(frozen=True, eq=False)
class Names:
    """The names of a column.

    Attributes:
        values: one name for each row, Int64 for whole numbers, otherwise String.
        warnings: what was assumed about the names or looks wrong, one sentence each.
    """

    values: pl.Series
    warnings: tuple[str, ...] = ()


def as_names(column: pl.Series, where: str) -> Names:
    """Convert a column to names of users or items.

    Args:
        column: the values of the source.
        where: the source and the column, for messages.

    Raises:
        DataError: a name is missing, the type cannot be a name, or the type cannot tell the values apart.
    """
    column = without_missing(column, where)
    if column.dtype == pl.String:
        return _from_text(column, where)
    if column.dtype.is_integer():
        return Names(_whole_or_text(column))
    if column.dtype.is_decimal():
        return Names(_from_decimals(column, where))
    if column.dtype.is_float():
        return Names(_from_floats(column, where))
    raise DataError(f"{where}: {column.dtype} cannot be a name; turn it into text or whole numbers")


def encode(names: pl.Series) -> tuple[Vocab, Codes]:
    """Give the names, in sorted order, the ids 1..n; return the vocabulary and the id of every row.

    >>> vocab, codes = encode(pl.Series(["b", "a", "b"]))
    >>> vocab.tokens.to_list(), codes.tolist()
    (['a', 'b'], [2, 1, 2])
    """
    tokens = names.unique().sort()
    if names.dtype == pl.String:
        codes = names.cast(pl.Enum(tokens)).to_physical().to_numpy().astype(np.int32)
        return Vocab(tokens), codes + np.int32(1)
    low, high = int(tokens[0]), int(tokens[-1])
    if high - low < 2 * len(names) + 1024:
        rank = np.zeros(high - low + 1, np.int32)
        rank[tokens.to_numpy() - low] = np.arange(1, len(tokens) + 1)
        return Vocab(tokens), rank[names.to_numpy() - low]
    ids = pl.Series(np.arange(1, len(tokens) + 1, dtype=np.int32))
    return Vocab(tokens), names.replace_strict(tokens, ids).to_numpy()


def rounding_warnings(vocab: Vocab, where: str) -> tuple[str, ...]:
    """A warning if all large whole numbers are such that a float type holds: they may have been rounded before."""
    if not vocab.tokens.dtype.is_integer():
        return ()
    numbers = vocab.tokens.to_numpy()
    for dtype in (pl.Float32, pl.Float64):
        limit = EXACT_BELOW[dtype]
        large = numbers[numbers >= limit]
        # a float of that type holds a number that is below the limit without the zeros at the end of its binary digits
        if len(large) >= _MANY and (large // (large & -large) < limit).all():
            return (
                f"{where}: all {len(large):,} names from {limit:,} are numbers that {_type_name(dtype)} can hold; "
                "if they were stored so before, several names may have become one: compare them with the original data",
            )
    return ()


def _whole_or_text(column: pl.Series) -> pl.Series:
    """Whole numbers as Int64, or as text if one does not fit."""
    whole = column.cast(pl.Int64, strict=False)
    return column.cast(pl.String) if whole.null_count() else whole


def _from_decimals(column: pl.Series, where: str) -> pl.Series:
    text = column.cast(pl.String).str.replace(r"\.0+$", "")
    _refuse_fractions(text.str.contains(".", literal=True), column, where)
    return _whole_or_text(text)


def _from_floats(column: pl.Series, where: str) -> pl.Series:
    _refuse_fractions(column != column.floor(), column, where)
    rounded = column.abs() >= EXACT_BELOW[type(column.dtype)]
    if rounded.any():
        raise _rounded(where, first_row(rounded), f"{column[first_row(rounded) - 1]:.0f}", type(column.dtype))
    return column.cast(pl.Int64)


def _refuse_fractions(fraction: pl.Series, column: pl.Series, where: str) -> None:
    if fraction.any():
        row = first_row(fraction)
        raise DataError(f"{where}, row {row}: {column[row - 1]} is not a whole number, so it cannot be a name")


def _type_name(dtype: type[pl.DataType]) -> str:
    return dtype.__name__.lower()


def _rounded(where: str, row: int, value: str, dtype: type[pl.DataType]) -> DataError:
    return DataError(
        f"{where}, row {row}: {value} may be several names, because {_type_name(dtype)} tells whole numbers apart "
        f"only below {EXACT_BELOW[dtype]:,}; write the column as whole numbers or as text, from the original data"
    )


def _from_text(column: pl.Series, where: str) -> Names:
    warnings = []
    formulas = column.str.contains(FORMULA)
    if formulas.any():
        example = column[first_row(formulas) - 1]
        column = column.str.replace(FORMULA, "${1}")
        without_missing(column, where)
        warnings.append(
            f"{where}: names such as {example!r}, a spreadsheet's form of text, are read without = and quotes"
        )
    raw = column.unique()
    names = _normalised(raw)
    if not names.equals(raw):
        warnings += _merge_warnings(raw, names, where)
        column = _normalised(column)
        names = names.unique()
    _refuse_scientific(column, names, where)
    dotted, plain = names.str.contains(_DOTTED), names.str.contains(WHOLE)
    if not dotted.any():
        return Names(column, tuple(warnings))
    example = names.filter(dotted).min()
    if not (dotted | plain).all():
        warnings.append(
            f"{where}: {int(dotted.sum()):,} of {len(names):,} names are whole numbers with a decimal point, such as "
            f"{example!r}, and others are text; they are kept, so {example!r} and {_undotted(example)!r} are two names"
        )
        return Names(column, tuple(warnings))
    whole = _without_point(column, names.filter(dotted), where)
    warnings.append(f"{where}: names such as {example!r} are read as whole numbers, {_undotted(example)}")
    return Names(whole, tuple(warnings))


def _normalised(text: pl.Series) -> pl.Series:
    return text.str.strip_chars(BLANKS).str.normalize("NFC")


def _undotted(name: object) -> str:
    return str(name).partition(".")[0]


def _without_point(column: pl.Series, dotted: pl.Series, where: str) -> pl.Series:
    """The names without ".0"; an error if a float may have been rounded before it was written as text."""
    rounded = dotted.cast(pl.Float64).abs() >= EXACT_BELOW[pl.Float64]
    if rounded.any():
        value = dotted[first_row(rounded) - 1]
        raise _rounded(where, first_row(column == value), value, pl.Float64)
    return _whole_or_text(column.str.replace(r"\.0+$", ""))


def _merge_warnings(raw: pl.Series, names: pl.Series, where: str) -> list[str]:
    merged = len(raw) - names.n_unique()
    if not merged:
        return []
    pairs = pl.DataFrame({"raw": raw, "name": names}).filter(pl.len().over("name") > 1).sort("name", "raw")
    first, second = pairs["raw"][:2]
    were = "name was" if merged == 1 else "names were"
    return [
        f"{where}: {merged:,} {were} merged with others that differ only in the blanks around them or in how Unicode "
        f"writes a letter, such as {first!r} and {second!r}"
    ]


def _refuse_scientific(column: pl.Series, names: pl.Series, where: str) -> None:
    found = names.filter(names.str.contains(_SCIENTIFIC))
    if len(found):
        row = first_row(column.is_in(found.implode()))
        raise DataError(
            f"{where}, row {row}: {column[row - 1]!r} is a number without its last digits, as spreadsheets write long "
            "ones; export the column again as text"
        )

"""Times written as numbers with fractions, as int64 that keeps apart what the source keeps apart.

1396314141.719        seconds, thousandths        1396314141719 milliseconds
1600000000.1234567    seconds, finer              1600000000123456700 nanoseconds
0.38214159265358979   no dates: scaled by 2^k     order, ties and distances remain, and a note says so
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from segue.data.log import Floats, Ids
from segue.data.readers.values import EXACT_BELOW, first_row
from segue.data.time_units import TICKS_PER_SECOND, unit_by_size, unit_of
from segue.errors import DataError

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_UNITS = tuple(TICKS_PER_SECOND)  # each is a thousandth of the one before
_LIMIT = 2**63
_ADVICE = "write the column as whole numbers (int64)"


class ParsedNumbers(NamedTuple):
    """Int64 ticks, their unit, and what was done to keep them apart ("" for nothing)."""

    ticks: Ids
    unit: str
    note: str = ""


def unit_of_numbers(first: float, last: float) -> str:
    """The unit in which both are dates, or else the one that the size of the larger one suggests."""
    return unit_of(first, last) or unit_by_size(last)


def from_floats(column: pl.Series, where: str) -> ParsedNumbers:
    """Floats as int64: whole numbers as they are; fractions as thousandths, millionths or billionths if exact.

    Other fractions are scaled by a power of two if they are no dates.

    Raises:
        DataError: a value is not finite, too large, or so large that its type cannot tell neighbours apart.
    """
    values = column.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(f"{where}, row {row + 1}: {values[row]} is not a time")
    if (np.abs(values) >= _LIMIT).any():
        row = int(np.argmax(np.abs(values) >= _LIMIT))
        raise DataError(f"{where}, row {row + 1}: {values[row]} does not fit in 64 bits; turn the column into text")
    if (np.abs(values) >= EXACT_BELOW[type(column.dtype)]).any():
        return _coarse(column, values, where)
    first, last = float(values.min()), float(values.max())
    unit = unit_of_numbers(first, last)
    for power in range(len(_UNITS)):
        finer = _finer(unit, power)
        ticks = _scaled(values, 1000**power, column.dtype)
        if finer and ticks is not None and (unit_of(first, last) or not _looks_like_dates(ticks)):
            return ParsedNumbers(ticks, finer)
    return _spread(values, where)


def _finer(unit: str, power: int) -> str | None:
    """The unit that is 1000**power times finer; None if there is none. An unknown unit remains unknown."""
    if unit not in _UNITS:
        return unit
    index = _UNITS.index(unit) + power
    return _UNITS[index] if index < len(_UNITS) else None


def _looks_like_dates(ticks: Ids) -> bool:
    return unit_of(int(ticks.min()), int(ticks.max())) is not None


def _coarse(column: pl.Series, values: Floats, where: str) -> ParsedNumbers:
    """Floats beyond the whole numbers that their type can hold: exact only if they were multiples of a larger unit."""
    if column.dtype == pl.Float64 and unit_of(values.min(), values.max()) == "nanoseconds":
        for unit in _UNITS[:-1]:
            divisor = TICKS_PER_SECOND["nanoseconds"] // TICKS_PER_SECOND[unit]
            ticks = np.rint(values / divisor).astype(np.int64)
            if ((ticks * divisor).astype(np.float64) == values).all():
                return ParsedNumbers(ticks, unit)
    name = str(column.dtype).lower()
    unit = "nanoseconds" if column.dtype == pl.Float64 else "seconds"
    raise DataError(f"{where}: {name} cannot hold {unit} since 1970 without rounding them; {_ADVICE}")


def _scaled(values: Floats, scale: int, dtype: Any) -> Ids | None:
    """`values * scale` as whole numbers, if these are exactly what the floats stand for; otherwise None."""
    if np.abs(values).max(initial=0) * scale >= _LIMIT:
        return None
    whole = np.floor(values)
    ticks = whole.astype(np.int64) * scale + np.rint((values - whole) * scale).astype(np.int64)
    if np.abs(ticks).max(initial=0) < EXACT_BELOW[pl.Float64]:
        native = {pl.Float16: np.float16, pl.Float32: np.float32}.get(type(dtype), np.float64)
        exact = bool(((ticks / scale).astype(native) == values).all())
    else:  # floats of this size are further apart than 1 / scale
        exact = bool((np.spacing(np.abs(values).max()) * scale >= 1) and _num_distinct(ticks) == _num_distinct(values))
    return ticks if exact else None


def _num_distinct(values: np.ndarray[Any, Any]) -> int:
    return len(np.unique(values))


def _spread(values: Floats, where: str) -> ParsedNumbers:
    """Floats that are no dates, as multiples of a power of two; as ranks if that would make some of them equal."""
    shift = 62 - int(np.frexp(np.abs(values).max())[1]) + 1
    ticks = np.rint(np.ldexp(values, shift)).astype(np.int64)
    if _num_distinct(ticks) == _num_distinct(values):
        note = f"{where}: the fractions are finer than a billionth; the times are kept as multiples of 2^-{shift}"
        return ParsedNumbers(ticks, f"multiples of 2^-{shift}", note)
    ticks = np.unique(values, return_inverse=True)[1].astype(np.int64)
    note = f"{where}: the fractions are too fine for 64 bits; only the order of the times is kept, not their distances"
    return ParsedNumbers(ticks, "ranks", note)


def from_number_text(text: pl.Series, where: str) -> ParsedNumbers | None:
    """Numbers in text as int64, without a float between; None if a row is not a number.

    Raises:
        DataError: a number is too large or has more digits than can be kept, or all were rounded by a spreadsheet.
    """
    if not text.str.contains(NUMBER).all():
        return None
    plain = _without_exponents(text)
    whole = plain.str.extract(r"^([+-]?\d*)", 1).str.replace(r"^[+-]?$", "${0}0").cast(pl.Int64, strict=False)
    if whole.null_count():
        row = first_row(whole.is_null())
        raise DataError(f"{where}, row {row}: {text[row - 1]} does not fit in 64 bits")
    fraction = plain.str.extract(r"\.(\d*)$", 1).fill_null("").str.strip_chars_end("0")
    digits = int(fraction.str.len_chars().to_numpy().max(initial=0))
    numbers = whole.to_numpy()
    unit = unit_of_numbers(int(numbers.min()), int(numbers.max()))
    _check_rounded(text, numbers, where)
    if not digits:
        return ParsedNumbers(numbers, unit)
    decimals = -(-digits // 3) * 3
    finer, scale = _finer(unit, decimals // 3), 10**decimals
    if finer and decimals <= 9 and int(np.abs(numbers).max()) < _LIMIT // scale - 1:
        part = fraction.str.pad_end(decimals, "0").cast(pl.Int64).to_numpy()
        ticks = numbers * scale + np.where(plain.str.starts_with("-").to_numpy(), -part, part)
        if unit_of(numbers.min(), numbers.max()) or not _looks_like_dates(ticks):
            return ParsedNumbers(ticks, finer)
    floats = plain.cast(pl.Float64)
    same = pl.DataFrame({"whole": whole, "fraction": fraction}).n_unique() == floats.n_unique()
    if not same or unit_of(numbers.min(), numbers.max()):
        row = int(fraction.str.len_chars().arg_max() or 0)
        raise DataError(f"{where}, row {row + 1}: {text[row]} has more decimals than can be kept; round to nanoseconds")
    return from_floats(floats, where)


def _check_rounded(text: pl.Series, numbers: Ids, where: str) -> None:
    """Refuse dates of few digits in every row, which lost their seconds: 1.70463E+12. Java's 1.7046E9 is exact."""
    unit = unit_of(int(numbers.min()), int(numbers.max()))
    parts = text.str.extract_groups(r"^[+-]?\d*\.?(?<decimals>\d*)[eE]\+(?<power>\d+)$").struct.unnest()
    if unit is None or parts["power"].has_nulls():
        return
    lost = parts["power"].cast(pl.Int64) - parts["decimals"].str.len_chars().cast(
        pl.Int64
    )  # digits that are not written
    if (10.0 ** lost.to_numpy() > TICKS_PER_SECOND[unit]).all():
        raise DataError(
            f"{where}, row 1: {text[0]} was rounded, as a spreadsheet does, so that events lose their order; "
            "export the column again as whole numbers or dates"
        )


def _without_exponents(text: pl.Series) -> pl.Series:
    """The numbers without an exponent: "1.5e3" becomes "1500"."""
    powers = text.filter(text.str.contains("(?i)e")).unique()
    if not len(powers):
        return text
    plain = pl.Series([_plain(number) for number in powers], dtype=pl.String)
    return text.replace(powers, plain)


def _plain(number: str) -> str:
    value = Decimal(number)
    return f"{value:f}" if abs(value.adjusted()) < 999 else "9" * 99  # which fits nowhere, and is refused as such

"""Dates and times written as text, as whole ticks since 1970 in UTC.

"2019-10-01 00:00:00.25 UTC" ── fraction and zone apart ── "2019-10-01 00:00:00 Z", 250 ms ── int64 ticks
"12/1/2010 8:26"             ── day or month first?     ── read if one order fits every row, otherwise refused

A pattern is one of strftime. polars parses whole seconds; fractions are added as whole numbers, so that none is
rounded and no year beyond 2262 wraps around.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

from segue.data.readers.time_zones import in_utc, unclear_zone, without_areas
from segue.errors import ConfigError, DataError

_DATES = {  # forms in which day and month cannot be confused
    r"\d{4}-\d{1,2}-\d{1,2}": "%Y-%m-%d",
    r"\d{4}/\d{1,2}/\d{1,2}": "%Y/%m/%d",
    r"\d{1,2} [A-Za-z]+ \d{4}": "%d %B %Y",
    r"\d{1,2}-[A-Za-z]+-\d{4}": "%d-%B-%Y",
    r"[A-Za-z]+ \d{1,2}, \d{4}": "%B %d, %Y",
    r"[A-Za-z]+ \d{1,2} \d{4}": "%B %d %Y",
    r"[A-Za-z]{3}, \d{1,2} [A-Za-z]+ \d{4}": "%a, %d %B %Y",
}
_ZONE = r"(?P<zone> ?(?:Z|[+-]\d\d(?::?\d\d)?))?"
_CLOCK = rf"(?:(?P<gap>T|,? )\d{{1,2}}:\d\d(?P<second>:\d\d)?(?P<half> [APap][Mm])?{_ZONE})?"
_OTHERS = {  # the formats of C's ctime, of web servers, of JavaScript, and the basic one of ISO 8601
    r"[A-Za-z]{3} [A-Za-z]{3} \d{1,2} \d\d:\d\d:\d\d \d{4}": "%a %B %d %H:%M:%S %Y",
    r"[A-Za-z]{3} [A-Za-z]{3} \d{1,2} \d\d:\d\d:\d\d (Z|[+-]\d{4}) \d{4}": "%a %B %d %H:%M:%S %#z %Y",
    r"\d{1,2}/[A-Za-z]+/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}": "%d/%B/%Y:%H:%M:%S %#z",
    r"[A-Za-z]{3} [A-Za-z]{3} \d{1,2} \d{4} \d\d:\d\d:\d\d ?(Z|[+-]\d{4})": "%a %B %d %Y %H:%M:%S %#z",
    r"\d{8}T\d{6}": "%Y%m%dT%H%M%S",
    r"\d{8}T\d{6}(Z|[+-]\d\d(:?\d\d)?)": "%Y%m%dT%H%M%S%#z",
}
_DAY_OR_MONTH = r"\d{1,2}(?P<separator>[-/.])\d{1,2}(?P=separator)\d{4}"
_FRACTION = r"(:\d\d:\d\d|\d{6})[.,](\d+)"  # of a second: after "10:59:59" or "105959"
_PATTERN_FRACTION = r"[.,]%[369]?f|%\.[369]?f"
_PATTERN_YEAR = r"%-?[YyGgDFcsx+]"
_MONTHS = r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b"
_UNITS = ((0, "seconds"), (3, "milliseconds"), (6, "microseconds"), (9, "nanoseconds"))  # number of decimals -> unit
_LAST_TICK = 2**63 - 1
ADVICE = "use whole numbers of seconds, 2024-01-31 or 2024-01-31T10:00:00Z"


class ParsedText(NamedTuple):
    """Ticks since 1970 in UTC (Int64), their unit, and what was assumed in reading them ("" for nothing)."""

    ticks: pl.Series
    unit: str
    note: str


def looks_like_date(value: str) -> bool:
    """Whether a text has the form of a date.

    >>> looks_like_date("12/1/2010 8:26"), looks_like_date("1 May 2010"), looks_like_date("555-1234")
    (True, True, False)
    """
    if re.match(r"\s*\d{1,4}([-/.])\d{1,2}\1\d{1,4}(\D|$)", value) or re.match(r"\s*\d{8}T\d{4}", value):
        return True
    return all(re.search(part, value) for part in (_MONTHS, r"\b(19|20)\d\d\b", r"\b\d{1,2}\b"))


def parse_text(text: pl.Series, where: str, time_format: str | None = None) -> ParsedText:
    """Parse a column of dates, all in one format: the given pattern, or the one that fits the first row.

    Raises:
        DataError: a row does not fit, or it is not certain whether the day or the month is first.
        ConfigError: the pattern is not one of a date.
    """
    plain = text.str.strip_chars().str.replace_all(r"\s+", " ")
    if time_format is None:
        plain = plain.str.replace(r"^\[(.*)\]$", "${1}")  # web servers write times in brackets
    pattern = None if time_format is None else _checked(time_format)
    fraction = areas = None
    if pattern is None or re.search(_PATTERN_FRACTION, pattern):
        plain, fraction = _without_fraction(plain)
    if pattern is None or "%#z" in pattern:
        plain, areas = without_areas(plain)
    if pattern is None:
        seconds, note = _guess(plain, text, where)
    else:
        pattern = re.sub(_PATTERN_FRACTION, "", pattern)
        pattern = pattern if areas is None else pattern.replace("%#z", "").strip()
        seconds, note = _seconds(plain, pattern), ""
        if seconds.null_count():
            raise _misfit(text, seconds, where, f"does not fit the time format {time_format!r}")
    if areas is not None:
        seconds = in_utc(seconds, areas, where)
    return _with_fraction(seconds, fraction, where, note)


def _checked(time_format: str) -> str:
    """The pattern, with one directive for every form of a zone: an offset, Z, or a name."""
    pattern = re.sub("%:{0,2}[zZ]", "%#z", time_format)
    rest = re.sub(_PATTERN_FRACTION, "", pattern)
    reason = ""
    if re.search(r"%[369]?f", rest):
        reason = "%f must follow a point, as in %S.%f"
    elif not re.search(_PATTERN_YEAR, rest):
        reason = "it has no year; write a pattern such as %d/%m/%Y %H:%M"
    else:
        try:
            pl.Series([""]).str.to_datetime(rest, strict=False, time_unit="us")
        except pl.exceptions.PolarsError as error:
            reason = str(error).partition("\n")[0]
    if reason:
        raise ConfigError(f"time format {time_format!r}: {reason}")
    return pattern


def _misfit(text: pl.Series, parsed: pl.Series, where: str, problem: str) -> DataError:
    """The error for the first row that was not parsed, with the number of such rows."""
    missing = parsed.is_null().arg_true()
    row, count = int(missing[0]), len(missing)
    others = f" ({count:,} such rows of {len(text):,})" if 1 < count < len(text) else ""
    return DataError(f"{where}, row {row + 1}: {text[row]!r} {problem}{others}")


def _without_fraction(text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The texts without the fraction of a second, and its digits without zeros at the end; None if there is none."""
    fraction = text.str.extract(_FRACTION, 2)
    if fraction.null_count() == len(text):
        return text, None
    return text.str.replace(_FRACTION, "${1}"), fraction.str.strip_chars_end("0").fill_null("")


def _with_fraction(seconds: pl.Series, fraction: pl.Series | None, where: str, note: str) -> ParsedText:
    if fraction is None:
        return ParsedText(seconds, "seconds", note)
    digits = fraction.str.len_chars().to_numpy()
    if (digits > 9).any():
        row = int(digits.argmax())
        raise DataError(f"{where}, row {row + 1}: {digits[row]} decimals are finer than a nanosecond; round them to 9")
    decimals, unit = next((number, unit) for number, unit in _UNITS if digits.max() <= number)
    if (seconds.to_numpy() >= _LAST_TICK // 10**decimals).any():
        raise DataError(f"{where}: {unit} after the year 2262 do not fit in 64 bits; round the fractions to 6 decimals")
    part = ("0" + fraction.str.pad_end(decimals, "0")).cast(pl.Int64)
    return ParsedText(seconds * 10**decimals + part, unit, note)


def _guess(plain: pl.Series, text: pl.Series, where: str) -> tuple[pl.Series, str]:
    """The seconds in the format of the first row, and a note if the rows themselves show whether the day is first."""
    plain = plain.str.replace(r"(?i)(\d)([AP]M)\b", "${1} ${2}")
    patterns = _patterns(str(plain[0]))
    if len(patterns) == 2:
        return _day_first(plain, text, patterns, where)
    seconds = _seconds(plain, patterns[0] if patterns else "")
    if seconds.null_count():
        raise _misfit(text, seconds, where, _problem(str(text[int(seconds.is_null().arg_true()[0])])))
    return seconds, ""


def _problem(value: str) -> str:
    if re.match(r"\s*\d{1,2}:\d\d", value):
        return "is a time of day without a date; join it with its date in one column"
    if re.search(r"(^|[ T])\d{1,2}:\d\d[.,]\d+", value):
        return "has a fraction but no seconds; write hours, minutes and seconds, as in 2024-01-31 10:30:05.5"
    if zone := unclear_zone(value):
        return f"has the zone {zone}, which is not certain; write offsets such as +02:00, or UTC"
    return (
        f"is not a time like those before it; {ADVICE}, the same format in every row, or give its strftime pattern: "
        "time_format=... (--time-format)"
    )


def _patterns(value: str) -> tuple[str, ...]:
    """The pattern of a date: none for an unknown form, and two if the day or the month may be first."""
    for form, pattern in _OTHERS.items():
        if re.fullmatch(form, value):
            return (pattern,)
    for form, pattern in _DATES.items():
        if found := re.fullmatch(form + _CLOCK, value):
            return (pattern + _clock(found),)
    if found := re.fullmatch(_DAY_OR_MONTH + _CLOCK, value):
        separator = found["separator"]
        return tuple(separator.join([*order, "%Y"]) + _clock(found) for order in (("%d", "%m"), ("%m", "%d")))
    return ()


def _clock(found: re.Match[str]) -> str:
    """The pattern of what follows a date."""
    if not found["gap"]:
        return ""
    hour = "%I:%M" if found["half"] else "%H:%M"
    parts = (":%S" if found["second"] else "", " %p" if found["half"] else "", "%#z" if found["zone"] else "")
    return found["gap"] + hour + "".join(parts)


def _day_first(plain: pl.Series, text: pl.Series, pair: tuple[str, ...], where: str) -> tuple[pl.Series, str]:
    """The seconds by the one pattern of the pair that fits all rows, and a note that says which one.

    Raises:
        DataError: both patterns fit all rows, or neither does.
    """
    day, month = (_seconds(plain, pattern) for pattern in pair)
    day_format, month_format = (pattern.replace("%#z", "%z") for pattern in pair)
    choice = f"give --time-format {day_format!r} (day first) or {month_format!r} (month first)"
    if not day.null_count() and not month.null_count():
        raise DataError(f"{where}, row 1: {text[0]!r} may have the day or the month first; {choice}")
    if day.null_count() and month.null_count():
        fewest = min(day, month, key=pl.Series.null_count)
        raise _misfit(text, fewest, where, f"is not a time like those before it; {choice}, and correct the other rows")
    seconds, other, order = (month, day, "month") if day.null_count() else (day, month, "day")
    row = int(other.is_null().arg_true()[0])
    return seconds, f"{where}: dates are read {order} first, because {text[row]!r} in row {row + 1} can only be that"


def _seconds(text: pl.Series, pattern: str) -> pl.Series:
    """Seconds since 1970 by one pattern; null for what does not fit, and for years of fewer than four digits."""
    try:
        times = text.str.to_datetime(pattern, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:  # the empty pattern
        return pl.Series([None] * len(text), dtype=pl.Int64)
    return times.dt.epoch("s").set((times.dt.year() < 1000).fill_null(True), None)

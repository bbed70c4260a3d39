"""Time zones at the end of times written as text.

10:00:00 UTC                         10:00:00 Z
10:00:00+02:00[Europe/Amsterdam]     10:00:00+02:00
10:00:00 Europe/Amsterdam            10:00:00, and the name of the area in a column of its own
10:00:00 PDT                         refused: CST is a zone of America, of China and of Cuba
"""

from __future__ import annotations

import re

import polars as pl

from segue.errors import DataError

_AREA = r" ?\[?\b([A-Z][A-Za-z_]+/[A-Za-z_+\-0-9/]+)\]?$"
_ADVICE = "write offsets such as +02:00, or UTC"


def without_areas(text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The texts with UTC and GMT as Z and without names of areas, and these names; None if there are none."""
    text = text.str.replace(r"([+-]\d{4}) \([^()]+\)$", "${1}")  # JavaScript: GMT+0200 (Central European Summer Time)
    text = text.str.replace(r"(^|[^/])\b(?:UTC|GMT)([+-]\d)", "${1}${2}")
    text = text.str.replace(r"(?:\bEtc/)?\b(?:UTC|GMT)($|[^\w+-])", "Z${1}")  # Etc/GMT-2 is an area
    text = text.str.replace(r"([+-]\d\d:?\d\d|Z)\[[^\]]*\]$", "${1}")
    areas = text.str.extract(_AREA)
    return (text, None) if areas.null_count() == len(text) else (text.str.replace(_AREA, ""), areas)


def unclear_zone(value: str) -> str | None:
    """The abbreviation of a zone in a time, such as PDT; None if there is none."""
    found = re.search(r"\d ?((?!AM|PM|UTC|GMT)[A-Z]{3,5})\b", value)
    return found[1] if found else None


def in_utc(seconds: pl.Series, areas: pl.Series, where: str) -> pl.Series:
    """Seconds of local clocks as seconds in UTC.

    Raises:
        DataError: a row has no area, an area is unknown, or a local time occurs twice or not at all.
    """
    if areas.null_count():
        row = int(areas.is_null().arg_true()[0]) + 1
        raise DataError(f"{where}, row {row}: has no zone, and others have; {_ADVICE} in every row")
    local, result = pl.from_epoch(seconds, "s"), seconds
    for area in areas.unique(maintain_order=True):
        here = areas == area
        try:
            times = local.dt.replace_time_zone(area, ambiguous="null", non_existent="null")
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{where}: {area!r} is not a known time zone; {_ADVICE}") from error
        lost = (here & times.is_null()).arg_true()
        if len(lost):
            raise DataError(
                f"{where}, row {int(lost[0]) + 1}: {local[int(lost[0])]} occurs twice or not at all in {area}, where "
                f"clocks change; {_ADVICE}"
            )
        result = times.dt.epoch("s").zip_with(here, result)
    return result

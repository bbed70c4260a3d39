"""Times that cannot be read, or only if the user says more: one message, exit code 2, and nothing is changed."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from .bad_input import Bad, Prepare, check, saved
from .logs import broken, done, events

QUESTION = r"Name the column of times: .*\(--time-col .*\), or read the rows in their order: .*--time-col \"\""


def dated(pattern: str, header: str = "user,item,time") -> str:
    """`events()` with times in this format, and days of October 2019 in place of seconds."""
    lines = events().splitlines()[1:]
    rows = []
    for n, line in enumerate(lines):
        user, item, _ = line.split(",")
        rows.append(f'{user},{item},"{datetime(2019, 10, 1 + n % 12, 8, 26, 5 + n % 6, tzinfo=UTC).strftime(pattern)}"')
    return "\n".join([header, *rows]) + "\n"


def more(header: str, values: str) -> str:
    """`events()` with one more column of the same value in every row."""
    first, *rows = events().splitlines()
    return "\n".join([f"{first},{header}", *(f"{row},{values}" for row in rows)]) + "\n"


def typed(values: pl.Series | list[object], name: str = "time", path: str = "bad.parquet") -> Prepare:
    """A Parquet file with a column of these 40 values."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        frame = pl.DataFrame({"user": [n % 8 for n in range(40)], "item": [n % 7 for n in range(40)], name: values})
        Path(path).parent.mkdir(exist_ok=True)
        frame.write_parquet(path)

    return prepare


def ticks(first: int, dtype: Any) -> pl.Series:
    """40 dates from this number on, in the unit of their type."""
    return pl.Series(list(range(first, first + 40)), dtype=pl.Int32 if dtype == pl.Date else pl.Int64).cast(dtype)


def folder_of(*files: pl.Series | list[object]) -> Prepare:
    """The folder bad of one Parquet file for each column of times."""
    prepared = [typed(values, path=f"bad/{n}.parquet") for n, values in enumerate(files)]
    return lambda patch: [prepare(patch) for prepare in prepared]


NOWS = [datetime(2020, 1, 1, n % 24, n) for n in range(40)]
COLUMNS = {
    "date and time of integers": Bad(
        "data bad.csv", f"columns 'date' and 'time' may be the times. {QUESTION}", more("date", "20200101")
    ),
    "a date and the hour of a day": Bad(
        "data bad.csv",
        rf"columns 'date' and 'time' may be the times. {QUESTION}\); if one has days .* join them in one column",
        dated("%Y-%m-%d,%H%M", "user,item,date,time").replace('"', ""),
    ),
    "a date and the seconds of a day": Bad(
        "run pop bad.csv",
        f"columns 'event_date' and 'ts' may be the times. {QUESTION}",
        dated("%Y-%m-%d,%H", "user,item,event_date,ts").replace('"', ""),
    ),
    "year, month and day apart": Bad(
        "data bad.csv",
        "columns 'year', 'month' and 'day' look like parts of the times. Join them in one column",
        dated("%Y,%m,%d", "user,item,year,month,day").replace('"', ""),
    ),
    "digits of a date under the name of a start": Bad(
        "data bad.csv", f"column 'start_time' looks like .*{QUESTION}", dated("%Y%m%d", "user,item,start_time")
    ),
    "two likely columns": Bad(
        "data bad.csv",
        f"columns 'viewed_at' and 'InvoiceDate' may be the times. {QUESTION}",
        more("InvoiceDate", "2020-01-01").replace(",time,", ",viewed_at,"),
    ),
    "only the date of a release": Bad(
        "run pop bad.csv",
        f"column 'release_date' looks like times, but may not be those of the events. {QUESTION}",
        dated("%Y-%m-%d", "user,item,release_date"),
    ),
    "only the time of an update": Bad(
        "search pop bad.csv", f"column 'updated_at' looks like .*{QUESTION}", events(header="user,item,updated_at")
    ),
    "times without a name": Bad("compare bad.csv", f"column 't' looks like .*{QUESTION}", events(header="user,item,t")),
    "positions called a time": Bad(
        "data bad.parquet", f"column 'visit_time' looks like .*{QUESTION}", prepare=typed(list(range(40)), "visit_time")
    ),
    "dates of items in Parquet": Bad(
        "data bad.parquet", f"'birth_date' looks like .*{QUESTION}", prepare=typed(NOWS, "birth_date")
    ),
    "order and a date": Bad(
        "data bad.csv",
        "columns 'order' and 'OrderDate' may be",
        more("OrderDate", "2020-01-01").replace(",time,", ",order,"),
    ),
}
FORMATS = {
    "day or month first": Bad(
        "data bad.csv",
        r"column 'time', row 1: '10/01/2019 08:26' may have the day or the month first; "
        r"give --time-format '%d/%m/%Y %H:%M' \(day first\) or '%m/%d/%Y %H:%M' \(month first\)",
        dated("%m/%d/%Y %H:%M"),
    ),
    "day or month with points": Bad("data bad.csv", r"give --time-format '%d\.%m\.%Y'", dated("%d.%m.%Y")),
    "day or month with a zone": Bad(
        "data bad.csv", "give --time-format '%d-%m-%Y %H:%M:%S%z'", dated("%d-%m-%Y %X UTC")
    ),
    "neither order fits": Bad(
        "data bad.csv",
        "row 3: '10/33/2019' is not a time like those before it; give --time-format",
        dated("%m/%d/%Y").replace("10/03/2019", "10/33/2019"),
    ),
    "a format that does not fit": Bad(
        "data bad.csv --time-format %d.%m.%Y",
        r"row 1: '2019-10-01' does not fit the time format '%d\.%m\.%Y'",
        dated("%Y-%m-%d"),
    ),
    "a format that some rows do not fit": Bad(
        "data bad.csv --time-format %d/%m/%Y",
        r"row 2: '10-02-2019' does not fit the time format '%d/%m/%Y' \(6 such rows of 72\)",
        dated("%m/%d/%Y").replace("10/02/2019", "10-02-2019"),
    ),
    "a year of two digits": Bad(
        "data bad.csv --time-format %m/%d/%Y", "row 1: '10/01/19' does not fit", dated("%m/%d/%y")
    ),
    "a format without a year": Bad("data events.csv --time-format %H:%M", "'%H:%M': it has no year"),
    "a format without minutes": Bad(["data", "events.csv", "--time-format", "%Y %H"], "'%Y %H': .*hour and minute"),
    "a format with half a clock": Bad(["data", "events.csv", "--time-format", "%Y %I:%M"], "'%Y %I:%M': .*12-hour"),
    "a format with a bare fraction": Bad("data events.csv --time-format %Y%f", "%f must follow a point"),
    "a format for numbers": Bad("data events.csv --time-format %Y%m%d", "row 1: '1600000000' does not fit the time"),
    "a format for dates": Bad(
        "data bad.parquet --time-format %Y", "Datetime.* needs no time format; leave out", prepare=typed(NOWS)
    ),
    "a format without times": Bad(
        ["data", "events.csv", "--time-col", "", "--time-format", "%Y"], "a time format needs a column of times"
    ),
    "a format for a saved log": Bad(
        "data saved --time-format %Y",
        "a saved log has its columns already; leave out .*time_format",
        prepare=saved,
    ),
    "a time of day": Bad("data bad.csv", "row 1: '08:26:05' is a time of day without a date; join", dated("%H:%M:%S")),
    "a fraction of a minute": Bad(
        "data bad.csv", "row 1: '2019-10-01 08:26.5' has a fraction but no seconds; write", dated("%Y-%m-%d %H:%M.5")
    ),
    "an unclear zone": Bad(
        "data bad.csv", "row 1: .* has the zone PDT, which is not certain", dated("%Y-%m-%d %X PDT")
    ),
    "an unknown zone": Bad("data bad.csv", "'Europe/Nowhere' is not a known time", dated("%Y-%m-%d %X Europe/Nowhere")),
    "an hour that occurs twice": Bad(
        "data bad.csv",
        "2019-10-27 02:30:00 occurs twice or not at all in Europe/Rome",
        dated("2019-10-27 02:30:00 Europe/Rome"),
    ),
    "a zone in some rows": Bad(
        "data bad.csv",
        "row 2: has no zone, and others have",
        dated("%Y-%m-%d %X Europe/Rome").replace("02 08:26:06 Europe/Rome", "02 08:26:06"),
    ),
    "two formats": Bad(
        "data bad.csv",
        r"row 2: '2019/10/02' is not a time like those .*\(6 such rows of 72\)",
        dated("%Y-%m-%d").replace("2019-10-02", "2019/10/02"),
    ),
    "several words": Bad(
        "data bad.csv",
        r"row 3: 'soon' is not a time .*\(6 such rows of 72\)",
        dated("%Y-%m-%d").replace("2019-10-03", "soon"),
    ),
    "NaT": Bad(
        "data bad.csv", r"row 3: empty \(NaT\), as in 6 of 72 rows", dated("%Y-%m-%d").replace("2019-10-03", "NaT")
    ),
}
EXACT = {
    "milliseconds as a spreadsheet rounds them": Bad(
        "data bad.csv",
        r"row 1: 1\.60000E\+12 was rounded, as a spreadsheet does, .* export the column again",
        re.sub(r",(\d{10})\n", lambda found: f",{int(found[1]) * 1000:.5E}\n", events()),
    ),
    "seconds as a spreadsheet rounds them": Bad(
        "run pop bad.csv",
        r"row 1: 1\.6e\+09 was rounded",
        re.sub(r",(\d{10})\n", lambda found: f",{int(found[1]):.3g}\n", events()),
    ),
    "ten decimals": Bad("data bad.csv", "row 1: 10 decimals are finer than a nanosecond", dated("%FT%T.0000000001Z")),
    "nanoseconds of the year 9999": Bad("data bad.csv", "do not fit in 64 bits", dated("9999-%m-%dT%T.0000001Z")),
    "a number of 9,000 digits": Bad("data bad.csv", "row 5: 1.6e9000 does not fit in 64", broken(5, "u0,4,1.6e9000")),
    "picoseconds": Bad(
        "data bad.csv", "row 5: .* has more decimals than can", broken(5, "u0,4,1600000000.000000000001")
    ),
    "nanoseconds of floats": Bad(
        "data bad.parquet",
        "float64 cannot hold nanoseconds since 1970 without rounding them; write .*int64",
        prepare=typed([1.6e18 + 256 * n for n in range(40)]),
    ),
    "seconds of half floats": Bad(
        "data bad.parquet", "float16 cannot hold seconds", prepare=typed(pl.Series(range(3000, 3040), dtype=pl.Float16))
    ),
    "times of a day": Bad(
        "data bad.parquet", "times of a day without a date; join", prepare=typed([now.time() for now in NOWS])
    ),
    "before 1970": Bad(
        "data bad.csv", "row 1: '1919-10-01' is before 1970, from where times count", dated("1919-%m-%d")
    ),
}
NO_DATE = "is no date of the years 1 to 9999; write the column again with the unit"
EARLY, LATE = ticks(-(2**63) + 1, pl.Datetime("us")), ticks(2**63 - 40, pl.Datetime("ms"))
OUTSIDE = {
    "a time of -2^63": Bad(
        "data bad.parquet", rf"column 'time', row 1: -9223372036854775807 as .*{NO_DATE}", prepare=typed(EARLY)
    ),
    "a time of 2^63": Bad("data bad.parquet", rf"row 1: 9223372036854775768 as .*'ms'.*{NO_DATE}", prepare=typed(LATE)),
    "days of 2^31": Bad(
        "data bad.parquet", rf"row 1: 2147483608 as Date {NO_DATE}", prepare=typed(ticks(2**31 - 40, pl.Date))
    ),
    "days of -2^31": Bad(
        "run pop bad.parquet", rf"row 1: -2147483648 as Date {NO_DATE}", prepare=typed(ticks(-(2**31), pl.Date))
    ),
    "the first of the year 10000": Bad(
        "data bad.parquet", rf"row 31: 2932897 as Date {NO_DATE}", prepare=typed(ticks(2_932_867, pl.Date))
    ),
    "a zone": Bad(
        "data bad.parquet", rf"row 1: .*Rome.*{NO_DATE}", prepare=typed(ticks(2**60, pl.Datetime("us", "Europe/Rome")))
    ),
    "positions": Bad("data bad.parquet", rf"column 'order', row 1: .*{NO_DATE}", prepare=typed(EARLY, "order")),
    "selection": Bad("data bad.parquet --where x=2020", rf"column 'x', row 1: .*{NO_DATE}", prepare=typed(EARLY, "x")),
    "selection from lists": Bad(
        "data bad.parquet --where x=2020",
        rf"column 'x': .*{NO_DATE}",
        prepare=typed(pl.select(pl.concat_list(LATE)).to_series(), "x"),
    ),
    "a split": Bad(
        "data bad.parquet --split-col x", r"column 'x': Datetime.* is no part; write train", prepare=typed(LATE, "x")
    ),
    "a split of users": Bad(
        "data events.csv --users bad.parquet",
        "the column split holds Datetime.*; it may say train",
        prepare=lambda patch: pl.DataFrame({"user": [f"u{n}" for n in range(12)], "split": LATE[:12]}).write_parquet(
            "bad.parquet"
        ),
    ),
    "one file of a folder": Bad(
        "data bad", rf"bad/1\.parquet, column 'time', row 1: .*{NO_DATE}", prepare=folder_of(["2020-01-01"] * 40, LATE)
    ),
    "nanoseconds in another file": Bad(
        "data bad",
        "bad: its files have different types .*datetime",
        prepare=folder_of([datetime(9999, 12, 31)] * 40, ticks(0, pl.Datetime("ns"))),
    ),
}
TIMES = {**COLUMNS, **FORMATS, **EXACT, **OUTSIDE}


@pytest.mark.parametrize("bad", TIMES.values(), ids=TIMES)
def test_times_that_are_refused(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("command", ["data", "run pop", "search pop", "compare"])
def test_times_that_cannot_be_are_said_once(command, here, segue, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    Path("odd.csv").write_text(broken(5, "u0,4,1600000400000"))
    options = {"search pop": " --trials 1", "compare": " --models pop --trials 1"}.get(command, "")
    code, out, err = segue(f"{command} odd.csv{options}")
    assert code == 0, err
    said = (out + err).replace("\n", " ")
    assert said.count("row 5 (1,600,000,400,000) has a time like milliseconds, among seconds") == 1


def test_a_shuffled_export_is_read_in_its_right_order(here, segue):
    lines = events(header="user,item,InvoiceDate").splitlines(keepends=True)
    Path("right.csv").write_text("".join(lines))
    random.Random(5).shuffle(rows := lines[1:])
    Path("shuffled.csv").write_text("".join([lines[0], *rows]))
    right, shuffled = (done(segue(f"data {name}.csv")).partition("\n")[2] for name in ("right", "shuffled"))
    assert shuffled == right

"""The column of times is found by name, type and values; what is uncertain is a question."""

from __future__ import annotations

import random
from datetime import date, datetime

import polars as pl
import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError

N = 6
SECONDS = [1_600_000_000 + 100 * n for n in range(N)]
STAMPS = [datetime(2020, 1, 1 + n) for n in range(N)]
ISO = [f"2020-01-0{1 + n} 10:00:00" for n in range(N)]
HOURS = [930 + 100 * n for n in range(N)]
DIGITS = [20200101 + n for n in range(N)]
BASE = {"user": [1, 2] * 3, "item": [n % 4 for n in range(N)]}
NAMES = (
    *("InvoiceDate", "event_timestamp", "event_ts", "occurred_at", "purchase_date", "order_date", "visit_time"),
    *("viewed_at", "ts_ms", "created", "local_time", "createdAt", "purchaseDate", "eventdate", "click_timestamp"),
    *("TRANSACTION_DT", "when", "logged_at", "reviewTime", "utc_time"),
    *("play_timestamp", "playTimestamp", "watch_date", "reading_date", "response_date", "day"),
)
ASKED = (
    r'Name the column of times: time=.* \(--time-col .*\), or read the rows in their order: time="" \(--time-col ""\)'
)


def frame(**columns):
    return pl.DataFrame({**BASE, **columns})


def used(log) -> str:
    """The end of the first step: what was taken for the time."""
    return log.steps[0].rule.rpartition(", ")[2].partition(" in seconds")[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("values", [STAMPS, ISO, SECONDS, [float(s) for s in SECONDS], [s * 1000 for s in SECONDS]])
def test_a_name_with_the_word_for_a_time(name, values, tmp_path):
    source = frame(**{name: values, "price": [1.5] * N})
    source.write_csv(tmp_path / "x.csv")
    source.write_parquet(tmp_path / "x.parquet")
    expected = read_log(source, time=name)
    rows = list(range(N))
    random.Random(1).shuffle(rows)
    for log in (
        read_log(source),
        read_log(tmp_path / "x.csv"),
        read_log(tmp_path / "x.parquet"),
        read_log(source[rows]),
    ):
        assert log.fingerprint == expected.fingerprint
        assert used(log).startswith(f"time '{name}'")


@pytest.mark.parametrize("name", ["date", "day", "datum", "datekey", "yyyymmdd", "purchase_date", "play_date"])
@pytest.mark.parametrize("values", [DIGITS, [n * 10_000 + 930 for n in DIGITS], [n * 10**6 + 93_000 for n in DIGITS]])
def test_dates_written_as_digits(name, values):
    log = read_log(frame(**{name: values})[::-1])
    assert log.item[log.start[1] : log.stop[1]].tolist() == [1, 3, 1]
    assert f"time '{name}'" in used(log)
    assert "give --time-format %Y%m%d" in log.warnings[0]


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"day": [1 + n for n in range(N)], "hour": [3] * N}, "'day' and 'hour'"),
        ({"year": [2020] * N, "month": [1 + n for n in range(N)], "day": [1] * N}, "'year', 'month' and 'day'"),
    ],
)
def test_parts_of_a_time_are_refused(columns, parts):
    with pytest.raises(DataError, match=f'columns {parts} look like parts of the times. Join them .* order: time=""'):
        read_log(frame(**columns))
    assert read_log(frame(**columns), time="").time is None


@pytest.mark.parametrize("name", ["play_time", "slot_time"])
def test_a_text_that_is_a_date_is_no_duration(name):
    assert used(read_log(frame(**{name: ISO}))) == f"time '{name}'"


@pytest.mark.parametrize(
    "dates", [[day[:10] for day in ISO], [stamp.date() for stamp in STAMPS], STAMPS, DIGITS, [86_400 * 18_000] * N]
)
@pytest.mark.parametrize("clock", ["hour", "HourOfDay"])
def test_hours_beside_days_are_a_warning(dates, clock):
    warning = f"column 'date' has days without a time of day, and column '{clock}' is not read"
    hours = {clock: [9 + n for n in range(N)]}
    assert sum(warning in sentence for sentence in read_log(frame(date=dates, **hours)).warnings) == 1
    assert not any(warning in sentence for sentence in read_log(frame(date=dates, price=[9] * N)).warnings)
    assert not any(warning in sentence for sentence in read_log(frame(date=ISO, **hours)).warnings)


@pytest.mark.parametrize("values", [STAMPS, [stamp.date() for stamp in STAMPS]])
def test_a_type_of_dates_needs_no_name(values):
    assert used(read_log(frame(x=values))) == "time 'x'"
    assert used(read_log(frame(x=values).to_pandas())) == "time 'x'"


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ({"timestamp": SECONDS, "release_date": ISO}, "time 'timestamp'"),
        ({"timestamp": SECONDS, "date": ISO, "time": SECONDS}, "time 'timestamp'"),
        ({"date": ISO, "time": SECONDS}, "time 'time'"),
        ({"created_at": ISO, "updated_at": ISO}, "time 'created_at'"),
        ({"InvoiceDate": STAMPS, "DueDate": STAMPS}, "time 'InvoiceDate'"),
        ({"session_start": SECONDS, "click_timestamp": SECONDS}, "time 'click_timestamp'"),
        ({"birth_date": [date(1980, 1, 1 + n) for n in range(N)], "viewed_at": ISO}, "time 'viewed_at'"),
        ({"unixReviewTime": SECONDS, "reviewTime": ISO}, "time 'unixReviewTime'"),
        ({"order": list(range(N))}, "in the order of 'order'"),
        ({"order": list(range(N)), "InvoiceDate": STAMPS}, "time 'InvoiceDate'"),
        ({"timestamp": list(range(N)), "release_date": ISO}, "time 'timestamp' in an unknown unit"),
        ({"watch_time": [5 * n for n in range(N)], "viewed_at": ISO}, "time 'viewed_at'"),
        ({"date_format": ["iso"] * N, "total_count": SECONDS}, "in the order of the source"),
        ({"year": [1999 + n for n in range(N)], "price": [5] * N}, "in the order of the source"),
        ({"dwell_time": [5 * n for n in range(N)], "time_zone": ["CET"] * N}, "in the order of the source"),
        ({"lifetime": [5 * n for n in range(N)]}, "in the order of the source"),
        ({"order_id": SECONDS}, "in the order of the source"),
        ({"order_dow": [1, 2] * 3, "order_hour_of_day": [10, 11] * 3}, "in the order of the source"),
        ({"category": ["a"] * N}, "in the order of the source"),
        ({"candidate": ["a"] * N, "genre": [None] * N}, "in the order of the source"),
        ({"phone": ["555-1234"] * N}, "in the order of the source"),
    ],
)
def test_the_choice_among_columns(columns, chosen):
    assert used(read_log(frame(**columns))) == chosen


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            {"date": [20200101 + n for n in range(N)], "time": [93_000 + n for n in range(N)]},
            "columns 'date' and 'time'",
        ),
        ({"created_at": ISO, "event_date": ISO}, "columns 'created_at' and 'event_date' may be"),
        ({"date": ISO, "viewed_at": ISO, "sold_at": STAMPS}, "columns 'date', 'viewed_at' and 'sold_at'"),
        ({"order": SECONDS, "InvoiceDate": STAMPS}, "columns 'order' and 'InvoiceDate' may be"),
        ({"date": ISO, "time": HOURS}, "columns 'date' and 'time' may be"),
        ({"date": [stamp.date() for stamp in STAMPS], "time": HOURS}, "columns 'date' and 'time' may be"),
        ({"day": ISO, "time": HOURS}, "columns 'day' and 'time' may be"),
        ({"day": [1 + n for n in range(N)], "time": HOURS}, "columns 'day' and 'time' may be"),
        ({"date": ISO, "ts": [36_000 + n for n in range(N)]}, "columns 'date' and 'ts' may be"),
        ({"event_date": ISO, "event_time": HOURS}, "columns 'event_date' and 'event_time' may be"),
        ({"created_at": ISO, "time": [1.5 * n for n in range(N)]}, "columns 'created_at' and 'time' may be"),
        ({"slot_time": SECONDS}, "column 'slot_time' looks like times"),
        ({"date_id": DIGITS}, "column 'date_id' looks like times"),
        ({"session_start": DIGITS}, "column 'session_start' looks like times"),
        ({"start_time": DIGITS}, "column 'start_time' looks like times"),
        ({"last_played": DIGITS}, "column 'last_played' looks like times"),
        ({"x": STAMPS, "y": STAMPS}, "columns 'x' and 'y' may be"),
        ({"release_date": ISO}, "column 'release_date' looks like times, but may not be those of the events"),
        ({"release_date": STAMPS}, "column 'release_date' looks like times"),
        ({"updated_at": SECONDS}, "column 'updated_at' looks like times"),
        ({"t": SECONDS}, "column 't' looks like times"),
        ({"t": ISO}, "column 't' looks like times"),
        ({"visit_time": list(range(N))}, "column 'visit_time' looks like times"),
        ({"loc al": ["12/1/2010 8:26"] * N}, "column 'loc al' looks like times"),
    ],
)
def test_an_uncertain_column_is_a_question(columns, problem, tmp_path):
    source = frame(**columns)
    source.write_csv(tmp_path / "x.csv")
    for given in (source, tmp_path / "x.csv"):
        with pytest.raises(DataError, match=f"{problem}.*{ASKED}"):
            read_log(given)
    assert read_log(source, time="").time is None
    name = next(iter(columns))
    if "12/1" not in str(columns):
        assert read_log(source, time=name).steps[0].rule.count(f"'{name}'") == 1


def test_the_times_of_a_file_without_a_header(tmp_path):
    path = tmp_path / "u.data"
    path.write_text("".join(f"{n % 3}\t{n}\t5\t{88_125_094 + n}9\n" for n in range(9)))
    with pytest.raises(DataError, match="column '4' looks like times"):
        read_log(path, user="1", item="2")
    assert used(read_log(path, user="1", item="2", time="4")) == "time '4'"

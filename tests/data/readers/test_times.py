"""Times: every format becomes the right moment, nothing is rounded, and what is uncertain is refused or said."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.data.readers.times import as_order, as_times
from segue.errors import ConfigError, DataError

T = 1_569_888_000  # 2019-10-01T00:00:00Z
OFFSETS = [i * 2.0**-30 for i in (0, 1, 5, 3, 900_000_000)]


def read(values, **options):
    return as_times(pl.Series(values), "x.csv, column 'time'", **options)


def order(values) -> list[int]:
    """The rank of each value among the distinct ones."""
    return np.unique(np.asarray(values), return_inverse=True)[1].tolist()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2019-10-01 00:00:00 UTC", T),
        ("2019-10-01 00:00:00 GMT", T),
        ("2019-10-01T00:00:00Z", T),
        ("2019-10-01 02:00:00 UTC+02:00", T),
        ("2019-10-01T02:00:00+02:00[Europe/Amsterdam]", T),
        ("2019-10-01 02:00:00 Europe/Amsterdam", T),
        ("2019-12-01 01:00:00 Europe/Amsterdam", T + 61 * 86_400),
        ("2019-09-30 08:00:00 PM America/New_York", T),
        ("2019-10-01 08:26 PM", T + 73_560),
        ("2019-10-01 08:26:05 am", T + 30_365),
        ("2019-10-01 08:26PM", T + 73_560),
        ("2019-10-01 12:00:00 AM", T),
        ("2019/10/01", T),
        ("2019/10/01 00:00:00", T),
        ("20191001T000000Z", T),
        ("1 Oct 2019", T),
        ("01 October 2019 00:00", T),
        ("Oct 1, 2019", T),
        ("01-Oct-2019", T),
        ("Tue, 01 Oct 2019 00:00:00 GMT", T),
        ("Tue Oct  1 00:00:00 UTC 2019", T),
        ("Tue Oct 01 00:00:00 +0000 2019", T),
        ("01/Oct/2019:02:00:00 +0200", T),
        ("31/10/2019", T + 30 * 86_400),
        ("10/31/2019 8:26", T + 30 * 86_400 + 30_360),
        ("31.10.2019 08:26:00", T + 30 * 86_400 + 30_360),
        ("10-31-2019 08:26 PM", T + 30 * 86_400 + 73_560),
    ],
)
def test_formats_of_text(text, seconds):
    times = read([text])
    assert (times.ticks.tolist(), times.unit) == ([seconds], "seconds")


@pytest.mark.parametrize(
    ("pattern", "text", "seconds"),
    [
        ("%m/%d/%Y %H:%M", "12/1/2010 8:26", 1_291_191_960),
        ("%d/%m/%Y %H:%M", "12/1/2010 8:26", 1_263_284_760),
        ("%m/%d/%y", "10/1/19", T),
        ("%d.%m.%Y %I:%M %p", "01.10.2019 08:26 PM", T + 73_560),
        ("%Y%m%d", "20191001", T),
        ("%Y-%m-%d %H:%M:%S %z", "2019-10-01 02:00:00 +0200", T),
        ("%Y-%m-%d %H:%M:%S %Z", "2019-10-01 00:00:00 UTC", T),
        ("%Y-%m-%d %H:%M:%S %Z", "2019-10-01 02:00:00 Europe/Amsterdam", T),
        ("%Y-%m-%d %H:%M:%S UTC", "2019-10-01 00:00:00 UTC", T),
        ("%m %d, %Y", "10 1, 2019", T),
        ("%Y%m%d%H%M%S", 20191001000000, T),
    ],
)
def test_time_format(pattern, text, seconds):
    assert read([text], time_format=pattern).ticks.tolist() == [seconds]


def test_time_format_with_a_fraction():
    times = read(["1/10/2019 00:00:00.5", "1/10/2019 00:00:00.25"], time_format="%d/%m/%Y %H:%M:%S.%f")
    assert (times.ticks.tolist(), times.unit) == ([T * 1000 + 500, T * 1000 + 250], "milliseconds")


@pytest.mark.parametrize(
    ("values", "pattern", "message"),
    [
        (
            ["1/10/2019", "10/13/2019", "1/1/2019"],
            "%d/%m/%Y",
            r"row 2: '10/13/2019' does not fit the time format '%d/%m",
        ),
        (["1/10/19"], "%d/%m/%Y", "row 1: '1/10/19' does not fit"),
        (["2019-10-01 00:00:00 PDT"], "%Y-%m-%d %H:%M:%S %Z", r"row 1: .* does not fit"),
        ([1.5], "%Y", "Float64 needs no time format"),
        ([datetime(2019, 10, 1)], "%Y", "Datetime.* needs no time format"),
    ],
)
def test_values_that_do_not_fit_the_time_format(values, pattern, message):
    with pytest.raises(DataError, match=message):
        read(values, time_format=pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("%H:%M", "has no year"),
        ("soon", "has no year"),
        ("%Y-%m-%d %H", "hour and minute"),
        ("%Y-%m-%d %I:%M", "12-hour"),
        ("%Y-%m-%d %f", r"%f must follow a point"),
    ],
)
def test_patterns_that_are_refused(pattern, message):
    with pytest.raises(ConfigError, match=message):
        read(["2019-10-01"], time_format=pattern)


@pytest.mark.parametrize("text", ["12/1/2010 8:26", "01.02.2019", "1-2-2019 08:26 PM", "1/2/2019 10:00:00 UTC"])
def test_the_order_of_day_and_month_is_never_guessed(text):
    with pytest.raises(
        DataError, match=r"day or the month first; give --time-format '%d.%m.*' \(day first\) or '%m.%d"
    ) as caught:
        read([text])
    patterns = str(caught.value).split("'")[-4::2]  # the last two texts in quotes
    assert len({read([text], time_format=pattern).ticks[0] for pattern in patterns}) == 2


def test_rows_that_show_the_order_of_day_and_month_are_named():
    times = read(["12/1/2010", "12/13/2010"])
    assert times.ticks.tolist() == [1_291_161_600, 1_292_198_400]
    assert times.warnings == (
        "x.csv, column 'time': dates are read month first, because '12/13/2010' in row 2 can only be that",
    )
    with pytest.raises(DataError, match=r"row 2: '13/13/2010' is not a time like those before it; give"):
        read(["12/1/2010", "13/13/2010"])
    with pytest.raises(DataError, match=r"row [23]: .* is not a time like those before it; give"):
        read(["1/1/2010", "13/1/2010", "1/13/2010"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["08:26", "09:00"], "row 1: '08:26' is a time of day without a date; join it with its date"),
        (["2019-10-01 00:00:00 PDT"], "row 1: .* has the zone PDT, which is not certain; write offsets"),
        (["2019-10-01 00:00:00 Europe/Nowhere"], "'Europe/Nowhere' is not a known time zone"),
        (["2019-10-27 02:30:00 Europe/Amsterdam"], "row 1: 2019-10-27 02:30:00 occurs twice or not at all"),
        (["2019-10-01 00:00:00 Asia/Tokyo", "2019-10-01 00:00:00"], "row 2: has no zone, and others have"),
        (["2019-10-01", "2019-10-02", "soon", "2019-10-04", "later"], r"row 3: 'soon' .*\(2 such rows of 5\)"),
        (["1", "2", "soon", "4", "later"], r"row 3: 'soon' is not a time .*\(2 such rows of 5\)"),
        (["2019-10-01 00:00:00", "2019-10-01T00:00:00"], "row 2: '2019-10-01T00:00:00' is not a time like"),
        (["2019-10-01T00:00:00.0000000001"], "row 1: 10 decimals are finer than a nanosecond"),
        (["9999-12-31T00:00:00.0000001"], "nanoseconds after the year 2262 do not fit in 64 bits"),
        (["1600000000.0000000001"], "row 1: 1600000000.0000000001 has more decimals than can be kept"),
        (["0.1", "0.10000000000000000000001"], "row 2: .* has more decimals than can be kept"),
        (["1e30"], "row 1: 1e30 does not fit in 64 bits"),
        (["1e9999"], "row 1: 1e9999 does not fit in 64 bits"),
        (["10-01-31"], "row 1: '10-01-31' is not a time"),
        ([1.6e18 + 256, 1.6e18], "float64 cannot hold nanoseconds since 1970"),
        (pl.Series([5000.0], dtype=pl.Float16), "float16 cannot hold seconds since 1970"),
        ([datetime(1969, 12, 31)], "row 1: '1969-12-31 00:00:00' is before 1970"),
        ([datetime(2019, 1, 1).time()], "times of a day without a date"),
    ],
)
def test_what_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        read(values)


@pytest.mark.parametrize(
    ("values", "ticks", "unit"),
    [
        (["2019-10-01T00:00:00.1234567Z"], [T * 10**9 + 123_456_700], "nanoseconds"),
        (["2019-10-01T00:00:00.123456789"], [T * 10**9 + 123_456_789], "nanoseconds"),
        (["2019-10-01 00:00:00,250", "2019-10-01 00:00:01"], [T * 1000 + 250, T * 1000 + 1000], "milliseconds"),
        (["2019-10-01T00:00:00.2500000000000"], [T * 1000 + 250], "milliseconds"),
        (["9999-12-31T00:00:00.5"], [253_402_214_400_500], "milliseconds"),
        ([f"{T}.123456789", f"{T}.123456788"], [T * 10**9 + 123_456_789, T * 10**9 + 123_456_788], "nanoseconds"),
        ([f"{T}000.5"], [T * 10**6 + 500], "microseconds"),
        ([f"{T}.0000", f"{T}"], [T, T], "seconds"),
        (["1.569888e9"], [T], "seconds"),
        (["1.569888000e+09"], [T], "seconds"),
        (["1.569888001e+12"], [T * 1000 + 1000], "milliseconds"),
        (["1.6e+09", "1569888000"], [1_600_000_000, T], "seconds"),
        (["1.5698880001234567e9"], [T * 10**9 + 123_456_700], "nanoseconds"),
        ([".5", "7."], [500, 7000], "an unknown unit"),
        ([Decimal("1569888000.25")], [T * 1000 + 250], "milliseconds"),
        ([T + 0.25], [T * 1000 + 250], "milliseconds"),
        ([T + 2**-22, float(T)], [T * 10**9 + 238, T * 10**9], "nanoseconds"),
        ([T * 1000 + 2**-12], [T * 10**9 + 244], "nanoseconds"),
        ([T * 1e9, T * 1e9 + 10**6], [T * 1000, T * 1000 + 1], "milliseconds"),
        (pl.Series([0.1, 7.0], dtype=pl.Float32), [100, 7000], "an unknown unit"),
    ],
)
def test_no_fraction_is_rounded(values, ticks, unit):
    times = read(values)
    assert (times.ticks.tolist(), times.unit) == (ticks, unit)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("first", [0.0, 0.5, 1.0, 1000.0, float(T)])
def test_neighbouring_floats_keep_their_order(first, text):
    values = [first]
    for _ in range(5):
        values.append(float(np.nextafter(values[-1], np.inf)) if first else values[-1] + 1e-9 / 3)
    mixed = [values[i] for i in (3, 1, 1, 5, 0, 2, 4)]
    times = read([repr(value) for value in mixed] if text else mixed)
    assert order(times.ticks) == order(mixed)
    assert bool(times.warnings) is not (first == T), "what is no date is kept by a scale of its own, which is said"


def test_fractions_too_fine_for_any_scale_keep_their_order():
    values = [0.5, 1e-30, 3e-30, 0.0, 1e-30]
    times = read(values)
    assert times.ticks.tolist() == [3, 1, 2, 0, 1]
    assert "only the order of the times is kept" in times.warnings[0]


@given(
    st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=30),
    st.sampled_from([1.0, 1e3, 2e6, 5e8, 2e9]),
)
def test_floats_keep_order_and_ties(values, scale):
    values = [value * scale for value in values]
    assert order(read(values).ticks) == order(values)
    assert order(as_order(pl.Series([-value for value in values]), "x")) == order([-value for value in values])


@given(st.lists(st.floats(1e9, 2e9), min_size=1, max_size=30))
def test_a_log_scaled_to_zero_and_one_keeps_its_order(values):
    low, width = min(values), max(max(values) - min(values), 1)
    scaled = [(value - low) / width for value in values]
    assert order(read(scaled).ticks) == order(scaled)
    assert order(read([repr(value) for value in scaled]).ticks) == order(scaled)


@settings(deadline=None)
@given(st.lists(st.integers(10**18, 2 * 10**18), min_size=1, max_size=20), st.sampled_from([0, 3, 6, 9]))
def test_iso_text_keeps_every_nanosecond(stamps, decimals):
    unit = 10 ** (9 - decimals)
    stamps = [stamp // unit * unit for stamp in stamps]
    seconds = [datetime.fromtimestamp(stamp // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S") for stamp in stamps]
    text = [
        f"{s}.{stamp % 10**9:09d}"[: 20 + decimals].rstrip(".") + "Z" for s, stamp in zip(seconds, stamps, strict=True)
    ]
    times = read(text)
    scale = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3, "nanoseconds": 1}[times.unit]
    assert (times.ticks * scale).tolist() == stamps


@pytest.mark.parametrize("values", [[1.5, 1.25, -0.0000001], ["2", "10", "-1.5"], [7, -3, 10**18], [0.1, 0.2, 0.15]])
def test_positions_keep_their_order(values):
    assert order(as_order(pl.Series(values), "x")) == order([float(value) for value in values])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-02-22 22:41:37 Etc/GMT-2", 1_708_634_497),
        ("2024-02-22T22:41:37[Etc/GMT+5]", 1_708_659_697),
        ("2024-02-22 22:41:37 Etc/GMT", 1_708_641_697),
        ("2024-02-22 22:41:37 GMT+02:00", 1_708_634_497),
        ("[22/Feb/2024:22:41:37 +0000]", 1_708_641_697),
        ("[22/Feb/2024:22:41:37 -0500]", 1_708_659_697),
        ("Thu Feb 22 2024 22:41:37 GMT+0000 (Coordinated Universal Time)", 1_708_641_697),
        ("Thu Feb 22 2024 22:41:37 GMT+0200 (Central European Summer Time)", 1_708_634_497),
        ("Thu Feb 22 2024 22:41:37 GMT-0500 (heure normale de l\u2019Est)", 1_708_659_697),
    ],
)
def test_zones_and_brackets_of_programs(text, seconds):
    ticks, unit, _ = as_times(pl.Series([text]), "here")
    assert (ticks.tolist(), unit) == ([seconds], "seconds")


@pytest.mark.parametrize("text", ["2024-01-31 10:30.5", "2024-01-31T10:30,25Z", "31 January 2024, 10:30.5"])
def test_a_fraction_of_a_minute_is_refused(text):
    with pytest.raises(DataError, match=r"row 1: .* has a fraction but no seconds; write hours, minutes and seconds"):
        as_times(pl.Series([text]), "here")


def test_a_name_of_a_zone_in_brackets_is_no_offset():
    with pytest.raises(DataError, match=r"row 1: .*PDT"):
        as_times(pl.Series(["2024-01-31 10:30:00 (PDT)"]), "here")


def test_a_time_format_for_whole_floats():
    column = pl.Series([20240131.0, 20240201.0])
    assert as_times(column, "here", "%Y%m%d").ticks.tolist() == [1_706_659_200, 1_706_745_600]
    with pytest.raises(DataError, match="Float64 needs no time format"):
        as_times(pl.Series([20240131.0, 20240201.5]), "here", "%Y%m%d")

"""Times of every form are whole numbers of one unit, and none passes through a float."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from segue.data.readers.ingest import read_log

HEAD = "user,item,timestamp,rating\n"
LONG = "".join(f"{n},{n % 9},{n},3\n" for n in range(1, 10_001))


SECONDS = 1_706_695_200  # 2024-01-31T10:00:00Z
TEN = datetime(2024, 1, 31, 10)


@pytest.mark.parametrize(
    ("given", "stored", "unit"),
    [
        ([SECONDS], SECONDS, "seconds"),
        ([SECONDS * 1000 + 1], SECONDS * 1000 + 1, "milliseconds"),
        ([SECONDS * 10**6], SECONDS * 10**6, "microseconds"),
        ([SECONDS * 10**9], SECONDS * 10**9, "nanoseconds"),
        ([7], 7, "an unknown unit"),
        ([float(SECONDS)], SECONDS, "seconds"),
        ([SECONDS + 0.277], SECONDS * 1000 + 277, "milliseconds"),
        ([SECONDS + 0.123456], SECONDS * 10**6 + 123_456, "microseconds"),
        ([str(SECONDS)], SECONDS, "seconds"),
        ([f"{SECONDS}.0"], SECONDS, "seconds"),
        (["1.7066952e9"], SECONDS, "seconds"),
        (["2024-01-31"], SECONDS - 36_000, "seconds"),
        (["2024-01-31 10:00"], SECONDS, "seconds"),
        (["2024-01-31 10:00:00"], SECONDS, "seconds"),
        (["2024-01-31T10:00:00"], SECONDS, "seconds"),
        (["2024-01-31T10:00:00Z"], SECONDS, "seconds"),
        (["2024-01-31T12:00:00+02:00"], SECONDS, "seconds"),
        (["2024-01-31 05:00:00 -0500"], SECONDS, "seconds"),
        (["2024-01-31T10:00:00.250Z"], SECONDS * 1000 + 250, "milliseconds"),
        ([date(2024, 1, 31)], SECONDS - 36_000, "seconds"),
        ([TEN], SECONDS, "seconds"),
        ([TEN.replace(tzinfo=UTC)], SECONDS, "seconds"),
        ([TEN.replace(microsecond=7)], SECONDS * 10**6 + 7, "microseconds"),
    ],
)
def test_times_are_int64_and_their_unit_is_recorded(given, stored, unit):
    log = read_log(pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": given * 2}))
    assert log.time.tolist() == [stored] * 2
    assert log.steps[0].rule.endswith(f"time 'time' in {unit}")


def test_times_of_a_text_file_never_pass_through_float32(write):
    path = write("user_id:token\titem_id:token\ttimestamp:float\n1\t1\t978300761\n2\t2\t978300760\n", "x.inter")
    assert read_log(path).time.tolist() == [978300761, 978300760]


def test_a_late_fraction_changes_the_unit_and_not_the_names(write):
    log = read_log(write(HEAD + LONG + "7,8,20000.5,3\n"))
    assert log.steps[0].rule.endswith("time 'timestamp' in an unknown unit")
    assert log.time.max() == 20_000_500
    assert log.users.tokens.dtype == log.items.tokens.dtype == pl.Int64


def test_nanoseconds_and_zones_of_parquet(tmp_path):
    stamps = pl.Series([TEN, TEN]).cast(pl.Datetime("ns")).dt.replace_time_zone("Europe/Amsterdam")
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": stamps})
    frame.write_parquet(tmp_path / "x.parquet")
    assert read_log(tmp_path / "x.parquet").time.tolist() == [SECONDS - 3600] * 2
    odd = frame.with_columns(pl.col("time") + pl.duration(nanoseconds=5))
    assert read_log(odd).steps[0].rule.endswith("in nanoseconds")

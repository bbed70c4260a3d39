"""Times that cannot be are warnings of the log, from every kind of source."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from segue.data.diagnostics.summary import summarise
from segue.data.readers.ingest import read_log
from segue.data.store import open_log, save_log

SECONDS = [1_600_000_000 + 100 * n for n in range(8)]


def frame(times):
    n = len(times)
    return pl.DataFrame({"user": [1, 2] * (n // 2), "item": [k % 3 for k in range(n)], "time": times})


@pytest.mark.parametrize(
    ("times", "warnings"),
    [
        (SECONDS, []),
        ([*SECONDS[:6], 0, 0], ["2 of 8 rows (the first is row 7: 0) have the time 0, which is 1970-01-01"]),
        (
            [SECONDS[0], SECONDS[1] * 1000, *SECONDS[2:]],
            ["row 2 (1,600,000,100,000) has a time like milliseconds, among seconds: their order is wrong"],
        ),
        ([*SECONDS[:7], 86_400 * 40], ["row 8 (1970-02-10) has a time before 1990"]),
        ([*SECONDS[:7], 4_000_000_000], ["row 8 (2096-10-02) has a time after today"]),
        (
            [*SECONDS[:6], 0, 10**15],
            ["row 7 (0) has the time 0", "row 8 (1,000,000,000,000,000) has a time like micro"],
        ),
        ([*SECONDS[:7], 10**18 * 9], ["row 8 (9,000,000,000,000,000,000) has a time after today"]),
        (list(range(8)), []),
        ([4_200_000_000 * (1 + n) for n in range(8)], ["times from 4,200,000,000 to 33,600,000,000 do not look like"]),
        ([7] * 8, ["every row has the time 7, so that the order is that of the source"]),
        ([20200101 + n for n in range(8)], ["like dates of 8 digits: give --time-format %Y%m%d"]),
        ([20200101093000 + n for n in range(8)], ["like dates of 14 digits: give --time-format %Y%m%d%H%M%S"]),
        ([datetime(1970, 1, 1 + n) for n in range(8)], ["row 1 (0) has the time 0", "7 of 8 rows (the first is row 2"]),
        ([datetime(2020, 1, 1)] * 7 + [datetime(2999, 1, 1)], ["row 8 (2999-01-01) has a time after today"]),
        (["2020-01-01"] * 7 + ["1970-01-01"], ["row 8 (0) has the time 0"]),
        ([500_000_000 + n for n in range(8)], ["8 of 8 rows (the first is row 1: 1985-11-05) have a time before 1990"]),
    ],
)
def test_times_that_cannot_be(times, warnings, tmp_path):
    log = read_log(frame(times))
    assert len(log.warnings) == len(warnings)
    for warning, expected in zip(log.warnings, warnings, strict=True):
        assert warning.startswith("the polars frame, column 'time': ")
        assert expected in warning
        assert not warning.endswith(".")
    assert open_log(save_log(log, tmp_path / "saved")).warnings == log.warnings
    assert summarise(log).warnings[: len(warnings)] == log.warnings


def test_a_column_of_positions_has_no_warning():
    assert read_log(frame(np.arange(8)).rename({"time": "order"})).warnings == ()

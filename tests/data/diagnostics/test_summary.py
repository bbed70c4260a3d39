"""The audit's numbers are those one counts by hand, and people can read them."""

import json
import time

import numpy as np
import pytest
from rich.console import Console

from segue.data.diagnostics import summary as module
from segue.data.diagnostics.summary import audit, show
from segue.data.synthetic import YEAR_2020, cycle, from_sequences, random
from segue.errors import DataError

DAY = 86_400
#                         a repeat of 1    one event  nobody
LOG = from_sequences(
    [[1, 2, 1, 3], [1, 2], [1], []],
    num_items=9,
    times=[[0, 0, DAY, 9 * DAY], [5, 5], [3 * DAY], []],
    name="tiny",
)


def drawn(report, **options):
    console = Console(width=100, **options)
    with console.capture() as capture:
        console.print(report)
    return capture.get()


def test_the_numbers_of_a_small_log():
    report = audit(LOG)
    assert (report.rows, report.users, report.items) == (7, 3, 3)
    assert report.fingerprint == LOG.fingerprint
    assert report.density == pytest.approx(6 / 9)
    assert report.per_user == (1, 1, 2, 4, 4)
    assert report.per_item == (1, 1, 2, 4, 4)
    assert report.user_sizes == (1, 1, 1), "one user each of 1, 2 to 3, 4 to 7 events"
    assert report.top_1 == report.top_10 == pytest.approx(4 / 7), "at least one item"
    assert report.gini == pytest.approx((3 + 1 + 2) * 2 / (2 * 9 * 7 / 3))  # sum |x - y| / (2 n^2 mean)
    assert report.repeats == pytest.approx(1 / 7)
    assert (report.below_3, report.below_10) == (2, 3)
    assert report.span.ties == pytest.approx(2 / 4)
    assert (report.span.first, report.span.last, report.span.unit) == (0, 9 * DAY, None)
    assert sum(report.span.activity) == 7


def test_popularity_of_equals_and_of_one():
    even = audit(from_sequences([[1, 2, 3, 4], [4, 3, 2, 1]]))
    assert even.gini == pytest.approx(0)
    counts = np.array([1, 1, 1, 97])
    assert module._gini(counts) == pytest.approx(abs(counts[:, None] - counts).sum() / (2 * 16 * counts.mean()))


@pytest.mark.parametrize(
    ("scale", "unit"), [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]
)
def test_dates_and_units(scale, unit):
    span = audit(
        from_sequences([[1, 2], [2, 1]], times=[[YEAR_2020 * scale] * 2, [(YEAR_2020 + DAY) * scale] * 2])
    ).span
    assert span.unit == unit
    assert span.dates() == ("2020-01-01", "2020-01-02")


def test_warnings_say_what_deserves_a_look():
    said = " | ".join(audit(LOG).warnings)
    assert "50% of neighbouring events of a user share a time: their order is the file's" in said
    assert "times from 0 to 777,600 do not look like dates" in said
    assert "2 users have fewer than 3 events" in said
    assert "14% of events repeat an item" in said
    assert "may have nothing to learn" in said
    assert audit(cycle(length=12, num_items=20)).warnings == ()
    assert "no signal" in audit(random()).order.verdict


def test_a_log_without_events():
    with pytest.raises(DataError, match="empty: there are no events to audit"):
        audit(from_sequences([[], []], num_items=3, name="empty"))


def test_a_view_is_audited_as_far_as_it_goes():
    log = cycle(50, 20, 12)
    cut = log.until(np.maximum(log.stop - 5, log.start))
    report = audit(cut)
    assert report.rows == 50 * 7
    assert report.span.last < audit(log).span.last


def test_plain_values_survive_json():
    for log in (LOG, cycle(), from_sequences([[1, 2]])):
        report = audit(log)
        told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
        assert told["rows"] == len(log)
        assert told["order"]["verdict"] == report.order.verdict
        assert told["order"]["shared"] == report.order.shared


def test_the_picture(capsys):
    text = drawn(audit(cycle()))
    assert "cycle: 1,200 events of 100 users with 20 items" in text
    assert "8-15 events" in text
    assert "█" * 30 + " 100 users" in text
    assert "2020-01" in text
    assert "order carries signal" in text
    assert "! 2 users have fewer than 3 events" in drawn(audit(LOG))
    show(audit(LOG))
    assert "tiny: 7 events" in capsys.readouterr().out


def test_a_terminal_without_unicode_gets_a_picture_too(monkeypatch):
    monkeypatch.setattr(Console, "encoding", "ascii")
    text = drawn(audit(cycle()))
    assert text.isascii()
    assert "%" * 30 + " 100 users" in text


def test_a_million_rows_take_under_two_seconds():
    log = random(10_000, 5_000, 100, skew=0.8)
    before = time.process_time()
    report = audit(log)
    assert report.rows == 10**6
    assert time.process_time() - before < 2

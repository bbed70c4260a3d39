"""The descriptive statistics of a log, and warnings about what makes numbers measured on it doubtful.

    ml-100k: 100,000 events of 943 users with 1,682 items
    16-31 events     ███████████████████████████ 221 users
    32-63 events     ██████████████████████████████ 243 users
    over time        ▄▃▃▂▂▂▂▁▂▄█▆▃▃▂▂▄▂▂▃▄▂▂▃▂▂▂▁▃▄▂▂▂▁▁█▅▂▂▂
    order carries signal: users share transitions 3.32 times as often as in shuffled histories, z = 239.8

`summarise` returns the numbers. `as_dict` gives them as plain values for JSON; printing them to a rich console draws
the text above.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.data.copies import exact_copies
from segue.data.diagnostics.leakage import Leakage, leakage_warnings, measure_leakage
from segue.data.diagnostics.order_test import OrderSignal, order_signal
from segue.data.diagnostics.repeats import repeat_share
from segue.data.diagnostics.target_times import basket_warning, target_times
from segue.data.log import Ids, Log, distinct
from segue.data.source_split import has_split
from segue.data.splits import given_split, leave_last_out
from segue.data.time_units import SMALL, day_of
from segue.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

QUANTILES = (0, 25, 50, 75, 100)
TIME_BINS = 40


@dataclass(frozen=True)
class TimeSpan:
    """The time span of a log.

    Attributes:
        first: the earliest time, in the log's unit.
        last: the latest.
        unit: the time unit since 1970, or None if the times are no dates.
        activity: number of events in each of 40 equal parts of the span.
        ties: share of neighbouring events of a user that have the same time.
    """

    first: int
    last: int
    unit: str | None
    activity: tuple[int, ...]
    ties: float

    def dates(self) -> tuple[str, str]:
        """The first and the last day, or the numbers themselves if they are no dates."""
        return day_of(self.first, self.unit), day_of(self.last, self.unit)


@dataclass(frozen=True)
class LogSummary:
    """The descriptive statistics of a log.

    Attributes:
        name: what the log is called.
        fingerprint: the hash of its content.
        num_rows: number of events.
        num_users: number of users with at least one event.
        num_items: number of items with at least one event.
        density: share of the user-item pairs that occur.
        per_user: minimum, quartiles and maximum of the number of events of a user.
        per_item: the same for an item.
        user_lengths: number of users with 1, 2 to 3, 4 to 7, 8 to 15, ... events.
        top_1: share of the events that belong to the most popular 1% of the items.
        top_10: the same for the most popular 10%.
        gini: Gini coefficient of item popularity: 0 if all items are equally popular, 1 if one item has all events.
        repeats: share of the events whose item the same user had before; exact copies are no events of their own.
        copies: number of rows with the user, the item and the time of another row.
        below_3: number of users with 1 or 2 events.
        below_10: number of users with 1 to 9 events.
        span: the time span, or None for a log without times.
        order: whether the order of events carries signal.
        split: how the test part below is chosen: the log's own split, or the last event of each user.
        test: what that test part has in common with training.
        warnings: what makes results on this log doubtful, one sentence each; first those of its reader.
    """

    name: str
    fingerprint: str
    num_rows: int
    num_users: int
    num_items: int
    density: float
    per_user: tuple[int, ...]
    per_item: tuple[int, ...]
    user_lengths: tuple[int, ...]
    top_1: float
    top_10: float
    gini: float
    repeats: float
    copies: int
    below_3: int
    below_10: int
    span: TimeSpan | None
    order: OrderSignal
    split: str
    test: Leakage
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; numbers that are not defined are None."""
        order = self.order
        derived = {"ratio": round(order.ratio, 4) if order.shuffled else None, "z": order.z, "verdict": order.verdict}
        return {**asdict(self), "order": {**asdict(order), **derived}}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        blocks = " ▁▂▃▄▅▆▇█" if options.encoding.lower().startswith("utf") else " .:-=+*#%"
        size = f"{self.num_rows:,} events of {self.num_users:,} users with {self.num_items:,} items"
        yield Text(f"{self.name}: {size}", "bold")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        for title, value in (*self._statistics(), *self._charts(blocks)):
            grid.add_row(title, Text(value))
        yield grid
        yield Text(self.order.verdict, "green" if self.order.significant else "yellow")
        for warning in self.warnings:
            yield Text(f"! {warning}", "yellow")

    def _statistics(self) -> list[tuple[str, str]]:
        return [
            ("fingerprint", self.fingerprint),
            ("density", f"{self.density:.3%} of all user-item pairs"),
            ("a user has", _spread(self.per_user)),
            ("an item has", _spread(self.per_item)),
            (
                "popularity",
                f"top 1% of items {self.top_1:.0%} of events, top 10% {self.top_10:.0%}; Gini {self.gini:.2f}",
            ),
            ("repeats", f"{self.repeats:.1%} of events have an item that the user had before"),
            *([("copies", f"{self.copies:,} rows repeat the user, item and time of another")] if self.copies else []),
            ("short", f"{self.below_3:,} users below 3 events, {self.below_10:,} below 10"),
            ("test", f"{self.split}, {self.test.num_users:,} users"),
            *(("", line) for line in self.test.sentences()),
        ]

    def _charts(self, blocks: str) -> list[tuple[str, str]]:
        largest = max(self.user_lengths)
        rows: list[tuple[str, str]] = []
        for power, count in enumerate(self.user_lengths):
            if rows or count:
                length = f"{2**power}-{2 ** (power + 1) - 1} events" if power else "1 event"
                rows.append((length, f"{blocks[-1] * round(30 * count / largest)} {count:,}".strip() + " users"))
        if self.span:
            busiest = max(self.span.activity)
            line = "".join(blocks[-(-8 * count // busiest)] for count in self.span.activity)
            rows.append(("over time", line))
            rows.append(("", f"{' .. '.join(self.span.dates())}, {self.span.ties:.0%} of neighbours at the same time"))
        return rows


def _spread(quantiles: tuple[int, ...]) -> str:
    low, quarter, median, three_quarters, high = quantiles
    return f"{low:,} to {high:,} events, half of them {quarter:,} to {three_quarters:,}, median {median:,}"


def summarise(log: Log, *, seed: int = 0) -> LogSummary:
    """Compute the descriptive statistics of `log`; the test of its order uses a random sample of a large log.

    Raises:
        DataError: there are no events.
    """
    if not len(log):
        raise DataError(f"{log.name}: there are no events to summarise")
    user, item = log.events()
    lengths, counts = log.lengths[log.lengths > 0], log.counts()
    counts = counts[counts > 0]
    pairs = len(distinct(user * (log.num_items + 1) + item))
    span, order = _span(log, user), order_signal(log, seed=seed)
    brings_split = has_split(log)
    split = given_split(log) if brings_split else leave_last_out(log)
    test = measure_leakage(split)
    numbers: dict[str, Any] = {
        "num_rows": len(log),
        "num_users": len(lengths),
        "num_items": len(counts),
        "density": pairs / (len(lengths) * len(counts)),
        "per_user": _quantiles(lengths),
        "per_item": _quantiles(counts),
        "user_lengths": tuple(np.bincount(np.frexp(lengths)[1] - 1).tolist()),
        "top_1": _top(counts, 0.01),
        "top_10": _top(counts, 0.1),
        "gini": _gini(counts),
        "repeats": repeat_share(log),
        "copies": int(exact_copies(log, ratings=False).sum()),
        "below_3": int((lengths < 3).sum()),
        "below_10": int((lengths < 10).sum()),
        "span": span,
        "order": order,
        "split": "the log's own split" if brings_split else "the last event of each user",
        "test": test,
    }
    warnings = [*log.warnings, *_warnings(numbers, span, order), *leakage_warnings(split)]
    if not brings_split:
        times = target_times(log, split.instances("test").row)
        warnings += filter(None, [basket_warning(log, times, "leave-one-out")])
    return LogSummary(log.name, log.fingerprint, **numbers, warnings=tuple(warnings))


def _quantiles(counts: Ids) -> tuple[int, ...]:
    return tuple(np.percentile(counts, QUANTILES, method="inverted_cdf").tolist())


def _top(counts: Ids, share: float) -> float:
    """The share of all events that belong to the most popular `share` of the items (at least one item)."""
    top = np.sort(counts)[::-1][: max(1, round(share * len(counts)))]
    return float(top.sum() / counts.sum())


def _gini(counts: Ids) -> float:
    """Half the mean absolute difference of two items' counts, relative to the mean count."""
    n = len(counts)
    weight = 2 * np.arange(1, n + 1) - n - 1
    return float((weight * np.sort(counts)).sum() / (n * counts.sum()))


def _span(log: Log, user: Ids) -> TimeSpan | None:
    if log.time is None:
        return None
    time = log.time[log.rows()]
    first, last = int(time.min()), int(time.max())
    after = (time - first).astype(np.uint64)  # small numbers are exact as floats; a span of 2^63 wraps and returns
    activity, _ = np.histogram(after, bins=TIME_BINS, range=(0, last - first))
    same_user = user[1:] == user[:-1]
    ties = (time[1:] == time[:-1])[same_user]
    tied = float(ties.mean()) if len(ties) else 0.0
    return TimeSpan(first, last, log.time_unit, tuple(activity.tolist()), tied)


def _warnings(numbers: dict[str, Any], span: TimeSpan | None, order: OrderSignal) -> list[str]:
    warnings = []
    if span and span.ties > 0.05:
        in_ties = f"; {order.in_ties:.0%} of the signal comes from it" if order.in_ties is not None else ""
        warnings.append(
            f"{span.ties:.0%} of neighbouring events of a user have the same time: their order is that of the "
            f"file{in_ties}"
        )
    if span and span.last < SMALL:  # the reader warns about larger numbers
        warnings.append(f"times from {span.first:,} to {span.last:,} do not look like dates since 1970")
    if numbers["below_3"]:
        warnings.append(
            f"{numbers['below_3']:,} users have fewer than 3 events: too few for training, validation and test"
        )
    if numbers["repeats"] > 0.1:
        warnings.append(f"{numbers['repeats']:.0%} of events repeat an item: do not exclude what a user has seen")
    if not order.significant:
        warnings.append("a sequential model may have nothing to learn here: compare it with popularity and item-KNN")
    return warnings

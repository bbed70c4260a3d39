"""What to know of a log before believing a number measured on it.

    ml-100k: 100,000 events of 943 users with 1,682 items
    16-31 events     ███████████████████████████ 221 users
    32-63 events     ██████████████████████████████ 243 users
    over time        ▄▃▃▂▂▂▂▁▂▄█▆▃▃▂▂▄▂▂▃▄▂▂▃▂▂▂▁▃▄▂▂▂▁▁█▅▂▂▂
    order carries signal: users share steps 3.32 times as often as in shuffled histories, z = 239.8

`audit` gives plain numbers (`as_dict` is ready for JSON), `show` draws them for people.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.data.diagnostics.leakage import Overlap, overlap
from segue.data.diagnostics.order_test import OrderSignal, order_signal
from segue.data.log import Ids, Log, distinct
from segue.data.splits import given_split, leave_last_out
from segue.data.time_units import day_of, unit_of
from segue.errors import DataError
from segue.reporting.console import stdout

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

QUANTILES = (0, 25, 50, 75, 100)
TIME_BINS = 40


@dataclass(frozen=True)
class Span:
    """When the events of a log happened.

    Attributes:
        first: the earliest time, in the log's unit.
        last: the latest.
        unit: what the numbers seem to count since 1970, or None where they are no dates.
        activity: events in each of 40 equal parts of the span.
        ties: share of neighbouring events of a user that have the same time.
    """

    first: int
    last: int
    unit: str | None
    activity: tuple[int, ...]
    ties: float

    def dates(self) -> tuple[str, str]:
        """First and last day, or the numbers themselves where they are no dates."""
        return day_of(self.first, self.unit), day_of(self.last, self.unit)


@dataclass(frozen=True)
class Audit:
    """The plain numbers of a log.

    Attributes:
        name: what the log is called.
        fingerprint: of its content.
        rows: events.
        users: users with at least one event.
        items: items with at least one event.
        density: share of the user-item pairs that occur.
        per_user: minimum, quartiles and maximum of the events of a user.
        per_item: the same of an item.
        user_sizes: how many users have 1, 2 to 3, 4 to 7, 8 to 15, ... events.
        top_1: share of the events that the most popular hundredth of the items holds.
        top_10: the same of the most popular tenth.
        gini: Gini coefficient of item popularity: 0 all alike, 1 one item has everything.
        repeats: share of the events whose item the same user had before.
        below_3: users with 1 or 2 events.
        below_10: users with 1 to 9 events.
        span: when, or None for a log without times.
        order: whether order carries signal.
        by: what a test part would be cut off by: the log's own split, or the last event of each user.
        test: what that test part has in common with training.
        warnings: what deserves a second look, one sentence each.
    """

    name: str
    fingerprint: str
    rows: int
    users: int
    items: int
    density: float
    per_user: tuple[int, ...]
    per_item: tuple[int, ...]
    user_sizes: tuple[int, ...]
    top_1: float
    top_10: float
    gini: float
    repeats: float
    below_3: int
    below_10: int
    span: Span | None
    order: OrderSignal
    by: str
    test: Overlap
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; figures that cannot be told are None."""
        order = self.order
        derived = {"ratio": round(order.ratio, 4) if order.shuffled else None, "z": order.z, "verdict": order.verdict}
        return {**asdict(self), "order": {**asdict(order), **derived}}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        blocks = " ▁▂▃▄▅▆▇█" if options.encoding.lower().startswith("utf") else " .:-=+*#%"
        yield Text(f"{self.name}: {self.rows:,} events of {self.users:,} users with {self.items:,} items", "bold")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        for title, value in (*self._facts(), *self._pictures(blocks)):
            grid.add_row(title, Text(value))
        yield grid
        yield Text(self.order.verdict, "green" if self.order.found else "yellow")
        for warning in self.warnings:
            yield Text(f"! {warning}", "yellow")

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("fingerprint", self.fingerprint),
            ("density", f"{self.density:.3%} of all pairs of user and item"),
            ("a user has", _spread(self.per_user)),
            ("an item has", _spread(self.per_item)),
            (
                "popularity",
                f"top 1% of items {self.top_1:.0%} of events, top 10% {self.top_10:.0%}; Gini {self.gini:.2f}",
            ),
            ("repeats", f"{self.repeats:.1%} of events: an item that the user had before"),
            ("short", f"{self.below_3:,} users below 3 events, {self.below_10:,} below 10"),
            ("test", f"{self.by}, {self.test.users:,} users"),
            *(("", line) for line in self.test.told()),
        ]

    def _pictures(self, blocks: str) -> list[tuple[str, str]]:
        most = max(self.user_sizes)
        rows: list[tuple[str, str]] = []
        for power, count in enumerate(self.user_sizes):
            if rows or count:
                sizes = f"{2**power}-{2 ** (power + 1) - 1} events" if power else "1 event"
                rows.append((sizes, f"{blocks[-1] * round(30 * count / most)} {count:,}".strip() + " users"))
        if self.span:
            busiest = max(self.span.activity)
            line = "".join(blocks[-(-8 * count // busiest)] for count in self.span.activity)
            rows.append(("over time", line))
            rows.append(("", f"{' .. '.join(self.span.dates())}, {self.span.ties:.0%} of neighbours at the same time"))
        return rows


def _spread(quantiles: tuple[int, ...]) -> str:
    low, quarter, median, three_quarters, high = quantiles
    return f"{low:,} to {high:,} events, half of them {quarter:,} to {three_quarters:,}, median {median:,}"


def show(report: Audit) -> None:
    """Draw an audit on stdout."""
    stdout().print(report)


def audit(log: Log, *, seed: int = 0) -> Audit:
    """The plain numbers of `log`; the test of its order looks at a random sample where the log is large.

    Raises:
        DataError: there are no events.
    """
    if not len(log):
        raise DataError(f"{log.name}: there are no events to audit")
    user, item = log.events()
    sizes, counts = log.lengths[log.lengths > 0], log.counts()
    counts = counts[counts > 0]
    pairs = len(distinct(user * (log.num_items + 1) + item))
    span, order = _span(log, user), order_signal(log, seed=seed)
    own = log.user_metadata is not None and "split" in log.user_metadata.columns
    test = overlap(given_split(log) if own else leave_last_out(log))
    numbers: dict[str, Any] = {
        "rows": len(log),
        "users": len(sizes),
        "items": len(counts),
        "density": pairs / (len(sizes) * len(counts)),
        "per_user": _quantiles(sizes),
        "per_item": _quantiles(counts),
        "user_sizes": tuple(np.bincount(np.frexp(sizes)[1] - 1).tolist()),
        "top_1": _top(counts, 0.01),
        "top_10": _top(counts, 0.1),
        "gini": _gini(counts),
        "repeats": 1 - pairs / len(log),
        "below_3": int((sizes < 3).sum()),
        "below_10": int((sizes < 10).sum()),
        "span": span,
        "order": order,
        "by": "the log's own split" if own else "the last event of each user",
        "test": test,
    }
    return Audit(log.name, log.fingerprint, **numbers, warnings=tuple(_warnings(numbers, span, order)))


def _quantiles(counts: Ids) -> tuple[int, ...]:
    return tuple(np.percentile(counts, QUANTILES, method="inverted_cdf").tolist())


def _top(counts: Ids, share: float) -> float:
    """The part of all events that the most popular `share` of the items holds (at least one item)."""
    best = np.sort(counts)[::-1][: max(1, round(share * len(counts)))]
    return float(best.sum() / counts.sum())


def _gini(counts: Ids) -> float:
    """Half the mean absolute difference of two items' counts, relative to the mean count."""
    n = len(counts)
    weight = 2 * np.arange(1, n + 1) - n - 1
    return float((weight * np.sort(counts)).sum() / (n * counts.sum()))


def _span(log: Log, user: Ids) -> Span | None:
    if log.time is None:
        return None
    time = log.time[log.rows()]
    first, last = int(time.min()), int(time.max())
    activity, _ = np.histogram(time, bins=TIME_BINS, range=(first, last))
    neighbours = user[1:] == user[:-1]
    ties = (time[1:] == time[:-1])[neighbours]
    return Span(first, last, unit_of(first, last), tuple(activity.tolist()), float(ties.mean()) if len(ties) else 0.0)


def _warnings(numbers: dict[str, Any], span: Span | None, order: OrderSignal) -> list[str]:
    found = []
    if span and span.ties > 0.05:
        inside = f"; {order.in_ties:.0%} of the signal lies in it" if order.in_ties is not None else ""
        found.append(
            f"{span.ties:.0%} of neighbouring events of a user share a time: their order is the file's{inside}"
        )
    if span and span.unit is None:
        found.append(f"times from {span.first:,} to {span.last:,} do not look like dates since 1970")
    if numbers["below_3"]:
        found.append(f"{numbers['below_3']:,} users have fewer than 3 events: none to train, validate and test on each")
    if numbers["repeats"] > 0.1:
        found.append(f"{numbers['repeats']:.0%} of events repeat an item: do not exclude what a user has seen")
    shared = numbers["test"].shared
    if shared and shared.warning:
        found.append(f"{shared.warning}: measure --by leak, and train with --leak drop")
    if not order.found:
        found.append("a model of order may have nothing to learn here: compare it with popularity and item-KNN")
    return found

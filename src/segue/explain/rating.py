"""Explain a predicted rating: what each event of the user history and of the item history contributes to it.

    user history             gate  contribution      item history                  gate  contribution
    Aliens (1986)            .61   +.12              user 9, after Alien (1979)    .57   +.20
    Emma (1996)              .04   +.00              user 7, after Jaws (1975)     .08   -.01

A rating model reads two histories: the items that the user rated, and the users who rated the item. If the log holds
the pair, both histories end before its last rating; otherwise they end with the log. Gates belong to the pair: another
item gives other gates. The contribution of an event is the predicted rating minus the prediction without the event.
The prediction without both histories is the part that no event carries: the mean and the biases. Any rating model can
be explained like that; see `segue.explain.occlusion` for what a contribution means.

Source: Pei, Yang, Sun, Zhang, Bozzon and Tax, "Interacting attention-gated recurrent networks for recommendation",
CIKM 2017, Figure 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import PairBatch
from segue.data.log import Ids, Log
from segue.data.time_units import day_of
from segue.errors import DataError
from segue.explain.occlusion import Order, check_order, occlusion_masks, recorded_values, without_noise
from segue.models.base.model import Model
from segue.models.base.rating import PairScorer
from segue.models.base.score_buffer import device_of, evaluation_mode
from segue.nn.recorder import ITEM_HISTORY, Recording, recording
from segue.reporting.heatmap import CardRow, HeatmapCell, decimals_of, format_contribution, format_gate
from segue.serving.query import lookup_ids

Gates = dict[str, float | None]


@dataclass(frozen=True)
class HistoryEvent:
    """One event of a history.

    Attributes:
        name: the name of the item or, in an item history, of the user.
        title: the title of the item or, in an item history, the user and the item before.
        day: the day, or the number itself if the log's times are not dates.
        rating: the rating; None if the log has no ratings.
        age: 1 for the newest event of the history.
        gates: the value of each gate and attention of the model.
        contribution: the predicted rating minus the prediction without the event.
    """

    name: Any
    title: str
    day: str
    rating: float | None
    age: int
    gates: Gates
    contribution: float


@dataclass(frozen=True)
class ExplainedHistory:
    """One of the two histories of a predicted rating.

    Attributes:
        events: the newest events, in the order asked for.
        num_older: number of events that the model reads and that are older.
        older: what these contribute together.
        num_unread: number of events that the model does not read, because they are older than its window.
    """

    events: list[HistoryEvent]
    num_older: int
    older: float
    num_unread: int


@dataclass(frozen=True)
class RatingExplanation:
    """A predicted rating, and what the events of both histories contribute to it.

    Attributes:
        user: the name of the user.
        item: the name of the item.
        title: the title of the item.
        day: the day of the rating; None if the log does not hold the pair.
        rating: the rating in the log; None if there is none.
        predicted: the predicted rating.
        rest: the predicted rating without both histories.
        history: the user history: items that the user rated before.
        item_history: the item history: users who rated the item before.
    """

    user: Any
    item: Any
    title: str
    day: str | None
    rating: float | None
    predicted: float
    rest: float
    history: ExplainedHistory
    item_history: ExplainedHistory

    def summary(self) -> str:
        """The predicted and the true rating, in a sentence."""
        prediction = f"user {self.user} is expected to rate {self.title} {self.predicted:.2f}"
        if self.day is None:
            return f"{prediction}; the log holds no event of this user with this item."
        event = "the event was" if self.rating is None else f"the rating was {self.rating:g},"
        return f"{prediction}; {event} on {self.day}."

    def sections(self) -> list[tuple[str, list[CardRow | str]]]:
        """Sections for `segue.reporting.html.page`: both histories as cards with coloured values."""
        histories = (("User history", self.history.events), ("Item history", self.item_history.events))
        decimals = self.decimals
        return [(heading, [_cards(events, decimals) if events else "Nothing."]) for heading, events in histories]

    @property
    def decimals(self) -> int:
        """The number of decimals of contributions."""
        events = (*self.history.events, *self.item_history.events)
        return decimals_of([self.predicted, self.rest, *(event.contribution for event in events)])


def explain_rating(
    model: Model, log: Log, *, user: Any, item: Any, last: int = 20, order: Order = "contribution"
) -> RatingExplanation:
    """Predict the rating of an item by a user, and compute what the events of both histories contribute to it.

    If the log holds the pair, only events strictly before its last rating are read.

    Args:
        model: a rating model trained on the vocabularies of `log`, or two stages whose second one is a rating model.
        log: names, histories and times.
        user: the name of a user.
        item: the name of an item.
        last: how many of the newest events of each history are explained; the others that the model reads are taken
            together.
        order: "contribution" puts the event with the largest absolute contribution first, "time" the oldest.

    Raises:
        ConfigError: the model predicts no ratings, or an unknown `order`.
        DataError: an unknown user or item, a log without times, or `last` below 1.
    """
    model = PairScorer.rating_stage_of(model)
    check_order(order)
    if last < 1:
        raise DataError(f"last={last}: must be at least 1")
    user_id, item_id = lookup_ids(log, "user", [user])[0], lookup_ids(log, "item", [item])[0]
    events = _Events(log)
    row, user_rows, item_rows = events.before(user_id, item_id)
    history = _History(events.item, user_rows, last=last, window=model.window)
    item_history = _History(events.user, item_rows, last=last, window=model.item_window)
    time = None if row is None else int(events.time[row])
    batch = _occluded_batch(model, (user_id, item_id), time, history, item_history)
    with evaluation_mode(model), recording() as recorded, torch.inference_mode():
        ratings = model.predict(batch.to(device_of(model))).cpu()
    carried = without_noise(ratings[0].double() - ratings[1:-1].double(), ratings)
    contributions = carried.tensor_split([len(history.left_out)])
    user_recorded = {name: values for name, values in recorded.items() if not name.startswith(ITEM_HISTORY)}
    item_recorded = {
        name.removeprefix(ITEM_HISTORY): values for name, values in recorded.items() if name.startswith(ITEM_HISTORY)
    }
    return RatingExplanation(
        user=log.users.names([user_id])[0],
        item=log.items.names([item_id])[0],
        title=log.titles([item_id])[0],
        day=None if row is None else events.day(row),
        rating=None if row is None else events.rating(row),
        predicted=float(ratings[0]),
        rest=float(without_noise(ratings[-1:], ratings)),
        history=history.explained(events.item_event, user_recorded, contributions[0], order),
        item_history=item_history.explained(events.user_event, item_recorded, contributions[1], order),
    )


def _cards(events: Sequence[HistoryEvent], decimals: int) -> CardRow:
    rows: list[dict[str, Any]] = []
    for event in events:
        gates = {name: HeatmapCell(value, format_gate(value)) for name, value in event.gates.items()}
        when = event.day if event.rating is None else f"{event.day}, rated {event.rating:g}"
        contribution = HeatmapCell(event.contribution, format_contribution(event.contribution, decimals))
        rows.append({"title": event.title, "when": when, **gates, "contribution": contribution})
    return CardRow(rows, [[name] for name in (*events[0].gates, "contribution")])


class _Events:
    """The events of a log, row by row."""

    def __init__(self, log: Log) -> None:
        if log.time is None:
            raise DataError(f"{log.name}: has no times, so it is unknown which events came before the rating")
        self.log, self.time = log, log.column(log.time)
        user, item = log.events()
        self.user, self.item = user, item.astype(np.int64)
        self.ratings = None if log.rating is None else log.column(log.rating)
        self.unit = log.time_unit

    def before(self, user: int, item: int) -> tuple[int | None, Ids, Ids]:
        """The row of the last event of the pair, and the earlier rows of the user and of the item.

        Without such an event: None, and all rows of the user and of the item.
        """
        of_user, of_item = self.user == user, self.item == item
        pair_rows = np.flatnonzero(of_user & of_item)
        row = int(pair_rows[-1]) if len(pair_rows) else None
        earlier = np.full(len(self.time), True) if row is None else self.time < self.time[row]
        item_rows = np.flatnonzero(of_item & earlier)
        return row, np.flatnonzero(of_user & earlier), item_rows[np.argsort(self.time[item_rows], kind="stable")]

    def day(self, row: int) -> str:
        """The day of an event."""
        return day_of(int(self.time[row]), self.unit)

    def rating(self, row: int) -> float | None:
        """The rating of an event; None if the log has no ratings."""
        return None if self.ratings is None else float(self.ratings[row])

    def item_event(self, row: int, *explained: Any) -> HistoryEvent:
        """An event of a user history; `explained` are its age, gates and contribution."""
        item = [int(self.item[row])]
        name, title = self.log.items.names(item)[0], self.log.titles(item)[0]
        return HistoryEvent(name, title, self.day(row), self.rating(row), *explained)

    def user_event(self, row: int, *explained: Any) -> HistoryEvent:
        """An event of an item history; its title names the item that the user had just before."""
        (name,) = self.log.users.names([int(self.user[row])])
        is_first = row == 0 or self.user[row - 1] != self.user[row]
        before = "" if is_first else f", after {self.log.titles([int(self.item[row - 1])])[0]}"
        return HistoryEvent(name, f"user {name}{before}", self.day(row), self.rating(row), *explained)


class _History:
    """One of the two histories.

    Attributes:
        rows: the rows of its events.
        ids: the items, or in an item history the users, of its events.
        unread: number of events that are older than the window of the model.
        positions: the positions of the events that are explained one by one.
        left_out: which events are left out: each of `positions`, then the older ones, then all.
    """

    def __init__(self, ids: Ids, rows: Ids, *, last: int, window: int | None) -> None:
        self.rows, self.ids = rows, torch.from_numpy(ids[rows])
        self.unread = 0 if window is None else max(0, len(rows) - window)
        self.positions = range(max(self.unread, len(rows) - last), len(rows))
        self.left_out = occlusion_masks(len(rows), self.unread, self.positions)

    def explained(
        self,
        event: Callable[..., HistoryEvent],
        recorded: Recording,
        contributions: Float[Tensor, "K"],
        order: Order,
    ) -> ExplainedHistory:
        """The history with the contributions of its events.

        Args:
            event: makes an event from its row, age, gates and contribution.
            recorded: the gates of the complete history.
            contributions: of what each row of `left_out` leaves out.
            order: of the events.
        """
        *of_events, older, _ = contributions.tolist()
        rows = self.rows[self.positions.start :].tolist()
        gates = recorded_values(recorded, len(self.rows), self.positions) if rows else []
        values = zip(rows, range(len(rows), 0, -1), gates, of_events, strict=True)
        events = [event(*of_row) for of_row in values]
        if order == "contribution":
            events.sort(key=lambda one: (-abs(one.contribution), one.age))
        return ExplainedHistory(events, self.positions.start - self.unread, older, self.unread)


def _occluded_batch(
    model: PairScorer, pair: tuple[int, int], time: int | None, history: _History, item_history: _History
) -> PairBatch:
    """The pair with both histories; without parts of the one, then of the other; then without both."""
    complete = [
        one.ids.expand(len(other.left_out), -1) for one, other in ((history, item_history), (item_history, history))
    ]
    occluded = [one.ids.masked_fill(one.left_out, 0) for one in (history, item_history)]
    histories = torch.cat([history.ids[None], occluded[0], complete[0], 0 * history.ids[None]])
    item_histories = torch.cat([item_history.ids[None], complete[1], occluded[1], 0 * item_history.ids[None]])
    ones = torch.ones(len(histories), dtype=torch.long)
    user, item = pair
    return model.readable(
        PairBatch(
            user * ones,
            histories,
            item * ones,
            time=None if time is None else time * ones,
            item_history=item_histories,
        )
    )

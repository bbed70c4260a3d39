"""Explain a predicted rating: what each event of the user history and of the item history contributes to it.

    user history             gate  contribution      item history                  gate  contribution
    older    Aliens (1986)   .61   +.12              user 7, after Jaws (1975)     .08   -.01
    newer    Emma (1996)     .04   +.00              user 9, after Alien (1979)    .57   +.20

A rating model reads two histories: the items that the user rated, and the users who rated the item. If the log holds
the pair, both histories end before its last rating; otherwise they end with the log. Gates belong to the pair: another
item gives other gates. The contribution of an event is the predicted rating minus the prediction without the event.
Any rating model can be explained like that; see `segue.explain.occlusion` for what a contribution means.

Source: Pei, Yang, Sun, Zhang, Bozzon and Tax, "Interacting attention-gated recurrent networks for recommendation",
CIKM 2017, Figure 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import PairBatch
from segue.data.log import Ids, Log
from segue.data.time_units import day_of, unit_of
from segue.errors import DataError
from segue.explain.occlusion import leave_one_out, recorded_values
from segue.models.base.model import Model
from segue.models.base.rating import PairScorer
from segue.models.base.score_buffer import device_of, evaluation_mode
from segue.nn.recorder import ITEM_HISTORY, Recording, recording
from segue.reporting.heatmap import CardRow, HeatmapCell, format_contribution, format_gate
from segue.serving.recommend import lookup_ids

Gates = dict[str, float | None]


@dataclass(frozen=True)
class HistoryEvent:
    """One event of a history.

    Attributes:
        name: the name of the item or, in an item history, of the user.
        title: the title of the item or, in an item history, the user and the item before.
        day: the day, or the number itself if the log's times are not dates.
        rating: the rating; None if the log has no ratings.
        gates: the value of each gate and attention of the model; None where the event is older than the model's window.
        contribution: the predicted rating minus the prediction without the event.
    """

    name: Any
    title: str
    day: str
    rating: float | None
    gates: Gates
    contribution: float


@dataclass(frozen=True)
class RatingExplanation:
    """A predicted rating and the newest events of both histories, oldest first.

    Attributes:
        user: the name of the user.
        item: the name of the item.
        title: the title of the item.
        day: the day of the rating; None if the log does not hold the pair.
        rating: the rating in the log; None if there is none.
        predicted: the predicted rating.
        history: the user history: items that the user rated before.
        item_history: the item history: users who rated the item before.
    """

    user: Any
    item: Any
    title: str
    day: str | None
    rating: float | None
    predicted: float
    history: list[HistoryEvent]
    item_history: list[HistoryEvent]

    def summary(self) -> str:
        """The predicted and the true rating, in a sentence."""
        prediction = f"user {self.user} is expected to rate {self.title} {self.predicted:.2f}"
        if self.day is None:
            return f"{prediction}; the log holds no event of this user with this item."
        event = "the event was" if self.rating is None else f"the rating was {self.rating:g},"
        return f"{prediction}; {event} on {self.day}."

    def sections(self) -> list[tuple[str, list[CardRow | str]]]:
        """Sections for `segue.reporting.html.page`: both histories as cards, the newest last, with coloured values."""
        histories = (("User history", self.history), ("Item history", self.item_history))
        return [(heading, [_cards(events) if events else "Nothing."]) for heading, events in histories]


def explain_rating(model: Model, log: Log, *, user: Any, item: Any, last: int = 20) -> RatingExplanation:
    """Predict the rating of an item by a user, and compute what the events of both histories contribute to it.

    If the log holds the pair, only events strictly before its last rating are read.

    Args:
        model: a rating model trained on the vocabularies of `log`, or two stages whose second one is a rating model.
        log: names, histories and times.
        user: the name of a user.
        item: the name of an item.
        last: how many of the newest events of each history are explained. The model reads its whole window.

    Raises:
        ConfigError: the model predicts no ratings.
        DataError: an unknown user or item, a log without times, or `last` below 1.
    """
    model = PairScorer.rating_stage_of(model)
    if last < 1:
        raise DataError(f"last={last}: must be at least 1")
    user_id, item_id = lookup_ids(log, "user", [user])[0], lookup_ids(log, "item", [item])[0]
    events = _Events(log)
    row, user_rows, item_rows = events.before(user_id, item_id)
    history, item_history = _History(events.item, user_rows, last), _History(events.user, item_rows, last)
    time = None if row is None else int(events.time[row])
    batch = _occluded_batch(model, (user_id, item_id), time, history, item_history)
    with evaluation_mode(model), recording() as recorded, torch.inference_mode():
        ratings = model.predict(batch.to(device_of(model))).double().cpu()
    contributions = (ratings[0] - ratings[1:]).tensor_split([len(history.positions)])
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
        history=[events.item_event(*event) for event in history.explained(user_recorded, contributions[0])],
        item_history=[events.user_event(*event) for event in item_history.explained(item_recorded, contributions[1])],
    )


def _cards(events: Sequence[HistoryEvent]) -> CardRow:
    rows: list[dict[str, Any]] = []
    for event in events:
        gates = {name: HeatmapCell(value, format_gate(value)) for name, value in event.gates.items()}
        when = event.day if event.rating is None else f"{event.day}, rated {event.rating:g}"
        contribution = HeatmapCell(event.contribution, format_contribution(event.contribution))
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
        self.unit = unit_of(int(self.time.min()), int(self.time.max()))

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

    def item_event(self, row: int, gates: Gates, contribution: float) -> HistoryEvent:
        """An event of a user history."""
        item = [int(self.item[row])]
        name, title = self.log.items.names(item)[0], self.log.titles(item)[0]
        return HistoryEvent(name, title, self.day(row), self.rating(row), gates, contribution)

    def user_event(self, row: int, gates: Gates, contribution: float) -> HistoryEvent:
        """An event of an item history; its title names the item that the user had just before."""
        (name,) = self.log.users.names([int(self.user[row])])
        is_first = row == 0 or self.user[row - 1] != self.user[row]
        before = "" if is_first else f", after {self.log.titles([int(self.item[row - 1])])[0]}"
        return HistoryEvent(name, f"user {name}{before}", self.day(row), self.rating(row), gates, contribution)


class _History:
    """One of the two histories.

    Attributes:
        rows: the rows of its events.
        ids: the items, or in an item history the users, of its events.
        positions: the positions of the events that are explained.
    """

    def __init__(self, ids: Ids, rows: Ids, last: int) -> None:
        self.rows, self.ids = rows, torch.from_numpy(ids[rows])
        self.positions = range(max(0, len(rows) - last), len(rows))

    def explained(self, recorded: Recording, contributions: Float[Tensor, "K"]) -> Iterator[tuple[int, Gates, float]]:
        """The row, the gates and the contribution of each explained event."""
        gates = recorded_values(recorded, len(self.rows), self.positions) if self.positions else []
        yield from zip(self.rows[self.positions.start :].tolist(), gates, contributions.tolist(), strict=True)


def _occluded_batch(
    model: PairScorer, pair: tuple[int, int], time: int | None, history: _History, item_history: _History
) -> PairBatch:
    """The pair with both histories; then without each explained event of the one, then of the other."""
    user_copies, item_copies = (leave_one_out(one.ids, one.positions) for one in (history, item_history))
    histories = torch.cat([history.ids[None], user_copies, history.ids.expand(len(item_copies), -1)])
    item_histories = torch.cat([item_history.ids.expand(1 + len(user_copies), -1), item_copies])
    ones = torch.ones(len(histories), dtype=torch.long)
    user, item = pair
    return PairBatch(
        user * ones,
        _last_columns(histories, model.window),
        item * ones,
        time=None if time is None else time * ones,
        item_history=_last_columns(item_histories, model.item_window),
    )


def _last_columns(table: Int[Tensor, "B P"], window: int | None) -> Int[Tensor, "B Q"]:
    """The last `window` columns; all of them for None."""
    return table if window is None else table[:, max(0, table.shape[1] - window) :]

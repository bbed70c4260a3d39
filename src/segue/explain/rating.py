"""`RatingExplanation`: one user, one item, and what each step of both histories contributes to the predicted rating.

    what the user had met        gate  lends          who had met the item          gate  lends
    older    Aliens (1986)       .61   +.12           user 7, after Jaws (1975)     .08   -.01
    newer    Emma (1996)         .04   +.00           user 9, after Alien (1979)    .57   +.20

For a model of ratings, which reads both histories: what happened before the two met or, where they have not, all that
the log knows. The gates are those of this pair: another item would open others. What a step lends is how far the rating
sinks when the model is asked without it, which any model can answer; `occlusion` says how much to make of that.

Source of the picture: Figure 5 of IARN's paper (Pei et al., CIKM 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.log import Ids, Log
from segue.data.time_units import day_of, unit_of
from segue.errors import ConfigError, DataError
from segue.evaluation.ranking import asked, device_of
from segue.explain.occlusion import columns, left_out
from segue.models.base.model import Model
from segue.models.base.rating import PairScorer
from segue.models.ensembles.rerank import Rerank
from segue.nn.recorder import ITEM_HISTORY, Recording, recording
from segue.reporting.heatmap import CardRow, HeatmapCell, amount, number
from segue.serving.recommend import lookup_ids

Gates = dict[str, float | None]


@dataclass(frozen=True)
class Step:
    """One step of a history.

    Attributes:
        name: of the item that was met or, in an audience, of the user.
        title: what to show people; of a user with the item that they had met last before.
        day: when; the number itself where times are no dates.
        rating: what came of it; None where the log has no ratings.
        gates: what each gate and attention of the model gave it; None where it is older than the model reads.
        lends: what the predicted rating would have less without it.
    """

    name: Any
    title: str
    day: str
    rating: float | None
    gates: Gates
    lends: float


@dataclass(frozen=True)
class RatingExplanation:
    """A rating that is predicted, and the newest steps of the histories that it is told from, oldest first.

    Attributes:
        user: name of the user.
        item: name of the item.
        title: of the item.
        day: of their last meeting; None where there is none, and the question is that of the end of the log.
        rating: what came of it; None where the log does not say.
        predicted: the rating that the model expects.
        history: what the user had met before.
        audience: who had met the item before.
    """

    user: Any
    item: Any
    title: str
    day: str | None
    rating: float | None
    predicted: float
    history: list[Step]
    audience: list[Step]


def explain_meeting(model: Model, log: Log, *, user: Any, item: Any, last: int = 20) -> RatingExplanation:
    """What the steps of both histories have to do with the rating of an item by a user.

    Where the log holds the pair, the question is that of their last meeting: only what happened strictly before may be
    read.

    Args:
        model: a model of ratings, trained on the vocabularies of `log`; or one of two stages, whose second that is.
        log: names, histories and times.
        user: the name of a user.
        item: the name of an item.
        last: how many of the newest steps of either side are explained; the model reads as many as it does.

    Raises:
        ConfigError: the model predicts no ratings.
        DataError: an unknown user or item, a log without times, last below 1.
    """
    if isinstance(model, Rerank):
        model = model.second
    if not isinstance(model, PairScorer):
        raise ConfigError(f"{model.name}: ranks items and predicts no rating; explain it without an item")
    if last < 1:
        raise DataError(f"last={last}: must be at least 1")
    who, what = lookup_ids(log, "user", [user])[0], lookup_ids(log, "item", [item])[0]
    events = _Events(log)
    row, mine, theirs = events.before(who, what)
    history, audience = _Side(events.item, mine, last), _Side(events.user, theirs, last)
    histories, audiences = _without(history, audience)
    one = torch.ones(len(histories), dtype=torch.long)
    batch = Batch(
        who * one,
        _newest(histories, model.window),
        what * one[:, None],
        time=None if row is None else int(events.time[row]) * one,
        audience=_newest(audiences, model.audience),
    )
    with asked(model), recording() as heard, torch.inference_mode():
        ratings = model.predict(batch.to(device_of(model))).double().cpu()
    of_history = {name: told for name, told in heard.items() if not name.startswith(ITEM_HISTORY)}
    of_audience = {
        name.removeprefix(ITEM_HISTORY): told for name, told in heard.items() if name.startswith(ITEM_HISTORY)
    }
    lends = (ratings[0] - ratings[1:]).tensor_split([len(history.places)])
    return RatingExplanation(
        user=log.users.names([who])[0],
        item=log.items.names([what])[0],
        title=log.titles([what])[0],
        day=None if row is None else events.day(row),
        rating=None if row is None else events.rated(row),
        predicted=float(ratings[0]),
        history=[events.item_step(*step) for step in history.told(of_history, lends[0])],
        audience=[events.user_step(*step) for step in audience.told(of_audience, lends[1])],
    )


def said(found: RatingExplanation) -> str:
    """The rating, in a sentence."""
    expected = f"user {found.user} is expected to rate {found.title} {found.predicted:.2f}"
    if found.day is None:
        return f"{expected}; the log does not say that they have met."
    given = "they met" if found.rating is None else f"the rating was {found.rating:g},"
    return f"{expected}; {given} on {found.day}."


def sections(found: RatingExplanation) -> list[tuple[str, list[CardRow | str]]]:
    """A picture for `charts.page`: both histories as cards, the newest last, the numbers below each in colour."""
    sides = (("What the user had met", found.history), ("Who had met the item", found.audience))
    return [(heading, [_strip(steps) if steps else "Nothing."]) for heading, steps in sides]


def _strip(steps: Sequence[Step]) -> CardRow:
    rows: list[dict[str, Any]] = []
    for step in steps:
        gates = {name: HeatmapCell(value, number(value)) for name, value in step.gates.items()}
        told = step.day if step.rating is None else f"{step.day}, rated {step.rating:g}"
        rows.append({"step": step.title, "when": told, **gates, "lends": HeatmapCell(step.lends, amount(step.lends))})
    return CardRow(rows, [[name] for name in (*steps[0].gates, "lends")])


class _Events:
    """The events that a log knows, row by row."""

    def __init__(self, log: Log) -> None:
        if log.time is None:
            raise DataError(f"{log.name}: who met an item before whom is not known: this log has no times")
        self.log, self.time = log, log.column(log.time)
        user, item = log.events()
        self.user, self.item = user, item.astype(np.int64)
        self.rating = None if log.rating is None else log.column(log.rating)
        self.unit = unit_of(int(self.time.min()), int(self.time.max()))

    def before(self, user: int, item: int) -> tuple[int | None, Ids, Ids]:
        """The row in which they met last, and the rows strictly before it of the user and of the item; else all."""
        theirs, its = self.user == user, self.item == item
        together = np.flatnonzero(theirs & its)
        row = int(together[-1]) if len(together) else None
        past = np.full(len(self.time), True) if row is None else self.time < self.time[row]
        audience = np.flatnonzero(its & past)
        return row, np.flatnonzero(theirs & past), audience[np.argsort(self.time[audience], kind="stable")]

    def day(self, row: int) -> str:
        """When it was."""
        return day_of(int(self.time[row]), self.unit)

    def rated(self, row: int) -> float | None:
        """What came of it."""
        return None if self.rating is None else float(self.rating[row])

    def item_step(self, row: int, gates: Gates, lends: float) -> Step:
        """An item that the user had met."""
        item = [int(self.item[row])]
        name, title = self.log.items.names(item)[0], self.log.titles(item)[0]
        return Step(name, title, self.day(row), self.rated(row), gates, lends)

    def user_step(self, row: int, gates: Gates, lends: float) -> Step:
        """A user who had met the item, with what they had met just before it."""
        (name,) = self.log.users.names([int(self.user[row])])
        first = row == 0 or self.user[row - 1] != self.user[row]
        after = "" if first else f", after {self.log.titles([int(self.item[row - 1])])[0]}"
        return Step(name, f"user {name}{after}", self.day(row), self.rated(row), gates, lends)


class _Side:
    """One of both histories: the rows of its events, whom they met, and which places are explained."""

    def __init__(self, met: Ids, rows: Ids, last: int) -> None:
        self.rows, self.ids = rows, torch.from_numpy(met[rows])
        self.places = range(max(0, len(rows) - last), len(rows))

    def told(self, heard: Recording, lends: Float[Tensor, "K"]) -> Iterator[tuple[int, Gates, float]]:
        """Each explained row, what was heard of it, and what it lends."""
        gates = columns(heard, len(self.rows), self.places) if self.places else []
        yield from zip(self.rows[self.places.start :].tolist(), gates, lends.tolist(), strict=True)


def _without(history: _Side, audience: _Side) -> tuple[Int[Tensor, "B P"], Int[Tensor, "B Q"]]:
    """Both as they are; then without each explained step of the history; then without each of the audience."""
    mine, theirs = (left_out(side.ids, side.places) for side in (history, audience))
    return (
        torch.cat([history.ids[None], mine, history.ids.expand(len(theirs), -1)]),
        torch.cat([audience.ids.expand(1 + len(mine), -1), theirs]),
    )


def _newest(table: Int[Tensor, "B P"], most: int | None) -> Int[Tensor, "B Q"]:
    """The last columns, as many as a model reads."""
    return table if most is None else table[:, max(0, table.shape[1] - most) :]

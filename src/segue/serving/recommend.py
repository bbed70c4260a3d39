"""`recommend`: the items that most likely come next for one user or one history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from segue.data.log import Log
from segue.models.base.model import Model
from segue.serving.item_filter import ItemFilter
from segue.serving.query import Query, make_query
from segue.serving.top_items import TopItemFinder, TopItems


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item: its name in the log.
        title: its title, or its name where the log has no titles.
        score: the model's score; scores are comparable within one model only. With a fallback, the number of events of
            the item.
    """

    item: Any
    title: str
    score: float


@dataclass(frozen=True)
class Recommendations(Sequence[Recommendation]):
    """Recommended items, best first, and what was special about the answer. A sequence of `Recommendation`.

    Attributes:
        items: the recommended items.
        fallback: why the most popular items are recommended instead of the model's, as part of a sentence; None for an
            answer of the model.
        ignored: names of the history that the log does not know, and that were left out.
        unknown_user: the name of a user that the log does not know, who was taken as an anonymous user.
        filtered: whether items were filtered by an `ItemFilter`.
        candidates: the number of candidates of a re-ranking model, if the list ends with them; otherwise None.
    """

    items: tuple[Recommendation, ...]
    fallback: str | None = None
    ignored: tuple[Any, ...] = ()
    unknown_user: Any = None
    filtered: bool = False
    candidates: int | None = None

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Recommendation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Recommendation, ...]: ...
    def __getitem__(self, index: int | slice) -> Recommendation | tuple[Recommendation, ...]:
        return self.items[index]

    def why_empty(self) -> str:
        """Why there are no items, as part of a sentence."""
        return "every item that is allowed was seen" if self.filtered else "every item was seen"

    def notes(self) -> list[str]:
        """A sentence for each thing that is special about the answer."""
        notes = []
        if self.fallback is not None:
            stop = "" if self.fallback.endswith("?") else "."
            notes.append(f"Fallback: popularity, because {self.fallback}{stop} The scores are numbers of events.")
        elif self.unknown_user is not None:
            notes.append(f"User {self.unknown_user!r} is unknown, and is taken as an anonymous user.")
        if self.ignored:
            shown = ", ".join(map(repr, self.ignored[:5])) + (", ..." if len(self.ignored) > 5 else "")
            one = len(self.ignored) == 1
            notes.append(
                f"Left out of the history: {len(self.ignored):,} item{'' if one else 's'} that the model does not know "
                f"({shown})."
            )
        if self.candidates is not None:
            notes.append(
                f"The list ends after {len(self):,} items: the first stage of the model returns {self.candidates:,} "
                "candidates, and no other item is ranked."
            )
        scores = [one.score for one in self.items]
        first = scores.index(scores[-1]) + 1 if scores else 0
        if first < len(scores):
            notes.append(
                f"Ranks {first:,} to {len(scores):,} have the same score, so the model does not order these items; "
                "they are in the order of the item ids."
            )
        return notes


def recommend(  # noqa: PLR0913  one keyword for each part of the question
    model: Model,
    log: Log,
    *,
    user: Any = None,
    history: Sequence[Any] | None = None,
    times: Sequence[int] | None = None,
    types: Sequence[str] | None = None,
    features: Sequence[Mapping[str, Any]] | None = None,
    time: int | None = None,
    k: int = 10,
    exclude_seen: bool | None = None,
    items: ItemFilter | None = None,
    strict: bool = False,
) -> Recommendations:
    """The k items with the highest scores, best first; of equal scores the item with the lower id comes first.

    Evaluation makes the same lists (`Ranks.top`), so what is recommended is what was measured. Where the model has
    no input it can use (an empty history, an unknown user, the same score for every item), the items with the most
    events in the log are recommended, and `Recommendations.fallback` says why.

    Args:
        model: a model trained on the vocabularies of `log`.
        log: the names of users and items, and the histories of known users.
        user: the name of a user, or None for an anonymous user. An unknown user is taken as an anonymous one.
        history: names of items, oldest first; by default the user's history in the log. Unknown items are left out.
        times: when the events of `history` were, in the unit of the log, for models that read times, or sessions that
            a pause ends; by default at the time of the request, and the sessions are unknown.
        types: the types of the events of `history`, such as "view", for models that read them; unknown by default.
        features: the features of these events, such as {"device": "mobile"}, for models that read them; unknown by
            default.
        time: when the items are requested, in the unit of the log, for models that read it; by default at the time of
            the newest event of the log.
        k: the number of items; the list is shorter if fewer are left.
        exclude_seen: leave out the items of the history. By default as in the evaluation of the model
            (`Model.exclude_seen`); they are left out if that is unknown.
        items: the items that may be recommended; None for all. See `segue.serving.item_filter.filter_items`.
        strict: whether an unknown user or item is an error.

    Raises:
        DataError: neither a user nor a history, `k` below 1, or an unknown type or feature of an event; with `strict`,
            an unknown user or item.
        TrainingError: the model scores NaN.
    """
    finder = TopItemFinder(model, log, k=k, exclude_seen=exclude_seen, items=items)
    query = make_query(log, user, history, times=times, types=types, features=features, time=time, strict=strict)
    found = named_items(log, query, finder.find([query]), filtered=items is not None)
    is_cut = 0 < len(found) < min(k, log.num_items) and found.fallback is None
    return replace(found, candidates=model.num_candidates) if is_cut else found


def named_items(log: Log, query: Query, top: TopItems, *, filtered: bool = False) -> Recommendations:
    """The best items of one query (a block of one row) with names and titles."""
    ids, scores = top.items[0].numpy(), top.scores[0].tolist()
    ids = ids[ids > 0]
    rows = zip(log.items.names(ids), log.titles(ids), scores, strict=False)
    return Recommendations(
        tuple(Recommendation(*row) for row in rows), top.fallback[0], query.ignored, query.unknown_user, filtered
    )

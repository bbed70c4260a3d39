"""`Fallback`: what is recommended to users without a history that the model knows: popular, trending and new items.

Of ten items, seven are popular, two are trending and one is new: an item of the table that the model was trained
without, the newest first. Where there are no trending or no new ones, popular ones take their places.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from segue.data.log import Floats, Ids
from segue.service.items.catalogue import Catalogue
from segue.service.items.popularity import TRENDING, Popularity
from segue.service.items.recent_lists import RecentLists
from segue.service.items.selection import Selection
from segue.service.models.loaded_model import LoadedModel

PATTERN = ("popular",) * 3 + ("trending",) + ("popular",) * 3 + ("trending", "popular", "new")


@dataclass(frozen=True, slots=True)
class Pick:
    """An item that was not chosen by a model.

    Attributes:
        number: of the item in the catalogue.
        score: its popularity.
        source: "popular", "trending" or "new".
    """

    number: int
    score: float
    source: str


class Fallback:
    """Makes the lists."""

    def __init__(self, catalogue: Catalogue, popularity: Popularity, lists: RecentLists) -> None:
        self.catalogue, self.popularity, self.lists = catalogue, popularity, lists
        self._new: WeakKeyDictionary[LoadedModel, tuple[int, Floats]] = WeakKeyDictionary()

    def find(
        self, loaded: LoadedModel, selection: Selection, k: int, now: int, hidden: Collection[int] = ()
    ) -> list[Pick]:
        """The k items for a user without a history.

        Args:
            loaded: the model, whose items are not new.
            selection: which items are possible.
            k: number of items.
            now: microseconds since 1970.
            hidden: numbers of further items that are left out.
        """
        if hidden:
            return self._make(loaded, selection, k, now, hidden)
        key = (loaded.name, loaded.fingerprint, k)
        return self.lists.get(selection, key, now, lambda: self._make(loaded, selection, k, now))

    def _make(
        self, loaded: LoadedModel, selection: Selection, k: int, now: int, hidden: Collection[int] = ()
    ) -> list[Pick]:
        new = self.new_items(loaded)
        popularity = self.popularity.popular(now)
        trending = self.popularity.trending(now)
        scores = {"popular": popularity, "trending": np.where(trending < TRENDING, 0, trending), "new": new}
        without_caps = replace(selection, caps=())
        size = len(self.catalogue) if selection.caps else k
        ranked = {source: without_caps.best(values, size, hidden) for source, values in scores.items()}
        ranking = list(_merge(ranked, size))
        chosen = [ranking[place] for place in selection.capped([number for number, _ in ranking], k)]
        return [Pick(number, float(popularity[number]), source) for number, source in chosen]

    def new_items(self, loaded: LoadedModel) -> Floats:
        """(N + 1,) when each item of the table was added that a model does not know; 0 for the others."""
        numbers = self.catalogue.numbers_of(loaded)
        version, new = self._new.get(loaded, (-1, np.zeros(0)))
        if version != self.catalogue.version:
            new = np.zeros(len(self.catalogue.names))
            for number, item in self.catalogue.items():
                new[number] = item.created
            new[numbers] = 0
            self._new[loaded] = (self.catalogue.version, new)
        return new


def _merge(ranked: dict[str, Ids], size: int) -> Iterator[tuple[int, str]]:
    """Items and their sources in the order of the pattern, each item once."""
    lists = {source: iter(numbers.tolist()) for source, numbers in ranked.items()}
    taken: set[int] = set()
    for place in range(size):
        wanted = PATTERN[place % len(PATTERN)]
        for source in dict.fromkeys((wanted, "popular", "trending", "new")):
            number = next((one for one in lists[source] if one not in taken), None)
            if number is not None:
                taken.add(number)
                yield number, source
                break
        else:
            return

"""`RecentLists`: lists of popular items in large catalogues, made once a second and not for each request.

Ranking a million items by their popularity takes some 40 ms. In catalogues below `LARGE`, each list is made for its
request, from all events that are known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from segue.event_store.clock import MICROSECONDS
from segue.service.items.catalogue import Catalogue
from segue.service.items.selection import Selection

LARGE = 100_000  # items
List = TypeVar("List")


class RecentLists:
    """The lists of this second."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._second = 0
        self._lists: dict[tuple[Selection, Hashable], Any] = {}

    def get(self, selection: Selection, key: Hashable, now: int, make: Callable[[], List]) -> List:
        """A list of this second.

        Args:
            selection: which items are possible; another one is made when items or rules change.
            key: what the list depends on otherwise.
            now: microseconds since 1970.
            make: makes the list.
        """
        if len(self.catalogue) < LARGE:
            return make()
        second = now // MICROSECONDS
        if second != self._second:
            self._second, self._lists = second, {}
        if (selection, key) not in self._lists:
            self._lists[selection, key] = make()
        found: List = self._lists[selection, key]
        return found

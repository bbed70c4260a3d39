"""`ItemColumn`: the values of one column of the items, such as a category, and the items that have each value.

A column may lie over another one, which counts for the items of which it says nothing itself.

Values are compared as text: true, 7 (also for 7.0), 2020-01-31. An item with a list has each value of the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from segue.data.item_values import value_texts
from segue.data.log import Mask

Numbers = set[int]  # of items


class ItemColumn:
    """One column, by the numbers of the items.

    Attributes:
        below: the column under it.
    """

    def __init__(self, below: ItemColumn | None = None) -> None:
        self.below = below
        self._values: dict[int, tuple[str, ...]] = {}
        self._items: dict[str, Numbers] = {}

    def __contains__(self, item: int) -> bool:
        """Whether the column itself says something of an item."""
        return item in self._values

    def set(self, item: int, value: Any) -> None:
        """Give an item a value, or a list of values; None for none, whatever the column below has."""
        self.discard(item)
        self._values[item] = texts = value_texts(value)
        for text in texts:
            self._items.setdefault(text, set()).add(item)

    def discard(self, item: int) -> None:
        """Say nothing of an item any more."""
        for text in self._values.pop(item, ()):
            self._items[text].discard(item)

    def of(self, item: int) -> tuple[str, ...]:
        """The values of an item."""
        if item in self._values or self.below is None:
            return self._values.get(item, ())
        return self.below.of(item)

    def items(self, text: str) -> Numbers:
        """The items that have a value."""
        items = self._items.get(text, set())
        return items if self.below is None else items | self.below.items(text).difference(self._values)

    def values(self) -> list[str]:
        """The values that an item has, in the order of the alphabet."""
        texts = {*self._items, *(() if self.below is None else self.below.values())}
        return sorted(text for text in texts if self.items(text))

    def mask(self, wanted: Iterable[str], size: int) -> Mask:
        """(size,) whether each item has one of the wanted values."""
        mask = np.zeros(size, np.bool_)
        for text in wanted:
            items = self.items(value_texts(text)[0] if text else text)
            mask[np.fromiter(items, np.int64, len(items))] = True
        return mask

"""`Genres`: which genres items have, and for how long a user has kept to one.

items        Heat             Ronin            Alien            Emma
genres       Action, Crime    Action           Action, Horror   Romance
streak       0                1                2                3              items before it with a genre in common
same                          yes              yes              no             whether it has that genre too
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.data.item_features import feature_ids
from segue.data.log import Ids, Log

Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False)
class Genres:
    """The genres of the items of a log.

    Attributes:
        names: of the G genres, sorted.
        has: (I + 1, G) whether an item has a genre; row 0 is nobody's.
    """

    names: tuple[str, ...]
    has: Flags

    @classmethod
    def of(cls, log: Log) -> Genres:
        """Those of the column `genres` of the log's items.

        Raises:
            DataError: there is no such column.
        """
        found, names = feature_ids(log, "genres")
        has = np.zeros((len(found), len(names) + 1), np.bool_)
        np.put_along_axis(has, found, True, 1)
        return cls(tuple(names), has[:, 1:])

    def streaks(self, items: Ids) -> tuple[Ids, Flags]:
        """(T,) how many items right before each have a genre in common, as many as there can be; whether it has it too.

        An item with nothing before it, or nothing with a genre, has a streak of 0.
        """
        has = self.has[items]
        length, same = np.zeros(len(items), np.int64), np.zeros(len(items), np.bool_)
        for place in range(1, len(items)):
            common = has[place - 1]
            for before in range(place - 1, -1, -1):
                kept = common & has[before]
                if not kept.any():
                    break
                common, length[place] = kept, length[place] + 1
            same[place] = (common & has[place]).any()
        return length, same

    def shared(self, items: Ids, others: Ids) -> Flags:
        """Whether items have a genre in common with others; the two broadcast."""
        both: Flags = self.has[items] & self.has[others]
        return np.any(both, axis=-1)

    def listed(self, item: int) -> str:
        """The genres of an item, for people."""
        return ", ".join(name for name, there in zip(self.names, self.has[item], strict=True) if there)

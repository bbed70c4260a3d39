"""`Genres`: the genres of items, and streaks of items with a genre in common.

items        Heat             Ronin            Alien            Emma
genres       Action, Crime    Action           Action, Horror   Romance
streak       0                1                2                3              items right before it that share a genre
same                          yes              yes              no             whether the item has this genre too
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.data.item_features import feature_ids
from segue.data.log import Ids, Log, Mask


@dataclass(frozen=True, eq=False)
class Genres:
    """The genres of the items of a log.

    Attributes:
        names: of the G genres, sorted.
        has: (I + 1, G) whether an item has a genre; row 0 is padding.
    """

    names: tuple[str, ...]
    has: Mask

    @classmethod
    def of(cls, log: Log) -> Genres:
        """The genres in the column `genres` of the log's item metadata.

        Raises:
            DataError: there is no such column.
        """
        found, names = feature_ids(log, "genres")
        has = np.zeros((len(found), len(names) + 1), np.bool_)
        np.put_along_axis(has, found, True, 1)
        return cls(tuple(names), has[:, 1:])

    def streaks(self, items: Ids) -> tuple[Ids, Mask]:
        """(T,) for each item the maximal number of items right before it that share a genre, and whether it has it too.

        The streak is 0 for the first item, and if the previous item has no genre.
        """
        has = self.has[items]
        length, same = np.zeros(len(items), np.int64), np.zeros(len(items), np.bool_)
        for position in range(1, len(items)):
            common = has[position - 1]
            for before in range(position - 1, -1, -1):
                shared = common & has[before]
                if not shared.any():
                    break
                common, length[position] = shared, length[position] + 1
            same[position] = (common & has[position]).any()
        return length, same

    def shared(self, items: Ids, others: Ids) -> Mask:
        """Whether items have a genre in common with other items; the arrays are broadcast."""
        both: Mask = self.has[items] & self.has[others]
        return np.any(both, axis=-1)

    def names_of(self, item: int) -> str:
        """The names of the genres of an item, separated by commas."""
        return ", ".join(name for name, there in zip(self.names, self.has[item], strict=True) if there)

"""Cold items: some items are held out of training, to measure how models rank items that they have never seen.

log of a user      a  b  c* d  | e*          c and e are held out
training rows      a  b     d  |             all rows of held-out items are missing
test               a  b  c* d  -> e*         histories and targets are complete
"""

from __future__ import annotations

import numpy as np

from segue.data.filters import keep_rows
from segue.data.log import Log, Mask
from segue.errors import DataError


def draw_cold_items(log: Log, share: float, seed: int = 0) -> Mask:
    """(I + 1,) a random share of the items, which a seed decides.

    Raises:
        DataError: the share is less than one item.
    """
    number = round(share * log.num_items)
    if not number:
        raise DataError(f"{log.name}: cold_items={share:g} of {log.num_items:,} items is less than one item; raise it")
    cold = np.zeros(log.num_items + 1, np.bool_)
    cold[np.random.default_rng(seed).permutation(log.num_items)[:number] + 1] = True
    return cold


def without_rows_of(log: Log, items: Mask) -> Log:
    """The log without the rows of some items; users and items keep their ids, and rows get new numbers.

    Args:
        log: a log, or a view of it.
        items: (I + 1,) the items to leave out.
    """
    return keep_rows(log, ~items[log.column(log.item)])

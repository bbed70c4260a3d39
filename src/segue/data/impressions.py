"""Impressions: the items that were shown to a user at an event, of which the event has chosen one, or none.

item          7      3                 `Log.impressions`, (R, M) int32, in the order in which they were shown
impressions   3 7 9  1 3 (and one      3  7  9
              that has no event)       1  3  0        0 on the right for none
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segue.errors import DataError

if TYPE_CHECKING:
    from segue.data.log import Codes, Log

MAX_IMPRESSIONS = 1_000  # of an event; all rows of a log have a place for the most that one has


def known_impressions(log: Log) -> Codes:
    """The impressions of a log that must have them.

    Raises:
        DataError: the log has none.
    """
    if log.impressions is None:
        raise DataError(
            f'{log.name}: has no impressions; read it with their column, impressions="..." (--impressions-col), or '
            "choose another negative_sampling"
        )
    return log.impressions


def renumbered(impressions: Codes, new_ids: Codes) -> Codes:
    """(R, M') the impressions with other ids, (I + 1,) by the old ones; those that become 0 are left out."""
    return packed(new_ids[impressions])


def packed(impressions: Codes) -> Codes:
    """(R, M') the same items in the same order, with 0 on the right alone, and no more columns than are needed."""
    order = (impressions == 0).argsort(axis=1, kind="stable")
    width = int((impressions > 0).sum(axis=1).max(initial=1))
    return np.take_along_axis(impressions, order, axis=1)[:, :width].astype(np.int32, copy=False)


def check_impressions(log: Log) -> str:
    """What is wrong with the impressions of a log, in words; empty if nothing is."""
    if log.impressions is None:
        return ""
    if log.impressions.ndim != 2 or log.impressions.shape[1] > MAX_IMPRESSIONS:
        return f"has another form than one list of at most {MAX_IMPRESSIONS:,} items for each row"
    shown = log.column(log.impressions)
    if shown.size and (shown.min() < 0 or shown.max() > log.num_items):
        return f"has an id outside 0 to {log.num_items:,}, the items"
    return ""

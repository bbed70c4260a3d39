"""Sessions inside users: the visits of a user, one after the other; and `SessionRule`: how a model tells them apart.

time      0   60  90 | 86400  86460 | 172800      gap 1800: three sessions
column    a   a   a  | b      b     | c           session 1 1 1 2 2 3
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from segue.data.baskets import basket_starts
from segue.data.log import Codes, Ids, Log
from segue.errors import DataError


@dataclass(frozen=True)
class SessionRule:
    """Where the sessions of a user begin. A session depends on its own event and on earlier ones alone.

    Attributes:
        gap: a longer time between two events, in seconds, begins another session; None for the sessions of the log.
    """

    gap: int | None

    def numbers(self, log: Log) -> Codes:
        """(R,) the session of each row of the columns of a log, from 1 for each user.

        They are computed once for a log.

        Raises:
            DataError: the log has no sessions or, with a gap, no times that are dates.
        """
        known = _KNOWN.setdefault(log, {})
        if self not in known:
            known[self] = self._numbers(log)
        return known[self]

    def _numbers(self, log: Log) -> Codes:
        if self.gap is None:
            if log.session is None:
                raise DataError(
                    f'{log.name}: has no sessions, which the model reads; name their column, session="..." '
                    "(--session-col), or let a pause begin another one, such as session_gap=1800 (seconds)"
                )
            return log.session
        first = np.zeros(len(log.item), np.bool_)
        first[log.start[log.start < len(first)]] = True
        pause = np.diff(log.known_times, prepend=0) > self.gap * log.ticks_per_second
        return number_sessions(np.cumsum(first), np.cumsum(pause))

    def of_times(self, times: Ids, ticks_per_second: int) -> Ids:
        """(P,) the session of each event of a history, from 1, by the times of the events.

        All are 0, which is unknown, without a gap: a history has no sessions of its own.
        """
        if self.gap is None:
            return np.zeros(len(times), np.int64)
        pause = np.diff(times, prepend=times[:1]) > self.gap * ticks_per_second
        return 1 + np.cumsum(pause)


_KNOWN: WeakKeyDictionary[Log, dict[SessionRule, Codes]] = WeakKeyDictionary()


def number_sessions(user: Codes, session: Codes) -> Codes:
    """(R,) the number of each row's session, from 1 for each user: another one begins where `session` changes.

    Args:
        user: (R,) ascending.
        session: (R,) what names the session of each row.
    """
    new_user = np.diff(user, prepend=-1) != 0
    begins = new_user | (np.diff(session, prepend=-1) != 0)
    count = np.cumsum(begins)
    before = np.maximum.accumulate(np.where(new_user, count - 1, 0))
    return (count - before).astype(np.int32)


def session_starts(log: Log, gap: int) -> Ids:
    """The rows at which a session of a user begins, ascending: of the log or, if it has none, by a `gap` in seconds.

    Raises:
        DataError: the log has neither sessions nor times that are dates.
    """
    if log.session is None:
        if log.time is None:
            raise DataError(
                f'{log.name}: has no sessions and no times; name a column of sessions, session="..." (--session-col), '
                "or choose another protocol"
            )
        return basket_starts(log, gap)
    rows = log.rows()
    user, _ = log.events()
    starts = (np.diff(user, prepend=-1) != 0) | (np.diff(log.session[rows], prepend=-1) != 0)
    return rows[starts]

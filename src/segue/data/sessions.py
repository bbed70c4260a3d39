"""Sessions inside users: the visits of a user, one after the other.

time      0   60  90 | 86400  86460 | 172800      gap 1800: three sessions
column    a   a   a  | b      b     | c           session 1 1 1 2 2 3
"""

from __future__ import annotations

import numpy as np

from segue.data.baskets import basket_starts
from segue.data.log import Codes, Ids, Log
from segue.errors import DataError


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

"""The named protocols, the protocol that suits a log, and the classes of protocols.

hgn            |------- train -------|-- valid --|------ test ------|    a set of targets per user
leave-one-out  |--------------- train ---------------|-- valid --|-- test --|    one next item per user
global-time    |--- train --- date --- valid --- date --- test ---|      the next item at each of the newest events
whole-users    train on some users, test on others                       the next item at every step of a test user
session        the same; the data set says which users (sessions) are test users
last-day       the same; the users (sessions) of the last day are test users
ratings        |------ train ------ date -- test --|      every rating after a date, and the order of all items then
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segue.data.log import Log, distinct
from segue.errors import require
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.rating_protocol import RatingProtocol
from segue.evaluation.split_descriptions import unknown
from segue.evaluation.task import Task

MANY_REPEATS = 0.01  # share of rows in which a user returns to an item, above which repeats are to be predicted

CLASSES: dict[str, type[Protocol]] = {kind.task.name: kind for kind in (RankingProtocol, RatingProtocol)}
TASKS: dict[str, Task] = {name: kind.task for name, kind in CLASSES.items()}

PROTOCOLS: dict[str, Protocol] = {
    # HGN (Ma et al., KDD 2019), section 4.1, cut as the authors' program does
    "hgn": RankingProtocol(
        name="hgn",
        by="ratio",
        arguments={"valid": 0.1, "test": 0.2, "rounding": "author"},
        ks=(5, 10, 15, 20),
    ),
    "leave-one-out": RankingProtocol(name="leave-one-out", by="leave-last-out"),
    # RecBole's sequential models: full ranking in which the history stays a candidate
    "recbole": RankingProtocol(name="recbole", by="leave-last-out", exclude_seen=False, ks=(10,)),
    "global-time": RankingProtocol(name="global-time", by="global-time", exclude_seen=False),
    "whole-users": RankingProtocol(name="whole-users", by="whole-users", exclude_seen=False),
    # the papers on sessions: whole sessions of the last day, every step of them, items may occur again
    "session": RankingProtocol(name="session", by="given", exclude_seen=False),
    "last-day": RankingProtocol(name="last-day", by="newest-users", exclude_seen=False),
    "ratings": RatingProtocol(name="ratings", by="global-time"),
    # IARN (Pei et al., CIKM 2017), with the authors' split of Amazon Clothing: the test begins at row 164,434
    "iarn-clothing": RatingProtocol(
        name="iarn-clothing", by="date", arguments={"date": 164_434}, min_history=1, min_item_history=1
    ),
    # its other logs, by the paper's dates: 1 January 2014 and 1 June 2005
    "iarn-amazon": RatingProtocol(name="iarn-amazon", by="date", arguments={"date": 1_388_534_400}),
    "iarn-netflix": RatingProtocol(name="iarn-netflix", by="date", arguments={"date": 1_117_584_000}),
}


def guess(log: Log) -> Protocol:
    """A protocol that suits a log: leave-one-out, or `session` if the log comes with a split of its users.

    If users return to an item in more than 1% of the rows, repeats are part of what is to be predicted, and no item is
    left out of the ranking.
    """
    if log.user_metadata is not None and "split" in log.user_metadata.columns:
        return PROTOCOLS["session"]
    user, item = log.events()
    num_pairs = len(distinct(user * (log.num_items + 1) + item))
    if len(log) - num_pairs <= MANY_REPEATS * len(log):
        return PROTOCOLS["leave-one-out"]
    return PROTOCOLS["leave-one-out"].with_settings({"name": "leave-one-out, repeats allowed", "exclude_seen": False})


def protocol_class(values: Mapping[str, Any]) -> type[Protocol]:
    """The class of a stored protocol. Earlier versions stored no task; only protocols of ratings had `histories`."""
    task = values.get("task", "rating" if "histories" in values else "ranking")
    require(task in CLASSES, unknown("task", str(task), CLASSES))
    return CLASSES[task]

"""The named protocols, the protocol that suits a log, and the classes of protocols.

hgn            |------- train -------|-- valid --|------ test ------|    a set of targets per user
leave-one-out  |--------------- train ---------------|-- valid --|-- test --|    one next item per user
next-basket    the same with baskets, the events of one time             all items of the next basket, as a set
last-session   all sessions of a user but two | valid | test       the next item at each event of a user's last session
global-time    |--- train --- date --- valid --- date --- test ---|      the next item at each of the newest events
prequential    the same; models that can, learn each test event after it was asked for
whole-users    train on some users, test on others                       the next item at every step of a test user
session        the same; the data set says which users (sessions) are test users
given          the data set says of each row (or user) which part it is: the next item at each held-out row
last-day       the same; the users (sessions) of the last day are test users
ratings        |------ train ------ date -- test --|      every rating after a date, and the order of all items then
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segue.data.diagnostics.repeats import users_return
from segue.data.log import Log
from segue.data.source_split import cuts_users, has_split
from segue.errors import require, unknown
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.rating_protocol import RatingProtocol
from segue.evaluation.task import Task

SEEN_RULE_FROM_LOG = (
    "leave-one-out",
    "next-basket",
    "given",
)  # named protocols: on the command line the log decides whether seen items are left out

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
    # shops: the lines of the next order, whichever of them comes first in the file
    "next-basket": RankingProtocol(name="next-basket", by="next-basket", exclude_seen=False),
    # users who come back: their last visit, with all earlier ones known
    "last-session": RankingProtocol(name="last-session", by="last-session", exclude_seen=False),
    "global-time": RankingProtocol(name="global-time", by="global-time", exclude_seen=False),
    # test-then-train: each event is asked for, and then learnt by models that can
    "prequential": RankingProtocol(name="prequential", by="global-time", exclude_seen=False, update=True),
    "whole-users": RankingProtocol(name="whole-users", by="whole-users", exclude_seen=False),
    # the papers on sessions: whole sessions of the last day, every step of them, items may occur again
    "session": RankingProtocol(name="session", by="given", exclude_seen=False),
    "given": RankingProtocol(name="given", by="given", exclude_seen=False),
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
    """A protocol that suits a log: leave-one-out, or the split that the log brings.

    That is `session` if the split holds users (sessions) out whole, and `given` if it cuts the rows of users.

    If users return to an item in more than 1% of the events, repeats are part of what is to be predicted, and no item
    is left out of the ranking.
    """
    if has_split(log):
        return with_seen_rule_of_log(PROTOCOLS["given"], log) if cuts_users(log) else PROTOCOLS["session"]
    return _by_returns(PROTOCOLS["leave-one-out"], log)


def with_seen_rule_of_log(protocol: Protocol, log: Log) -> Protocol:
    """A protocol with the rule for seen items that suits a log, if the protocol leaves that rule to the log.

    Seen items are left out unless users return to items. The name says so where that is not the named protocol's rule.
    """
    return _by_returns(protocol, log) if protocol.name in SEEN_RULE_FROM_LOG else protocol


def _by_returns(protocol: Protocol, log: Log) -> Protocol:
    return with_seen_rule(protocol, exclude_seen=not users_return(log, protocol.basket_gap))


def with_seen_rule(protocol: Protocol, *, exclude_seen: bool) -> Protocol:
    """A protocol that leaves seen items out of the ranking, or does not; its name says so if the named one differs.

    Raises:
        ConfigError: it is a protocol of ratings.
    """
    ranking = RankingProtocol.expect(
        protocol, f"exclude_seen={exclude_seen}: {protocol.name} predicts ratings; it has no rule for seen items"
    )
    if ranking.exclude_seen == exclude_seen:
        return ranking
    base = ranking.name.partition(",")[0]
    named = PROTOCOLS.get(base)
    how = "seen items left out" if exclude_seen else "repeats allowed"
    same = isinstance(named, RankingProtocol) and named.exclude_seen == exclude_seen
    return ranking.with_settings({"name": base if same else f"{base}, {how}", "exclude_seen": exclude_seen})


def protocol_class(values: Mapping[str, Any]) -> type[Protocol]:
    """The class of a stored protocol. Earlier versions stored no task; only protocols of ratings had `histories`."""
    task = values.get("task", "rating" if "histories" in values else "ranking")
    require(task in CLASSES, unknown("task", str(task), CLASSES))
    return CLASSES[task]

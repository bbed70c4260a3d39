"""`Lists`: recommendations that were made elsewhere, measured on the same instances and by the same code as models.

    user   item   rank                 the best item has rank 1; a file of any format that a log can have
    ann    50     1
    ann    172    2                    num_events, a fourth column, tells the lists of one user apart where the user has
    bob    7      1                    several test instances: it is the number of the user's events before the list

The lists become a model that scores an item by its rank, and all items that are not listed -inf. Such a target counts
as one of the lowest rank. What is refused: unknown names, two lists or two items in one place, ranks that do not count
from 1, test instances without a list, and items that the protocol leaves out because the user has already had them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data.log import Ids, Log, Mask, Vocab
from segue.data.readers.names import as_names, encode
from segue.data.readers.source import open_table
from segue.data.readers.table import ColumnKind
from segue.data.splits import EvalInstances
from segue.errors import DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.ranks import Ranks
from segue.evaluation.result import Result
from segue.models.base.model import Model, Sizes

COLUMNS: dict[str, ColumnKind] = {"user": "name", "item": "name", "rank": "any"}
EVENTS = "num_events"


@dataclass(frozen=True, eq=False)
class Lists:
    """Recommendations for the users of a log, sorted by list and rank.

    Attributes:
        name: of who made them, for the table.
        where: the name of their source, for messages.
        log: the log whose users and items they name.
        user: (n,) the user of each listed item.
        num_events: (n,) the number of the user's events before the list; None where each user has one list.
        item: (n,) the listed items.
        rank: (n,) their ranks, from 1 in each list.
    """

    name: str
    where: str
    log: Log
    user: Ids
    num_events: Ids | None
    item: Ids
    rank: Ids

    @cached_property
    def start(self) -> Ids:
        """(number of lists,) the index of the first item of each list."""
        return np.flatnonzero(self.rank == 1)

    @cached_property
    def keys(self) -> Ids:
        """(number of lists,) what each list is found by, ascending."""
        first = self.start
        return self._keys(self.user[first], None if self.num_events is None else self.num_events[first])

    @property
    def shortest(self) -> int:
        """The number of items of the shortest list."""
        return int(np.diff(np.append(self.start, len(self.rank))).min())

    def find(self, user: Ids, num_events: Ids) -> tuple[Ids, Mask]:
        """(C,) the index of the list of each user after so many events, and whether there is one."""
        wanted = self._keys(user, num_events)
        index = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return index, self.keys[index] == wanted

    def result(self, protocol: Protocol, *, refit: bool = False) -> Result:
        """The result of the lists on the test part, without a cost, which is unknown.

        Args:
            protocol: of the evaluation.
            refit: whether they may have been made from the validation data too.

        Raises:
            ConfigError: the protocol ranks no items.
            DataError: a test instance has no list, or a list holds items that the protocol leaves out.
        """
        ranking = RankingProtocol.expect(
            protocol, f"{self.where}: lists are measured only by protocols that rank items"
        )
        split = ranking.split(self.log)
        instances = ranking.instances(split, "test")
        self._check_one_list_each(instances, ranking)
        if ranking.exclude_seen:
            self._check_unseen(instances)
        predictions = ranking.evaluate(ListsModel(self), split, "test")
        self._check_complete(predictions, ranking)
        return Result(
            model=self.name,
            predictions=predictions,
            protocol=ranking,
            log=self.log.fingerprint,
            items=self.log.num_items,
            counts=(split.train_valid if refit else split.train).counts(),
            settings={},
            **ranking.check(split, refit=refit)._asdict(),
        )

    def num_unused(self, protocol: Protocol) -> int:
        """The number of lists that no test instance asks for."""
        instances = protocol.instances(protocol.split(self.log), "test")
        return len(self.keys) - len(np.unique(self.find(instances.user, _num_events(instances))[0]))

    def _keys(self, user: Ids, num_events: Ids | None) -> Ids:
        return user if num_events is None or self.num_events is None else user * len(self.log.item) + num_events

    def _check_one_list_each(self, instances: EvalInstances, protocol: RankingProtocol) -> None:
        several = np.flatnonzero(np.bincount(instances.user) > 1)
        if self.num_events is None and len(several):
            raise DataError(
                f"{self.where}: users have several test instances under {protocol.name}, such as "
                f"{self._user(several[0])}; give the number of the user's events before each list in a column {EVENTS}"
            )

    def _check_complete(self, ranks: Ranks, protocol: RankingProtocol) -> None:
        """Refuse lists that lack a test instance that counts: one whose target the user has not had before."""
        assert ranks.row is not None
        num_events = ranks.row - self.log.start[ranks.user]
        missing = np.flatnonzero(~self.find(ranks.user, num_events)[1])
        if len(missing):
            first = missing[0]
            after = f" after {num_events[first]:,} events" if self.num_events is not None else ""
            raise DataError(
                f"{self.where}: {len(missing):,} of {len(ranks):,} test instances under {protocol.name} have no list; "
                f"the first is that of the user {self._user(ranks.user[first])}{after}"
            )

    def _check_unseen(self, instances: EvalInstances) -> None:
        """Refuse items that the user has had before the instance."""
        index, _ = self.find(instances.user, _num_events(instances))
        last_row = np.zeros(len(self.start), np.int64)
        last_row[index] = instances.row  # of lists that no instance asks for, nothing is seen
        of_list = np.repeat(np.arange(len(self.start)), np.diff(np.append(self.start, len(self.rank))))
        user, item = self.log.events()
        rows, width = self.log.rows(), self.log.num_items + 1
        pairs, first = np.unique(user * width + item, return_index=True)  # the first row of each item of a user
        listed = self.user * width + self.item
        place = np.minimum(np.searchsorted(pairs, listed), len(pairs) - 1)
        seen = np.flatnonzero((pairs[place] == listed) & (rows[first[place]] < last_row[of_list]))
        if len(seen):
            one = seen[0]
            raise DataError(
                f"{self.where}: the list of the user {self._user(self.user[one])} has at rank {self.rank[one]} the "
                f"item {self._item(self.item[one])}, which the user has already had ({len(seen):,} entries in all). "
                "The protocol leaves such items out: leave them out of the lists too, and count the ranks without them"
            )

    def _user(self, user: int) -> str:
        return repr(self.log.users.names([user])[0])

    def _item(self, item: int) -> str:
        return repr(self.log.items.names([item])[0])


class ListsConfig(Config):
    """Lists have no settings."""


class ListsModel(Model):
    """Lists as a model: an item scores the negative of its rank, and -inf if it is not in the list."""

    name = "lists"
    Config = ListsConfig

    def __init__(self, lists: Lists) -> None:
        super().__init__(ListsConfig(), Sizes.of(lists.log))
        self.lists = lists
        self.window = 1 if lists.num_events is None else None  # all, as they are counted

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        num_events = (batch.history > 0).sum(1).cpu().numpy()
        index, is_found = self.lists.find(batch.user.cpu().numpy(), num_events)
        scores = torch.full((len(batch), self.sizes.num_items + 1), -torch.inf)
        stop = np.append(self.lists.start, len(self.lists.rank))[1:]
        for row in np.flatnonzero(is_found):
            listed = slice(self.lists.start[index[row]], stop[index[row]])
            scores[row, self.lists.item[listed]] = -torch.from_numpy(self.lists.rank[listed]).float()
        scores = scores.to(batch.user.device)
        return scores if items is None else scores[:, items]


def read_lists(path: Path, log: Log, name: str) -> Lists:
    """Lists from a file with the columns user, item and rank, and perhaps num_events.

    Args:
        path: the file.
        log: the log whose users and items it names.
        name: of who made the lists.

    Raises:
        DataError: the file cannot be read, lacks a column, has users or items that are not in the log, an item twice in
            a list, or ranks that do not count from 1.
    """
    table = open_table(path)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise DataError(
            f"{table.where}: has no column {missing[0]!r}; lists have the columns user, item and rank, and this file "
            f"has {', '.join(table.columns)}"
        )
    kinds: dict[str, ColumnKind] = {**COLUMNS, **({EVENTS: "any"} if EVENTS in table.columns else {})}
    frame, _ = table.load(kinds)
    if not len(frame):
        raise DataError(f"{table.where}: has no rows, so there is no list to measure")
    user = _ids(frame["user"], log.users, "user", table.where)
    item = _ids(frame["item"], log.items, "item", table.where)
    rank = _whole(frame["rank"], "rank", table.where, least=1)
    events = _whole(frame[EVENTS], EVENTS, table.where, least=0) if EVENTS in kinds else None
    order = np.lexsort((item, rank, *([] if events is None else [events]), user))
    user, item, rank = user[order], item[order], rank[order]
    lists = Lists(name, table.where, log, user, None if events is None else events[order], item, rank)
    _check_ranks(lists)
    return lists


def _num_events(instances: EvalInstances) -> Ids:
    """(C,) the number of the user's events before each instance."""
    return instances.row - instances.log.start[instances.user]


def _ids(column: pl.Series, vocab: Vocab, role: str, where: str) -> Ids:
    """(n,) the ids of the names of a column, all of which must be known."""
    named, codes = encode(as_names(column, f"{where}, column {role!r}").values)
    ids = vocab.ids(named.tokens.to_list())[codes - 1]
    unknown = np.flatnonzero(ids == 0)
    if len(unknown):
        known = vocab.names([1])[0]
        raise DataError(
            f"{where}, column {role!r}, row {unknown[0] + 1:,}: the {role} {column[int(unknown[0])]!r} is not in the "
            f"log, whose {role}s have names such as {known!r}; neither are those of {len(unknown):,} rows in all"
        )
    return ids


def _whole(column: pl.Series, name: str, where: str, *, least: int) -> Ids:
    """(n,) the whole numbers of a column, none below `least`."""
    numbers = column.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() | numbers.is_nan() | (numbers != numbers.floor()) | (numbers < least) | (numbers > 2**31)
    bad = wrong.fill_null(True).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{where}, column {name!r}, row {row + 1:,}: {column[row]!r}; this must be a whole number from {least}"
        )
    return numbers.to_numpy().astype(np.int64)


def _check_ranks(lists: Lists) -> None:
    """Raise `DataError` if the ranks of a list do not count from 1, or if it has an item twice."""
    change = np.ones(len(lists.rank), np.bool_)
    change[1:] = np.diff(lists.user) != 0
    if lists.num_events is not None:
        change[1:] |= np.diff(lists.num_events) != 0
    of_list, start = np.cumsum(change) - 1, np.flatnonzero(change)
    wrong = np.flatnonzero(lists.rank != np.arange(len(lists.rank)) - start[of_list] + 1)
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"{lists.where}: the ranks of the user {_name(lists, first)} do not count 1, 2, 3 and so on: "
            f"{lists.rank[first]} stands where {first - start[of_list[first]] + 1} is due"
        )
    keys = of_list * (lists.log.num_items + 1) + lists.item
    _, first_index = np.unique(keys, return_index=True)
    if len(first_index) < len(keys):
        repeated = np.setdiff1d(np.arange(len(keys)), first_index)[0]
        item = lists.log.items.names([lists.item[repeated]])[0]
        raise DataError(
            f"{lists.where}: the list of the user {_name(lists, repeated)} has the item {item!r} twice, again at rank "
            f"{lists.rank[repeated]}"
        )


def _name(lists: Lists, index: Any) -> str:
    return repr(lists.log.users.names([lists.user[index]])[0])

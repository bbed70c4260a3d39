"""`Shop`: what a service knows of the items it recommends: the catalogue, the rules, and how popular items are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from segue.data.log import Ids
from segue.event_store.clock import now
from segue.event_store.event_log import Change
from segue.event_store.item_table import Item, ItemTable, Written
from segue.event_store.store import Store
from segue.service.deadline import CHANGE_ADVICE, in_time
from segue.service.items.catalogue import Catalogue
from segue.service.items.fallback import Fallback
from segue.service.items.metadata import Metadata
from segue.service.items.popularity import Popularity
from segue.service.items.recent_lists import RecentLists
from segue.service.items.rules import RuleBook
from segue.service.items.selection import Selection, Selector
from segue.service.models.deployments import Deployment
from segue.service.models.loaded_model import Answer, LoadedModel
from segue.service.periodic import Periodic, follow


class Shop:
    """The items of a service.

    Attributes:
        catalogue: all items.
        rules: of the shop.
        selector: finds the items that a request may get.
        popularity: counts of the events of all items.
        lists: of popular items, in large catalogues those of this second.
        fallback: lists for users whom no model knows.
    """

    def __init__(self, store: Store, in_use: Sequence[LoadedModel], others: Sequence[LoadedModel] = ()) -> None:
        """Read the items and the rules of a store.

        Args:
            store: the store.
            in_use: models whose metadata counts, the first one first.
            others: models of which only the titles count.
        """
        self.catalogue = Catalogue(store.items)
        for loaded in others:
            self.catalogue.numbers_of(loaded)
        self.catalogue.follow(self.catalogue.metadata_of(in_use, others))
        self.rules = RuleBook(store.rules)
        self.selector = Selector(self.catalogue, self.rules)
        self.popularity = Popularity(store, self.catalogue)
        self.lists = RecentLists(self.catalogue)
        self.fallback = Fallback(self.catalogue, self.popularity, self.lists)
        self._counting = asyncio.Lock()

    def periodic(self) -> list[Periodic]:
        """The work that follows what other processes change."""
        catalogue, rules = self.catalogue, self.rules
        return [
            Periodic(
                "following the items",
                lambda: follow(catalogue.read_changes, lambda found: catalogue.apply(found, now())),
            ),
            Periodic("following the rules", lambda: follow(rules.read_changes, rules.apply)),
            Periodic("counting events", self.count_again),
        ]

    def add_events(self, changes: Mapping[str, Change]) -> None:
        """Count events that this process has stored."""
        for change in changes.values():
            self.popularity.add(change.events, now())

    async def count(self) -> None:
        """Count all events of the store, if that was not done since the start and since the last erasure."""
        if not self.popularity.is_counted:
            await in_time(self.count_again())

    async def count_again(self) -> None:
        """Count what other processes stored, or all events after an erasure."""
        popularity = self.popularity
        async with self._counting:
            for _ in range(2):  # the second finds what is stored while all events are counted
                await follow(lambda: popularity.read_changes(now()), lambda found: popularity.apply(found, now()))

    async def prepare(self, deployment: Deployment) -> Metadata:
        """Add the items of models before they answer, so that their first answers are as fast as the others.

        Returns:
            What the models say of the items, for `Catalogue.follow`.
        """
        for loaded in deployment.models.values():
            for _ in self.catalogue.adding(loaded):
                await asyncio.sleep(0)
        metadata = self.catalogue.metadata_of(deployment.in_use, deployment.others)
        for _ in metadata.reading(self.catalogue.columns_in_use):
            await asyncio.sleep(0)
        return metadata

    async def write(self, write: Callable[[ItemTable], Written]) -> Sequence[Item]:
        """Change the table of items; the change counts in the next answer."""
        items = await in_time(asyncio.to_thread(self.catalogue.write, write), CHANGE_ADVICE)
        self.catalogue.apply(items, now())
        return items

    async def ask(self, numbers: Ids, selection: Selection, k: int, ask: Callable[[int], Awaitable[Answer]]) -> Answer:
        """The answer of a model within the caps of a selection.

        Args:
            numbers: (I + 1,) those of the model's items in the catalogue.
            selection: which items are possible.
            k: number of items.
            ask: returns the best items of the model, for a number of items.
        """
        if not selection.caps:
            return await ask(k)
        for width in (4 * k, len(numbers)):  # the whole ranking where the best items are of too few kinds
            answer = await ask(width)
            chosen = selection.capped(numbers[answer.ids].tolist(), k)
            if len(chosen) == k or len(answer.ids) < width:
                break
        return Answer([answer.ids[one] for one in chosen], [answer.scores[one] for one in chosen], answer.fallback)

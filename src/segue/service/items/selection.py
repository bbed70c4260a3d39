"""`Selection`: which items an answer may have, which are moved up, and how many of a kind it has.

A selection is computed once for each combination of conditions, and again when an item or a rule has changed. So an
answer costs one look-up; the masks of each model are kept with the selection.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import torch

from segue.data.log import Floats, Ids, Mask
from segue.errors import ConfigError
from segue.event_store.clock import now
from segue.service.items.catalogue import Catalogue
from segue.service.items.rules import Boost, Cap, Exclude, Include, RuleBook, Rules
from segue.service.models.loaded_model import LoadedModel
from segue.serving.score_rules import ScoreRules

logger = logging.getLogger("segue.service")

MAX_BYTES = 100_000_000  # of masks
MIN_SELECTIONS = 4  # that are kept, however large they are
Where = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class Selection:
    """The items of an answer, by their numbers in the catalogue.

    Attributes:
        catalogue: the items.
        hidden: (N + 1,) whether an item may not be recommended; None if all may.
        boosts: (N + 1,) standard deviations to add to scores; None for none.
        caps: how many items of a kind.
        idle: names of rules that match no item, so that they do nothing.
    """

    catalogue: Catalogue
    hidden: Mask | None = None
    boosts: Floats | None = None
    caps: Sequence[Cap] = ()
    idle: frozenset[str] = frozenset()
    _of_models: WeakKeyDictionary[LoadedModel, ScoreRules | None] = field(default_factory=WeakKeyDictionary)

    def rules_of(self, loaded: LoadedModel) -> ScoreRules | None:
        """The masks for the items of a model; None where it hides and moves nothing."""
        if loaded not in self._of_models:
            numbers = self.catalogue.numbers_of(loaded)
            hidden = None if self.hidden is None else torch.from_numpy(self.hidden[numbers])
            boosts = None if self.boosts is None else torch.from_numpy(self.boosts[numbers])
            nothing = hidden is None and boosts is None
            self._of_models[loaded] = None if nothing else ScoreRules(hidden, boosts)
        return self._of_models[loaded]

    @property
    def num_bytes(self) -> int:
        """The size of all masks, with those of models."""
        of_models = [mask for one in self._of_models.values() if one for mask in (one.hidden, one.boosts)]
        return sum(mask.nbytes for mask in (self.hidden, self.boosts, *of_models) if mask is not None)

    def best(self, scores: Floats, k: int, hidden: Iterable[int] = ()) -> Ids:
        """The numbers of the k items with the highest scores above 0; of equal ones the lower number first.

        Args:
            scores: (N + 1,) of the items.
            k: number of items; the list is shorter if fewer are left.
            hidden: numbers of further items that may not be recommended.
        """
        scores = np.where(scores > 0, scores, -np.inf)
        scores[list(hidden)] = -np.inf
        if self.hidden is not None:
            scores[: len(self.hidden)][self.hidden] = -np.inf
        candidates = np.flatnonzero(scores > -np.inf)
        values = scores[candidates]
        if self.boosts is not None and len(values) > 1:
            values = values + self.catalogue.padded(self.boosts)[candidates] * values.std()
        if self.caps:
            ranking = candidates[np.argsort(-values, kind="stable")]
            return ranking[self.capped(ranking.tolist(), k)]
        if k < len(values):
            least = np.partition(values, len(values) - k)[len(values) - k]
            kept = values >= least
            candidates, values = candidates[kept], values[kept]
        return candidates[np.argsort(-values, kind="stable")[:k]]

    def capped(self, ranking: Iterable[int], k: int) -> list[int]:
        """The places, from 0, of the first k items of a ranking, without those of which the list has enough.

        Args:
            ranking: numbers of items, best first.
            k: number of items.
        """
        counts: list[Counter[str]] = [Counter() for _ in self.caps]
        chosen: list[int] = []
        for place, number in enumerate(ranking):
            kinds = [_counted(self.catalogue, cap, number) for cap in self.caps]
            if all(
                count[value] < cap.at_most
                for cap, count, values in zip(self.caps, counts, kinds, strict=True)
                for value in values
            ):
                chosen.append(place)
                for count, values in zip(counts, kinds, strict=True):
                    count.update(values)
            if len(chosen) == k:
                break
        return chosen


def _counted(catalogue: Catalogue, cap: Cap, number: int) -> list[str]:
    """The values of an item that count for a cap."""
    return [value for value in catalogue.column(cap.column).of(number) if not cap.values or value in cap.values]


class Selector:
    """Finds the selection of a request."""

    def __init__(self, catalogue: Catalogue, book: RuleBook) -> None:
        self.catalogue, self.book = catalogue, book
        self._version, self._idle = (-1, -1), frozenset[str]()
        self._num_new = 0  # selections since the masks were counted
        self._known: OrderedDict[tuple[tuple[str, ...], bool, bool], Selection] = OrderedDict()

    def get(self, where: Sequence[str] = (), *, available: bool = True, rules: bool = True) -> Selection:
        """The selection for the conditions of a request.

        Args:
            where: conditions such as "category:kitchen"; those on one column are alternatives.
            available: whether only items that can be had are selected.
            rules: whether the rules of the shop are applied.

        Raises:
            ConfigError: a condition on an unknown column, or with a value that no item has.
        """
        self.catalogue.expire(now())
        version = (self.catalogue.version, self.book.version)
        if version != self._version:
            self._known.clear()
            self._version = version
        key = (tuple(where), available, rules)
        found = self._known.get(key)
        if found is None:
            conditions = parse_where(where, self.catalogue.columns)
            found = self.make(conditions, self.book.rules if rules else {}, available=available)
            if rules:
                self._log_idle(found.idle)
            self._known[key] = found
            # computing may have added items of a model
            self._version = (self.catalogue.version, self.book.version)
            self._shrink()
        self._known.move_to_end(key)
        return found

    def make(self, where: Where, rules: Rules, *, available: bool) -> Selection:
        """A selection that is not kept."""
        catalogue = self.catalogue
        hidden = np.zeros(len(catalogue.names), np.bool_)
        unavailable = catalogue.unavailable(now()) if available else None
        if unavailable is not None:
            hidden |= unavailable
        for column, values in where.items():
            hidden |= ~catalogue.matching(column, values)
        boosts = np.zeros(len(hidden))
        idle = []
        for name, rule in rules.items():
            if isinstance(rule, Cap):
                continue
            matching = self._matching(rule)
            if not matching.any():
                idle.append(name)  # an include that matches no item would hide all
            elif isinstance(rule, Boost):
                boosts[matching] += rule.by
            else:
                hidden |= ~matching if isinstance(rule, Include) else matching
        hidden[0] = False
        return Selection(
            catalogue,
            hidden if hidden.any() else None,
            boosts if boosts.any() else None,
            tuple(rule for rule in rules.values() if isinstance(rule, Cap)),
            frozenset(idle),
        )

    def check(self, rules: Rules) -> None:
        """Check that each rule matches something.

        Raises:
            ConfigError: a rule names an unknown item, column or value.
        """
        for name, rule in rules.items():
            try:
                if isinstance(rule, Cap):
                    for value in rule.values:
                        self.catalogue.matching(rule.column, [value])
                    self.catalogue.matching(rule.column, [])
                    continue
                for column, values in rule.where.items():
                    self.catalogue.matching(column, values)
                unknown = [item for item in rule.items if self.catalogue.find(item) is None]
                if unknown:
                    raise ConfigError(f"unknown item {unknown[0]!r}")
            except ConfigError as error:
                raise ConfigError(f"rule {name!r}: {error}") from error

    def _shrink(self) -> None:
        """Drop the selections that were used least recently, until the masks fit.

        Masks of models are added to a selection later, so all are counted anew, as often as an eighth of them is new.
        """
        self._num_new += 1
        if 8 * self._num_new < len(self._known):
            return
        self._num_new = 0
        total = sum(one.num_bytes for one in self._known.values())
        while total > MAX_BYTES and len(self._known) > MIN_SELECTIONS:
            _, dropped = self._known.popitem(last=False)
            total -= dropped.num_bytes

    def _log_idle(self, idle: frozenset[str]) -> None:
        """Log the rules that do nothing, each once."""
        for name in sorted(idle - self._idle):
            logger.warning("rule %s: matches no item any more, so it does nothing", name)
        self._idle = idle

    def _matching(self, rule: Include | Exclude | Boost) -> Mask:
        """(N + 1,) whether a rule matches each item."""
        catalogue = self.catalogue
        matching = np.full(len(catalogue.names), bool(rule.where))
        for column, values in rule.where.items():
            matching &= catalogue.matching(column, values, strict=False)
        matching[[number for number in map(catalogue.find, rule.items) if number is not None]] = True
        return matching


def parse_where(where: Sequence[str], columns: Callable[[], Collection[str]] = list) -> dict[str, list[str]]:
    """The values of each column, from conditions such as "category:kitchen".

    >>> parse_where(["category:kitchen", "category:toys", "brand:own"])
    {'category': ['kitchen', 'toys'], 'brand': ['own']}
    >>> parse_where(["size:eu:42", "url:https://a"], lambda: ["size:eu", "url"])
    {'size:eu': ['42'], 'url': ['https://a']}

    Args:
        where: the conditions.
        columns: returns the names of all columns. It is asked where a name or a value has a colon.

    Raises:
        ConfigError: a condition has another form, or fits two columns.
    """
    conditions: dict[str, list[str]] = {}
    for text in where:
        names = [text[:place] for place, character in enumerate(text) if character == ":" and text[place + 1 :]]
        if not names or not names[0]:
            raise ConfigError(f"where={text!r}: give a column and a value, such as category:kitchen")
        known = names if len(names) == 1 else [name for name in names if name in columns()]
        if len(known) > 1:
            raise ConfigError(f"where={text!r}: fits the columns {' and '.join(map(repr, known))}; select by a rule")
        column = known[0] if known else names[0]
        conditions.setdefault(column, []).append(text[len(column) + 1 :])
    return conditions

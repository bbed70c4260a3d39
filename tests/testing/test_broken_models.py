"""Laws that cannot be broken say nothing: for each of them, models that break it and must be caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.data.log import Log
from segue.models.base.model import Model
from segue.models.factorization.bprmf import BPRMF
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.popularity.pop import Pop
from segue.models.sequential.hgn import HGN
from segue.testing import model_checks as testing

BROKEN: list[tuple[str, int, type[Model]]] = []


def breaks(law: Callable[[testing.Subject], None], number: int) -> Callable[[type[Model]], type[Model]]:
    """The class below must be caught by `law`, with its number in the message."""

    def note(kind: type[Model]) -> type[Model]:
        BROKEN.append((law.__name__, number, kind))
        return kind

    return note


@breaks(testing.learns_a_cycle, 1)
class KnowsOnlyPopularity(Pop):
    """Popularity."""


@breaks(testing.learns_a_cycle, 1)
class LearnsNothing(HGN):
    """Its loss has no slope."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) * 0


@breaks(testing.some_as_all, 2)
class CountsFromOne(BPRMF):
    """Scores the item after the one that was asked about."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = super().score(batch)
        return scores if items is None else scores.roll(-1, 1)[:, items]


@breaks(testing.some_as_all, 2)
class SortsWhatIsAsked(BPRMF):
    """Gives the scores of some items in the order of their ids."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return super().score(batch, None if items is None else items.sort().values)


@breaks(testing.padding_is_nothing, 3)
class AveragesPadding(HGN):
    """Divides by the length of the history, padding included."""

    def query(self, batch: Batch) -> Tensor:
        return super().query(batch) / batch.history.shape[1]


@breaks(testing.padding_is_nothing, 3)
class CountsFromTheLeft(ItemKNN):
    """Weighs an item by its distance from the left edge."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return super().score(Batch(batch.user, batch.history.flip(1)), items)


@breaks(testing.neighbours_are_strangers, 4)
class AnswersNothing(BPRMF):
    """Its scores are no numbers."""

    def query(self, batch: Batch) -> Tensor:
        return super().query(batch) * torch.nan


@breaks(testing.neighbours_are_strangers, 4)
class NormalisesOverTheBatch(BPRMF):
    """Takes the batch's mean away from each query."""

    def query(self, batch: Batch) -> Tensor:
        query = super().query(batch)
        return query - query.mean(0)


@breaks(testing.future_is_unknown, 5)
class CountsTheWholeColumn(Pop):
    """Counts rows that the view does not hold."""

    def fit(self, log: Log) -> None:
        self.count.copy_(torch.from_numpy(np.bincount(log.item, minlength=log.num_items + 1)))


@breaks(testing.future_is_unknown, 5)
class TrainsOnTheFuture(BPRMF):
    """Learns from rows behind the cut."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        return super().batches(replace(log, stop=np.append(log.start[1:], len(log.item))), rng)


@breaks(testing.seeds_decide, 6)
class DrawsAsItLikes(BPRMF):
    """Its batches come in an order of their own."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        return super().batches(log, np.random.default_rng())


@breaks(testing.seeds_decide, 6)
class StartsAnywhere(BPRMF):
    """Its initial weights come from a generator of its own."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        with torch.no_grad():
            self.user[1:] = torch.from_numpy(np.random.default_rng().normal(size=self.user[1:].shape))


@breaks(testing.zero_stays_nothing, 7)
class FillsPadding(BPRMF):
    """Re-initialises a table after its padding was zeroed, as two well-known programs do."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        nn.init.normal_(self.item)


@breaks(testing.zero_stays_nothing, 7)
class TeachesPadding(BPRMF):
    """Row 0 starts as nothing and gets a gradient."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) + (self.user[0] - 1).square().sum()


@breaks(testing.zero_stays_nothing, 7)
class OffersPadding(BPRMF):
    """Item 0 is a candidate like any other."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = self.query(batch) @ self.item_vectors().T
        return scores if items is None else scores[:, items]


@breaks(testing.zero_stays_nothing, 7)
class DrawsPadding(BPRMF):
    """Item 0 is among the negatives."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        for batch in super().batches(log, rng):
            assert batch.negative is not None
            yield Batch(batch.user, batch.history, batch.target, batch.negative * (batch.negative > 1), batch.asked)


@breaks(testing.weights_learn, 8)
class HidesAWeight(BPRMF):
    """A weight that is a plain attribute, as the instance gate of HGN's released program."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.gate = torch.ones(config.dim)


@breaks(testing.weights_learn, 8)
class HidesAWeightInAList(BPRMF):
    """The same in a plain list, which the module does not look into."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.gates = [torch.ones(config.dim, requires_grad=True)]


@breaks(testing.weights_learn, 8)
class CarriesAWeightForNothing(BPRMF):
    """A parameter that takes no part."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.unused = nn.Parameter(torch.ones(3))


@breaks(testing.weights_learn, 8)
class MultipliesByZero(BPRMF):
    """A parameter that takes part and never learns."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) + 0 * self.unused.sum()


@breaks(testing.saved_is_loaded, 9)
class RemembersElsewhere(Pop):
    """What it learns is no part of its state."""

    def fit(self, log: Log) -> None:
        super().fit(log)
        self.bonus = 1.5

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return super().score(batch, items) * self.bonus


@breaks(testing.short_is_legal, 10)
class DividesByTheRest(HGN):
    """Its loss needs a third event."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) / ((batch.history > 0).sum(1).min() - 1)


@breaks(testing.short_is_legal, 10)
class TakesTheLogarithmOfAge(BPRMF):
    """Its scores need a second event."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        age = (batch.history > 0).sum(1, keepdim=True) - 1
        return super().score(batch, items) + age.log()


@breaks(testing.shares_add_up, 11)
class Averages(BPRMF):
    """Its loss is a mean, so that parts of a batch weigh too much."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) / len(batch)


@breaks(testing.shares_add_up, 11)
class ComparesNeighbours(BPRMF):
    """A penalty on the mean of the batch."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) + self.user[batch.user].mean(0).square().sum()


@breaks(testing.resumed_is_whole, 12)
class CountsItsEpochs(BPRMF):
    """Warms up by a counter that is not saved."""

    passed = 0

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        self.passed += 1
        return super().batches(log, rng)

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) * min(1.0, self.passed / 10) + self.user[1:].square().sum()


@breaks(testing.resumed_is_whole, 12)
class KeepsAGenerator(BPRMF):
    """Draws from one generator for as long as it lives."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.rng = np.random.default_rng(0)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        return super().batches(log, self.rng)


@breaks(testing.stepping_is_reading, 13)
class StepsAstray(Pop):
    """Steps through a history, and forgets to leave item 0 out."""

    def step(self, state: Any, item: Tensor) -> tuple[Any, Tensor]:
        return None, self.count.repeat(len(item), 1)


@breaks(testing.stepping_is_reading, 13)
class StepsTooFar(Pop):
    """Stepping adds to the scores what reading does not."""

    def step(self, state: Any, item: Tensor) -> tuple[Any, Tensor]:
        state = 0 if state is None else state + 1
        return state, self.score(Batch(item, item[:, None])) + state


@pytest.mark.parametrize(("law", "number", "kind"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_model_is_caught(law: str, number: int, kind: type[Model]) -> None:
    with pytest.raises(AssertionError, match=rf"^law {number}: "):
        testing.LAWS[law](testing.subject(kind))


def test_every_law_can_be_broken() -> None:
    assert {law for law, _, _ in BROKEN} == set(testing.LAWS)
    for number, law in enumerate(testing.LAWS.values(), 1):
        assert (law.__doc__ or "").startswith(f"Law {number}: ")


def test_check_names_the_law() -> None:
    with pytest.raises(AssertionError, match="law 7: item 0 has a score"):
        testing.check(OffersPadding)
    with pytest.raises(AssertionError, match=r"law 8: .*gate.* plain"):
        testing.check(HidesAWeight)


class Stepping(Pop):
    """Stepping as it should be: the answer does not depend on what was read."""

    def step(self, state: Any, item: Tensor) -> tuple[Any, Tensor]:
        return None, self.score(Batch(item, item[:, None]))


class Mine(BPRMF):
    """A model of somebody else's, unknown to MODELS."""

    name = "mine"


def test_check_is_content_with_models_in_order() -> None:
    testing.check(Mine)
    testing.check(Pop)
    testing.stepping_is_reading(testing.subject(Stepping))

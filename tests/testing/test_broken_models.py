"""Every law detects models that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.data.log import Log
from segue.models.base.model import Model
from segue.models.factorization.bprmf import BPRMF
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.neighbours.stan import STAN
from segue.models.popularity.pop import Pop
from segue.models.sequential.hgn import HGN

BROKEN: list[tuple[str, int, type[Model]]] = []


def breaks(law: str, number: int) -> Callable[[type[Model]], type[Model]]:
    """A decorator: the class must be caught by `law`, with the law's number in the message."""

    def register(model_class: type[Model]) -> type[Model]:
        BROKEN.append((law, number, model_class))
        return model_class

    return register


@breaks("learns_a_cycle", 1)
class PopularityOnly(Pop):
    """Recommends popular items only."""


@breaks("learns_a_cycle", 1)
class NoGradient(HGN):
    """Its loss has no gradient."""

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) * 0


@breaks("additive_scores", 14)
class SquaresOfSums(ItemKNN):
    """Its scores are squares of sums, and it says that it is additive."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = super().score(batch, items)
        return torch.where(scores.isfinite(), scores.square(), scores)


@breaks("recommends_as_evaluated", 15)
class OtherListForOneUser(Pop):
    """One user alone gets the least popular items."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = super().score(batch, items)
        return scores if len(batch) > 1 else torch.where(scores.isfinite(), -scores, scores)


@breaks("request_time", 16)
class ReadsTheRequest(Pop):
    """The time of the request decides, though the model does not say that it reads it."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = super().score(batch, items)
        return scores if batch.time is None else scores + (batch.time % 7).unsqueeze(1)


@breaks("candidate_consistency", 2)
class ScoresNextId(BPRMF):
    """Scores of selected items are those of the next ids."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = super().score(batch)
        return scores if items is None else scores.roll(-1, 1)[:, items]


@breaks("candidate_consistency", 2)
class SortsCandidates(BPRMF):
    """Scores of selected items come in the order of their ids."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return super().score(batch, None if items is None else items.sort().values)


@breaks("padding_invariance", 3)
class AveragesPadding(HGN):
    """Divides by the length of the history, padding included."""

    def query(self, batch: Batch) -> Tensor:
        return super().query(batch) / batch.history.shape[1]


@breaks("padding_invariance", 3)
class CountsFromLeftEdge(ItemKNN):
    """Weights an item by its distance from the left edge."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return super().score(Batch(batch.user, batch.history.flip(1)), items)


@breaks("batch_independence", 4)
class NaNScores(BPRMF):
    """Its scores are NaN."""

    def query(self, batch: Batch) -> Tensor:
        return super().query(batch) * torch.nan


@breaks("batch_independence", 4)
class BatchNormalisation(BPRMF):
    """Subtracts the batch's mean from each query."""

    def query(self, batch: Batch) -> Tensor:
        query = super().query(batch)
        return query - query.mean(0)


@breaks("no_future_leakage", 5)
class CountsRowsOutsideTheView(Pop):
    """Counts rows outside the view."""

    def fit(self, log: Log) -> None:
        self.count.copy_(torch.from_numpy(np.bincount(log.item, minlength=log.num_items + 1)))


@breaks("no_future_leakage", 5)
class TrainsOnTheFuture(BPRMF):
    """Trains on rows after the split point."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        return super().batches(replace(log, stop=np.append(log.start[1:], len(log.item))), rng)


@breaks("no_future_leakage", 5)
class KnowsWhenUsersReturn(STAN):
    """Takes the time of a user's last event after the split point for that of the session."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(self.configure({"session_scale": 20.0}), sizes)

    def fit(self, log: Log) -> None:
        assert log.time is not None
        time, last_row = log.time.copy(), np.append(log.start[1:], len(log.item)) - 1
        time[log.stop[1:] - 1] = log.time[last_row[1:]]
        super().fit(replace(log, time=time))


@breaks("determinism", 6)
class UnseededBatches(BPRMF):
    """Draws the order of its batches from an unseeded generator."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        return super().batches(log, np.random.default_rng())


@breaks("determinism", 6)
class UnseededInitialisation(BPRMF):
    """Draws its initial weights from an unseeded generator."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        with torch.no_grad():
            self.user_embedding[1:] = torch.from_numpy(
                np.random.default_rng().normal(size=self.user_embedding[1:].shape)
            )


@breaks("padding_row_is_zero", 7)
class NonZeroPaddingRow(BPRMF):
    """Re-initialises a table after its padding row was zeroed, as two well-known programs do."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        nn.init.normal_(self.item_embedding)


@breaks("padding_row_is_zero", 7)
class TrainsPaddingRow(BPRMF):
    """Row 0 starts at zero and gets a gradient."""

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) + (self.user_embedding[0] - 1).square().sum()


@breaks("padding_row_is_zero", 7)
class PaddingIsCandidate(BPRMF):
    """Item 0 is a candidate like any other."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = self.query(batch) @ self.item_vectors().T
        return scores if items is None else scores[:, items]


@breaks("padding_row_is_zero", 7)
class PaddingIsNegative(BPRMF):
    """Item 0 is among the negatives."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        for batch in super().batches(log, rng):
            yield replace(batch, negatives=batch.negatives * (batch.negatives > 1))


@breaks("all_weights_get_gradients", 8)
class PlainTensorAttribute(BPRMF):
    """A weight is a plain attribute, like the instance gate of HGN's released program."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.gate = torch.ones(config.embedding_dim)


@breaks("all_weights_get_gradients", 8)
class PlainTensorInList(BPRMF):
    """A weight is in a plain list, where `nn.Module` does not find it."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.gates = [torch.ones(config.embedding_dim, requires_grad=True)]


@breaks("all_weights_get_gradients", 8)
class UnusedParameter(BPRMF):
    """A parameter is not used."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.unused = nn.Parameter(torch.ones(3))


@breaks("all_weights_get_gradients", 8)
class ParameterTimesZero(BPRMF):
    """A parameter is used but never gets a gradient other than zero."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) + 0 * self.unused.sum()


@breaks("all_weights_get_gradients", 8)
class ShiftOfASoftmax(BPRMF):
    """A parameter is added to all inputs of a softmax, which does not change it but for rounding."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.shift = nn.Parameter(torch.ones(1))

    def forward(self, batch: SequenceBatch) -> Tensor:
        weights = torch.softmax(self.item_embedding[1:, 0] + self.shift, 0)
        return super().forward(batch) + (weights * torch.arange(len(weights))).sum()


@breaks("save_load_roundtrip", 9)
class StateOutsideStateDict(Pop):
    """What it learns is not part of its state."""

    def fit(self, log: Log) -> None:
        super().fit(log)
        self.bonus = 1.5

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        return super().score(batch, items) * self.bonus


@breaks("finite_on_shortest_history", 10)
class LossNeedsThreeEvents(HGN):
    """Its loss needs a third event."""

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) / (batch.target_mask.sum(1).min() - 1)


@breaks("finite_on_shortest_history", 10)
class ScoresNeedTwoEvents(BPRMF):
    """Its scores need a second event."""

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        age = (batch.history > 0).sum(1, keepdim=True) - 1
        return super().score(batch, items) + age.log()


@breaks("processes_agree", 11)
class MeanLoss(BPRMF):
    """Its loss is a mean, so parts of a batch get too much weight."""

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) / len(batch)


@breaks("processes_agree", 11)
class PenaltyOnBatchMean(BPRMF):
    """Penalises the mean of the batch."""

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) + self.user_embedding[batch.user].mean(0).square().sum()


@breaks("exact_resume", 12)
class UnsavedWarmUpCounter(BPRMF):
    """Warms up by a counter that is not saved."""

    passed = 0

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        self.passed += 1
        return super().batches(log, rng)

    def forward(self, batch: SequenceBatch) -> Tensor:
        return super().forward(batch) * min(1.0, self.passed / 10) + self.user_embedding[1:].square().sum()


@breaks("exact_resume", 12)
class OneGeneratorForAllEpochs(BPRMF):
    """Uses one random generator for all epochs."""

    def __init__(self, config: Any, sizes: Any) -> None:
        super().__init__(config, sizes)
        self.rng = np.random.default_rng(0)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        return super().batches(log, self.rng)


@breaks("step_matches_full", 13)
class StepScoresPadding(Pop):
    """Its `step` gives item 0 a score."""

    def step(self, state: Any, item: Tensor) -> tuple[Any, Tensor]:
        return None, self.count.repeat(len(item), 1)


@breaks("step_matches_full", 13)
class StepDiffersFromScore(Pop):
    """Its `step` adds to the scores what `score` does not."""

    def step(self, state: Any, item: Tensor) -> tuple[Any, Tensor]:
        state = 0 if state is None else state + 1
        return state, self.score(Batch(item, item[:, None])) + state


@pytest.mark.parametrize(("law", "number", "model_class"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_law_detects_broken_model(law: str, number: int, model_class: type[Model]) -> None:
    with pytest.raises(AssertionError, match=rf"^law {number}: "):
        testing.LAWS[law](testing.subject(model_class))


def test_every_law_has_a_broken_model() -> None:
    assert {law for law, _, _ in BROKEN} == set(testing.LAWS)
    for number, law in enumerate(testing.LAWS.values(), 1):
        assert (law.__doc__ or "").startswith(f"Law {number}: ")


def test_check_refuses_what_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"<class 'int'> is not a model class; derive it from segue\.Model"):
        testing.check(int)  # type: ignore[type-var, arg-type]


def test_check_reports_the_law() -> None:
    with pytest.raises(AssertionError, match="law 7: item 0 has a score"):
        testing.check(PaddingIsCandidate)
    with pytest.raises(AssertionError, match=r"law 8: .*gate.* plain"):
        testing.check(PlainTensorAttribute)


class Stepping(Pop):
    """A correct `step`: the scores do not depend on the history."""

    def step(self, state: Any, item: Tensor) -> tuple[Any, Tensor]:
        return None, self.score(Batch(item, item[:, None]))


class ExternalModel(BPRMF):
    """A model that is not in MODELS."""

    name = "external"


def test_check_accepts_correct_models() -> None:
    testing.check(ExternalModel)
    testing.check(Pop)
    testing.LAWS["step_matches_full"](testing.subject(Stepping))

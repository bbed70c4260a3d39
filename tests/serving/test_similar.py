"""`similar_items`: cosines of item vectors or a table of neighbours, the lower id first among equals."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data import synthetic
from segue.errors import ConfigError, DataError
from segue.models.base.model import DotProductModel, Sizes
from segue.models.ensembles.blend import Blend
from segue.models.registry import MODELS
from segue.serving.item_filter import filter_items
from segue.serving.saved_model import SavedModel
from segue.serving.similar import similar_items
from segue.testing import subject

LOG = synthetic.with_features(synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4)))


class Vectors(DotProductModel):
    """Items with given vectors, the last column of which is a bias."""

    name, Config, window = "vectors", Config, 0
    num_item_biases = 1  # type: ignore[assignment]

    def __init__(self, *vectors: tuple[float, ...]) -> None:
        super().__init__(Config(), Sizes(2, len(vectors)))
        self.vectors = torch.tensor([(0.0,) * len(vectors[0]), *vectors])

    def item_vectors(self) -> Tensor:
        return self.vectors

    def query(self, batch: Batch) -> Tensor:
        return self.vectors[:1].expand(len(batch), -1)


def log_of(items: int) -> Any:
    return synthetic.from_sequences([[1, 2], [1]], num_items=items, name="films")


def unmeasured(model: Any, log: Any) -> SavedModel:
    """A model that does not say what it was trained on."""
    return SavedModel(model, log, {})


def test_cosines_without_biases_and_the_lower_id_first() -> None:
    model = Vectors((1, 0, 9), (0, 2, 0), (3, 0, -5), (5, 0, 0), (-1, 0, 9), (0, 0, 7))
    found = similar_items(unmeasured(model, log_of(6)), 1)
    assert [(one.item, one.similarity) for one in found] == [(3, 1), (4, 1), (2, 0), (5, -1)], "6 has no direction"
    assert [one.item for one in similar_items(unmeasured(model, log_of(6)), 1, k=1)] == [3]


def test_several_items_are_averaged() -> None:
    model = Vectors((1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0))
    found = similar_items(unmeasured(model, log_of(4)), [1, 2])
    assert [one.item for one in found] == [3, 4]
    assert [one.similarity for one in found] == pytest.approx([0.5**0.5, 0.0])


def test_candidates_and_items_without_training_are_left_out() -> None:
    model = Vectors((1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0))
    candidates = filter_items(log_of(4), deny=[4])
    experiment = {"protocol": {"by": "leave-last-out", "arguments": {"valid": 0, "test": 1}}, "refit": False}
    log = synthetic.from_sequences([[1, 3, 4, 2], [1, 4, 3]], num_items=4)  # the last items are the test data
    saved = SavedModel(model, log, {"experiment": experiment})
    assert [one.item for one in similar_items(saved, 1)] == [3, 4]
    assert [one.item for one in similar_items(saved, 1, candidates=candidates)] == [3]
    with pytest.raises(DataError, match="item 2: the model was trained without an event of it"):
        similar_items(saved, 2)
    fitted = SavedModel(model, log, {"experiment": {**experiment, "final": True}})
    assert [one.item for one in similar_items(fitted, 1)] == [2, 3, 4]


def test_the_table_of_neighbours() -> None:
    """Items 1 and 2 share two users, 1 and 3 one, and 4 is alone."""
    log = synthetic.from_sequences([[1, 2], [1, 2], [1, 3], [4]], num_items=4)
    model = subject(MODELS["item-knn"], shrinkage=0.0, num_neighbours=3).train(log)
    found = similar_items(unmeasured(model, log), 1)
    assert [(one.item, one.similarity) for one in found] == [
        (2, pytest.approx(2 / 6**0.5)),
        (3, pytest.approx(1 / 3**0.5)),
    ]
    assert similar_items(unmeasured(model, log), 4) == []
    assert [one.similarity for one in similar_items(unmeasured(model, log), [1, 4])] == pytest.approx(
        [1 / 6**0.5, 1 / 12**0.5]
    )


def test_items_that_follow() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [1, 2]], num_items=4)
    model = subject(MODELS["seq-knn"], backward_weight=0.0).train(log)
    assert [one.item for one in similar_items(unmeasured(model, log), 1)] == [2, 3]
    assert [one.item for one in similar_items(unmeasured(model, log), 2)] == [3]
    assert similar_items(unmeasured(model, log), 3) == []


@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_or_refuses(name: str) -> None:
    kind = MODELS[name]
    model: Any = subject(kind).train(LOG)
    if not kind.item_similarity:
        with pytest.raises(
            ConfigError, match=rf"{re.escape(name)}: has neither .* Models that compare items: item-knn, seq-knn"
        ):
            similar_items(unmeasured(model, LOG), 3)
        return
    found = similar_items(unmeasured(model, LOG), 3, k=20)
    values = [one.similarity for one in found]
    assert values == sorted(values, reverse=True)
    assert 3 not in {one.item for one in found}
    if issubclass(kind, DotProductModel):
        assert len(found) == 11
        assert max(map(abs, values)) <= 1 + 1e-6


def test_vectors_of_ratings_hold_two_columns_of_biases() -> None:
    model: Any = subject(MODELS["mf"], embedding_dim=3).train(LOG)
    vectors = torch.nn.functional.normalize(model.item_embedding[:, :3], dim=1)
    expected = {item: float(vectors[3] @ vectors[item]) for item in range(1, 13) if item != 3}
    assert {one.item: one.similarity for one in similar_items(unmeasured(model, LOG), 3, k=12)} == pytest.approx(
        expected, abs=1e-6
    )


def test_refusals() -> None:
    model = Vectors((1, 0, 0), (2, 0, 0))
    with pytest.raises(DataError, match="unknown item 9; films knows 2 items"):
        similar_items(unmeasured(model, log_of(2)), 9)
    with pytest.raises(DataError, match="k=0: must be at least 1"):
        similar_items(unmeasured(model, log_of(2)), 1, k=0)
    with pytest.raises(DataError, match="no item given"):
        similar_items(unmeasured(model, log_of(2)), [])
    blend = Blend(model, model, weight=0.5)
    with pytest.raises(ConfigError, match=r"blend: combines vectors and vectors.*ask a saved model of one of them"):
        similar_items(unmeasured(blend, log_of(2)), 1)

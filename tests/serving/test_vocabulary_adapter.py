"""`VocabularyAdapter`: the scores of a model under other ids, and for users that it does not know."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Vocab
from segue.models.registry import MODELS
from segue.serving.vocabulary_adapter import VocabularyAdapter
from segue.testing import subject

LOG = synthetic.with_features(synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4)))


@pytest.mark.parametrize("name", ["bprmf", "seq-knn", "gru", "neumf", "iarn"])
def test_scores_under_other_ids(name: str) -> None:
    """Items 12 to 3 in reverse order, and users 9, 5, one that is unknown, and 2."""
    model: Any = subject(MODELS[name]).train(LOG)
    users, items = Vocab(pl.Series([9, 5, 77, 2])), Vocab(pl.Series(list(range(12, 2, -1))))
    other = VocabularyAdapter(model, LOG, users, items).eval()
    batch = Batch(torch.tensor([1, 3, 4]), torch.tensor([[0, 1, 2], [3, 4, 5], [10, 9, 8]]))
    own = Batch(torch.tensor([9, 0, 2]), torch.tensor([[0, 12, 11], [10, 9, 8], [3, 4, 5]]))
    with torch.inference_mode():
        expected = model.score(own)[:, [0, *range(12, 2, -1)]]
        torch.testing.assert_close(other.score(batch), expected)
        torch.testing.assert_close(other.score(batch, torch.tensor([2, 7])), expected[:, [2, 7]])


@pytest.mark.parametrize("window", [2, 4])
def test_times_move_with_the_items_that_the_model_knows(window: int) -> None:
    model: Any = subject(MODELS["hstu"], time="request", window=window).train(LOG)
    users, items = Vocab(pl.Series([9])), Vocab(pl.Series([12, 77, 11, 10]))
    other = VocabularyAdapter(model, LOG, users, items).eval()
    batch = Batch(
        torch.tensor([1]),
        torch.tensor([[0, 4, 2, 3, 2, 1]]),
        times=torch.tensor([[0, 10, 200, 3000, 40_000, 500_000]]),
        time=torch.tensor([6_000_000]),
    )
    own = Batch(
        torch.tensor([9]),
        torch.tensor([[10, 11, 12]])[:, -window:],
        times=torch.tensor([[10, 3000, 500_000]])[:, -window:],
        time=batch.time,
    )
    with torch.inference_mode():
        torch.testing.assert_close(other.score(batch)[:, [1, 3]], model.score(own)[:, [12, 11]])


@pytest.mark.parametrize("name", ["pop", "learnt-counts"])
def test_events_under_other_ids_are_learnt(name: str) -> None:
    """Event by event, as the model learns them under its own ids; items that it does not know are left out."""
    model, alone = (subject(MODELS[name]).train(LOG) for _ in range(2))
    other = VocabularyAdapter(model, LOG, Vocab(pl.Series([9])), Vocab(pl.Series([12, 77, 11, 10])))
    assert other.can_update
    other.update([[1, 2, 3], [4], []], [4, 2, 1])
    other.update([[2, 4]], [3])
    other.update([[2, 4]], [3], count=-1)
    alone.update([[12, 11], []], [10, 12])
    batch = Batch(torch.tensor([9]), torch.tensor([[11, 12]]))
    torch.testing.assert_close(model.score(batch), alone.score(batch), rtol=0, atol=0)
    assert not VocabularyAdapter(subject(MODELS["item-knn"]).train(LOG), LOG, LOG.users, LOG.items).can_update

"""S-POP: ranks by counts in the session, then by popularity."""

from __future__ import annotations

import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import measure
from segue.models.base.model import Sizes
from segue.models.popularity.pop import Pop
from segue.models.popularity.s_pop import SPop

LOG = synthetic.from_sequences([[1, 2, 2, 3], [2, 3], [2, 4, 1, 5]], num_items=6)


def fitted(**settings: int) -> SPop:
    model = SPop(SPop.configure(settings), Sizes(LOG.num_users, LOG.num_items))
    model.fit(LOG)
    return model


def ranking(model: SPop, *history: int) -> list[int]:
    scores = model.score(Batch(torch.tensor([0]), torch.tensor([[0, *history]])))[0]
    return scores.argsort(descending=True, stable=True).tolist()


def test_items_of_the_session_rank_before_popular_items() -> None:
    assert ranking(fitted(), 5, 4, 5) == [5, 4, 2, 1, 3, 6, 0]
    assert ranking(fitted()) == [2, 1, 3, 4, 5, 6, 0]


def test_only_the_top_n_items_have_a_popularity_term() -> None:
    scores = fitted(top_n=2).score(Batch(torch.tensor([0]), torch.tensor([[5]])))[0]
    assert scores.tolist() == [-torch.inf, 2 / 3, 0.8, 0, 0, 1, 0]
    assert SPop.configure(preset="gru4rec").top_n == 100


def test_ranking_equals_pop_when_seen_items_are_excluded() -> None:
    log = synthetic.markov(30, 20, 8, seed=1)
    protocol = Protocol.named("leave-one-out")
    split = protocol.split(log)
    values = []
    for model_class in (SPop, Pop):
        model = model_class(model_class.configure(), Sizes(log.num_users, log.num_items))
        model.fit(split.train)
        values.append(measure(protocol.rank(model, split, "test"), "mrr@10").tolist())
    assert values[0] == values[1]


def test_top_n_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="top_n=0: must be at least 1, or none"):
        SPop.configure({"top_n": 0})

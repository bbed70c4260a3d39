"""POP, S-POP and Item-KNN against counts of plain Python loops. Item ids in the arrays start at 0, in segue at 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.popularity.pop import Pop
from segue.models.popularity.s_pop import SPop

Arrays = dict[str, np.ndarray]


@pytest.fixture
def z(golden) -> Arrays:
    return golden("baselines")


def sessions(z: Arrays) -> Log:
    """A log with one user per session; -1 is padding in the array."""
    rows = [[int(item) + 1 for item in row if item >= 0] for row in z["sessions"]]
    return synthetic.from_sequences(rows, num_items=len(z["pop_supp"]))


def single_item_histories(num_items: int) -> Batch:
    """Anonymous users: the history of row i is item i + 1 alone."""
    return Batch(torch.zeros(num_items, dtype=torch.long), torch.arange(1, num_items + 1)[:, None])


def similarities(z: Arrays, **settings: Any) -> np.ndarray:
    """(I, I) the scores of all items for each history of one item."""
    log = sessions(z)
    config = ItemKNN.configure({"num_neighbours": None, "window": 1, **settings})
    model = ItemKNN(config, Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model.score(single_item_histories(log.num_items))[:, 1:].numpy()


def assert_close(actual: Any, golden: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(actual), golden, rtol=0, atol=1e-10)


def test_pop_scores_are_event_counts(z: Arrays) -> None:
    log = sessions(z)
    model = Pop(Pop.configure(), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    scores = model.score(single_item_histories(log.num_items))
    assert_close(scores[:, 1:], np.tile(z["pop_supp"], (log.num_items, 1)))
    assert (scores[:, 0] == -torch.inf).all()


def test_s_pop_scores_of_a_session_and_of_an_empty_session(z: Arrays) -> None:
    log = sessions(z)
    model = SPop(SPop.configure(), Sizes(log.num_users, log.num_items))
    model.fit(log)
    batch = Batch(torch.tensor([0]), torch.from_numpy(z["spop_session"] + 1)[None])
    assert_close(model.score(batch)[0, 1:], z["spop_score"])
    empty = Batch(torch.tensor([0]), torch.zeros(1, 3, dtype=torch.long))
    assert_close(model.score(empty)[0, 1:], z["pop_score"])


def test_gru4rec_similarity_for_each_shrinkage_and_alpha(z: Arrays) -> None:
    names = [name for name in z if name.startswith("knn_gru4rec_l")]
    assert len(names) >= 2
    for name in names:
        shrinkage, alpha = (float(part) for part in name.removeprefix("knn_gru4rec_l").split("_a"))
        assert_close(similarities(z, similarity="gru4rec", shrinkage=shrinkage, alpha=alpha), z[name])


def test_lift_and_cosine_similarity(z: Arrays) -> None:
    assert_close(similarities(z, similarity="lift", shrinkage=0), z["knn_criteo"])
    assert_close(similarities(z, similarity="cosine", shrinkage=0), z["knn_cosine"])


def test_co_occurrence_counts(z: Arrays) -> None:
    """The numerators of two similarities, recovered by multiplying by the known denominators."""
    users = z["pop_session_supp"].astype(float)
    assert_close(similarities(z, similarity="lift", shrinkage=0) * np.outer(users, users), z["co_binary"])
    assert_close(similarities(z, similarity="gru4rec", shrinkage=0, alpha=1) * z["pop_supp"][:, None], z["co_event"])


@pytest.mark.parametrize("preset", ["gru4rec", "criteo", "cosine"])
def test_presets_equal_the_definitions_of_the_papers(z: Arrays, preset: str) -> None:
    name = {"gru4rec": "knn_gru4rec_l20_a0.5"}.get(preset, f"knn_{preset}")
    log = sessions(z)
    model = ItemKNN(ItemKNN.configure(preset=preset), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    assert_close(model.score(single_item_histories(log.num_items))[:, 1:], z[name])

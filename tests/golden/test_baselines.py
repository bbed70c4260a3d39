"""POP, S-POP and Item-KNN against counts made in plain Python loops. Golden ids count from 0, ours from 1."""

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
    """One user a session; -1 is padding."""
    rows = [[int(item) + 1 for item in row if item >= 0] for row in z["sessions"]]
    return synthetic.from_sequences(rows, num_items=len(z["pop_supp"]))


def each_item_alone(items: int) -> Batch:
    """Row i is somebody who has had item i + 1 and nothing else."""
    return Batch(torch.zeros(items, dtype=torch.long), torch.arange(1, items + 1)[:, None])


def similarity(z: Arrays, **settings: Any) -> np.ndarray:
    """(I, I) the scores of all items after each item."""
    log = sessions(z)
    config = ItemKNN.configure({"num_neighbours": None, "window": 1, **settings})
    model = ItemKNN(config, Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model.score(each_item_alone(log.num_items))[:, 1:].numpy()


def close(ours: Any, golden: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(ours), golden, rtol=0, atol=1e-10)


def test_popularity_is_support(z: Arrays) -> None:
    log = sessions(z)
    model = Pop(Pop.configure(), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    scores = model.score(each_item_alone(log.num_items))
    close(scores[:, 1:], np.tile(z["pop_supp"], (log.num_items, 1)))
    assert (scores[:, 0] == -torch.inf).all()


def test_popularity_in_the_session(z: Arrays) -> None:
    log = sessions(z)
    model = SPop(SPop.configure(), Sizes(log.num_users, log.num_items))
    model.fit(log)
    now = Batch(torch.tensor([0]), torch.from_numpy(z["spop_session"] + 1)[None])
    close(model.score(now)[0, 1:], z["spop_score"])
    nothing = Batch(torch.tensor([0]), torch.zeros(1, 3, dtype=torch.long))
    close(model.score(nothing)[0, 1:], z["pop_score"])


def test_gru4rec_similarity(z: Arrays) -> None:
    names = [name for name in z if name.startswith("knn_gru4rec_l")]
    assert len(names) >= 2
    for name in names:
        shrinkage, alpha = (float(part) for part in name.removeprefix("knn_gru4rec_l").split("_a"))
        close(similarity(z, similarity="gru4rec", shrinkage=shrinkage, alpha=alpha), z[name])


def test_lift_and_cosine(z: Arrays) -> None:
    close(similarity(z, similarity="lift", shrinkage=0), z["knn_criteo"])
    close(similarity(z, similarity="cosine", shrinkage=0), z["knn_cosine"])


def test_co_occurrence_counts(z: Arrays) -> None:
    """The counts above the line, taken back from similarities that divide by known counts."""
    users = z["pop_session_supp"].astype(float)
    close(similarity(z, similarity="lift", shrinkage=0) * np.outer(users, users), z["co_binary"])
    close(similarity(z, similarity="gru4rec", shrinkage=0, alpha=1) * z["pop_supp"][:, None], z["co_event"])


@pytest.mark.parametrize("preset", ["gru4rec", "criteo", "cosine"])
def test_presets_are_the_papers_definitions(z: Arrays, preset: str) -> None:
    name = {"gru4rec": "knn_gru4rec_l20_a0.5"}.get(preset, f"knn_{preset}")
    log = sessions(z)
    model = ItemKNN(ItemKNN.configure(preset=preset), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    close(model.score(each_item_alone(log.num_items))[:, 1:], z[name])

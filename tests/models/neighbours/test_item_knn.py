"""Item-KNN against counts and sums in plain loops."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.neighbours import item_knn
from segue.models.neighbours.item_knn import ItemKNN
from segue.nn.compiled.loops import neighbours, row_sums

ITEMS = 5
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=6), min_size=1, max_size=6)


def fitted(log: Log, **choices: Any) -> ItemKNN:
    model = ItemKNN(ItemKNN.configure(choices), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def similarity(histories: list[list[int]], one: int, two: int, config: Any) -> float:
    """Of item `two` after item `one`, by the definitions of the module's docstring."""
    if one == two:
        return 0.0
    both = sum(one in h and two in h for h in histories)
    if config.similarity == "gru4rec":
        events = Counter(item for h in histories for item in h)
        both = sum(h.count(one) for h in histories if two in h)
        below = (events[one] + config.shrinkage) ** config.alpha * (events[two] + config.shrinkage) ** (
            1 - config.alpha
        )
    else:
        counts = [sum(item in h for h in histories) for item in (one, two)]
        product = counts[0] * counts[1]
        below = (math.sqrt(product) if config.similarity == "cosine" else product) + config.shrinkage
    return both / below if both else 0.0


@settings(max_examples=60)
@given(
    histories=HISTORIES,
    history=st.lists(st.integers(0, ITEMS), min_size=1, max_size=5),
    kind=st.sampled_from(["cosine", "gru4rec", "lift"]),
    window=st.sampled_from([None, 1, 3]),
)
def test_scores_equal_a_plain_implementation(
    histories: list[list[int]], history: list[int], kind: str, window: int | None
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    model = fitted(
        log, similarity=kind, shrinkage=2.0, alpha=0.3, num_neighbours=None, window=window, position_decay=0.5
    )
    scores = model.score(Batch(torch.tensor([0]), torch.tensor([history])))[0, 1:]
    newest = history[::-1][:window]
    for item in range(1, ITEMS + 1):
        pairs = ((age, past) for age, past in enumerate(newest) if past)
        expected = sum(0.5**age * similarity(histories, past, item, model.config) for age, past in pairs)
        assert scores[item - 1].item() == pytest.approx(expected, abs=1e-12)


def test_only_the_most_similar_items_are_stored() -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    item = Batch(torch.tensor([0]), torch.tensor([[3]]))
    full = fitted(log, num_neighbours=None, window=1).score(item)[0, 1:]
    some = fitted(log, num_neighbours=2, window=1).score(item)[0, 1:]
    best = full.topk(2).indices
    assert torch.equal(some[best], full[best])
    assert some.count_nonzero() == 2


def test_fitting_again_replaces_everything() -> None:
    model = fitted(synthetic.markov(30, 8, 6, seed=1))
    other = synthetic.markov(30, 8, 6, seed=2)
    model.fit(other)
    for key, value in fitted(other).state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


@pytest.mark.parametrize("max_pairs", [1, 5, 40, 200])
@pytest.mark.parametrize("similarity", ["cosine", "gru4rec", "lift"])
def test_the_size_of_blocks_changes_no_bit(monkeypatch: pytest.MonkeyPatch, max_pairs: int, similarity: str) -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    whole = fitted(log, similarity=similarity).state_dict()
    monkeypatch.setattr(item_knn, "MAX_PAIRS", max_pairs)
    for form in (neighbours.always, neighbours.never):
        with form():
            found = fitted(log, similarity=similarity).state_dict()
        for key, value in found.items():
            assert torch.equal(value, whole[key])


@settings(max_examples=60)
@given(
    histories=st.lists(st.lists(st.integers(1, 12), max_size=9), min_size=1, max_size=12),
    kind=st.sampled_from(["cosine", "gru4rec", "lift"]),
    num_neighbours=st.sampled_from([None, 1, 3, 6]),
    shrinkage=st.sampled_from([0.0, 0.7, 5.0]),
)
def test_the_compiled_loop_finds_the_same_neighbours_to_the_bit(
    histories: list[list[int]], kind: str, num_neighbours: int | None, shrinkage: float
) -> None:
    """Small counts make many equal similarities; the lower items come first."""
    pytest.importorskip("numba")
    log = synthetic.from_sequences(histories, num_items=12)
    choices = {"similarity": kind, "num_neighbours": num_neighbours, "shrinkage": shrinkage, "alpha": 0.3}
    states = []
    for form in (neighbours.always, neighbours.never):
        with form():
            states.append(fitted(log, **choices).state_dict())
    assert neighbours.function is not None
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key])


def test_of_equal_items_the_lower_ones_are_stored() -> None:
    """Ten items occur with item 11 once each."""
    log = synthetic.from_sequences([[item, 11] for item in range(10, 0, -1)], num_items=11)
    for form in (neighbours.always, neighbours.never):
        with form():
            assert fitted(log, num_neighbours=4).neighbour[11].tolist() == [1, 2, 3, 4]


def test_an_item_without_events_has_no_neighbours() -> None:
    log = synthetic.from_sequences([[1, 2], [2, 1]], num_items=4)
    scores = fitted(log).score(Batch(torch.tensor([0]), torch.tensor([[4]])))
    assert scores.tolist() == [[-math.inf, 0, 0, 0, 0]]


@pytest.mark.parametrize("similarity", ["cosine", "gru4rec"])
def test_the_compiled_loop_scores_to_the_bit(similarity: str) -> None:
    pytest.importorskip("numba")
    log = synthetic.markov(30, 40, 9, seed=1)
    model = ItemKNN(ItemKNN.configure({"similarity": similarity, "window": None}), Sizes(log.num_users, log.num_items))
    model.fit(log)
    batch = Batch(torch.arange(6), torch.randint(0, 41, (6, 12), generator=torch.Generator().manual_seed(0)))
    with row_sums.never():
        plain = model.score(batch)
    assert row_sums.function is not None
    with row_sums.always():
        assert torch.equal(model.score(batch), plain)

"""SR-GNN against its equations, node by node."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sequences import affine, padded_items, sigmoid, with_large_weights
from torch import Tensor

from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.sequential.srgnn import SRGNN, first_places, session_edges
from segue.training.loop import fit

SIZES = Sizes(num_users=5, num_items=5)  # few items, so that sessions repeat them
DIM = 4


def build(seed: int = 0, **chosen: Any) -> SRGNN:
    """A small model with large weights."""
    model: SRGNN = with_large_weights(SRGNN, SIZES, seed=seed, **{"dropout": 0.0, **chosen})
    return model


def random_batch(seed: int, rows: int = 5, length: int = 6) -> SequenceBatch:
    """Left-padded sessions with one target each."""
    rng = np.random.default_rng(seed)
    history = padded_items(rng, rows, length, SIZES.num_items)
    target = rng.integers(1, SIZES.num_items + 1, (rows, 1))
    parts = (rng.integers(1, SIZES.num_users + 1, rows), history, target)
    user, history, target = (torch.from_numpy(part) for part in parts)
    return SequenceBatch(user, history, target, target > 0)


def mean_of(neighbours: set[int], states: dict[int, Tensor], layer: torch.nn.Linear) -> Tensor:
    """The mean of what a node reads from its neighbours; zeros without any."""
    read = [affine(layer, states[item]) for item in neighbours]
    return sum(read) / len(read) if read else torch.zeros(DIM, dtype=torch.float64)


def gated(model: SRGNN, a: Tensor, v: Tensor) -> Tensor:
    """(2) to (5)."""
    unit = model.unit
    r_a, z_a, o_a = (unit.weight_ih @ a + unit.bias_ih).chunk(3)
    r_v, z_v, o_v = (unit.weight_hh @ v + unit.bias_hh).chunk(3)
    candidate = torch.tanh(o_a + sigmoid(r_a + r_v) * o_v)
    z = 1 - sigmoid(z_a + z_v)
    return (1 - z) * v + z * candidate


def reference_query(model: SRGNN, session: list[int]) -> Tensor:
    """s_h of a session, from sets of neighbours."""
    pairs = set(itertools.pairwise(session))
    states = {item: model.item_embedding[item] for item in session}
    for _ in range(model.config.num_steps):
        after = {}
        for item, state in states.items():
            entering = mean_of({first for first, second in pairs if second == item}, states, model.edges_in)
            leaving = mean_of({second for first, second in pairs if first == item}, states, model.edges_out)
            after[item] = gated(model, torch.cat([entering, leaving]) + model.edge_bias, state)
        states = after
    last, summary = states[session[-1]], torch.zeros(DIM, dtype=torch.float64)
    for item in session:
        hidden = sigmoid(affine(model.attention_last, last) + affine(model.attention_item, states[item]))
        summary = summary + (model.attention_vector @ hidden) * states[item]
    return affine(model.output, torch.cat([last, summary]))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_queries_equal_the_equations(seed: int, steps: int) -> None:
    model, batch = build(seed, num_steps=steps), random_batch(seed)
    queries, newest = model.queries(batch), model.query(Batch(batch.user, batch.history))
    for row, history in enumerate(batch.history):
        expected = reference_query(model, history[history > 0].tolist())
        torch.testing.assert_close(queries[row, 0], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(newest[row], expected, rtol=0, atol=1e-10)


def test_graph_of_a_session() -> None:
    """The session 1 2 3 2 4 of RecBole's page: edges 1-2, 2-3, 3-2 and 2-4, among the first places of the items."""
    history = torch.tensor([[0, 1, 2, 3, 2, 4]])
    node = first_places(history)
    assert node.tolist() == [[0, 1, 2, 3, 2, 5]]
    edges = session_edges(node, history > 0)
    assert edges[0].nonzero().tolist() == [[1, 2], [2, 3], [2, 5], [3, 2]]


def test_an_edge_counts_once() -> None:
    """1 2 1 2 1 3 has the edges of 1 2 1 3; the sessions differ in the attention alone, which counts each place."""
    model = build(1)
    with torch.no_grad():
        model.attention_vector.zero_()
    history = torch.tensor([[1, 2, 1, 2, 1, 3], [0, 0, 1, 2, 1, 3]])
    query = model.query(Batch(torch.zeros(2, dtype=torch.long), history))
    torch.testing.assert_close(query[0], query[1], rtol=0, atol=1e-12)


def test_loss_is_cross_entropy() -> None:
    model, batch = build(2), random_batch(2)
    expected = 0.0
    for row, history in enumerate(batch.history):
        query = reference_query(model, history[history > 0].tolist())
        scores = (model.item_embedding[1:] @ query).tolist()
        expected += math.log(sum(map(math.exp, scores))) - scores[int(batch.target[row, 0]) - 1]
    assert model(batch).item() == pytest.approx(expected, rel=1e-10)


def test_every_prefix_is_trained_on() -> None:
    log = synthetic.from_sequences([[1, 2, 1, 4], [5, 3], [2]], num_items=5)
    model = build(window=3, batch_size=2)
    pairs = []
    for batch in model.batches(log, np.random.default_rng(0)):
        pairs += zip(map(tuple, batch.history.tolist()), batch.target[:, 0].tolist(), strict=True)
    assert sorted(pairs) == [((0, 0, 1), 2), ((0, 0, 5), 3), ((0, 1, 2), 1), ((1, 2, 1), 4)]


def test_dropout_is_the_same_wherever_an_item_stands() -> None:
    """In training a node has one vector: two places of an item cannot differ."""
    model = build(3, dropout=0.5).train()
    history = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]])
    with torch.no_grad():
        model.attention_vector.zero_()
    queries = [model.queries(Batch(torch.zeros(2, dtype=torch.long), history)) for _ in range(2)]
    assert not torch.equal(*queries)
    model.eval()
    assert torch.equal(*(model.queries(Batch(torch.zeros(2, dtype=torch.long), history)) for _ in range(2)))


def test_history_of_padding_alone_is_finite() -> None:
    model = build()
    history = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 3]])
    target = torch.tensor([[1], [4]])
    batch = SequenceBatch(torch.tensor([1, 2]), history, target, target > 0)
    model(batch).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("loss", ["ce", "bpr", "sampled-ce"])
def test_training_reduces_the_loss(loss: str) -> None:
    log = synthetic.markov(30, 9, 12, seed=1, shortest=3)
    chosen = {"embedding_dim": 8, "window": 6, "epochs": 6, "lr": 0.01, "batch_size": 32, "num_negatives": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SRGNN(SRGNN.configure({**chosen, "loss": loss}), Sizes.of(log))
    losses = [epoch.loss for epoch in fit(model, log).epochs]
    assert losses[-1] < losses[0] - 0.01


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_steps": 0}, "num_steps=0: must be between 1 and 100"),
        ({"window": 0}, "window=0: must be at least 1"),
        ({"dropout": 1.5}, r"dropout=1\.5: must be"),
    ],
)
def test_invalid_settings_are_rejected(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SRGNN.configure(chosen)

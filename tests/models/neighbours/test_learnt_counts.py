"""Learnt counts against sums over all pairs, and against counts of a log without the user."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.batches.left_out_rows import LeftOutRows
from segue.data import synthetic
from segue.data.event_types import target_weights
from segue.data.log import Log
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.neighbours.learnt_counts import RELATIONS, LearntCounts
from segue.nn.sparse import SparseMatrix

ITEMS, WINDOW = 5, 3
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=6), min_size=2, max_size=5)


def counted(log: Log, seed: int = 0) -> LearntCounts:
    """A model in float64 that has counted a log, with weights that are drawn at random."""
    config = LearntCounts.configure({"window": WINDOW, "max_examples": 1})
    model = LearntCounts(config, Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.rand(weight.shape, generator=generator, dtype=torch.float64))
    return model.requires_grad_(False)


def expected_score(model: LearntCounts, histories: list[list[int]], history: list[int], item: int) -> float:
    """The equations of the module's docstring."""
    events = [sum(h.count(i) for h in histories) for i in range(ITEMS + 1)]
    shrinkage = model.config.shrinkage
    total = 0.0
    for r, relation in enumerate(RELATIONS):
        for age, newest in enumerate(reversed(history[-WINDOW:])):
            pairs = 0.0
            for h in histories:
                for p, q in itertools.permutations(range(len(h)), 2):
                    if (h[p], h[q]) == (newest, item) and abs(q - p) <= relation.pairs.max_distance:
                        forward = 1 if q > p else relation.pairs.backward_weight
                        pairs += forward * abs(q - p) ** -relation.pairs.distance_decay
            alpha, beta = float(model.alpha[r]), float(model.beta[r])
            weight = math.exp(float(model.relation_weight[r] + model.age_weight[r, age]))
            total += weight * (events[newest] + shrinkage) ** -alpha * (events[item] + shrinkage) ** -beta * pairs
    prior = math.exp(float(model.log_eps)) * max(events[item], 0.5) ** float(model.gamma)
    repeat = float(model.rho) if item in history[-WINDOW:] else 0.0
    return float(model.kappa) * math.log(total + prior) + repeat


@settings(max_examples=30)
@given(HISTORIES, st.lists(st.integers(1, ITEMS), min_size=1, max_size=5), st.integers(0, 99))
def test_scores_equal_the_equations(histories: list[list[int]], history: list[int], seed: int) -> None:
    model = counted(synthetic.from_sequences(histories, num_items=ITEMS), seed)
    scores = model.score(Batch(torch.tensor([0]), torch.tensor([history])))[0]
    assert scores[0] == -torch.inf
    expected = [expected_score(model, histories, history, item) for item in range(1, ITEMS + 1)]
    assert scores[1:].tolist() == pytest.approx(expected, abs=1e-10)


@settings(max_examples=30)
@given(HISTORIES, st.booleans(), st.integers(0, 99))
def test_rows_of_a_user_are_left_out_as_if_they_had_not_been_counted(
    histories: list[list[int]], some_are_targets: bool, seed: int
) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    if some_are_targets:
        log = replace(log, is_target=np.random.default_rng(seed).random(len(log.item)) < 0.6)
    model = counted(log, seed)
    examples = LeftOutRows(log, WINDOW, target_weights(log, {}))
    rows, users = examples.examples
    for row, user in zip(rows, users, strict=True):
        is_row = np.arange(len(log.item)) == row
        (example,) = replace(examples, weights=is_row * examples.weights).batches(1, 1, np.random.default_rng(0))
        example = replace(example, own_weight=own_weights(examples, log, int(user)))
        other = counted(replace(log, start=np.where(np.arange(len(log.start)) == user, log.stop, log.start)), seed)
        scores = model._scores(example.history, example)
        alone = other._scores(example.history)
        assert scores[0, 1:].tolist() == pytest.approx(alone[0, 1:].tolist(), abs=1e-9)
        assert example.target.tolist() == [log.item[row]]


def own_weights(examples: LeftOutRows, log: Log, user: int) -> torch.Tensor:
    return torch.from_numpy(examples.weights[log.start[user] : log.stop[user]])[None]


def test_examples_have_the_rows_of_their_user() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [4], [5, 5]], num_items=5)
    rows = LeftOutRows(log, 2, np.where(log.item == 3, 0.5, 1.0))
    found = set()
    for batch in rows.batches(3, 2, np.random.default_rng(0)):
        for k in range(len(batch.target)):
            own = [i for i in batch.own[k].tolist() if i]
            assert batch.own_weight[k].tolist() == [0.5 if i == 3 else float(i > 0) for i in batch.own[k].tolist()]
            found.add((tuple(own), tuple(batch.history[k].tolist()), int(batch.target[k]), float(batch.weight[k])))
    assert found == {((1, 2, 3), (0, 1), 2, 1.0), ((1, 2, 3), (1, 2), 3, 0.5), ((5, 5), (0, 5), 5, 1.0)}


def test_learning_makes_the_rows_more_likely() -> None:
    log = synthetic.markov(300, 30, 20, seed=3)
    first, last = (
        LearntCounts(LearntCounts.configure({"max_examples": count}), Sizes(log.num_users, log.num_items))
        for count in (1, 10_000)
    )
    losses = []
    for model in (first, last):
        model.fit(log)
        rows = LeftOutRows(log, model.window, np.ones(len(log.item)))
        (examples,) = rows.batches(500, 500, np.random.default_rng(1))
        losses.append(model.loss(examples).item())
    assert losses[1] < losses[0] - 0.1


def test_learning_keeps_no_pairs_of_the_events_of_a_long_user() -> None:
    events = 2_000
    log = synthetic.from_sequences([np.random.default_rng(0).integers(1, 31, events).tolist()], num_items=30)
    model = counted(log).float().requires_grad_(True)
    (examples,) = LeftOutRows(log, WINDOW, np.ones(events)).batches(8, 8, np.random.default_rng(0))
    kept = []

    def keep(part: torch.Tensor) -> torch.Tensor:
        kept.append(part.numel())
        return part

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        model.loss(examples)
    assert max(kept) <= examples.own.numel()


def test_it_learns_whether_items_come_again() -> None:
    rng = np.random.default_rng(0)
    never = [rng.permutation(20)[:8] + 1 for _ in range(200)]
    often = [np.concatenate([items[:4], items[:4]]) for items in never]
    learnt = {}
    for name, histories in {"never": never, "often": often}.items():
        log = synthetic.from_sequences([h.tolist() for h in histories], num_items=20)
        model = LearntCounts(LearntCounts.configure(), Sizes(log.num_users, log.num_items))
        model.fit(log)
        learnt[name] = model.rho.item()
    assert learnt["never"] < -1  # pairs of an item with itself do not say so: there are none
    assert learnt["often"] > -0.5


def test_the_gradient_of_row_sums() -> None:
    matrix = SparseMatrix((4, 5)).double()
    matrix.set_rows([(np.array([1, 1, 3]), np.array([0, 4, 2]), np.array([2.0, 3.0, 5.0]))])
    rows = torch.tensor([[1, 3, 0], [3, 3, 1]])
    weights = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(matrix.differentiable_row_sums(rows, weights), matrix.weighted_row_sums(rows, weights))
    torch.autograd.gradcheck(lambda w: matrix.differentiable_row_sums(rows, w), weights)


@settings(max_examples=30)
@given(HISTORIES, st.integers(0, 9))
def test_updates_one_by_one_are_a_count_of_the_longer_log(histories: list[list[int]], seed: int) -> None:
    """The first events are counted, and the others are added in any order that keeps the order of each user."""
    whole = synthetic.from_sequences(histories, num_items=ITEMS)
    rng = np.random.default_rng(seed)
    cuts = [int(rng.integers(0, len(history) + 1)) for history in histories]
    model = counted(synthetic.from_sequences([h[:c] for h, c in zip(histories, cuts, strict=True)], num_items=ITEMS))
    left = [user for user, (h, c) in enumerate(zip(histories, cuts, strict=True)) for _ in range(len(h) - c)]
    for user in rng.permutation(left):
        model.update([histories[user][: cuts[user]]], [histories[user][cuts[user]]])
        cuts[user] += 1
    expected = counted(whole)
    batch = Batch(torch.tensor([0]), torch.tensor([[1, 2, 3]]))
    torch.testing.assert_close(model.score(batch), expected.score(batch), atol=1e-11, rtol=0)
    for key, value in model.state_dict().items():  # which takes the added counts over
        stored = expected.state_dict()[key]
        if "counts" not in key:
            torch.testing.assert_close(value, stored, atol=1e-11, rtol=0)
    torch.testing.assert_close(model.score(batch), expected.score(batch), atol=1e-11, rtol=0)
    loaded = counted(whole)
    loaded.load_state_dict(model.state_dict())
    assert torch.equal(loaded.score(batch), model.score(batch))


@settings(max_examples=30)
@given(HISTORIES, st.lists(st.tuples(st.lists(st.integers(1, ITEMS), max_size=4), st.integers(1, ITEMS)), max_size=5))
def test_what_is_taken_out_leaves_nothing(histories: list[list[int]], added: list[tuple[list[int], int]]) -> None:
    model = counted(synthetic.from_sequences(histories, num_items=ITEMS))
    batch = Batch(torch.tensor([0]), torch.tensor([[1, 2, 3]]))
    before = model.score(batch)
    for history, item in added:
        model.update([history], [item])
    assert not added or not torch.equal(model.score(batch), before)
    for history, item in added:
        model.update([history], [item], count=-1)
    torch.testing.assert_close(model.score(batch), before, atol=1e-11, rtol=0)


def test_a_model_with_targets_of_some_types_is_not_updated() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [2, 3]], num_items=ITEMS)
    model = counted(replace(log, is_target=np.arange(len(log.item)) % 2 == 0))
    with pytest.raises(ConfigError, match="events of different types count differently in this model"):
        model.update([[1]], [2])

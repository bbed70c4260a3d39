"""Training batches of a log in which only some events are targets: all are read, and these alone are learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue import testing
from segue.batches.batch import SequenceBatch
from segue.batches.sequences import CausalSequences, SlidingWindows, user_item_pairs
from segue.batches.session_parallel import SessionParallel
from segue.data import synthetic
from segue.data.log import Log
from segue.models.registry import MODELS
from segue.training.loop import fit

ITEMS = 8
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), min_size=2, max_size=9), min_size=1, max_size=6)
SEEDS = st.integers(0, 10**6)
Batches = Callable[[Log, np.random.Generator], Iterator[SequenceBatch]]
KINDS: dict[str, Batches] = {
    "causal": lambda log, rng: CausalSequences(window=4, types=True).batches(log, 3, rng),
    "windows": lambda log, rng: SlidingWindows(window=3, positions="every", types=True).batches(log, 3, rng),
    "sessions": lambda log, rng: SessionParallel().batches(log, 3, rng),
    "pairs": lambda log, rng: user_item_pairs(log, 3, rng),
}


def typed(histories: list[list[int]], seed: int) -> Log:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    rng = np.random.default_rng(seed)
    types = rng.integers(1, 3, len(log.item)).astype(np.int8)
    return replace(log, event_type=types, event_types=("view", "buy"), is_target=types == 2)


def learnt(batches: Iterator[SequenceBatch]) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for batch in batches:
        for row, query, place in batch.targets.nonzero().tolist():
            found[int(batch.user[row]), int(batch.targets[row, query, place])] += 1
    return found


@pytest.mark.parametrize("kind", KINDS)
@given(HISTORIES, SEEDS)
def test_targets_alone_are_learnt(kind: str, histories: list[list[int]], seed: int) -> None:
    log = typed(histories, seed)
    assert log.is_target is not None
    rows = log.rows()
    first = np.isin(rows, log.start[1:]) if kind != "pairs" else np.zeros(len(rows), np.bool_)
    user, item = log.events()
    wanted = log.is_target[rows] & ~first
    found = learnt(KINDS[kind](log, np.random.default_rng(seed)))
    assert found == Counter(zip(user[wanted].tolist(), item[wanted].tolist(), strict=True))


@pytest.mark.parametrize("kind", ["causal", "windows"])
@given(HISTORIES, SEEDS)
def test_types_stand_beside_their_items(kind: str, histories: list[list[int]], seed: int) -> None:
    """Items 1 to 4 are always views here, and 5 to 8 purchases."""
    log = typed(histories, seed)
    log = replace(log, event_type=np.where(log.item > ITEMS // 2, 2, 1).astype(np.int8), is_target=None)
    for batch in KINDS[kind](log, np.random.default_rng(seed)):
        assert batch.types is not None
        expected: Any = (batch.history > 0).long() + (batch.history > ITEMS // 2)
        assert batch.types.tolist() == expected.tolist()


def test_a_batch_without_any_target_teaches_nothing() -> None:
    log = typed([[1, 2, 3], [4, 5]], 0)
    log = replace(log, is_target=np.isin(log.item, [3]))  # the second user has none
    model = testing.subject(MODELS["sasrec"], batch_size=1, epochs=2).build(log)
    losses = [epoch.loss for epoch in fit(model, log, seed=0).epochs]
    assert np.isfinite(losses).all()
    assert all(weight.isfinite().all() for weight in model.parameters())

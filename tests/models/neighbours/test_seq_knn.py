"""Sequential item-KNN against pairs counted in plain loops."""

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
from segue.errors import ConfigError
from segue.models.base import pair_counts as pair_counting
from segue.models.base.model import Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.nn.compiled.loops import pair_counts

ITEMS = 5
HISTORIES = st.lists(st.lists(st.integers(1, ITEMS), max_size=6), min_size=1, max_size=6)
SETTINGS = st.fixed_dictionaries(
    {
        "max_distance": st.sampled_from([1, 2, 9]),
        "distance_decay": st.sampled_from([0.0, 0.7, 2000.0]),  # the last makes weights of 0
        "backward_weight": st.sampled_from([0.0, 0.4]),
        "length_discount": st.sampled_from([0.0, 0.5]),
        "alpha": st.sampled_from([0.0, 0.6]),
        "beta": st.sampled_from([0.0, 0.3]),
        "shrinkage": st.sampled_from([0.0, 2.0]),
        "window": st.sampled_from([None, 1, 3]),
        "position_decay": st.sampled_from([0.5, 1.0]),
        "min_position_weight": st.sampled_from([0.0, 0.2]),
    }
)


def fitted(log: Log, preset: str | None = None, **choices: Any) -> SeqKNN:
    model = SeqKNN(SeqKNN.configure(choices, preset), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def score(model: SeqKNN, *history: int) -> torch.Tensor:
    return model.score(Batch(torch.tensor([0]), torch.tensor([history])))[0, 1:]


def similarity(histories: list[list[int]], one: int, two: int, config: Any) -> float:
    """Of item `two` after item `one`, by the definitions of the module's docstring."""

    def count(first: int, then: int) -> float:
        pairs = ((h, p, q) for h in histories for p in range(len(h)) for q in range(p + 1, len(h)))
        return sum(
            len(h) ** -config.length_discount * (q - p) ** -config.distance_decay
            for h, p, q in pairs
            if (h[p], h[q]) == (first, then) and q - p <= config.max_distance
        )

    events = Counter(item for h in histories for item in h)
    both = count(one, two) + config.backward_weight * count(two, one)
    below = (events[one] + config.shrinkage) ** config.alpha * (events[two] + config.shrinkage) ** config.beta
    return both / below if both else 0.0


@settings(max_examples=100)
@given(histories=HISTORIES, history=st.lists(st.integers(0, ITEMS), min_size=1, max_size=5), choices=SETTINGS)
def test_scores_equal_a_plain_implementation(
    histories: list[list[int]], history: list[int], choices: dict[str, Any]
) -> None:
    model = fitted(synthetic.from_sequences(histories, num_items=ITEMS), **choices)
    scores, config = score(model, *history), model.config
    newest = history[::-1][: config.window]
    for item in range(1, ITEMS + 1):
        expected = sum(
            (config.min_position_weight + (1 - config.min_position_weight) * config.position_decay**age)
            * similarity(histories, past, item, config)
            for age, past in enumerate(newest)
            if past
        )
        assert scores[item - 1].item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60)
@given(
    histories=HISTORIES,
    choices=SETTINGS,
    max_pairs=st.sampled_from([1, 5, 1000]),
    apart=st.sampled_from([1, 60, 2000]),  # so that the loop looks at few, or at most, of its blocks
)
def test_the_compiled_loop_counts_pairs_to_the_bit(
    histories: list[list[int]], choices: dict[str, Any], max_pairs: int, apart: int
) -> None:
    pytest.importorskip("numba")
    log = synthetic.from_sequences([[item * apart for item in one] for one in histories], num_items=5 * apart)
    states = []
    for form in (pair_counts.always, pair_counts.never):
        with form(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(pair_counting, "MAX_PAIRS", max_pairs)
            states.append(fitted(log, **choices).state_dict())
    assert pair_counts.function is not None
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())


def test_blocks_of_a_large_catalogue_equal_one_block() -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    small = fitted(log)
    large = fitted(synthetic.from_sequences([log.history(u).tolist() for u in range(1, 31)], num_items=3000))
    torch.testing.assert_close(score(large, 3, 5)[:8], score(small, 3, 5))
    assert not score(large, 3, 5)[8:].any()


def test_only_the_most_similar_items_are_stored() -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    full, some = score(fitted(log, num_neighbours=None), 3), score(fitted(log, num_neighbours=2), 3)
    best = full.topk(2).indices
    assert torch.equal(some[best], full[best])
    assert some.count_nonzero() == 2


def test_rules_follow_the_order() -> None:
    """1 2 is seen twice, 3 1 once: after 1 comes 2, then, at 3/10 of the weight, 3."""
    model = fitted(synthetic.from_sequences([[1, 2], [1, 2], [3, 1]], num_items=4), "rules", alpha=1.0, beta=0.0)
    assert score(model, 1).tolist() == pytest.approx([0, 2 / 3, 0.3 / 3, 0])


@pytest.mark.parametrize("max_pairs", [1, 5, 40, 200])
@pytest.mark.parametrize("choices", [{}, {"length_discount": 0.7, "num_neighbours": 3}, {"backward_weight": 0.0}])
def test_the_size_of_blocks_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch, max_pairs: int, choices: dict[str, Any]
) -> None:
    log = synthetic.markov(30, 8, 6, seed=1)
    whole = fitted(log, **choices).state_dict()
    monkeypatch.setattr(pair_counting, "MAX_PAIRS", max_pairs)
    for key, value in fitted(log, **choices).state_dict().items():
        assert torch.equal(value, whole[key])


def test_fitting_again_replaces_everything() -> None:
    model = fitted(synthetic.markov(30, 8, 6, seed=1))
    other = synthetic.markov(30, 8, 6, seed=2)
    model.fit(other)
    for key, value in fitted(other).state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


def test_an_item_without_events_has_no_neighbours() -> None:
    model = fitted(synthetic.from_sequences([[1, 2], [2, 1]], num_items=4))
    assert model.score(Batch(torch.tensor([0]), torch.tensor([[4]]))).tolist() == [[-math.inf, 0, 0, 0, 0]]


def test_a_distance_beyond_every_history_is_the_longest_one() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [2, 1]], num_items=3)
    one, two = (score(fitted(log, max_distance=limit), 1, 2) for limit in (2, 2**63 - 1))
    assert one.any()
    assert torch.equal(one, two)


def test_no_pairs_without_users_with_two_events() -> None:
    assert not score(fitted(synthetic.from_sequences([[1], [2]], num_items=3)), 1, 2).any()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"max_distance": 0}, "max_distance=0: must be at least 1"),
        ({"backward_weight": -0.1}, "backward_weight=-0.1: must be at least 0"),
        ({"num_neighbours": 0}, "num_neighbours=0: must be at least 1"),
        ({"window": 0}, "window=0: must be at least 1"),
        ({"position_decay": 0.0}, "position_decay=0.0: must be above 0 and at most 1"),
        ({"min_position_weight": 1.5}, "min_position_weight=1.5: must be between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SeqKNN.configure(choices)

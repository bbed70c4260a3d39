"""SLIST against the constrained least squares that it solves, written out row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.log import Floats, Log
from segue.errors import ConfigError
from segue.models.base.linear import LinearModel
from segue.models.base.model import Sizes
from segue.models.linear.ease import EASE
from segue.models.linear.slist import SLIST

ITEMS = 5
SESSIONS = st.lists(st.lists(st.integers(1, ITEMS), min_size=1, max_size=6), min_size=1, max_size=6)
CHOICES = st.fixed_dictionaries(
    {
        "l2": st.sampled_from([0.5, 4.0]),
        "alpha": st.sampled_from([0.0, 0.3, 1.0]),
        "max_diagonal": st.sampled_from([None, 0.0, 0.2]),
        "transition_from": st.sampled_from(["all", "last"]),
        "transition_decay": st.sampled_from([0.5, 1.0]),
        "session_days": st.sampled_from([None, 7.0]),
        "normalize": st.booleans(),
    }
)


def fitted(log: Log, kind: type[LinearModel] = SLIST, **choices: Any) -> LinearModel:
    model = kind(kind.configure(choices), Sizes(log.num_users, log.num_items)).double()
    model.fit(log)
    return model


def ending_on_days(sessions: list[list[int]], days: list[int]) -> Log:
    """A log of sessions that end on these days, with one event in a second."""
    ends = [synthetic.YEAR_2020 + day * synthetic.DAY for day in days]
    times = [list(range(end - len(session) + 1, end + 1)) for end, session in zip(ends, sessions, strict=True)]
    return synthetic.from_sequences(sessions, num_items=ITEMS, times=times)


def row(items: list[int], weights: list[float]) -> Floats:
    """The sum of the weights of each item."""
    total = np.zeros(ITEMS)
    np.add.at(total, np.array(items) - 1, weights)
    return total


def rows(sessions: list[list[int]], age: list[int], config: Any) -> list[tuple[Floats, Floats]]:
    """The input and the target of every whole and partial session, each times the root of its weight."""
    found = []
    for number, session in enumerate(sessions):
        weight = 1.0 if config.session_days is None else np.exp(-age[number] / config.session_days)
        whole = np.minimum(row(session, [1.0] * len(session)), 1)
        pairs = [(config.alpha, whole, whole)]
        for length in range(1, len(session)):
            past, future = session[length - 1 :: -1], session[length:]  # both beginning at the transition
            past = past[:1] if config.transition_from == "last" else past
            source, target = (
                row(part, [config.transition_decay**r for r in range(len(part))]) for part in (past, future)
            )
            pairs.append((1 - config.alpha, source, target))
        for share, source, target in pairs:
            scale = source.sum() if config.normalize else 1.0
            found.append((np.sqrt(share * weight) * source / scale, np.sqrt(share * weight) * target))
    return found


def least_squares(inputs: Floats, target: Floats, l2: float) -> Floats:
    penalty = np.sqrt(l2) * np.eye(inputs.shape[1])
    full = np.concatenate([inputs, penalty]), np.concatenate([target, np.zeros(len(penalty))])
    return np.asarray(np.linalg.lstsq(*full, rcond=None)[0])


@settings(max_examples=80)
@given(sessions=SESSIONS, choices=CHOICES, seed=st.integers(0, 9))
def test_each_column_solves_its_constrained_regression(
    sessions: list[list[int]], choices: dict[str, Any], seed: int
) -> None:
    """Where the bound on the diagonal is exceeded, the entry is fixed there and the others are regressed anew."""
    days = np.random.default_rng(seed).integers(0, 30, len(sessions)).tolist()
    model = fitted(ending_on_days(sessions, days), **choices)
    inputs, targets = map(np.array, zip(*rows(sessions, [max(days) - day for day in days], model.config), strict=True))
    for item in range(ITEMS):
        bound = model.config.max_diagonal
        expected = least_squares(inputs, targets[:, item], model.config.l2)
        if bound is not None and expected[item] > bound:
            others = np.delete(np.arange(ITEMS), item)
            rest = targets[:, item] - bound * inputs[:, item]
            expected[item], expected[others] = bound, least_squares(inputs[:, others], rest, model.config.l2)
        assert model.weight[1:, item + 1].numpy() == pytest.approx(expected, abs=1e-10)


def test_whole_sessions_without_a_diagonal_are_ease() -> None:
    log = synthetic.markov(60, 12, 8, seed=3)
    slis = fitted(log, alpha=1.0, max_diagonal=0.0, normalize=False, l2=20.0)
    ease = fitted(log, EASE, l2=20.0)
    assert slis.weight.numpy() == pytest.approx(ease.weight.numpy(), abs=1e-12)


def test_only_the_newest_events_make_transitions() -> None:
    long = [[1, 2, 3, 4, 5], [5, 5, 1, 2], [3]]
    newest = [session[-3:] for session in long]
    cut, short = (fitted(synthetic.from_sequences(s, num_items=ITEMS), alpha=0.0, max_events=3) for s in (long, newest))
    assert cut.weight.equal(short.weight)
    assert not cut.weight.equal(fitted(synthetic.from_sequences(long, num_items=ITEMS), alpha=0.0).weight)


def test_the_age_of_sessions_is_unknown_in_a_log_without_times() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [3, 1]], num_items=ITEMS)
    assert fitted(log, session_days=1.0).weight.equal(fitted(log).weight)


def test_a_penalty_that_is_lost_to_rounding_is_refused() -> None:
    log = synthetic.from_sequences([[1, 2], [1, 2], [3, 3]], num_items=ITEMS)
    with pytest.raises(
        ConfigError, match="l2=1e-20: must be at least about 5e-12 on this log, or rounding decides the weights"
    ):
        fitted(log, alpha=1.0, normalize=False, l2=1e-20)

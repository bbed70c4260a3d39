"""A kept state gives the query of the whole history, whatever came in between."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.models.registry import MODELS
from segue.service.live_states import LiveStates
from segue.testing.subject import subject

KEEPING = sorted(name for name, kind in MODELS.items() if kind.keeps_state)
CHANGE = st.tuples(st.sampled_from(["new", "late", "erase"]), st.sampled_from(["u1", "u2"]), st.integers(1, 9))


def test_all_models_with_a_step_keep_states():
    assert sorted(name for name, kind in MODELS.items() if hasattr(kind, "step")) == KEEPING
    assert len(KEEPING) >= 4


@pytest.mark.parametrize("name", KEEPING)
@settings(max_examples=15)
@given(changes=st.lists(CHANGE, max_size=14))
def test_queries_are_those_of_the_whole_history(name, changes):
    model = subject(MODELS[name]).build().eval()
    states = LiveStates(model, max_users=1 + len(changes) % 2)
    histories: dict[str, list[int]] = {"u1": [], "u2": []}
    for kind, user, item in changes:
        history = histories[user]
        if kind == "erase":
            history.clear()
        else:
            history.insert(len(history) if kind == "new" else 0, item)
        items = np.array(history, np.int64)
        if not states.can_read(items):
            assert not history or len(history) > model.window
            continue
        with torch.inference_mode():
            whole = model.query(Batch(torch.zeros(1, dtype=torch.long), torch.from_numpy(items)[None]))
        torch.testing.assert_close(states.query_vectors([user], [items]), whole, rtol=1e-4, atol=1e-5)


def test_an_event_costs_one_step(monkeypatch):
    model = subject(MODELS["gru"]).build().eval()
    states, steps = LiveStates(model), []
    advance = type(model).advance
    monkeypatch.setattr(
        type(model), "advance", lambda self, state, item: steps.append(item) or advance(self, state, item)
    )
    for length in range(1, 6):
        states.query_vectors(["u"], [np.arange(1, length + 1)])
        states.query_vectors(["u"], [np.arange(1, length + 1)])
        assert len(steps) == length

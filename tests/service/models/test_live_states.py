"""A kept state gives the query of the whole history, whatever came in between."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.event_store.event_log import PastEvent
from segue.models.registry import MODELS
from segue.service.models.live_states import LiveStates
from segue.service.users.history import History
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
    histories = {user: History(user=user) for user in ("u1", "u2")}
    for place, (kind, user, item) in enumerate(changes, 1):
        time = place if kind == "new" else -place
        events = [] if kind == "erase" else [PastEvent(time, place, str(item))]
        before = History(user=user) if kind == "erase" else histories[user]
        history = histories[user] = before.after(events, place)
        items = np.array([int(item) for item in history.items], np.int64)
        if not states.can_read(items):
            assert not history or len(history) > model.window
            continue
        with torch.inference_mode():
            whole = model.query(Batch(torch.zeros(1, dtype=torch.long), torch.from_numpy(items)[None]))
        torch.testing.assert_close(states.query_vectors([(history, items)]), whole, rtol=1e-4, atol=1e-5)


def test_an_event_costs_one_step(monkeypatch):
    model = subject(MODELS["gru"]).build().eval()
    states, steps = LiveStates(model), []
    advance = type(model).advance
    monkeypatch.setattr(
        type(model), "advance", lambda self, state, item: steps.append(int(item)) or advance(self, state, item)
    )
    history, window = History(user="u"), 3
    for number in range(1, 6):  # the first events are dropped in the end, and 4 is an item that the model does not know
        history = history.after([PastEvent(number, number, str(number))], number, window)
        ids = np.array([int(item) if item != "4" else 0 for item in history.items])
        states.query_vectors([(history, ids)])
        states.query_vectors([(history, ids)])
    assert steps == [1, 2, 3, 5]

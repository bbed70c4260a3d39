"""Named documents: each change is seen by those who follow them, whatever the clocks say."""

from __future__ import annotations

from types import SimpleNamespace

from segue.event_store import documents


def test_each_change_gives_another_state_even_if_the_clock_goes_back(store, monkeypatch):
    clock = iter([1000.0, 900.0, 900.0, 2000.0])
    monkeypatch.setattr(documents, "time", SimpleNamespace(time=lambda: next(clock)))
    states = [store.rules.state()]
    for change in (
        lambda: store.rules.put("a", {"n": 1}),
        lambda: store.rules.put("b", {"n": 1}),
        lambda: store.rules.put("b", {"n": 2}),
        lambda: store.rules.delete("a"),
        lambda: store.rules.put_all({"a": {"n": 3}, "b": {"n": 3}}),
    ):
        change()
        states.append(store.rules.state())
    assert len(set(states)) == len(states)
    store.rules.put_all({})
    store.deployments.delete("a")
    assert store.rules.state() == states[-1]
    assert store.rules.all() == {"a": {"n": 3}, "b": {"n": 3}}

"""Named documents: each change is seen by those who follow them, and none is overwritten unseen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


def test_each_change_is_counted(store):
    counts = [store.rules.num_changes()]
    for change in (
        lambda: store.rules.put("a", {"n": 1}),
        lambda: store.rules.put("b", {"n": 1}),
        lambda: store.rules.put("b", {"n": 2}),
        lambda: store.rules.delete("b"),
        lambda: store.rules.put("c", {"n": 1}),
        lambda: store.rules.put_all({"a": {"n": 3}, "b": {"n": 3}}),
    ):
        change()
        counts.append(store.rules.num_changes())
    assert counts == list(range(7))
    store.rules.put_all({})
    store.deployments.delete("a")
    assert store.rules.num_changes() == counts[-1]
    assert store.rules.all() == {"a": {"n": 3}, "b": {"n": 3}, "c": {"n": 1}}


def test_what_was_changed_since_is_not_overwritten(store):
    documents = store.deployments
    before = documents.num_changes()
    assert documents.put("active", {"n": 1}, after=before)
    assert not documents.put("active", {"n": 2}, after=before)
    assert (documents.all(), documents.num_changes()) == ({"active": {"n": 1}}, before + 1)


def test_changes_at_the_same_time_all_count(store):
    def add_one(number: int) -> None:
        while True:
            after = store.rules.num_changes()
            n = store.rules.all().get("total", {"n": 0})["n"]
            if store.rules.put("total", {"n": n + 1}, after=after):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(40)))
    assert store.rules.all() == {"total": {"n": 40}}
    assert store.rules.num_changes() == 40

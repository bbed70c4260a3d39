"""What was recommended is remembered, and the rank of what came next is counted as the evaluation counts it."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.evaluation.score_interval import ratio_error, score_interval
from segue.event_store.event import Event
from segue.event_store.event_log import PastEvent
from segue.event_store.outcomes import Outcome, RecommendedList
from segue.event_store.store import open_store
from segue.service.deployment.model_list import Figure
from segue.service.monitoring.live_quality import LiveQuality, settle
from segue.service.monitoring.quality_figures import has_dropped


def shown(after: int, items: str = "def", *, user: str = "u", arm: str = "a", seen: bool = False) -> RecommendedList:
    now = int(time.time() * 1e6)
    return RecommendedList(user, "hgn", "f" * 16, arm, now, after, after, seen, tuple(items))


def past(items: str) -> list[PastEvent]:
    return [PastEvent(number, number, item) for number, item in enumerate(items, 1)]


def ranks(verdicts) -> list:
    return [one.rank if isinstance(one, Outcome) else ("waits" if one else None) for one in verdicts]


@pytest.mark.parametrize(
    ("history", "chain", "expected"),
    [
        ("abc", [shown(3)], ["waits"]),  # nobody followed it
        ("abce", [shown(3)], [2]),
        ("abcx", [shown(3)], [None]),  # followed by an item that is not in the list: a miss
        ("abce", [shown(3, "xyz"), shown(3), shown(3, "efg")], ["drop", "drop", 1]),  # the newest of several
        ("abce", [shown(3), shown(4)], [2, "waits"]),
        ("abcef", [shown(3), shown(4)], [2, 3]),
        ("abc", [shown(3), shown(3, "xyz")], ["drop", "waits"]),
        ("abca", [shown(3)], ["drop"]),  # an item that the list left out because the user had it
        ("abca", [shown(3, "fa", seen=True)], [2]),
        ("", [shown(3)], ["waits"]),
    ],
)
def test_what_is_counted(history, chain, expected):
    verdicts = settle(chain, past(history))
    found = ["drop" if one is None else rank for one, rank in zip(verdicts, ranks(verdicts), strict=True)]
    assert found == expected
    for one, verdict in zip(chain, verdicts, strict=True):
        assert (
            verdict is None
            or verdict is one
            or (verdict.size, verdict.time) == (3 - ("".join(one.items) == "fa"), one.time)
        )


def test_an_event_of_the_past_is_not_what_came_next():
    history = [PastEvent(1, 1, "a"), PastEvent(2, 9, "e"), PastEvent(3, 3, "c")]  # e happened before c and came late
    assert ranks(settle([shown(3)], history)) == ["waits"]


@pytest.fixture
def store(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'events.db'}")) as opened:
        yield opened


def add(store, *events: tuple[str, str, int]) -> set[str]:
    return set(store.events.append([Event(*event) for event in events]).changes)


def report(store, k: int = 3) -> list[tuple]:
    sums = store.outcomes.sums(k, 0, 2**62)
    return [(one.arm, one.lists, one.short, one.hits, one.reciprocal_ranks) for one in sums]


def last(store, user: str) -> RecommendedList:
    newest = store.events.history(user)[-1]
    now = int(time.time() * 1e6)
    return RecommendedList(user, "hgn", "f" * 16, "a", now, newest.time, newest.seq, False, ("d", "e", "f"))


def test_lists_and_events_may_come_to_different_services(store):
    """One service recommends, another gets the event, and whichever writes first: each list is counted once."""

    async def run() -> None:
        one, two = LiveQuality(store), LiveQuality(store)
        add(store, ("u", "a", 1), ("v", "a", 1), ("w", "a", 1))
        for user in "uvw":
            one.recommended(last(store, user))
        await one.flush()
        two.changed(add(store, ("u", "e", 2)))
        await two.flush()
        await two.flush()
        assert report(store) == [("a", 1, 0, 1, 0.5)]
        two.changed(add(store, ("v", "d", 2)))
        one.recommended(last(store, "v"))  # the next list is written before the event of the first one is looked at
        await one.flush()
        await two.flush()
        assert report(store) == [("a", 2, 0, 2, 1.5)]
        one.changed(add(store, ("w", "x", 2)))
        two.changed(["w"])
        await asyncio.gather(one.flush(), two.flush())
        assert report(store) == [("a", 3, 0, 2, 1.5)]
        assert report(store, k=1) == [("a", 3, 0, 1, 1.0)]
        assert report(store, k=4) == [("a", 0, 3, 0, 0.0)]
        assert len(store.outcomes.waiting(["u", "v", "w"])) == 1  # that of v, which nobody followed

    asyncio.run(run())


def test_an_event_that_another_service_looked_at_before_the_list_was_written_settles_it(store):
    """The user does nothing more, and the service of the list learns of the event from the store alone."""

    async def run() -> None:
        one, two = LiveQuality(store), LiveQuality(store)
        add(store, ("u", "a", 1), ("v", "d", 1), ("v", "a", 1), ("w", "a", 1))
        for user in "uvw":
            one.recommended(last(store, user))
        two.changed(add(store, ("u", "f", 2), ("v", "d", 2), ("w", "x", 0)))  # v had d before; the last one comes late
        await two.flush()
        await one.flush()
        assert report(store) == [("a", 1, 0, 1, pytest.approx(1 / 3))]
        assert [one.user for one in store.outcomes.waiting(["u", "v", "w"]).values()] == ["w"]

    asyncio.run(run())


def test_a_list_and_its_event_before_one_write(store):
    async def run() -> None:
        quality = LiveQuality(store)
        add(store, ("u", "a", 1))
        quality.recommended(last(store, "u"))
        quality.changed(add(store, ("u", "f", 2)))
        quality.recommended(last(store, "u"))
        await quality.flush()
        assert report(store) == [("a", 1, 0, 1, pytest.approx(1 / 3))]
        assert len(store.outcomes.waiting(["u"])) == 1

    asyncio.run(run())


@pytest.mark.parametrize("is_written", [False, True])
def test_a_list_that_was_shown_before_a_log_in_counts_for_what_came_after_it(store, is_written):
    async def run() -> None:
        quality = LiveQuality(store)
        add(store, ("u", "b", 1), ("s", "a", 2))
        quality.recommended(last(store, "s"), store.events.version("s"))
        if is_written:
            await quality.flush()
        store.sessions.join("s", "u")
        quality.changed(add(store, ("u", "e", 3)))
        await quality.flush()
        assert report(store) == [("a", 1, 0, 1, 0.5)]
        assert store.outcomes.waiting(["s", "u"]) == {}

    asyncio.run(run())


def test_an_event_before_a_write_that_failed_settles_the_list(store, monkeypatch):
    store.events.append([Event("u", item, time) for time, item in enumerate("abc", 1)])
    quality = LiveQuality(store)
    quality.recommended(shown(3))
    asyncio.run(quality.flush())
    store.events.append([Event("u", "e", 4)])
    quality.changed(["u"])
    with monkeypatch.context() as away:
        away.setattr(type(store.outcomes), "waiting", None)
        with pytest.raises(TypeError):
            asyncio.run(quality.flush())
    asyncio.run(quality.flush())
    assert store.outcomes.waiting(["u"]) == {}
    assert [(one.lists, one.hits) for one in store.outcomes.sums(3, 0, 2**62)] == [(1, 1)]


def test_an_erased_person_leaves_neither_lists_nor_outcomes(store):
    async def run() -> None:
        quality = LiveQuality(store)
        add(store, ("u", "a", 1))
        quality.recommended(last(store, "u"))
        quality.changed(add(store, ("u", "e", 2)))
        await quality.flush()
        waits = last(store, "u")
        quality.recommended(waits)
        await quality.flush()
        quality.recommended(waits)
        erased = store.erasures.erase("u")
        assert (erased.lists, erased.outcomes) == (1, 1)
        await quality.flush()  # what was still in the buffer
        assert report(store) == []
        assert store.outcomes.waiting(["u"]) == {}

    asyncio.run(run())


def test_an_outcome_that_was_found_before_an_erasure_is_not_stored_after_it(store):
    add(store, ("u", "a", 1), ("v", "a", 1))
    waits = [last(store, user) for user in "uv"]
    store.erasures.erase("u")
    outcomes = [Outcome(user, "m", "f", "a", 5, 1, 3) for user in "uv"]
    assert store.outcomes.exchange({}, waits, outcomes) == 1
    assert store.erasures.erase("u").outcomes == 0
    assert store.erasures.erase("v").outcomes == 1
    assert store.outcomes.waiting(["u"]) == {}


def test_lists_that_wait_too_long_are_deleted(store):
    add(store, ("u", "a", 1))
    store.outcomes.exchange({}, [last(store, "u")])
    assert store.outcomes.forget(lists_before=int(time.time() * 1e6) - 10**9, outcomes_before=0) == (0, 0)
    assert store.outcomes.forget(lists_before=int(time.time() * 1e6) + 10**9, outcomes_before=0) == (1, 0)
    assert report(store) == []


def test_outcomes_are_kept_as_long_as_was_said_and_events_for_ever(store):
    add(store, ("u", "a", 1))
    now = int(time.time() * 1e6)
    day = 24 * 3600 * 10**6
    old = [Outcome("u", "m", "f", "a", now - days * day, 1, 3) for days in (1, 6, 8, 100)]
    store.outcomes.exchange({}, [replace(last(store, "u"), time=now - 2 * day)], old)
    quality = LiveQuality(store, keep_days=7)
    assert asyncio.run(quality.forget_old()) == (1, 2)
    assert asyncio.run(quality.forget_old()) == (0, 0)
    assert [row.lists for row in store.outcomes.sums(1, 0, now)] == [2]
    assert len(store.events) == 1


def test_no_report_goes_back_further_than_outcomes_are_kept(client, service):
    assert client.get("/v1/quality?hours=8000").json()["hours"] == service.quality.keep_days * 24 == 90 * 24
    assert client.get("/v1/quality?hours=5").json()["hours"] == 5


def test_what_is_old_is_deleted_soon_after_the_start(client, service):
    service.store.outcomes.exchange({}, [], [Outcome("u", "m", "f", "a", 0, 1, 3)])
    service.quality._cleaned = -float("inf")
    wait_for(client, lambda found: not service.store.outcomes.sums(1, 0, 1))


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=4), min_size=2, max_size=12))
def test_the_error_of_a_ratio_is_that_of_the_sums_of_users(users):
    total, count = sum(map(sum, users)), sum(map(len, users))
    sums, sizes = np.array([sum(one) for one in users]), np.array([len(one) for one in users])
    squares = float(sums @ sums), float(sums @ sizes), float(sizes @ sizes)
    n = len(users)
    expected = np.sqrt(n / (n - 1) * np.square(sums - total / count * sizes).sum()) / count
    assert ratio_error(total, count, squares, n) == pytest.approx(expected, abs=1e-7)


def test_intervals_hold_their_level():
    """Of 95% intervals about 95% hold the truth, also of few observations and of several from one user."""
    rng = np.random.default_rng(0)
    for users, size, p in ((30, 1, 0.1), (200, 1, 0.02), (60, 5, 0.2)):
        inside = 0
        for _ in range(400):
            own = rng.beta(2 * p, 2 * (1 - p), users) if size > 1 else np.full(users, p)
            hits = rng.binomial(size, own)
            squares = float(hits @ hits), float(hits.sum() * size), float(users * size * size)
            count = users * size
            low, high = score_interval(hits.sum() / count, ratio_error(hits.sum(), count, squares, users), users)
            inside += low <= p <= high
        assert inside / 400 > 0.9
    assert score_interval(0.0, 0.0, 3)[1] > 0.5


def test_a_drop_is_said_of_many_lists_only():
    from segue.event_store.outcomes import Sums

    def sums(lists: int, users: int) -> Sums:
        return Sums("hgn", "f", "a", lists, users, 0, 1, 1.0, (1, 1, 1), (1, 1, 1))

    before, low, same = (Figure(mean=m, low=m - 0.02, high=m + 0.02) for m in (0.2, 0.1, 0.17))
    assert has_dropped(low, before, sums(200, 50))
    assert not has_dropped(same, before, sums(200, 50))
    assert not has_dropped(low, before, sums(99, 50))
    assert not has_dropped(low, before, sums(200, 19))
    assert not has_dropped(low, None, sums(200, 50))


def wait_for(client, condition, **params):
    for _ in range(100):
        found = client.get("/v1/quality", params=params).json()
        if condition(found):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_quality_by_arm_and_of_a_shadow_model(client):
    body = {"arms": [{"model": "hgn", "name": "one"}, {"model": "item-knn", "name": "two"}], "shadow": ["item-knn"]}
    assert client.post("/v1/models/activate", json=body).status_code == 200
    users = [f"u{number}" for number in range(12)]
    lists = {user: client.get("/v1/recommend", params={"user": user}).json() for user in users}
    client.get("/v1/recommend", params={"user": "u1", "model": "hgn"})
    client.post("/v1/recommend", json={"user": "u2", "candidates": ["i1", "i2"]})
    client.get("/v1/recommend", params={"user": "nobody"})
    for user in users[:8]:
        client.post("/v1/events", json={"user": user, "item": lists[user]["items"][1]["item"]})
    found = wait_for(client, lambda one: sum(arm["lists"] for arm in one["arms"]) >= 16)
    by_arm = {(one["model"], one["arm"]): one for one in found["arms"]}
    shown = [lists[user]["arm"] for user in users[:8]]
    for model, arm in (("hgn", "one"), ("item-knn", "two")):
        one = by_arm[model, arm]
        assert (one["lists"], one["users"]) == (shown.count(arm), shown.count(arm))
        assert (one["recall"]["mean"], one["mrr"]["mean"]) == (1.0, 0.5)
        assert one["recall"]["low"] < 1.0 == one["recall"]["high"]
        assert one["active"]
        assert one["offline_recall"]["mean"] is not None
    assert by_arm["item-knn", "shadow"]["lists"] == 8
    assert client.get("/v1/quality", params={"k": 11}).json()["arms"][0]["lists"] == 0


def test_metrics_name_no_user(client):
    user = "u1"
    client.get("/v1/recommend", params={"user": user})
    client.get("/v1/recommend", params={"user": "somebody"})
    event = {"user": user, "item": "i1", "time": "2026-01-01T00:00:00Z"}
    client.post("/v1/events", json={"events": [event, event]})
    client.get("/nothing")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    for line in (
        'segue_answers_total{arm="hgn",fallback="false",model="hgn"} 1.0',
        'segue_answers_total{arm="hgn",fallback="true",model="hgn"} 1.0',
        'segue_events_total{result="stored"} 1.0',
        'segue_events_total{result="duplicate"} 1.0',
        'segue_request_seconds_count{method="GET",route="/v1/recommend",status="200"} 2.0',
        'segue_request_seconds_count{method="POST",route="/v1/events",status="201"} 1.0',
        'segue_request_seconds_count{method="unknown",route="unknown",status="404"} 1.0',
        'segue_answer_seconds_count{model="hgn"} 2.0',
        'segue_batch_size_count{model="hgn"} 2.0',
        'segue_model_share{model="hgn"} 1.0',
        "segue_histories 1.0",
        "segue_history_events 13.0",
    ):
        assert line in text, line
    assert 'segue_model_age_seconds{model="hgn"}' in text
    assert "somebody" not in text
    assert '"u1"' not in text


def test_a_list_can_be_left_out_of_the_live_quality(client, service):
    for measure, user in ((True, "u1"), (False, "u2")):
        shown = client.get("/v1/recommend", params={"user": user, "measure": measure}).json()
        client.post("/v1/events", json={"user": user, "item": shown["items"][0]["item"]})
    wait_for(client, lambda one: sum(arm["lists"] for arm in one["arms"]) >= 1)
    client.portal.call(service.quality.flush)
    assert [(arm["lists"], arm["users"]) for arm in client.get("/v1/quality").json()["arms"]] == [(1, 1)]


def test_a_page_that_excludes_the_one_before_does_not_take_its_hit(client, service):
    first = [one["item"] for one in client.get("/v1/recommend?user=u1&k=5").json()["items"]]
    client.get("/v1/recommend", params={"user": "u1", "k": 5, "exclude": first})
    client.post("/v1/events", json={"user": "u1", "item": first[0]})
    arms = wait_for(client, lambda one: sum(arm["lists"] + arm["short"] for arm in one["arms"]) >= 1, k=5)["arms"]
    assert [(arm["lists"], arm["recall"]["mean"]) for arm in arms] == [(1, 1.0)]


def test_a_list_counts_where_what_is_excluded_was_left_out_anyway(client, service):
    basket = [event["item"] for event in client.get("/v1/users/u1").json()["history"][-2:]]
    shown = client.get("/v1/recommend", params={"user": "u1", "exclude": basket}).json()["items"]
    client.post("/v1/events", json={"user": "u1", "item": shown[0]["item"]})
    wait_for(client, lambda one: sum(arm["lists"] for arm in one["arms"]) >= 1)


def test_a_series_counts_each_list_in_the_hour_in_which_it_was_shown(client, service):
    hour = int(3600e6)
    newest = int(time.time() * 1e6) // hour * hour
    ages = [0, 0, 1, 5, 24]  # in hours; a day ago is no longer in the series
    outcomes = [
        Outcome(f"u{number}", "hgn", "f" * 16, "hgn", newest - age * hour, 1 if age else None, 10)
        for number, age in enumerate(ages)
    ]
    service.store.outcomes.exchange({}, new_outcomes=outcomes)
    series = client.get("/v1/quality/series", params={"hours": 24, "points": 24}).json()
    points = series["points"]
    assert [one["end"] for one in points[:-1]] == [one["start"] for one in points[1:]]
    assert all(one["start"].endswith(":00:00Z") for one in points)
    found = {
        place - 23: [(arm["lists"], arm["recall"]["mean"]) for arm in one["arms"]] for place, one in enumerate(points)
    }
    assert {age: figures for age, figures in found.items() if figures} == {
        0: [(2, 0.0)],
        -1: [(1, 1.0)],
        -5: [(1, 1.0)],
    }
    day = client.get("/v1/quality/series", params={"hours": 48, "points": 2}).json()["points"]
    assert sum(arm["lists"] for one in day for arm in one["arms"]) == 5


@pytest.mark.parametrize("answering", ["hgn", "item-knn"])
def test_a_list_counts_if_the_parameters_change_nothing_for_the_model_that_made_it(
    client, service, monkeypatch, answering
):
    other = {"hgn": "item-knn", "item-knn": "hgn"}[answering]
    monkeypatch.setattr(service.deployment.models["item-knn"]._finder, "exclude_seen", False)
    body = {"arms": [{"model": answering}], "shadow": [other]}
    assert client.post("/v1/models/activate", json=body).status_code == 200
    remembered: list[RecommendedList] = []
    monkeypatch.setattr(service.quality, "recommended", lambda one, version: remembered.append(one))
    client.post("/v1/events", json={"user": "new", "item": "i3"})
    for exclude, expected in (([], {"hgn", "item-knn"}), (["i3"], {"hgn"}), (["i3", "i9"], set())):
        remembered.clear()
        client.get("/v1/recommend", params={"user": "new", "exclude": exclude})
        client.portal.call(service.impressions.close)
        assert {one.model for one in remembered} == expected

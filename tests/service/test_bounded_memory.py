"""What a service keeps does not grow with the requests that it answers: counts of objects, and sizes of its caches."""

from __future__ import annotations

import gc
from collections import Counter

from segue.event_store.event_log import PastEvent
from segue.service.items import popularity
from segue.service.users.history import History

REQUESTS = 100
MAX_EVENTS = 50
SETTLING = ("RecommendedList", "PastEvent", "Outcome")  # lists that wait for an outcome, and what comes of them


def test_nothing_grows_with_the_requests(service, client, monkeypatch):
    monkeypatch.setattr(popularity, "UNSETTLED", 10)
    service.histories.max_events = MAX_EVENTS

    def requests(first: int) -> None:
        for number in range(first, first + REQUESTS):
            user, item = f"new-{number % 97}", f"i{number % 30}"
            assert client.post("/v1/events", json={"user": user, "item": item, "id": str(number)}).status_code == 201
            assert client.get("/v1/recommend", params={"user": user}).status_code == 200

    def own() -> Counter[str]:
        """Numbers of objects of segue's classes, without what a thread is settling at the moment."""
        gc.collect()
        kinds = Counter(
            type(one).__qualname__ for one in gc.get_objects() if str(type(one).__module__).startswith("segue.")
        )
        return kinds - Counter(dict.fromkeys(SETTLING, kinds.total()))

    requests(0)
    before = own()
    requests(REQUESTS)
    grown = own() - before
    assert grown.total() < REQUESTS / 4, grown
    assert service.histories.sizes()[1] <= MAX_EVENTS
    assert len(service.shop.popularity._known) <= 4 * popularity.UNSETTLED
    assert len(service.impressions._tasks) == 0


def test_the_name_of_an_item_is_in_memory_once():
    one, other = (History().after([PastEvent(1, 1, "".join(["sku", "1"]))], 1) for _ in range(2))
    assert one.items[0] is other.items[0]

"""What a service keeps does not grow with the requests that it answers: the sizes of all containers, and its bounds."""

from __future__ import annotations

import gc
from collections import Counter, deque
from types import FunctionType, ModuleType

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from periodic_work import catch_up

from segue.evaluation.protocol import Protocol
from segue.event_store import arrivals
from segue.event_store.event_log import PastEvent
from segue.experiments.experiment import Experiment
from segue.service.app import create_app
from segue.service.http.limits import Limits
from segue.service.items import recent_lists
from segue.service.start import start_service
from segue.service.users.history import History
from segue.serving.saved_model import save

REQUESTS = 60  # of each kind, in each of three equal phases
MAX_EVENTS = 50
MAX_STATES = 20
CONTAINERS = (dict, list, set, frozenset, tuple, deque)
FOREIGN = ("sqlalchemy", "asyncio", "logging")  # what these keep is bounded by themselves


def elements(root: object) -> Counter[str]:
    """The number of elements of the containers, arrays and tensors that an object reaches, by the class that has them.

    A class, a module and the globals of a function are not entered.
    """
    found, seen, waiting = Counter[str](), {id(root)}, [("", root)]
    while waiting:
        owner, one = waiting.pop()
        kind = type(one)
        if kind.__module__.startswith("segue."):
            owner = kind.__qualname__
        if isinstance(one, CONTAINERS):
            found[f"{owner} {kind.__qualname__}"] += len(one)
        elif isinstance(one, np.ndarray):
            found[f"{owner} array"] += one.size
        elif isinstance(one, torch.Tensor):
            found[f"{owner} tensor"] += one.numel()
        for child in gc.get_referents(*(one.__closure__ or ())) if kind is FunctionType else gc.get_referents(one):
            is_foreign = isinstance(child, (type, ModuleType)) or type(child).__module__.startswith(FOREIGN)
            if not is_foreign and id(child) not in seen:
                seen.add(id(child))
                waiting.append((owner, child))
    return found


def test_growth_is_seen_wherever_it_is():
    class Keeper:
        def __init__(self) -> None:
            self.by_name: dict[str, list[int]] = {}
            self.kept = np.zeros(3)

    keeper = Keeper()
    before = elements([lambda: keeper])
    keeper.by_name["a"] = [1, 2, 3]
    keeper.kept = np.zeros(10)
    assert (elements([lambda: keeper]) - before).total() == 1 + 3 + 7


@pytest.fixture
def service(log, tmp_path):
    """It answers with a model that keeps states."""
    outcome = Experiment(model="gru4rec", protocol=Protocol.named("leave-one-out"), settings={"epochs": 1}).run(log)
    save(outcome.model, log, tmp_path / "gru4rec", **outcome.about())
    return start_service(tmp_path / "gru4rec", f"sqlite:///{tmp_path / 'events.db'}")


def test_nothing_grows_with_the_requests(service, monkeypatch):
    monkeypatch.setattr(arrivals, "UNSETTLED", 5)
    monkeypatch.setattr(recent_lists, "LARGE", 1)  # lists of popular items are kept for a second
    service.histories.max_events = MAX_EVENTS
    (loaded,) = service.loaded_models()
    loaded.states.max_users = MAX_STATES
    app = create_app(service, Limits(rate=100_000))

    def requests(client: TestClient, first: int) -> Counter[str]:
        for number in range(first, first + REQUESTS):
            user, item = f"new-{number}", f"i{number % 30}"
            sent = {"user": user, "item": item, "id": str(number)}
            assert client.post("/v1/events", json=sent).status_code == 201
            for path in (f"recommend?user={user}", f"recommend?user=nobody-{number}", f"similar?item={item}"):
                assert client.get(f"/v1/{path}").status_code == 200
            client.get(f"/v1/items/unknown-{number}")
        catch_up(client, service)
        gc.collect()
        return elements(app)

    with TestClient(app) as client:
        for one in service.periodic:
            client.portal.call(one.close)  # `catch_up` does the work when nothing else goes on
        requests(client, 0)
        before = requests(client, REQUESTS)
        grown = requests(client, 2 * REQUESTS) - before
    assert grown.total() < REQUESTS / 2, grown.most_common(9)
    assert service.histories.sizes()[1] <= MAX_EVENTS
    assert len(loaded.states.users()) == MAX_STATES
    assert len(loaded._item_ids) <= MAX_EVENTS
    assert len(service.shop.popularity._arrivals._seen) <= 4 * arrivals.UNSETTLED
    assert len(service.impressions._tasks) == 0


def test_the_name_of_an_item_is_in_memory_once():
    one, other = (History().after([PastEvent(1, 1, "".join(["sku", "1"]))], 1) for _ in range(2))
    assert one.items[0] is other.items[0]

"""Models are listed, loaded, activated and swapped while the service answers; a bad one changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import time

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from periodic_work import catch_up

from segue.errors import ArtefactError, ConfigError
from segue.event_store.store import open_store
from segue.service.app import create_app
from segue.service.deployment.activation import ACTIVE
from segue.service.deployment.model_folders import ModelFolders
from segue.service.http.limits import Limits
from segue.service.models.deployments import Arm, Split, StoredDeployment
from segue.service.models.loaded_model import Loading
from segue.service.start import start_service
from segue.serving import approximate_finder, index_levels
from segue.serving.recommend import recommend
from segue.serving.saved_model import load, save

USERS = [f"u{number}" for number in range(40)]


@pytest.fixture
def folder(models, tmp_path):
    """The models in a folder that a test may change."""
    return shutil.copytree(models, tmp_path / "models")


@pytest.fixture
def served(folder, tmp_path):
    service = start_service(folder, f"sqlite:///{tmp_path / 'events.db'}", active="hgn")
    with TestClient(create_app(service, Limits())) as client:
        yield client


def entries(answer) -> dict[str, dict]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["models"]}


def answer_of(client, user: str) -> tuple[str, str]:
    answer = client.get("/v1/recommend", params={"user": user}).json()
    return answer["model"], answer["fingerprint"]


def test_models_are_listed_with_their_figures(served, folder):
    found = entries(served.get("/v1/models"))
    assert list(found) == ["hgn", "item-knn"]
    hgn, about = found["hgn"], load(folder / "hgn").about
    assert (hgn["status"], hgn["share"], hgn["arms"], hgn["shadow"]) == ("loaded", 1.0, ["hgn"], False)
    cell = about["results"]["models"][-1]["metrics"]["recall@10"]
    assert hgn["metrics"]["recall@10"] == {name: cell[name] for name in ("mean", "low", "high")}
    assert hgn["protocol"]["name"] == "leave-one-out"
    assert hgn["log"]["fingerprint"] == about["log"]["fingerprint"]
    assert (hgn["saved"], hgn["users"], hgn["items"]) == (about["saved"], 40, 30)
    assert "of 480 events" in hgn["trained"]
    assert found["item-knn"]["share"] == 0
    assert answer_of(served, "u1") == ("hgn", hgn["fingerprint"])


def test_a_split_puts_users_into_arms_for_good(served):
    arms = [{"model": "hgn", "weight": 3}, {"model": "item-knn", "name": "counting"}]
    found = entries(served.post("/v1/models/activate", json={"arms": arms, "salt": "s"}))
    assert (found["hgn"]["share"], found["item-knn"]["share"]) == (0.75, 0.25)
    before = [served.get("/v1/recommend", params={"user": user}).json() for user in USERS]
    assert {(one["model"], one["arm"]) for one in before} == {("hgn", "hgn"), ("item-knn", "counting")}
    again = [served.get("/v1/recommend", params={"user": user}).json()["arm"] for user in USERS]
    assert again == [one["arm"] for one in before]


def test_a_request_that_names_a_model_is_in_no_arm(served):
    arms = [{"model": "item-knn", "name": "hgn"}, {"model": "item-knn", "name": "other"}]
    entries(served.post("/v1/models/activate", json={"arms": arms}))
    answer = served.get("/v1/recommend", params={"user": "u1", "model": "hgn"}).json()
    assert (answer["model"], answer["arm"]) == ("hgn", None)
    figures = served.get("/metrics").text
    assert 'segue_answers_total{arm="named",fallback="false",model="hgn"} 1.0' in figures
    assert 'arm="hgn"' not in "".join(line for line in figures.splitlines() if line.startswith("segue_answers_total"))


def test_a_replaced_folder_is_noticed_and_can_be_activated(served, folder):
    saved = load(folder / "hgn")
    before = entries(served.get("/v1/models"))["hgn"]["fingerprint"]
    save(saved.model, saved.log, folder / "hgn", note="a nightly training")
    changed = entries(served.get("/v1/models"))["hgn"]
    assert (changed["status"], changed["fingerprint"]) == ("changed", before)
    assert changed["fingerprint_on_disk"] != before
    assert answer_of(served, "u1") == ("hgn", before)
    active = entries(served.post("/v1/models/activate", json={"model": "hgn"}))["hgn"]
    assert (active["status"], active["fingerprint"]) == ("loaded", changed["fingerprint_on_disk"])
    assert answer_of(served, "u1") == ("hgn", changed["fingerprint_on_disk"])


def test_a_damaged_model_is_refused_and_the_old_one_goes_on(served, folder):
    before = answer_of(served, "u1")
    shutil.copytree(folder / "hgn", folder / "bad")
    weights = folder / "bad" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for path, body in (("activate", {"model": "bad"}), ("load", {"folder": "bad"})):
        refused = served.post(f"/v1/models/{path}", json=body)
        assert refused.status_code == 409
        assert "weights.safetensors: damaged" in refused.json()["detail"]
    assert answer_of(served, "u1") == before
    entry = entries(served.get("/v1/models"))["bad"]
    assert entry["status"] == "refused"
    assert "damaged" in entry["reason"]
    shutil.copy(folder / "hgn" / "weights.safetensors", weights)
    assert entries(served.post("/v1/models/activate", json={"model": "bad"}))["bad"]["status"] == "loaded"
    assert answer_of(served, "u1")[0] == "bad"


def test_a_loaded_model_answers_those_who_name_it(served, folder):
    shutil.copytree(folder / "item-knn", folder / "item-knn.previous")
    assert entries(served.get("/v1/models"))["item-knn.previous"]["status"] == "on disk"
    params = {"user": "u1", "model": "item-knn.previous"}
    assert served.get("/v1/recommend", params=params).status_code == 422
    assert entries(served.post("/v1/models/load", json={"folder": "item-knn.previous"}))["hgn"]["share"] == 1
    assert served.get("/v1/recommend", params=params).json()["model"] == "item-knn.previous"
    assert served.post("/v1/models/load", json={"folder": "hgn"}).status_code == 422


@pytest.mark.parametrize("name", ["../outside", "outside", "/etc", "..", ".", "hgn/../../outside", "link"])
def test_no_folder_elsewhere_is_read(served, folder, name):
    shutil.copytree(folder / "hgn", folder.parent / "outside")
    (folder / "link").symlink_to(folder.parent / "outside")
    for path, body in (("activate", {"model": name}), ("load", {"folder": name})):
        refused = served.post(f"/v1/models/{path}", json=body)
        assert refused.status_code == 422
        assert "no saved model" in refused.json()["detail"]
    assert "link" not in ModelFolders(folder).all()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "give either a model or arms"),
        ({"model": "hgn", "arms": [{"model": "hgn"}]}, "give either a model or arms"),
        ({"model": "hgm"}, "no saved model 'hgm'"),
        ({"arms": [{"model": "hgn"}, {"model": "hgn"}]}, "a name of its own"),
        ({"arms": [{"model": "hgn", "weight": 0}]}, "greater than 0"),
        ({"arms": [{"model": "hgn", "name": "shadow"}]}, "shadow models"),
        ({"model": "hgn", "shadow": ["nothing"]}, "no saved model 'nothing'"),
        ({"model": "hgn", "weights": 1}, "Extra inputs"),
    ],
)
def test_impossible_activations_say_what_is_wrong(served, body, detail):
    answer = served.post("/v1/models/activate", json=body)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_a_new_start_has_what_was_activated(served, folder, tmp_path):
    served.post("/v1/models/activate", json={"model": "item-knn", "shadow": ["hgn"]})
    service = start_service(folder, f"sqlite:///{tmp_path / 'events.db'}")
    try:
        assert [arm.model for arm in service.deployment.split.arms] == ["item-knn"]
        assert service.deployment.split.shadow == ("hgn",)
    finally:
        asyncio.run(service.close())


def test_services_of_a_store_follow_each_other(folder, tmp_path):
    """What one activates, the other does; what it cannot do, it says, and goes on."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")

    async def follow() -> None:
        one, two = start_service(folder, url, active="hgn"), start_service(elsewhere, url)
        try:
            await two.activation.follow_once()
            assert two.activation.problem is None
            split = {"arms": [{"name": "a", "model": "item-knn", "weight": 1.0}], "shadow": ["hgn"], "salt": ""}
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(create_app(one, Limits())), base_url="http://s"
            ) as client:
                body = {"arms": split["arms"], "shadow": split["shadow"]}
                assert (await client.post("/v1/models/activate", json=body)).status_code == 200
                await two.activation.follow_once()
                assert two.deployment.split == one.deployment.split
                saved = load(folder / "item-knn")
                save(saved.model, saved.log, folder / "item-knn", note="newer")
                assert (await client.post("/v1/models/activate", json={"model": "item-knn"})).status_code == 200
            old = two.deployment.models["item-knn"].fingerprint
            with pytest.raises(ArtefactError, match="the folder here holds"):
                await two.activation.follow_once()
            assert "copy the activated one to this machine" in (two.activation.problem or "")
            assert two.deployment.models["item-knn"].fingerprint == old
            shutil.rmtree(elsewhere / "item-knn")
            shutil.copytree(folder / "item-knn", elsewhere / "item-knn")
            await two.activation.follow_once()
            assert two.activation.problem is None
            assert two.deployment.models["item-knn"].fingerprint == one.deployment.models["item-knn"].fingerprint
        finally:
            await one.close()
            await two.close()

    asyncio.run(follow())


def test_after_the_way_back_a_service_starts_with_the_previous_model(folder, tmp_path):
    url = f"sqlite:///{tmp_path / 'events.db'}"
    shutil.copytree(folder / "hgn", folder / "hgn.previous")
    with TestClient(create_app(start_service(folder, url, active="hgn"), Limits())) as client:
        client.post("/v1/models/activate", json={"model": "hgn.previous"}).raise_for_status()
    shutil.rmtree(folder / "item-knn")
    with TestClient(create_app(start_service(folder, url), Limits())) as client:
        assert answer_of(client, "u1")[0] == "hgn.previous"
    shutil.rmtree(folder / "hgn.previous")
    with pytest.raises(ConfigError, match=r"says that hgn\.previous answers .*name another model with --active"):
        start_service(folder, url)
    with TestClient(create_app(start_service(folder, url, active="hgn"), Limits())) as client:
        assert answer_of(client, "u1")[0] == "hgn"


def test_a_service_that_starts_with_an_old_copy_says_so(folder, tmp_path):
    url = f"sqlite:///{tmp_path / 'events.db'}"
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    saved = load(folder / "hgn")
    save(saved.model, saved.log, folder / "hgn", note="newer")
    start_service(folder, url, active="hgn").store.close()
    for _ in range(2):  # also after it was started again
        service = start_service(elsewhere, url)
        with TestClient(create_app(service, Limits())) as client:
            catch_up(client, service)
            assert "copy the activated one to this machine" in client.get("/v1/models").json()["problem"]


def test_what_is_activated_here_is_not_undone_by_what_was_read_before(folder, tmp_path, monkeypatch):
    """Another service activates item-knn; while that is read from the store, somebody activates hgn.other here."""
    shutil.copytree(folder / "hgn", folder / "hgn.other")
    service = start_service(folder, f"sqlite:///{tmp_path / 'events.db'}", active="hgn")
    documents, activations = service.store.deployments, []
    read = documents.all

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def slowly():
            found = read()
            if not activations:
                activation = service.activation.activate(Split(arms=(Arm(name="a", model="hgn.other"),)))
                activations.append(asyncio.run_coroutine_threadsafe(activation, loop))
                time.sleep(0.05)
            return found

        one = service.deployment.models["item-knn"]
        stored = StoredDeployment(
            split=Split(arms=(Arm(name="a", model="item-knn"),)), fingerprints={"item-knn": one.fingerprint}
        )
        documents.put(ACTIVE, stored.content())
        monkeypatch.setattr(documents, "all", slowly)
        await service.activation.follow_once()
        await asyncio.wrap_future(activations[0])
        await service.activation.follow_once()
        assert service.deployment.split.models == ("hgn.other",)
        assert StoredDeployment.read(documents.all()[ACTIVE]) == service.deployment.stored()
        await service.close()

    asyncio.run(run())


@pytest.fixture
def use_index(monkeypatch):
    """An index that finds all of the best items, even of a few."""
    monkeypatch.setattr(approximate_finder, "MIN_ITEMS", 16)
    monkeypatch.setattr(approximate_finder, "DEPTHS", (29,))
    monkeypatch.setattr(approximate_finder, "median_milliseconds", lambda ask, rows: np.inf)
    monkeypatch.setattr(index_levels, "DEPTHS", (29,))
    monkeypatch.setattr(index_levels, "MIN_RECALL", 1.0)


def test_models_say_how_good_their_index_is(use_index, folder, tmp_path):
    service = start_service(
        folder, f"sqlite:///{tmp_path / 'events.db'}", active="hgn", loading=Loading(approximate=True)
    )
    with TestClient(create_app(service, Limits())) as client:
        found = entries(client.get("/v1/models"))
        assert found["item-knn"]["index"] is None
        assert found["hgn"]["index"]["users"] == len(USERS)
        (level,) = found["hgn"]["index"]["levels"]
        assert (level["depth"], level["recall"]) == (29, 1.0)
        client.post("/v1/models/activate", json={"model": "item-knn"}).raise_for_status()
        saved = load(folder / "hgn")
        save(saved.model, saved.log, folder / "hgn", note="trained anew")
        assert entries(client.post("/v1/models/activate", json={"model": "hgn"}))["hgn"]["index"]["levels"]


@pytest.mark.parametrize("swaps", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_requests_during_swaps_get_exactly_the_answer_of_the_model_they_name(folder, tmp_path, swaps):
    check_swaps(folder, tmp_path, swaps)


def test_requests_during_swaps_with_an_index_are_answered_alike(use_index, folder, tmp_path):
    check_swaps(folder, tmp_path, 8, approximate=True)


def check_swaps(folder, tmp_path, swaps, *, approximate=False):
    """Swaps between two models and between contents of one folder, under load: none fails, none mixes two models."""
    other = load(folder / "item-knn")
    save(other.model, other.log, folder / "hgn.other")
    contents = {"a": folder / "hgn", "b": shutil.copytree(folder / "hgn.other", tmp_path / "b")}
    shutil.copytree(folder / "hgn", tmp_path / "a")
    contents["a"] = tmp_path / "a"
    service = start_service(
        folder, f"sqlite:///{tmp_path / 'events.db'}", active="hgn", loading=Loading(approximate=approximate)
    )
    expected: dict[str, dict[str, list[tuple[str, float]]]] = {}

    def remember() -> None:
        for loaded in service.deployment.models.values():
            if loaded.fingerprint not in expected:
                model, log = loaded.saved.model, loaded.saved.log
                lists = {user: recommend(model, log, user=user) for user in USERS}
                expected[loaded.fingerprint] = {
                    user: [(one.item, one.score) for one in found] for user, found in lists.items()
                }

    async def run() -> list[dict]:
        answers: list[dict] = []
        done = False
        transport = httpx.ASGITransport(create_app(service, Limits()))

        async def ask(number: int) -> None:
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                while not done:
                    user = USERS[(number + 7 * len(answers)) % len(USERS)]
                    answer = await client.get("/v1/recommend", params={"user": user})
                    assert answer.status_code == 200, answer.text
                    answers.append(answer.json())

        clients = [asyncio.create_task(ask(number)) for number in range(4)]
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as admin:
            for swap in range(swaps):
                if swap % 4 == 0:
                    shutil.rmtree(folder / "hgn")
                    shutil.copytree(contents["ab"[swap // 4 % 2]], folder / "hgn")
                body = {"model": ("hgn", "item-knn")[swap % 2]}
                answer = await admin.post("/v1/models/activate", json=body)
                assert answer.status_code == 200, answer.text
                remember()
        done = True
        await asyncio.gather(*clients)
        await service.close()
        return answers

    remember()
    answers = asyncio.run(run())
    assert len({answer["fingerprint"] for answer in answers}) >= 3
    for answer in answers:
        found = [(one["item"], one["score"]) for one in answer["items"]]
        wanted = expected[answer["fingerprint"]][answer["user"]]
        assert [item for item, _ in found] == [item for item, _ in wanted]
        assert [score for _, score in found] == pytest.approx([score for _, score in wanted], rel=1e-5, abs=1e-6)


def test_the_store_remembers_the_fingerprints_of_what_answers(served, tmp_path):
    found = entries(served.get("/v1/models"))
    store = open_store(f"sqlite:///{tmp_path / 'events.db'}")
    assert store.deployments.all()[ACTIVE]["fingerprints"] == {"hgn": found["hgn"]["fingerprint"]}
    store.close()

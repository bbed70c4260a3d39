"""An activation that says which version it has seen undoes nothing that somebody else activated meanwhile."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from fastapi.testclient import TestClient

from segue.errors import ArtefactError
from segue.event_store.store import open_store
from segue.service.app import create_app
from segue.service.deployment.activation import StaleVersionError
from segue.service.http.limits import Limits
from segue.service.models.deployments import Arm, Split
from segue.service.start import start_service
from segue.serving.saved_model import load, save


def split_of(model: str, *, shadow: tuple[str, ...] = ()) -> Split:
    return Split(arms=(Arm(model=model),), shadow=shadow)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'events.db'}"


@pytest.fixture
def served(models, url):
    with TestClient(create_app(start_service(models, url, active="hgn"), Limits())) as client:
        yield client


def seen(client) -> int:
    return client.get("/v1/models").json()["version"]


def test_a_change_that_somebody_has_not_seen_is_not_undone(served):
    before = seen(served)
    salted = {"arms": [{"model": "hgn", "name": "a"}, {"model": "hgn", "name": "b"}], "salt": "s", "version": before}
    changed = served.post("/v1/models/activate", json=salted)
    assert (changed.status_code, changed.json()["version"]) == (200, before + 1)
    refused = served.post("/v1/models/activate", json={"model": "item-knn", "version": before})
    assert refused.status_code == 409
    assert "was changed meanwhile; look again" in refused.json()["detail"]
    found = served.get("/v1/models").json()
    assert ([arm["name"] for arm in found["arms"]], found["salt"], found["version"]) == (["a", "b"], "s", before + 1)
    assert served.post("/v1/models/activate", json={"model": "item-knn", "version": before + 1}).status_code == 200
    assert served.post("/v1/models/activate", json={"model": "hgn"}).status_code == 200


def test_a_request_that_is_sent_again_is_no_conflict(served):
    body = {"model": "item-knn", "version": seen(served)}
    answers = [served.post("/v1/models/activate", json=body) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]


@pytest.mark.parametrize("version", [-1, 2**63, 1.5, "1", True])
def test_a_version_is_a_whole_number(served, version):
    answer = served.post("/v1/models/activate", json={"model": "item-knn", "version": version})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body version"


@pytest.mark.parametrize("active", ["hgn", None])
def test_a_service_knows_its_version_from_the_start(models, url, active):
    start_service(models, url, active="hgn").store.close()
    service = start_service(models, url, active=active)
    try:
        assert service.deployment.version == service.store.deployments.num_changes() == (2 if active else 1)
    finally:
        asyncio.run(service.close())


def test_what_another_service_activated_is_a_change_too(models, url):
    """Who is refused and looks again sees the change, although this service had not followed it yet."""

    async def run() -> None:
        one, two = start_service(models, url, active="hgn"), start_service(models, url)
        try:
            before = two.deployment.version
            await one.activation.activate(split_of("hgn", shadow=("item-knn",)))
            with pytest.raises(StaleVersionError):
                await two.activation.activate(split_of("item-knn"), seen=before)
            assert two.deployment.split == one.deployment.split
            assert two.deployment.version == one.deployment.version == before + 1
            await two.activation.activate(split_of("item-knn"), seen=before + 1)
        finally:
            await one.close()
            await two.close()

    asyncio.run(run())


def test_a_change_that_cannot_be_followed_can_be_replaced_once_it_was_seen(models, url, tmp_path):
    here, elsewhere = (shutil.copytree(models, tmp_path / name) for name in ("here", "elsewhere"))

    async def run() -> None:
        one, two = start_service(here, url, active="hgn"), start_service(elsewhere, url)
        try:
            before = two.deployment.version
            saved = load(here / "hgn")
            save(saved.model, saved.log, here / "hgn", note="newer")
            await one.activation.activate(split_of("hgn"))
            with pytest.raises(StaleVersionError):  # the split is the same, and its model is not
                await two.activation.activate(split_of("hgn"), seen=before)
            with pytest.raises(ArtefactError, match="the folder here holds"):
                await two.activation.follow_once()
            await two.activation.activate(split_of("hgn"), seen=two.deployment.version)
            assert two.activation.problem is None
        finally:
            await one.close()
            await two.close()

    asyncio.run(run())


def test_a_change_during_the_activation_is_not_undone(models, url, monkeypatch):
    """Another service activates while this one prepares what it has loaded."""

    async def run() -> None:
        service = start_service(models, url, active="hgn")
        prepare, other = service.shop.prepare, open_store(url)

        async def slowly(deployment):
            if deployment.split == split_of("item-knn"):
                stored = deployment.stored().model_copy(update={"split": split_of("hgn", shadow=("item-knn",))})
                fingerprints = {name: service.deployment.models[name].fingerprint for name in ("hgn", "item-knn")}
                other.deployments.put("active", stored.model_copy(update={"fingerprints": fingerprints}).content())
            return await prepare(deployment)

        monkeypatch.setattr(service.shop, "prepare", slowly)
        try:
            with pytest.raises(StaleVersionError):
                await service.activation.activate(split_of("item-knn"), seen=service.deployment.version)
            assert service.deployment.split == split_of("hgn", shadow=("item-knn",))
        finally:
            other.close()
            await service.close()

    asyncio.run(run())

"""Every model can be served: it answers through a service as `recommend` does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from every_model import LOG, NAMES, train

from segue.service.models.loaded_model import LoadedModel
from segue.service.users.history import History
from segue.serving.recommend import recommend
from segue.serving.saved_model import save


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_recommend(name: str, tmp_path: Path) -> None:
    model = train(name)
    save(model, LOG, tmp_path / "model")
    loaded = LoadedModel.load(tmp_path / "model")
    for user in ("u0", "u3", "u17", "u29"):  # the last one has no events
        (index,) = LOG.users.ids([user])
        history = History(items=[str(item) for item in LOG.items.names(LOG.history(int(index)))], user=user)
        answer = asyncio.run(loaded.ask(user, history, k=4))
        expected = recommend(model, LOG, user=user, k=4)
        assert [loaded.tokens[item] for item in answer.ids] == [one.item for one in expected]
        assert answer.scores == pytest.approx([one.score for one in expected], abs=1e-5)
        assert (answer.fallback is None) == (expected.fallback is None)

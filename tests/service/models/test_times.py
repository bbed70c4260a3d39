"""A service gives a model the times of a user's events and of the request, in the unit of the model's log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segue import testing
from segue.data import synthetic
from segue.errors import ConfigError
from segue.models.registry import MODELS
from segue.service.models import loaded_model
from segue.service.models.loaded_model import LoadedModel
from segue.service.users.history import History
from segue.serving.recommend import recommend
from segue.serving.saved_model import save

LOG = synthetic.markov(30, 9, 8, seed=1)  # its times are seconds since 1970


def served(folder: Path, **settings: Any) -> tuple[Any, LoadedModel]:
    model = testing.subject(MODELS["hstu"], **settings).train(LOG)
    save(model, LOG, folder / "model")
    return model, LoadedModel.load(folder / "model")


@pytest.mark.parametrize("time", ["events", "request"])
def test_times_of_a_service_are_those_of_recommend(time: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, loaded = served(tmp_path, time=time)
    now = LOG.newest_time + 3600
    monkeypatch.setattr(loaded_model, "now", lambda: now * 10**6 + 250_000)
    times = [now - 86_400, now - 70, now - 60, now - 2]
    order = np.array([[one * 10**6 + 999, place] for place, one in enumerate(times)])
    history = History(items=["3", "unknown", "5", "4"], order=order, user="2", count=4)
    answer = asyncio.run(loaded.ask("2", history, k=4))
    expected = recommend(model, LOG, user=2, history=["3", "unknown", "5", "4"], times=times, time=now, k=4)
    assert [loaded.tokens[item] for item in answer.ids] == [str(one.item) for one in expected]
    assert answer.scores == pytest.approx([one.score for one in expected], abs=1e-5)
    asked_now = asyncio.run(loaded.ask(None, History(items=["3", "5"]), k=4))  # items that a request brings
    expected = recommend(model, LOG, history=["3", "5"], times=[now, now], time=now, k=4)
    assert asked_now.scores == pytest.approx([one.score for one in expected], abs=1e-5)


def test_a_model_of_times_that_are_no_dates_is_refused(tmp_path: Path) -> None:
    log = replace(LOG, time=np.arange(len(LOG)))
    model = testing.subject(MODELS["hstu"], time="events").train(log)
    save(model, log, tmp_path / "model")
    with pytest.raises(ConfigError, match="hstu reads times, and those of its log are no dates"):
        LoadedModel.load(tmp_path / "model")

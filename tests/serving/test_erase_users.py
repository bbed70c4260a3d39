"""Erasing users from a saved model: names, metadata and events go, all else stays and loads."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import polars as pl
import pytest

from segue import testing
from segue.data.readers.ingest import read_log
from segue.data.sessions import SessionRule
from segue.errors import ArtefactError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.registry import MODELS
from segue.serving.batch import recommend_blocks
from segue.serving.erase_users import erase_users
from segue.serving.erased_names import named_users
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import load, read_facts, save
from segue.testing.subject import small_log

START = 1_600_000_000  # seconds since 1970


@pytest.fixture(params=["texts", "numbers"])
def saved(request, tmp_path):
    """A saved model of users 1 to 6 with an age each, whose names are texts or numbers; and the form of a name."""
    rows = [(user, (user + step) % 5, START + 86_400 * step) for user in range(1, 7) for step in range(5)]
    name = str if request.param == "texts" else int
    frame = pl.DataFrame([(name(user) if name is int else f"u{user}", *rest) for user, *rest in rows], orient="row")
    frame.columns = ["user", "item", "time"]
    ages = frame.select("user").unique(maintain_order=True).with_columns(age=pl.int_range(20, 26))
    log = read_log(frame, users=ages)
    outcome = Experiment(model="pop", protocol=Protocol.named("leave-one-out")).run(log)
    return save(outcome.model, log, tmp_path / "pop", **outcome.about()), (lambda n: f"u{n}" if name is str else str(n))


def names(folder):
    return [str(one) for one in load(folder).log.users.tokens]


def test_an_erased_user_keeps_an_id_and_nothing_else(saved):
    folder, name = saved
    before, identity = load(folder), fingerprint_of(read_facts(folder))
    erased = erase_users(folder, {name(2): None, "nobody": None})
    assert (erased.users, erased.events) == (1, 5)
    after = load(folder)
    assert names(folder)[0] == name(1)
    assert name(2) not in names(folder)
    assert after.log.num_users == 6
    assert after.log.lengths.tolist() == [0, 5, 0, 5, 5, 5, 5]
    assert after.log.user_metadata["age"].to_list() == [20, None, 22, 23, 24, 25]
    assert fingerprint_of(read_facts(folder)) == identity  # it is the same model
    assert after.about["log"] == {**before.about["log"], "events": 25}
    assert after.about["results"] == before.about["results"]
    assert erase_users(folder, {name(2): None}).users == 0


def test_all_columns_of_the_other_users_stay(tmp_path):
    log = small_log()
    shown = np.stack([log.item, np.zeros_like(log.item)], 1)
    log = replace(log, session=SessionRule(40_000).numbers(log), impressions=shown)
    folder = save(testing.subject(MODELS["pop"]).train(log), log, tmp_path / "pop")
    name = str(log.users.tokens[1])
    erase_users(folder, {name: None})
    after = load(folder).log
    assert (after.event_types, after.event_feature_columns) == (log.event_types, log.event_feature_columns)
    others = np.delete(np.arange(len(log)), np.arange(log.start[2], log.stop[2]))
    for column in ("item", "time", "rating", "event_type", "event_features", "session"):
        np.testing.assert_array_equal(getattr(after, column), getattr(log, column)[others])
    np.testing.assert_array_equal(after.impressions[:, 0], log.item[others])


def test_nothing_is_recommended_to_an_erased_user(saved):
    folder, name = saved
    erase_users(folder, {name(2): None, name(4): None})
    one = load(folder)
    (block,) = recommend_blocks(one.model, one.log, k=2, exclude_seen=False)
    assert block.num_users == 4
    assert block.rows["user"].cast(pl.String).unique(maintain_order=True).to_list() == [name(n) for n in (1, 3, 5, 6)]
    assert named_users(one.log.users.tokens).tolist() == [1, 3, 5, 6]


def test_somebody_who_came_back_keeps_what_came_later(saved):
    folder, name = saved
    erased = erase_users(folder, {name(2): (START + 2 * 86_400) * 1_000_000})
    assert (erased.users, erased.events) == (0, 3)
    log = load(folder).log
    assert name(2) in names(folder)
    assert log.history(2).size == 2


def test_erasing_at_the_same_time_loses_nobody(saved):
    folder, name = saved
    with ThreadPoolExecutor(5) as pool:
        erased = list(pool.map(lambda user: erase_users(folder, {name(user): None}), range(2, 7)))
    assert [(one.users, one.events) for one in erased] == [(1, 5)] * 5
    assert [user for user in map(name, range(1, 7)) if user in names(folder)] == [name(1)]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_saving_waits_until_a_folder_is_rewritten(saved, monkeypatch):
    """The new model is there at the end, whichever began first."""
    folder, name = saved
    model = load(folder)
    is_copying, may_go_on = Event(), Event()
    copy = shutil.copytree

    def slow(*args, **kwargs):
        is_copying.set()
        may_go_on.wait(30)
        return copy(*args, **kwargs)

    monkeypatch.setattr(shutil, "copytree", slow)
    with ThreadPoolExecutor(2) as pool:
        erasing = pool.submit(erase_users, folder, {name(2): None})
        is_copying.wait(30)
        saving = pool.submit(save, model.model, model.log, folder, note="newer")
        with pytest.raises(TimeoutError):
            saving.result(0.2)
        may_go_on.set()
        assert erasing.result(30).users == 1
        saving.result(30)
    assert load(folder).about["note"] == "newer"


def test_a_folder_without_the_users_or_that_is_damaged_is_left_as_it_is(saved):
    folder, name = saved
    content = (folder / "model.json").read_bytes()
    assert erase_users(folder, {"nobody": None}).users == 0
    assert (folder / "model.json").read_bytes() == content
    (folder / "history.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtefactError, match=r"history\.parquet"):
        erase_users(folder, {name(2): None})
    assert (folder / "model.json").read_bytes() == content
    assert "identity" not in json.loads(content)

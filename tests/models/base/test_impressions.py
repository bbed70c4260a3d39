"""Negatives from impressions: every model that has the setting draws them from the items shown with its targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from segue import testing
from segue.batches.batch import SequenceBatch
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.registry import MODELS
from segue.service.retraining.retrain import retraining_experiment
from segue.serving.saved_model import load, save
from segue.testing.subject import evaluation_batch, small_log
from segue.training.loop import fit

NAMES = [
    name
    for name, kind in MODELS.items()
    if "impressions" in get_args(getattr(kind.Config.model_fields.get("negative_sampling"), "annotation", None))
]
SETTINGS = {"negative_sampling": "impressions", "loss": "bpr", "num_negatives": 3}


def with_impressions(log: Log) -> Log:
    """The log in which the item, item 17 and some of the items 1 to 9 were shown at two of three events."""
    rng = np.random.default_rng(0)
    shown = np.stack([log.item, np.full(len(log.item), 17), *rng.integers(0, 10, (3, len(log.item)))], 1)
    shown[::3] = 0
    return replace(log, impressions=shown.astype(np.int32))


LOG = with_impressions(small_log())


def settings_of(name: str) -> dict[str, Any]:
    losses = get_args(MODELS[name].Config.model_fields["loss"].annotation)
    return {**SETTINGS, "loss": next(one for one in ("bpr", "top1", "bce") if one in losses)}


def test_most_models_of_sequences_have_the_setting() -> None:
    assert {"hgn", "sasrec", "bert4rec", "hstu", "caser", "gru", "fpmc", "sr-gnn", "coevent-mf"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_negatives_are_items_that_were_shown_with_the_target(name: str) -> None:
    subject = testing.subject(MODELS[name], **settings_of(name))
    model = subject.build(LOG)
    assert LOG.impressions is not None
    found = 0
    for batch in model.batches(LOG, np.random.default_rng(0)):  # type: ignore[operator]
        assert isinstance(batch, SequenceBatch)
        for b, c, t in (batch.targets > 0).nonzero().tolist():
            user, target = int(batch.user[b]), int(batch.targets[b, c, t])
            rows = np.arange(LOG.start[user], LOG.stop[user])
            own = {*LOG.item[rows].tolist()}
            negatives = {*batch.negatives[b, c, t].tolist()}
            possible = [{*LOG.impressions[row].tolist()} - own - {0} for row in rows if LOG.item[row] == target]
            assert not negatives & own
            assert any(negatives <= shown or not shown for shown in possible)
            found += any(shown and negatives <= shown for shown in possible)
    assert found > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_trained_with_them(name: str) -> None:
    subject = testing.subject(MODELS[name], **{**settings_of(name), "epochs": 1})
    model = subject.build(LOG)
    fit(model, LOG)
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())


def test_items_that_were_shown_and_not_chosen_score_lower() -> None:
    """Item 17 was shown with most targets: its rank is worse than with other negatives."""
    ranks = []
    for sampling in ("impressions", "per_target"):
        model = testing.subject(MODELS["sasrec"], loss="bce", epochs=20, negative_sampling=sampling).train(LOG)
        with torch.inference_mode():
            scores = model.score(evaluation_batch(LOG, model))
        ranks.append(float((scores > scores[:, 17:18]).double().sum(1).mean()))
    assert ranks[0] > ranks[1] + 1


def test_wrong_settings_are_refused() -> None:
    for changed in ({"loss": "ce"}, {"loss": "gbce"}, {"loss": "sampled-ce"}):
        with pytest.raises(ConfigError, match=f"impressions: loss={changed['loss']} compares a target with all items"):
            MODELS["sasrec"].configure({**SETTINGS, **changed})
    MODELS["sasrec"].configure({**SETTINGS, "loss": "sampled-ce", "logq_correction": False})
    with pytest.raises(DataError, match=r"has no impressions; read it with their column.*--impressions-col"):
        testing.subject(MODELS["sasrec"], **SETTINGS).build(small_log())
    with pytest.raises(ConfigError, match="must be one of per_target, shared"):
        MODELS["gru4rec"].configure(SETTINGS)


def test_a_store_cannot_train_such_a_model_again(tmp_path: Path) -> None:
    protocol = Protocol.named("leave-one-out")
    settings = {**SETTINGS, "epochs": 1, "embedding_dim": 4}
    outcome = Experiment(model="sasrec", protocol=protocol, settings=settings).run(LOG)
    saved = load(save(outcome.model, LOG, tmp_path / "model", **outcome.about()))
    with pytest.raises(ConfigError, match="was trained on impressions, and a store keeps none; train it on a log that"):
        retraining_experiment(saved, LOG)

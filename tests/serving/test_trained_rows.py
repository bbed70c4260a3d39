"""`SavedModel.trained_rows`: the part of a saved log that the model was trained on, under every kind of protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from segue.data import synthetic
from segue.data.log import Log
from segue.evaluation.protocol import Protocol
from segue.evaluation.protocols import PROTOCOLS
from segue.models.popularity.pop import Pop
from segue.serving.saved_model import SavedModel
from segue.testing import subject

LOG = synthetic.with_ratings(synthetic.markov(40, 12, 9, seed=3, shortest=4))


def rows_of(log: Log, protocol: Protocol, **experiment: Any) -> Log | None:
    about = {"experiment": {"protocol": protocol.as_dict(), "refit": False, **experiment}}
    return SavedModel(subject(Pop).train(LOG), log, about).trained_rows()


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if PROTOCOLS[name].by not in ("given", "date")])
@pytest.mark.parametrize("refit", [False, True])
def test_the_rows_are_those_of_the_protocol(name: str, refit: bool) -> None:
    protocol = PROTOCOLS[name]
    split = protocol.split(LOG)
    rows = rows_of(LOG, protocol, refit=refit)
    assert rows is not None
    assert rows.fingerprint == (split.train_valid if refit else split.train).fingerprint


def test_users_who_were_dropped_are_no_training_rows() -> None:
    protocol = replace(PROTOCOLS["whole-users"], leak="drop")
    log = synthetic.from_sequences([[1, 2, 3, 4, 5, 6]] * 40)
    log = replace(log, time=np.tile(np.arange(6), 40) + np.arange(40).repeat(6) // 2 * 10)  # users in pairs of twins
    kept, dropped = rows_of(log, replace(protocol, leak="keep")), rows_of(log, protocol)
    assert kept is not None
    assert dropped is not None
    assert len(dropped) < len(kept)
    assert dropped.fingerprint == protocol.split(log).train.fingerprint


def test_a_model_that_was_fitted_on_all_rows_or_does_not_say() -> None:
    assert rows_of(LOG, Protocol.named("leave-one-out"), final=True) is LOG
    assert SavedModel(subject(Pop).train(LOG), LOG, {}).trained_rows() is None
    assert rows_of(LOG, replace(Protocol.named("leave-one-out"), by="given", arguments={})) is None

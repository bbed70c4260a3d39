"""Sessions in transformers: what is read of them, and that it is the vector of a position that is added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.data.sessions import SessionRule
from segue.errors import ConfigError, DataError
from segue.models.ensembles.blend import Blend
from segue.models.registry import MODELS
from segue.models.sequential.bert4rec import BERT4Rec
from segue.serving.vocabulary_adapter import VocabularyAdapter
from segue.testing.subject import evaluation_batch

NAMES = ("sasrec", "gsasrec", "esasrec", "hstu", "bert4rec")
GAP = 40_000  # of a log with events up to a day apart
HISTORY = torch.tensor([[4, 1, 6, 3, 2, 5], [0, 0, 7, 7, 1, 2]])
SESSIONS = torch.tensor([[3, 3, 4, 4, 4, 6], [0, 0, 1, 2, 2, 2]])
POSITIONS = torch.tensor([[1, 2, 1, 2, 3, 1], [0, 0, 1, 1, 2, 3]])


def built(name: str, **settings: Any) -> Any:
    return testing.subject(MODELS[name], **{"session_gap": GAP, **settings}).build().double().eval()


def test_positions_count_events_in_their_session() -> None:
    batch = Batch(torch.tensor([0, 0]), HISTORY, sessions=SESSIONS)
    assert torch.equal(batch.session_positions, POSITIONS)
    history, sessions = torch.tensor([[4, 0, 6, 3, 0]]), torch.tensor([[1, 1, 1, 0, 2]])
    inner = Batch(torch.tensor([0]), history, sessions=sessions)
    assert inner.session_positions.tolist() == [[1, 0, 2, 0, 0]], "neither padding nor an unknown session counts"
    assert inner.without_gaps().session_positions.tolist() == [[0, 0, 1, 2, 0]]


@pytest.mark.parametrize("sessions", ["starts", "positions"])
@pytest.mark.parametrize("name", NAMES)
def test_the_vector_of_the_position_is_added_to_that_of_the_item(name: str, sessions: str) -> None:
    """It does what the same vector does as a part of the vector of the place in the history."""
    model, plain = built(name, sessions=sessions), built(name, sessions="none", session_gap=None)
    plain.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        model.session_embedding.weight[1:].normal_()
        for row, positions in enumerate(POSITIONS):
            one = Batch(torch.tensor([0]), HISTORY[row : row + 1], sessions=SESSIONS[row : row + 1])
            read = torch.where(positions > 1, 0, positions) if sessions == "starts" else positions
            moved = model.position_embedding.clone()
            stop = len(moved) - 1 if isinstance(model, BERT4Rec) else len(moved)  # the last place is that of the mask
            moved[stop - len(positions) : stop] += model.session_embedding.weight[read]
            plain.position_embedding.copy_(moved)
            expected = plain.score(replace(one, sessions=None))
            torch.testing.assert_close(model.score(one)[:, 1:], expected[:, 1:], rtol=0, atol=1e-10)
            same = replace(one, sessions=one.sessions * 0)
            assert not torch.allclose(model.score(same)[:, 1:], expected[:, 1:]), "the sessions change the scores"


@pytest.mark.parametrize("name", NAMES)
def test_batches_of_the_training_have_the_sessions_of_their_events(name: str) -> None:
    subject = testing.subject(MODELS[name], sessions="positions", session_gap=GAP, window=5)
    model, log = subject.build(), subject.log
    numbers, known = SessionRule(GAP).numbers(log), 0
    for batch in model.batches(log, np.random.default_rng(0)):  # type: ignore[operator]
        assert isinstance(batch, SequenceBatch)
        assert batch.sessions is not None
        for user, history, sessions in zip(batch.user.tolist(), batch.history, batch.sessions, strict=True):
            rows = slice(log.start[user], log.stop[user])
            pairs = list(zip(log.item[rows].tolist(), numbers[rows].tolist(), strict=True))
            found = [pair for pair in zip(history.tolist(), sessions.tolist(), strict=True) if pair[0]]
            assert any(pairs[at : at + len(found)] == found for at in range(len(pairs)))
            known += len(found)
            assert not sessions[history == 0].any()
    assert known


def test_another_vocabulary_has_the_same_sessions() -> None:
    subject = testing.subject(MODELS["sasrec"], sessions="positions", session_gap=GAP)
    model, log = subject.train(), subject.log
    adapter = VocabularyAdapter(model, log, log.users, log.items).eval()
    assert adapter.session_rule == SessionRule(GAP)
    batch = evaluation_batch(log, adapter)
    assert batch.sessions is not None
    torch.testing.assert_close(adapter.score(batch), model.score(batch))


def test_models_that_tell_sessions_apart_in_other_ways_are_not_blended() -> None:
    one, two, none = (
        built("sasrec", sessions="starts"),
        built("hstu", sessions="starts", session_gap=60),
        testing.subject(MODELS["gru"]).build(),
    )
    assert Blend(one, none, weight=0.5).session_rule == SessionRule(GAP)
    with pytest.raises(ConfigError, match="blend: its models read sessions with another session_gap each"):
        Blend(one, two, weight=0.5)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"session_gap=60: no sessions are read; set sessions=starts or"):
        MODELS["sasrec"].configure({"session_gap": 60})
    with pytest.raises(DataError, match="has no sessions, which the model reads"):
        built("sasrec", sessions="starts", session_gap=None)
    stored = MODELS["sasrec"].configure({"sessions": "starts", "session_gap": "1800"}).as_dict()
    assert (stored["sessions"], stored["session_gap"]) == ("starts", 1800)
    assert not {"sessions", "session_gap"} & MODELS["sasrec"].configure().as_dict().keys()

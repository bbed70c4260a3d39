"""Items that are held out of training: their rows, their targets, and what a model learns about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.cold_items import draw_cold_items, without_rows_of
from segue.data.diagnostics.leakage import leakage_warnings
from segue.data.splits import leave_last_out
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.models.registry import find
from segue.testing.subject import evaluation_batch, subject
from segue.training.loop import fit

LOG = synthetic.with_ratings(synthetic.markov(40, 20, 9, seed=1, shortest=3))
COLD = replace(Protocol.named("leave-one-out"), cold_items=0.2, cold_seed=3)


@given(share=st.floats(0.05, 0.9), seed=st.integers(0, 99))
def test_the_rows_of_other_items_stay_as_they_are(share, seed):
    cold = draw_cold_items(LOG, share, seed)
    assert cold.sum() == round(share * 20)
    assert not cold[0]
    view = leave_last_out(LOG).train
    left = without_rows_of(view, cold)
    for user in range(LOG.num_users + 1):
        past = slice(view.start[user], view.stop[user])
        kept = ~cold[view.item[past]]
        for column in ("item", "time", "rating"):
            expected = getattr(view, column)[past][kept]
            assert getattr(left, column)[left.start[user] : left.stop[user]].tolist() == expected.tolist()
    assert (left.num_items, left.num_users) == (20, 40)


def test_a_split_trains_without_cold_items_and_asks_for_them():
    split, plain = COLD.split(LOG), Protocol.named("leave-one-out").split(LOG)
    assert split.cold is not None
    for part, whole, refit in ((split.train, plain.train, False), (split.train_valid, plain.train_valid, True)):
        counts = part.counts()
        assert not counts[split.cold].any()
        assert (counts == np.where(split.cold, 0, whole.counts())).all()
        assert LOG.item[split.training_rows(refit=refit)].tolist() == part.item.tolist()
    targets = split.instances("test")
    assert targets.targets().tolist() == plain.instances("test").targets().tolist()
    assert split.cold[targets.targets()].any()
    assert leakage_warnings(split) == ()


@pytest.mark.parametrize("name", ["pop", "item-knn", "ease"])
def test_what_is_held_out_cannot_be_learnt(name):
    """Another item in the rows of a cold item changes no score, if that item is cold, too."""
    split = COLD.split(LOG)
    assert split.cold is not None
    one, two = np.flatnonzero(split.cold)[:2]
    swapped = replace(LOG, item=np.where(LOG.item == one, two, LOG.item).astype(np.int32))
    models = [subject(find(name)).build(LOG) for _ in range(2)]
    for model, log in zip(models, (LOG, swapped), strict=True):
        fit(model, COLD.split(log).train)
    batch = evaluation_batch(LOG, models[0])
    assert torch.equal(models[0].score(batch), models[1].score(batch))


def test_protocols_say_so_and_have_another_fingerprint():
    plain = Protocol.named("leave-one-out")
    assert "20% of the items (seed 3) are left out of training" in COLD.describe()
    assert len({each.fingerprint for each in (plain, COLD, replace(COLD, cold_seed=4))}) == 3
    assert Protocol.from_dict(COLD.as_dict()) == COLD


def test_shares_out_of_range_are_refused():
    for share in (-0.1, 1.0, "x"):
        with pytest.raises(ConfigError, match="must be a share of the items, from 0 to below 1"):
            replace(COLD, cold_items=share)
    with pytest.raises(ConfigError, match="cold_seed=3: needs cold_items above 0"):
        replace(COLD, cold_items=0.0)
    with pytest.raises(DataError, match="of 20 items is less than one item; raise it"):
        draw_cold_items(LOG, 0.01)
    with pytest.raises(ConfigError, match="which has no such setting"):
        Protocol.named("ratings").with_settings({"cold_items": 0.1})
    assert isinstance(COLD, RankingProtocol)

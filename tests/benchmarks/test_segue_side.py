"""The measurements of segue: they do the work that the plan compares."""

from __future__ import annotations

import pytest
import torch
from benchmarks.segue_side.floor import products
from benchmarks.segue_side.sequence_models import SETTINGS, count_examples, count_pairs, truncated

from segue.batches.batch import SequenceBatch
from segue.data.synthetic import random
from segue.models.base.model import GradientModel, Sizes
from segue.models.registry import find


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_number_of_pairs_of_an_epoch(setting: str) -> None:
    name, settings = SETTINGS[setting]
    kind = find(name)
    log = random(num_users=130, num_items=300, length=60, seed=0)
    torch.manual_seed(0)
    model = kind(kind.configure({**settings, "epochs": 1}, None), Sizes(log.num_users, log.num_items))
    assert isinstance(model, GradientModel)
    masked = settings.get("mask_prob", 1)  # of an item, which is an example then
    assert count_examples(model, log) == pytest.approx(masked * count_pairs(log, settings), rel=0.02 * (masked < 1))
    few = truncated(kind, 1)
    assert (
        0
        < count_examples(few(few.configure(settings, None), Sizes(log.num_users, log.num_items)), log)
        <= count_pairs(log, settings)
    )


def test_floating_point_operations_of_products() -> None:
    # one row, window 5 and two queries: 6 positions, d = 2
    user, history, target = torch.ones(1).long(), torch.ones(1, 6).long(), torch.ones(1, 4).long()
    batch = SequenceBatch(user, history, target, target_mask=torch.ones(1, 2, dtype=torch.bool))
    gates, scores = 6 * (4 + 2) + (4 + 2 * 5), 2 * 2 * (5 + 3) * 2
    assert products(batch, 2) == 6 * (gates + scores)

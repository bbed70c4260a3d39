"""POP: its scores are event counts."""

from __future__ import annotations

import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.splits import leave_last_out
from segue.models.base.model import Sizes
from segue.models.popularity.pop import Pop


def test_scores_are_event_counts() -> None:
    log = synthetic.from_sequences([[1, 2, 2, 3], [2, 4]], num_items=5)
    model = Pop(Pop.configure(), Sizes(2, 5))
    model.fit(log)
    batch = Batch(torch.tensor([0, 2]), torch.zeros(2, 0, dtype=torch.long))
    assert model.score(batch).tolist() == [[-torch.inf, 1, 3, 1, 1, 0]] * 2
    assert model.score(batch, torch.tensor([2, 0])).tolist() == [[3, -torch.inf]] * 2


def test_counts_of_a_training_part_leave_out_later_events() -> None:
    log = synthetic.from_sequences([[1, 2, 2, 3], [2, 4, 4]], num_items=5)
    model = Pop(Pop.configure(), Sizes(2, 5))
    model.fit(leave_last_out(log).train)
    assert model.count.tolist() == [0, 1, 2, 0, 0, 0]

"""Recent popularity against counts made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.popularity.recent_pop import RecentPop

HISTORIES = [[1, 1, 2], [1, 3, 3], [1, 2, 4]]
TIMES = np.array([1, 2, 50, 1, 40, 60, 1, 2, 3])


def scores(log: Log, share: float) -> list[float]:
    model = RecentPop(RecentPop.configure({"recent_share": share}), Sizes(log.num_users, log.num_items))
    model.fit(log)
    return model.score(Batch(torch.tensor([0]), torch.tensor([[1]])))[0].tolist()


def test_scores_are_counts_of_recent_events_with_ties_broken_by_all_events() -> None:
    log = replace(synthetic.from_sequences(HISTORIES, num_items=5), time=TIMES)
    assert scores(log, 3 / 9) == pytest.approx([-math.inf, 4 / 10, 1 + 2 / 10, 2 + 2 / 10, 1 / 10, 0])


def test_events_at_the_same_time_are_all_recent_or_none() -> None:
    log = replace(synthetic.from_sequences(HISTORIES, num_items=4), time=np.array([1, 2, 9] * 3))
    assert scores(log, 1 / 9) == pytest.approx([-math.inf, 0.4, 1.2, 1.2, 1.1])


def test_without_times_the_newest_events_of_each_user_are_recent() -> None:
    log = synthetic.from_sequences(HISTORIES, num_items=4)
    assert scores(log, 0.3) == pytest.approx([-math.inf, 0.4, 1.2, 1.2, 1.1])


def test_counts_of_a_training_part_leave_out_later_events() -> None:
    log = replace(synthetic.from_sequences(HISTORIES, num_items=4), time=TIMES)
    assert scores(log.until(log.start + np.array([0, 2, 2, 2])), 1 / 6) == pytest.approx(
        [-math.inf, 4 / 7, 1 / 7, 1 + 1 / 7, 0]
    )


@pytest.mark.parametrize("timed", [False, True])
def test_scores_with_a_share_of_one_and_of_an_empty_log(timed: bool) -> None:
    log = synthetic.from_sequences(HISTORIES, num_items=4)
    log = replace(log, time=TIMES) if timed else log
    assert scores(log, 1.0) == pytest.approx([-math.inf, 4.4, 2.2, 2.2, 1.1])
    assert scores(log.until(log.start), 0.5) == pytest.approx([-math.inf, 0, 0, 0, 0])


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=f"recent_share={share}: must be above 0 and at most 1"):
        RecentPop.configure({"recent_share": share})

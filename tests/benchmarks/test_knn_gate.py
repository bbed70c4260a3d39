"""The learned gate of `benchmarks.knn_gate`: it starts as sequential item-KNN, and counts without the user."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.knn_gate import Examples, GatedKNN, training_examples, without_own_pairs

from segue.batches.batch import Batch
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.models.base.model import Sizes
from segue.models.neighbours.seq_knn import SeqKNN

LOG = from_sequences([[1, 2, 3, 4], [2, 3, 1], [4, 1, 2, 3], [1, 3, 4], [5, 4, 1]], num_items=5)


def fitted(log: Log) -> SeqKNN:
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(log)
    return knn


def make_batch(history: list[int]) -> Batch:
    return Batch(torch.tensor([1]), torch.tensor([history]))


@pytest.mark.parametrize("kind", ["age", "item", "content"])
def test_it_starts_as_sequential_item_knn(kind: str) -> None:
    knn = fitted(LOG)
    torch.testing.assert_close(GatedKNN(knn, kind).score(make_batch([2, 5])), knn.score(make_batch([2, 5])))


@pytest.mark.parametrize("user", [1, 2, 3, 4, 5])
def test_removing_the_users_own_pairs_equals_counting_without_the_event(user: int) -> None:
    knn = fitted(LOG)
    *past, target = LOG.history(user).tolist()
    history = torch.zeros(1, 50, dtype=torch.long)
    history[0, -len(past) :] = torch.tensor(past)
    batch_row, seen = torch.zeros(len(past) + 1, dtype=torch.long), torch.tensor([*past, target])
    examples = Examples(history, torch.tensor([target]), torch.tensor([0]), batch_row, seen)
    gates = GatedKNN(knn, "age").gates(history)
    corrected = without_own_pairs(LOG, knn)(gates, examples, knn.score(make_batch(past))[:, target])
    stop = LOG.stop.copy()
    stop[user] -= 1
    torch.testing.assert_close(corrected, fitted(LOG.until(stop)).score(make_batch(past))[:, target])


def test_histories_end_before_the_split_row_and_targets_start_there() -> None:
    split_row = LOG.stop - 2
    split_row[0] = 0
    for examples in training_examples(LOG, split_row, 1.0, np.random.default_rng(0)):
        past = [[item for item in row if item] for row in examples.history.tolist()]
        for batch_row, (row, target, distance) in enumerate(
            zip(past, examples.target.tolist(), examples.distance.tolist(), strict=True)
        ):
            seen = examples.seen_item[examples.row == batch_row].tolist()
            assert row == seen[: len(seen) - 2]
            assert seen[len(seen) - 2 + distance] == target

"""The learnt gate of `benchmarks.knn_gate`: it starts as sequential item-KNN, and counts without the user."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.knn_gate import Gate, ProtocolOptions, questions, without_own

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


def ask(history: list[int]) -> Batch:
    return Batch(torch.tensor([1]), torch.tensor([history]))


@pytest.mark.parametrize("kind", ["age", "item", "content"])
def test_it_begins_as_sequential_item_knn(kind: str) -> None:
    knn = fitted(LOG)
    torch.testing.assert_close(Gate(knn, kind).score(ask([2, 5])), knn.score(ask([2, 5])))


@pytest.mark.parametrize("user", [1, 2, 3, 4, 5])
def test_taking_out_the_users_own_pairs_is_counting_without_the_event(user: int) -> None:
    knn = fitted(LOG)
    *past, target = LOG.history(user).tolist()
    history = torch.zeros(1, 50, dtype=torch.long)
    history[0, -len(past) :] = torch.tensor(past)
    line, had = torch.zeros(len(past) + 1, dtype=torch.long), torch.tensor([*past, target])
    asked = ProtocolOptions(history, torch.tensor([target]), torch.tensor([0]), line, had)
    gates = Gate(knn, "age").gates(history)
    corrected = without_own(LOG, knn)(gates, asked, knn.score(ask(past))[:, target])
    stop = LOG.stop.copy()
    stop[user] -= 1
    torch.testing.assert_close(corrected, fitted(LOG.until(stop)).score(ask(past))[:, target])


def test_questions_behind_a_cut_have_their_histories_before_it_and_their_targets_from_it() -> None:
    cut = LOG.stop - 2
    cut[0] = 0
    for asked in questions(LOG, cut, 1.0, np.random.default_rng(0)):
        past = [[item for item in row if item] for row in asked.history.tolist()]
        for line, (row, target, ahead) in enumerate(
            zip(past, asked.target.tolist(), asked.ahead.tolist(), strict=True)
        ):
            had = asked.had[asked.line == line].tolist()
            assert row == had[: len(had) - 2]
            assert had[len(had) - 2 + ahead] == target

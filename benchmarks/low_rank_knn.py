"""Low-rank similarities of sequential item-KNN, and its hits compared with SASRec's, on validation of Amazon CDs.

    python -m benchmarks.low_rank_knn [--sasrec FOLDER]

1. The similarity matrix is approximated by a matrix of rank d. This is the best result that two vectors of dimension d
   per item could reach, as in a dot-product model.
2. With a saved SASRec (trained on the train part): the hits of both models in their top ten, by the number of training
   users who have the target together with one of the 50 items before it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.data.splits import Split
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import measure
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.serving import saved_model

RANKS = (16, 64, 128, 256, 512)
COUNT_BINS = np.array([0, 1, 2, 3, 5, 10])
PROTOCOL = Protocol.named("hgn")


class LowRankKNN(Model):
    """Sequential item-KNN with the similarity matrix left @ right, left (I + 1, d), right (d, I + 1)."""

    name = "low-rank"
    Config = Config

    def __init__(self, knn: SeqKNN, left: Tensor, right: Tensor) -> None:
        super().__init__(Config(), knn.sizes)
        self.knn, self.window, self.left, self.right = knn, knn.window, left, right

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        history = batch.last_items(self.window or batch.history.shape[1])
        age = torch.arange(history.shape[1] - 1, -1, -1)
        weight = position_weights(self.knn, age) * (history > 0)  # (B, L)
        scores = torch.einsum("bl,bld->bd", weight, self.left[history]) @ self.right  # (B, I + 1)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def position_weights(knn: SeqKNN, age: Tensor) -> Tensor:
    """The weight that sequential item-KNN gives to an item of the history by its age; the newest item has age 0."""
    lowest = knn.config.min_position_weight
    return lowest + (1 - lowest) * knn.config.position_decay**age


def similarity_matrix(knn: SeqKNN) -> sp.csr_array:
    """(I + 1, I + 1) the similarities of a fitted model."""
    return knn.similarity.to_scipy()


def low_rank_factors(knn: SeqKNN, rank: int) -> tuple[Tensor, Tensor]:
    """Two factors of the similarities by randomised subspace iteration (Halko, Martinsson and Tropp, 2011)."""
    matrix = similarity_matrix(knn)
    basis = matrix @ np.random.default_rng(0).standard_normal((matrix.shape[0], rank + 28)).astype(np.float32)
    for _ in range(2):
        basis = matrix @ np.linalg.qr(matrix.T @ np.linalg.qr(basis)[0])[0]
    basis = np.linalg.qr(basis)[0]
    u, s, v = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    return torch.from_numpy((basis @ u) * s).float(), torch.from_numpy(v).float()


def print_validation(name: str, model: Model, split: Split) -> np.ndarray[Any, Any]:
    """Print Recall@10 and NDCG@10 on validation; returns (n, 11) the user and the top ten of each instance."""
    ranks = PROTOCOL.rank(model, split, "valid")
    means = [float(measure(ranks, metric).mean()) for metric in ("recall@10", "ndcg@10")]
    print(f"{name:24s} {means[0]:.4f} {means[1]:.4f}", flush=True)
    return np.concatenate([ranks.user[:, None], ranks.top[:, :10]], 1)


def cooccurrence_counts(train: Log) -> Any:
    """(I + 1, I + 1) the number of users who have both items."""
    user, item = train.events()
    has_item = sp.csr_matrix((np.ones(len(user)), (user, item)), shape=(train.num_users + 1, train.num_items + 1))
    has_item.data[:] = 1
    return (has_item.T @ has_item).tocsr()


def print_hits(split: Split, lists: dict[str, np.ndarray[Any, Any]]) -> None:
    """Print the hits of each model by the number of users who have the target and an item of the history."""
    counts, log = cooccurrence_counts(split.train), split.log
    top = {name: {int(row[0]): set(row[1:].tolist()) for row in rows} for name, rows in lists.items()}
    table = np.zeros((len(COUNT_BINS), 2 + len(top)), np.int64)
    instances = PROTOCOL.instances(split, "valid")
    for user, row, stop in zip(instances.user.tolist(), instances.row, instances.stop, strict=True):
        past = log.item[log.start[user] : row]
        targets = np.setdiff1d(log.item[row:stop], past)
        if not len(targets):
            continue
        highest = np.asarray(counts[past[-50:]][:, targets].max(axis=0).todense()).ravel()
        for target, count in zip(targets.tolist(), highest, strict=True):
            hits = [target in items[user] for items in top.values()]
            table[np.searchsorted(COUNT_BINS, count, side="right") - 1] += [1, *hits, all(hits)]
    print("users with both", "targets", *top, "all of them", sep="\t")
    for minimum, cells in zip(COUNT_BINS.tolist(), table.tolist(), strict=True):
        print(f"from {minimum}", *cells, sep="\t")


def main() -> None:
    """Measure, and print the metrics on validation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sasrec", type=Path, help="folder of a saved SASRec, trained on the train part")
    parser.add_argument("--ranks", type=int, nargs="*", default=RANKS)
    arguments = parser.parse_args()
    log = catalog.load_log("hgn-cds")
    split = PROTOCOL.split(log)
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(split.train)
    lists = {"seq-knn": print_validation("seq-knn", knn, split)}
    if arguments.sasrec:
        lists["sasrec"] = print_validation("sasrec", saved_model.load(arguments.sasrec).model, split)
        print_hits(split, lists)
    if arguments.ranks:
        left, right = low_rank_factors(knn, max(arguments.ranks))
        for rank in arguments.ranks:
            print_validation(f"seq-knn at rank {rank}", LowRankKNN(knn, left[:, :rank], right[:rank]), split)


if __name__ == "__main__":
    main()

"""What counting remembers and a network does not, on the validation part of Amazon CDs.

    python -m benchmarks.low_rank_knn [--sasrec FOLDER]

1. The table of sequential item-KNN cut to rank d: what would be left of it if it had to be a product of two vectors of
   d numbers an item, as in any retriever.
2. With a saved SASRec (trained on the train part): hits of both among their ten, by how many training users have the
   item that came next together with one of the 50 items before it.
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
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.serving import saved_model

RANKS = (16, 64, 128, 256, 512)
BINS = np.array([0, 1, 2, 3, 5, 10])
PROTOCOL = Protocol.named("hgn")


class LowRank(Model):
    """Sequential item-KNN whose table is left[:, :d] @ right[:d]."""

    name = "low-rank"
    Config = Config

    def __init__(self, knn: SeqKNN, left: Tensor, right: Tensor) -> None:
        super().__init__(Config(), knn.sizes)
        self.knn, self.window, self.left, self.right = knn, knn.window, left, right

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        history = batch.last_items(self.window or batch.history.shape[1])
        age = torch.arange(history.shape[1] - 1, -1, -1)
        config = self.knn.config
        weight = (config.floor + (1 - config.floor) * config.decay**age) * (history > 0)
        scores = torch.einsum("bl,bld->bd", weight, self.left[history]) @ self.right
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def factors(knn: SeqKNN, rank: int) -> tuple[Tensor, Tensor]:
    """Two factors of the similarities by randomised subspace iteration (Halko, Martinsson and Tropp, 2011)."""
    part = knn.similarity
    n = knn.sizes.num_items + 1
    table = sp.csr_matrix((part.value.numpy(), part.column.numpy(), part.start.numpy()), shape=(n, n))
    basis = table @ np.random.default_rng(0).standard_normal((n, rank + 28)).astype(np.float32)
    for _ in range(2):
        basis = table @ np.linalg.qr(table.T @ np.linalg.qr(basis)[0])[0]
    basis = np.linalg.qr(basis)[0]
    u, s, v = np.linalg.svd((table.T @ basis).T, full_matrices=False)
    return torch.from_numpy((basis @ u) * s).float(), torch.from_numpy(v).float()


def told(name: str, model: Model, split: Split) -> np.ndarray[Any, Any]:
    """Print what a model reaches on validation; its ten for each question."""
    ranks = PROTOCOL.rank(model, split, "valid")
    means = [float(measure(ranks, metric).mean()) for metric in ("recall@10", "ndcg@10")]
    print(f"{name:24s} {means[0]:.4f} {means[1]:.4f}", flush=True)
    return np.concatenate([ranks.user[:, None], ranks.top[:, :10]], 1)


def together(train: Log) -> Any:
    """(I + 1, I + 1) how many users have both items."""
    user, item = train.events()
    held = sp.csr_matrix((np.ones(len(user)), (user, item)), shape=(train.num_users + 1, train.num_items + 1))
    held.data[:] = 1
    return (held.T @ held).tocsr()


def hits(split: Split, lists: dict[str, np.ndarray[Any, Any]]) -> None:
    """Print the hits of each model by how often the target stands together with something in the history."""
    counts, log = together(split.train), split.log
    named = {name: {int(row[0]): set(row[1:].tolist()) for row in rows} for name, rows in lists.items()}
    table = np.zeros((len(BINS), 2 + len(named)), np.int64)
    instances = PROTOCOL.instances(split, "valid")
    for user, row, stop in zip(instances.user.tolist(), instances.row, instances.stop, strict=True):
        past = log.item[log.start[user] : row]
        targets = np.setdiff1d(log.item[row:stop], past)
        if not len(targets):
            continue
        most = np.asarray(counts[past[-50:]][:, targets].max(axis=0).todense()).ravel()
        for target, count in zip(targets.tolist(), most, strict=True):
            found = [target in ten[user] for ten in named.values()]
            table[np.searchsorted(BINS, count, side="right") - 1] += [1, *found, all(found)]
    print("users with both", "targets", *named, "all of them", sep="\t")
    for least, line in zip(BINS.tolist(), table.tolist(), strict=True):
        print(f"from {least}", *line, sep="\t")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sasrec", type=Path, help="folder of a saved SASRec, trained on the train part")
    parser.add_argument("--ranks", type=int, nargs="*", default=RANKS)
    arguments = parser.parse_args()
    log = catalog.load_log("hgn-cds")
    split = PROTOCOL.split(log)
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(split.train)
    lists = {"seq-knn": told("seq-knn", knn, split)}
    if arguments.sasrec:
        lists["sasrec"] = told("sasrec", saved_model.load(arguments.sasrec).model, split)
        hits(split, lists)
    if arguments.ranks:
        left, right = factors(knn, max(arguments.ranks))
        for rank in arguments.ranks:
            told(f"seq-knn cut to rank {rank}", LowRank(knn, left[:, :rank], right[:rank]), split)


if __name__ == "__main__":
    main()

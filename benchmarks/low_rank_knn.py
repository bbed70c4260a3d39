"""Sequential item-KNN with its similarities cut to a low rank, on validation of Amazon CDs.

    python -m benchmarks.low_rank_knn [--rank D] [--json FILE]

The similarity matrix is approximated by a matrix of rank D. This is the best result that two vectors of dimension D per
item could reach, as in a dot-product model. The JSON has the form of `segue run --json`, with "part": "validation";
`docs/stored_runs.py` stores it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Config
from segue.data.datasets import catalog
from segue.evaluation.protocol import Protocol
from segue.evaluation.result import Result
from segue.evaluation.summary import summary
from segue.io import write_json
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN

PROTOCOL = Protocol.named("hgn")
METRICS = ("recall@10", "ndcg@10")


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
        weight = self.position_weights(age) * (history > 0)  # (B, L)
        scores = torch.einsum("bl,bld->bd", weight, self.left[history]) @ self.right  # (B, I + 1)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]

    def position_weights(self, age: Tensor) -> Tensor:
        """The weight that sequential item-KNN gives to an item of the history by its age; the newest has age 0."""
        lowest = self.knn.config.min_position_weight
        return lowest + (1 - lowest) * self.knn.config.position_decay**age


def low_rank_factors(knn: SeqKNN, rank: int) -> tuple[Tensor, Tensor]:
    """Two factors of the similarities, (I + 1, rank) and (rank, I + 1), by randomised subspace iteration.

    Halko, Martinsson and Tropp, 2011.
    """
    matrix = knn.similarity.to_scipy()
    basis = matrix @ np.random.default_rng(0).standard_normal((matrix.shape[0], rank + 28)).astype(np.float32)
    for _ in range(2):
        basis = matrix @ np.linalg.qr(matrix.T @ np.linalg.qr(basis)[0])[0]
    basis = np.linalg.qr(basis)[0]
    u, s, v = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    left, right = torch.from_numpy((basis @ u) * s).float(), torch.from_numpy(v).float()
    return left[:, :rank], right[:rank]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rank", type=int, help="of the approximation; by default the similarities are whole")
    made.add_argument("--json", type=Path, help="file for the figures")
    return made


def main() -> None:
    """Fit, cut and evaluate."""
    arguments = parser().parse_args()
    log = catalog.load_log("hgn-cds")
    split = PROTOCOL.split(log)
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(split.train)
    model = LowRankKNN(knn, *low_rank_factors(knn, arguments.rank)) if arguments.rank else knn
    result = Result(
        model=model.name,
        predictions=PROTOCOL.rank(model, split, "valid"),
        protocol=PROTOCOL,
        log=log.fingerprint,
        items=log.num_items,
        cpu_seconds=time.process_time(),
    )
    content = summary([result], METRICS)
    about = {"protocol": content["protocol"], "settings": {"rank": arguments.rank}, "seed": 0}
    for metric, figure in content["models"][0]["metrics"].items():
        print(f"{metric:10s} {figure['mean']:.4f}")
    if arguments.json:
        write_json(arguments.json, {**content, "part": "validation", "experiment": about, "training": {}})


if __name__ == "__main__":
    main()

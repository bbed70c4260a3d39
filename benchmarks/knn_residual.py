"""SASRec trained as a residual of the counts of sequential item-KNN, on validation of Amazon CDs.

    python -m benchmarks.knn_residual [--own in] [--epochs N] [--share S]

    logit(j) = power log(eps + sum over ages r of  g_r C[i_r, j])  +  strength q . v_j

q . v_j is SASRec's cosine score with its preset `sampled`. The weights g of the ages, power, eps and strength are
learned together with it, starting from those of sequential item-KNN. In training, the pairs of the target's own user
are removed from its counts, except with `--own in`. Validation metrics during training are on a random third of the
evaluation instances; the last ones are on all of them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from benchmarks.knn_gate import popularity_factors
from benchmarks.low_rank_knn import PROTOCOL, position_weights, print_validation, similarity_matrix
from segue.batches.batch import Batch, SequenceBatch
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.evaluation.ranking import rank
from segue.evaluation.task import measure
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.sequential.sasrec import SASRec
from segue.training.loop import fit

SETTINGS = {"num_negatives": 512, "lr": 5e-3}


def pair_counts(train: Log, knn: SeqKNN, *, own: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The counts of sequential item-KNN for each event of the log as a target.

    Args:
        train: the log.
        knn: fitted to the log.
        own: whether the pairs of the target's user are included.

    Returns:
        (R, 50) the similarity of each event to the 50 events before it, by age; (R,) the sorted keys user * (I + 1) +
        item of all events; (R,) the row of each key.
    """
    config, matrix, size = knn.config, similarity_matrix(knn), knn.sizes.num_items + 1
    user, item = (torch.from_numpy(column.astype(np.int64)) for column in train.events())
    of_history, of_scored, ratio = popularity_factors(train, knn)
    stored = torch.from_numpy(np.repeat(np.arange(size), np.diff(matrix.indptr)) * size + matrix.indices)
    values = torch.from_numpy(matrix.data).float()
    counts = torch.zeros(len(item), config.max_distance)
    for age in range(config.max_distance):
        row = torch.arange(age + 1, len(item))
        row = row[user[row] == user[row - 1 - age]]
        past, target = item[row - 1 - age], item[row]
        entry = torch.searchsorted(stored, past * size + target).clamp(max=len(stored) - 1)
        value = torch.where(stored[entry] == past * size + target, values[entry], 0)
        if not own:
            own_pair = (age + 1.0) ** -config.distance_decay * of_history[past] * of_scored[target]
            value = (value - own_pair).clamp(min=0) * ratio[target]
        counts[row, age] = value
    return counts, *torch.sort(user * size + item)


class Residual(SASRec):
    """SASRec's cosine scores plus the logarithm of weighted counts."""

    name = "residual"

    def __init__(self, knn: SeqKNN, train: Log, *, epochs: int, own: bool, share: float) -> None:
        config = SASRec.configure({**SETTINGS, "epochs": epochs}, preset="sampled")
        super().__init__(config, knn.sizes)
        self.share, self.matrix, size = share, similarity_matrix(knn), knn.sizes.num_items + 1
        self.age = nn.Parameter(torch.log(position_weights(knn, torch.arange(config.window).float())))
        self.power = nn.Parameter(torch.tensor(1.5))
        self.eps = nn.Parameter(torch.tensor(math.log(0.02)))
        self.strength = nn.Parameter(torch.tensor(math.log(0.25)))
        self.pairs, self.key, self.order = pair_counts(train, knn, own=own)
        self.columns, self.shared = self.matrix.tocsc(), torch.empty(0)
        self.shared_counts = torch.zeros(size, config.num_negatives)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        return (batch for batch in super().batches(log, rng) if rng.random() < self.share)

    def forward(self, batch: SequenceBatch) -> Tensor:
        batch = batch.trimmed()
        assert batch.shared_negatives is not None
        assert batch.log_expected_count is not None
        history, shared, size = batch.history, batch.shared_negatives, self.sizes.num_items + 1
        row, position = batch.targets[..., 0].nonzero(as_tuple=True)
        target = batch.target[row, position]  # (n,)
        query = self._scaled(self.queries(batch)[row, position]) * self.strength.exp()  # (n, d)
        age = torch.arange(history.shape[1])[:, None] - torch.arange(history.shape[1])
        gates = self.age[age.clamp(min=0)].masked_fill(age < 0, -torch.inf).exp()  # (L, L)
        negative = self._log((gates @ self._counts(shared)[history])[row, position])  # (n, S)
        negative = negative + query @ self._items(shared).T
        negative = negative - batch.log_expected_count[shared].float()
        seen = torch.zeros(len(history), size, dtype=torch.bool)
        for items in (history, batch.target):
            seen[torch.arange(len(history))[:, None], items] = True
        negative = negative.masked_fill(seen[:, shared][row], -1e4)
        past = position[:, None] - torch.arange(self.pairs.shape[1])
        valid = (past >= 0) & (history[row[:, None], past.clamp(min=0)] > 0)
        event = self.order[torch.searchsorted(self.key, batch.user[row] * size + target)]
        counts = (self.pairs[event] * self.age.exp() * valid).sum(1)
        positive = self._log(counts) + (query * self._items(target)).sum(1)
        return nn.functional.softplus(negative.logsumexp(1) - positive).sum()

    def _log(self, counts: Tensor) -> Tensor:
        return self.power * torch.log(counts + self.eps.exp())

    def _counts(self, shared: Tensor) -> Tensor:
        """(I + 1, S) the columns of the similarity matrix for the shared negatives."""
        if self.shared is not shared:
            self.shared_counts = torch.from_numpy(self.columns[:, shared.numpy()].toarray()).float()
            self.shared = shared
        return self.shared_counts

    @torch.no_grad()
    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        history = batch.last_items(self.config.window)
        row, position = history.nonzero(as_tuple=True)
        weight = self.age.exp()[history.shape[1] - 1 - position]
        weights = sp.csr_array((weight, (row, history[row, position])), (len(history), self.matrix.shape[0]))
        counts = torch.from_numpy((weights @ self.matrix).toarray()).float()  # (B, I + 1)
        scores = self._log(counts) + self.strength.exp() * self.query(batch) @ self.item_vectors().T
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def main() -> None:
    """Train, and print the metrics on validation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--own", choices=("in", "out"), default="out")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--share", type=float, default=1.0, help="share of the batches that are trained on")
    arguments = parser.parse_args()
    log = catalog.load_log("hgn-cds")
    split = PROTOCOL.split(log)
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(split.train)
    instances = PROTOCOL.instances(split, "valid")
    third = instances.take(np.flatnonzero(np.random.default_rng(9).random(len(instances)) < 1 / 3))

    def validate(model: Model) -> float:
        ranks = rank(model, third, exclude_seen=True, ties="conservative", depth=10)
        recall, ndcg = (float(measure(ranks, metric).mean()) for metric in ("recall@10", "ndcg@10"))
        print(f"on a third: {recall:.4f} {ndcg:.4f}, {time.process_time():.0f} CPU s", flush=True)
        return ndcg

    torch.manual_seed(0)
    model = Residual(knn, split.train, epochs=arguments.epochs, own=arguments.own == "in", share=arguments.share)
    validate(knn)
    training = fit(model, split.train, validate=validate, eval_every=2, patience=2)
    print("loss of each epoch:", *(f"{epoch.loss:.3f}" for epoch in training.epochs))
    print_validation(f"epoch {training.best}", model.eval(), split)
    print(f"power {model.power.item():.2f}, strength {model.strength.exp().item():.2f}")


if __name__ == "__main__":
    main()

"""SASRec trained beside the counts of sequential item-KNN, for what these lack, on validation of Amazon CDs.

    python -m benchmarks.knn_residual [--own in] [--epochs N] [--share S]

    logit(j) = power log(eps + sum over ages r of  g_r C[i_r, j])  +  strength q . v_j

q . v_j is SASRec's cosine at its preset `sampled`; g, a weight for each age, power, eps and strength are learnt with
it, from where sequential item-KNN stands. Training takes out of the target's counts what its own user adds to them;
with `--own in` it does not. The figures on the way are those of a random third of the questions, the last of all.
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

from benchmarks.knn_gate import shares
from benchmarks.low_rank_knn import PROTOCOL, told
from segue.batches.batch import Batch
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.evaluation.metrics import measure
from segue.evaluation.ranking import rank
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.sequential.sasrec import SASRec
from segue.training.loop import fit

SETTINGS = {"num_negatives": 512, "lr": 5e-3}


def pair_counts(train: Log, knn: SeqKNN, *, own: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(R, 50) what each row of the log counts after the 50 before it; and the rows by (user, item), with that key."""
    config, part, span = knn.config, knn.similarity, knn.sizes.num_items + 1
    user, item = (torch.from_numpy(column.astype(np.int64)) for column in train.events())
    seen, scored, fewer = shares(train, knn)
    cells = torch.repeat_interleave(torch.arange(span), part.start.diff()) * span + part.column
    found = torch.zeros(len(item), config.reach)
    for age in range(config.reach):
        row = torch.arange(age + 1, len(item))
        row = row[user[row] == user[row - 1 - age]]
        one, two = item[row - 1 - age], item[row]
        at = torch.searchsorted(cells, one * span + two).clamp(max=len(cells) - 1)
        value = torch.where(cells[at] == one * span + two, part.value[at], 0)
        if not own:
            added = (age + 1.0) ** -config.distance_decay * seen[one] * scored[two]
            value = (value - added).clamp(min=0) * fewer[two]
        found[row, age] = value
    return found, *torch.sort(user * span + item)


class Residual(SASRec):
    """SASRec's cosines on top of the logarithm of gated counts."""

    name = "residual"

    def __init__(self, knn: SeqKNN, train: Log, *, epochs: int, own: bool, share: float) -> None:
        config = SASRec.configure({**SETTINGS, "epochs": epochs}, preset="sampled")
        super().__init__(config, knn.sizes)
        self.share, self.table, span = share, knn.similarity, knn.sizes.num_items + 1
        self.age = nn.Parameter(
            torch.log(
                knn.config.floor + (1 - knn.config.floor) * knn.config.decay ** torch.arange(config.window).float()
            )
        )
        self.power = nn.Parameter(torch.tensor(1.5))
        self.eps = nn.Parameter(torch.tensor(math.log(0.02)))
        self.strength = nn.Parameter(torch.tensor(math.log(0.25)))
        self.pairs, self.key, self.order = pair_counts(train, knn, own=own)
        part = self.table
        whole = sp.csr_matrix((part.value.numpy(), part.column.numpy(), part.start.numpy()), shape=(span, span))
        self.columns, self.drawn, self.block = whole.tocsc(), torch.empty(0), torch.zeros(span, config.num_negatives)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        return (batch for batch in super().batches(log, rng) if rng.random() < self.share)

    def forward(self, batch: Batch) -> Tensor:
        batch = batch.trimmed()
        history, shared, span = batch.history, batch.shared_negatives, self.sizes.num_items + 1
        line, place = batch.targets[..., 0].nonzero(as_tuple=True)
        target = batch.target[line, place]
        query = self._scaled(self.queries(batch)[line, place]) * self.strength.exp()
        back = torch.arange(history.shape[1])[:, None] - torch.arange(history.shape[1])
        gates = self.age[back.clamp(min=0)].masked_fill(back < 0, -torch.inf).exp()
        negative = self._log((gates @ self._counts(shared)[history])[line, place]) + query @ self._items(shared).T
        negative = negative - batch.log_expected_count[shared].float()
        had = torch.zeros(len(history), span, dtype=torch.bool)
        for items in (history, batch.target):
            had[torch.arange(len(history))[:, None], items] = True
        negative = negative.masked_fill(had[:, shared][line], -1e4)
        at = place[:, None] - torch.arange(self.pairs.shape[1])
        seen = (at >= 0) & (history[line[:, None], at.clamp(min=0)] > 0)
        row = self.order[torch.searchsorted(self.key, batch.user[line] * span + target)]
        counts = (self.pairs[row] * self.age.exp() * seen).sum(1)
        positive = self._log(counts) + (query * self._items(target)).sum(1)
        return nn.functional.softplus(negative.logsumexp(1) - positive).sum()

    def _log(self, counts: Tensor) -> Tensor:
        return self.power * torch.log(counts + self.eps.exp())

    def _counts(self, shared: Tensor) -> Tensor:
        """(I + 1, S) the columns of the table that belong to the shared negatives."""
        if self.drawn is not shared:
            part = self.columns[:, shared.numpy()].tocoo()
            self.block.zero_()
            self.block[torch.from_numpy(part.row).long(), torch.from_numpy(part.col).long()] = torch.from_numpy(
                part.data
            )
            self.drawn = shared
        return self.block

    @torch.no_grad()
    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        history = batch.last_items(self.config.window)
        line, place = history.nonzero(as_tuple=True)
        counts = torch.zeros(len(history), self.sizes.num_items + 1)
        weight = self.age.exp()[history.shape[1] - 1 - place]
        self.table.add_to(counts, line=line, row=history[line, place], weight=weight)
        scores = self._log(counts) + self.strength.exp() * self.query(batch) @ self.item_vectors().T
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def main() -> None:
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
        print(f"a third: {recall:.4f} {ndcg:.4f}, {time.process_time():.0f} CPU s", flush=True)
        return ndcg

    torch.manual_seed(0)
    model = Residual(knn, split.train, epochs=arguments.epochs, own=arguments.own == "in", share=arguments.share)
    validate(knn)
    training = fit(model, split.train, validate=validate, eval_every=2, patience=2)
    print("loss of each epoch:", *(f"{epoch.loss:.3f}" for epoch in training.epochs))
    told(f"epoch {training.best}", model.eval(), split)
    print(f"power {model.power.item():.2f}, strength {model.strength.exp().item():.2f}")


if __name__ == "__main__":
    main()

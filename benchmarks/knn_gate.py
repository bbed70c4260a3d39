"""A learned gate over the counts of sequential item-KNN, and HGN initialised from them, on validation of Amazon CDs.

    python -m benchmarks.knn_gate [--gate age|item|content] [--counts all|others|older] [--epochs N] [--lr LR]
    python -m benchmarks.knn_gate --hgn bpr|sampled-ce [--random]

Sequential item-KNN weighs the item at age r of the history by a fixed g_r. Here it is learned:

    score(j) = sum over r of  g_r C[i_r, j],     g_r = exp(a_r + b_i + u . W e_i)
    loss     = -log softmax over all items of  power log(score + eps)

The item bias b_i is used with `item` and `content`; the item vectors e_i and u, their weighted mean over the history,
with `content`. Everything starts at the weights of sequential item-KNN. C is counted from the training events:

    all      including the pairs of the user whose target is predicted
    others   without the pairs of this user
    older    without the last tenth of each user's events, on which the gate is trained; after the training it is
             applied to the counts of all events
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from benchmarks.low_rank_knn import (
    PROTOCOL,
    low_rank_factors,
    position_weights,
    print_validation,
    similarity_matrix,
)
from segue.batches.batch import Batch
from segue.config import Config
from segue.data.datasets import catalog
from segue.data.log import Ids, Log
from segue.data.splits import Split
from segue.evaluation.task import measure
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.sequential.hgn import HGN
from segue.papers.hgn.common import VARIANT_SETTINGS
from segue.papers.hgn.table3 import HGN_SOFTMAX_SETTINGS
from segue.training.loop import fit

BATCH_SIZE = 64
WINDOW = 50


@dataclass(frozen=True)
class Examples:
    """A batch of training examples.

    Attributes:
        history: (B, L) the items before the target.
        target: (B,) the target.
        distance: (B,) number of events between history and target.
        row: (n,) with `seen_item`: all items of the user in each row of the batch.
        seen_item: (n,) the items.
    """

    history: Tensor
    target: Tensor
    distance: Tensor
    row: Tensor
    seen_item: Tensor


TargetScores = Callable[[Tensor, Examples, Tensor], Tensor]


class GatedKNN(Model):
    """Sequential item-KNN with learned weights of the items of the history."""

    name = "gate"
    Config = Config

    def __init__(self, knn: SeqKNN, kind: str, dim: int = 16) -> None:
        super().__init__(Config(), knn.sizes)
        config, num_items = knn.config, knn.sizes.num_items
        assert config.window is not None
        self.window, self.matrix = config.window, similarity_matrix(knn)
        age = torch.arange(config.window - 1, -1, -1.0)
        self.age = nn.Parameter(torch.log(position_weights(knn, age)))
        self.power = nn.Parameter(torch.tensor(1.0))
        self.eps = nn.Parameter(torch.tensor(math.log(0.02)))
        self.item = nn.Parameter(torch.zeros(num_items + 1, 1)) if kind != "age" else None
        if kind == "content":
            self.vector = nn.Parameter(torch.randn(num_items + 1, dim) * 0.3)
            self.match = nn.Linear(dim, dim, bias=False)
            nn.init.zeros_(self.match.weight)
        self.kind = kind

    def gates(self, history: Tensor) -> Tensor:
        """(B, L) the weight of each item of the history; 0 for padding."""
        valid = (history > 0).float()
        gate = self.age + 0 * valid
        if self.item is not None:
            gate = gate + self.item[history].squeeze(-1)
        if self.kind == "content":
            vector = self.vector[history]  # (B, L, d)
            share = torch.softmax(self.age.detach() + (valid - 1) * 1e4, -1)
            gate = gate + torch.einsum("bd,bld->bl", self.match(torch.einsum("bl,bld->bd", share, vector)), vector)
        return gate.exp() * valid

    def weighted_sums(self, history: Tensor, gates: Tensor, matrix: sp.csr_array) -> Tensor:
        """(B, I + 1) the sum of the rows of the matrix for the items of each history, weighted by the gates."""
        row, position = history.nonzero(as_tuple=True)
        selected = matrix[history[row, position].numpy()]
        entry = torch.from_numpy(np.repeat(np.arange(len(row)), np.diff(selected.indptr)))
        weight = gates[row, position].index_select(0, entry) * torch.from_numpy(selected.data).to(gates)
        size = self.sizes.num_items + 1
        index = row[entry] * size + torch.from_numpy(selected.indices.astype(np.int64))
        return gates.new_zeros(len(history) * size).index_add(0, index, weight).view(-1, size)

    def logit(self, score: Tensor) -> Tensor:
        """The logit of a score."""
        return self.power * torch.log(score + self.eps.exp())

    @torch.no_grad()
    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        history = batch.last_items(self.window)
        scores = self.weighted_sums(history, self.gates(history), self.matrix)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def training_examples(train: Log, split_row: Ids | None, share: float, rng: np.random.Generator) -> Iterator[Examples]:
    """One example per user, in random order.

    Without `split_row` the target is at a random row and the history is before it. With `split_row`, the history is
    before this row of each user, and the target is at a random row from there on.
    """
    users = np.flatnonzero(train.lengths >= 2)
    users = users[rng.random(len(users)) < share]
    start, stop = train.start[users], train.stop[users]
    if split_row is None:
        first = start + 1
        target_row = row = first + (rng.random(len(users)) * (stop - first)).astype(int)
        order = rng.permutation(len(users))
    else:
        row, order = split_row[users], rng.permutation(len(users))
        target_row = row + (rng.random(len(users)) * (stop - row)).astype(int)
    for begin in range(0, len(order), BATCH_SIZE):
        chosen = order[begin : begin + BATCH_SIZE]
        window = row[chosen][:, None] + np.arange(-WINDOW, 0)
        history = np.where(window >= start[chosen][:, None], train.item[np.maximum(window, 0)], 0)
        batch_row = np.repeat(np.arange(len(chosen)), train.lengths[users[chosen]])
        seen_item = np.concatenate([train.history(user) for user in users[chosen].tolist()])
        parts = history, train.item[target_row[chosen]], (target_row - row)[chosen], batch_row, seen_item
        yield Examples(*(torch.from_numpy(part.astype(np.int64)) for part in parts))


def softmax_loss(gate: GatedKNN, matrix: sp.csr_array, examples: Examples, target_scores: TargetScores) -> Tensor:
    """The mean loss of the examples; of the user's own items only the target is a candidate."""
    gates = gate.gates(examples.history)
    scores = gate.weighted_sums(examples.history, gates, matrix)
    target_score = target_scores(gates, examples, scores[torch.arange(len(scores)), examples.target])
    excluded = torch.zeros_like(scores, dtype=torch.bool)
    excluded[examples.row, examples.seen_item] = True
    excluded[:, 0] = True
    others = gate.logit(scores).masked_fill(excluded, -torch.inf).logsumexp(1)
    return nn.functional.softplus(others - gate.logit(target_score)).mean()


def popularity_factors(train: Log, knn: SeqKNN) -> tuple[Tensor, Tensor, Tensor]:
    """Three factors (I + 1,) of a similarity: of the item of the history, of the scored item, and the ratio of the
    latter's factor with one event less."""
    config = knn.config
    count = torch.from_numpy(train.counts()).float().clamp(min=1)
    of_history, of_scored = (count + config.shrinkage) ** -config.alpha, (count + config.shrinkage) ** -config.beta
    return of_history, of_scored, (count.sub(1).clamp(min=1) + config.shrinkage) ** -config.beta / of_scored


def without_own_pairs(train: Log, knn: SeqKNN) -> TargetScores:
    """The target's score without the pairs of its own user. No user of this log has an item twice."""
    config = knn.config
    of_history, of_scored, ratio = popularity_factors(train, knn)

    def target_scores(gates: Tensor, examples: Examples, score: Tensor) -> Tensor:
        distance = torch.arange(gates.shape[1], 0, -1) + examples.distance[:, None]
        pair = torch.where(distance <= config.max_distance, distance.float() ** -config.distance_decay, 0)
        own = (gates * of_history[examples.history] * pair).sum(1) * of_scored[examples.target]
        return (score - own).clamp(min=0) * ratio[examples.target]

    return target_scores


def train_gate(split: Split, knn: SeqKNN, arguments: argparse.Namespace) -> None:
    """Train a gate and print its validation metrics after each epoch."""
    train, matrix, split_row = split.train, similarity_matrix(knn), None
    target_scores: TargetScores = lambda gates, examples, score: score  # noqa: E731
    if arguments.counts == "others":
        target_scores = without_own_pairs(train, knn)
    if arguments.counts == "older":
        held_out = np.ceil(0.1 * train.lengths).astype(np.int64)
        split_row = np.minimum(train.stop, np.maximum(train.start + 1, train.stop - held_out))
        older = SeqKNN(knn.config, knn.sizes)
        older.fit(train.until(split_row))
        matrix = similarity_matrix(older)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    gate = GatedKNN(knn, arguments.gate)
    print_validation("before", gate, split)
    optimizer = torch.optim.Adam(gate.parameters(), lr=arguments.lr)
    for epoch in range(1, arguments.epochs + 1):
        losses, start = [], time.process_time()
        for examples in training_examples(train, split_row, arguments.share, rng):
            optimizer.zero_grad()
            loss = softmax_loss(gate, matrix, examples, target_scores)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, {time.process_time() - start:.0f} CPU s")
        print_validation(f"epoch {epoch}", gate, split)
    weights = (gate.age - gate.age[-1]).exp()
    print("weight at age 0, 1, 2, 4, 8, 16:", *(f"{weights[-1 - age]:.2f}" for age in (0, 1, 2, 4, 8, 16)))


def initialise_from_counts(hgn: HGN, knn: SeqKNN) -> None:
    """Set HGN's item-item product to the best approximation of the similarities of its rank.

    With tied embeddings it is the best approximation of their symmetric part.
    """
    dim = hgn.config.embedding_dim
    if not hgn.config.tied:
        left, right = low_rank_factors(knn, dim)
        size = left[:, :dim].norm(dim=0)
        vectors = left[:, :dim] * (10 / size).sqrt(), right[:dim].T * (10 * size).sqrt()
        for weight, vector in zip((hgn.input_embedding, hgn.output_embedding), vectors, strict=True):
            weight.data[1:] = vector[1:]
        return
    matrix = similarity_matrix(knn)
    matrix = (matrix + matrix.T) / 2
    basis = matrix @ np.random.default_rng(0).standard_normal((matrix.shape[0], dim + 28)).astype(np.float32)
    for _ in range(3):
        basis = matrix @ np.linalg.qr(basis)[0]
    basis = np.linalg.qr(basis)[0]
    value, vector = np.linalg.eigh(basis.T @ (matrix @ basis))
    largest = np.argsort(-value)[:dim]
    vectors = torch.from_numpy(basis @ vector[:, largest] * np.sqrt(np.maximum(value[largest], 0))).float()
    hgn.output_embedding.data[1:] = (vectors * (hgn.output_embedding.norm(dim=1).mean() / vectors.norm(dim=1).mean()))[
        1:
    ]


def train_hgn(split: Split, knn: SeqKNN, arguments: argparse.Namespace) -> None:
    """Train HGN, initialised from the counts or at random, and print its validation metrics."""
    bpr = arguments.hgn == "bpr"
    settings, epochs, eval_every = (VARIANT_SETTINGS, 40, 10) if bpr else (HGN_SOFTMAX_SETTINGS, 16, 4)
    torch.manual_seed(0)
    hgn = HGN(HGN.configure({**settings, "epochs": epochs}), knn.sizes)
    if not arguments.random:
        initialise_from_counts(hgn, knn)
    print_validation("before", hgn, split)

    def validate(model: Model) -> float:
        print_validation("trained", model, split)
        return float(measure(PROTOCOL.rank(model, split, "valid"), "ndcg@10").mean())

    fit(hgn, split.train, validate=validate, eval_every=eval_every)


def main() -> None:
    """Train, and print the metrics on validation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", choices=("age", "item", "content"), default="age")
    parser.add_argument("--counts", choices=("all", "others", "older"), default="others")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--share", type=float, default=1.0, help="share of the users that an epoch samples")
    parser.add_argument("--hgn", choices=("bpr", "sampled-ce"), help="train HGN instead, with this loss")
    parser.add_argument("--random", action="store_true", help="initialise HGN at random, not from the counts")
    arguments = parser.parse_args()
    log = catalog.load_log("hgn-cds")
    split = PROTOCOL.split(log)
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(split.train)
    (train_hgn if arguments.hgn else train_gate)(split, knn, arguments)


if __name__ == "__main__":
    main()

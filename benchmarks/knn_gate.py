"""A learnt gate over the counts of sequential item-KNN, and HGN started from them, on validation of Amazon CDs.

    python -m benchmarks.knn_gate [--gate age|item|content] [--counts all|others|older] [--epochs N] [--lr LR] [--share S]
    python -m benchmarks.knn_gate --hgn bpr|sampled-ce [--random]

The history's item at age r counts g_r, which sequential item-KNN has fixed and which is learnt here:

    score(j) = sum over r of  g_r C[i_r, j],     g_r = exp(a_r + b_i + u . W e_i)
    loss     = -log softmax over all items of  power log(score + eps)

b_i, a number an item, is there with `item` and `content`; e_i, a vector an item, and u, their mean by age, with
`content`. Everything begins where sequential item-KNN stands. C is counted from the events that the gate is trained on:

    all      the count of history and target holds this very user
    others   what this user adds to it is taken out again
    older    C is counted without the last tenth of each user's rows, and the gate trained on these; it is then put
             over the counts of all
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

from benchmarks.low_rank_knn import PROTOCOL, factors, told
from segue.batches.batch import Batch
from segue.config import Config
from segue.data.datasets import catalog
from segue.data.log import Ids, Log
from segue.data.splits import Split
from segue.evaluation.metrics import measure
from segue.models.base.model import Model, Sizes
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.sequential.hgn import HGN
from segue.nn.sparse import SparseRows
from segue.papers.hgn.common import SWEPT
from segue.papers.hgn.table3 import SOFTMAX
from segue.training.loop import fit

ROWS = 64


@dataclass(frozen=True)
class ProtocolOptions:
    """Histories (B, L), targets (B,), how far ahead these lie (B,), and (line, item) of what the users ever had."""

    history: Tensor
    target: Tensor
    ahead: Tensor
    line: Tensor
    had: Tensor


class Gate(Model):
    """Counts, and what each item of the history is worth."""

    name = "gate"
    Config = Config

    def __init__(self, knn: SeqKNN, kind: str, dim: int = 16) -> None:
        super().__init__(Config(), knn.sizes)
        config, items = knn.config, knn.sizes.num_items
        assert config.last is not None
        self.window, self.table = config.last, knn.similarity
        age = torch.arange(config.last - 1, -1, -1.0)
        self.age = nn.Parameter(torch.log(config.floor + (1 - config.floor) * config.decay**age))
        self.power = nn.Parameter(torch.tensor(1.0))
        self.eps = nn.Parameter(torch.tensor(math.log(0.02)))
        self.item = nn.Parameter(torch.zeros(items + 1, 1)) if kind != "age" else None
        if kind == "content":
            self.vector = nn.Parameter(torch.randn(items + 1, dim) * 0.3)
            self.match = nn.Linear(dim, dim, bias=False)
            nn.init.zeros_(self.match.weight)
        self.kind = kind

    def gates(self, history: Tensor) -> Tensor:
        real = (history > 0).float()
        gate = self.age + 0 * real
        if self.item is not None:
            gate = gate + self.item[history].squeeze(-1)
        if self.kind == "content":
            vector = self.vector[history]
            share = torch.softmax(self.age.detach() + (real - 1) * 1e4, -1)
            gate = gate + torch.einsum("bd,bld->bl", self.match(torch.einsum("bl,bld->bd", share, vector)), vector)
        return gate.exp() * real

    def sums(self, history: Tensor, gates: Tensor, table: SparseRows) -> Tensor:
        line, place = history.nonzero(as_tuple=True)
        which, column, value = table.entries(history[line, place])
        weight = gates[line, place].index_select(0, which) * value
        span = self.sizes.num_items + 1
        return torch.zeros(len(history) * span).index_add(0, line[which] * span + column, weight).view(-1, span)

    def logit(self, score: Tensor) -> Tensor:
        return self.power * torch.log(score + self.eps.exp())

    @torch.no_grad()
    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        history = batch.last_items(self.window)
        scores = self.sums(history, self.gates(history), self.table)
        scores[:, 0] = -torch.inf
        return scores if items is None else scores[:, items]


def questions(train: Log, cut: Ids | None, share: float, rng: np.random.Generator) -> Iterator[ProtocolOptions]:
    """One question a user, in random order: at a random row, or, with `cut`, at that row about a random one behind."""
    users = np.flatnonzero(train.lengths >= 2)
    users = users[rng.random(len(users)) < share]
    start, stop = train.start[users], train.stop[users]
    first = start + 1 if cut is None else cut[users]
    if cut is None:
        aim = row = first + (rng.random(len(users)) * (stop - first)).astype(int)
        order = rng.permutation(len(users))
    else:
        row, order = first, rng.permutation(len(users))
        aim = row + (rng.random(len(users)) * (stop - row)).astype(int)
    for begin in range(0, len(order), ROWS):
        some = order[begin : begin + ROWS]
        at = row[some][:, None] + np.arange(-50, 0)
        history = np.where(at >= start[some][:, None], train.item[np.maximum(at, 0)], 0)
        line = np.repeat(np.arange(len(some)), train.lengths[users[some]])
        had = np.concatenate([train.history(user) for user in users[some].tolist()])
        parts = history, train.item[aim[some]], (aim - row)[some], line, had
        yield ProtocolOptions(*(torch.from_numpy(part.astype(np.int64)) for part in parts))


def loss(
    gate: Gate, table: SparseRows, asked: ProtocolOptions, own: Callable[[Tensor, ProtocolOptions, Tensor], Tensor]
) -> Tensor:
    """Mean over the questions; of what the user ever had, only the target is among the candidates."""
    gates = gate.gates(asked.history)
    scores = gate.sums(asked.history, gates, table)
    found = own(gates, asked, scores[torch.arange(len(scores)), asked.target])
    hidden = torch.zeros_like(scores, dtype=torch.bool)
    hidden[asked.line, asked.had] = True
    hidden[:, 0] = True
    others = gate.logit(scores).masked_fill(hidden, -torch.inf).logsumexp(1)
    return nn.functional.softplus(others - gate.logit(found)).mean()


def shares(train: Log, knn: SeqKNN) -> tuple[Tensor, Tensor, Tensor]:
    """Each (I + 1,): what a pair counts by the item seen, by the item scored, and how much more without one event of
    the latter."""
    config = knn.config
    count = torch.from_numpy(train.counts()).float().clamp(min=1)
    seen, scored = (count + config.shrinkage) ** -config.alpha, (count + config.shrinkage) ** -config.beta
    return seen, scored, (count.sub(1).clamp(min=1) + config.shrinkage) ** -config.beta / scored


def without_own(train: Log, knn: SeqKNN) -> Callable[[Tensor, ProtocolOptions, Tensor], Tensor]:
    """The target's score as it would be had the user not gone on to it (no user of this log has an item twice)."""
    config = knn.config
    seen, scored, fewer = shares(train, knn)

    def own(gates: Tensor, asked: ProtocolOptions, score: Tensor) -> Tensor:
        distance = torch.arange(gates.shape[1], 0, -1) + asked.ahead[:, None]
        pair = torch.where(distance <= config.reach, distance.float() ** -config.distance_decay, 0)
        added = (gates * seen[asked.history] * pair).sum(1) * scored[asked.target]
        return (score - added).clamp(min=0) * fewer[asked.target]

    return own


def learn_gate(split: Split, knn: SeqKNN, arguments: argparse.Namespace) -> None:
    """Train a gate, and print what it reaches after each epoch."""
    train, table, cut = split.train, knn.similarity, None
    own: Callable[[Tensor, ProtocolOptions, Tensor], Tensor] = lambda gates, asked, score: score  # noqa: E731
    if arguments.counts == "others":
        own = without_own(train, knn)
    if arguments.counts == "older":
        held = np.ceil(0.1 * train.lengths).astype(np.int64)
        cut = np.minimum(train.stop, np.maximum(train.start + 1, train.stop - held))
        older = SeqKNN(knn.config, knn.sizes)
        older.fit(train.until(cut))
        table = older.similarity
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    gate = Gate(knn, arguments.gate)
    told("before", gate, split)
    optimizer = torch.optim.Adam(gate.parameters(), lr=arguments.lr)
    for epoch in range(1, arguments.epochs + 1):
        losses, begin = [], time.process_time()
        for asked in questions(train, cut, arguments.share, rng):
            optimizer.zero_grad()
            value = loss(gate, table, asked, own)
            value.backward()
            optimizer.step()
            losses.append(value.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, {time.process_time() - begin:.0f} CPU s")
        told(f"epoch {epoch}", gate, split)
    weights = (gate.age - gate.age[-1]).exp()
    print("weight at age 0, 1, 2, 4, 8, 16:", *(f"{weights[-1 - age]:.2f}" for age in (0, 1, 2, 4, 8, 16)))


def start_from_counts(hgn: HGN, knn: SeqKNN) -> None:
    """Let HGN's item-item product be the best one of its rank; cosines of one table: that of the symmetric part."""
    dim = hgn.config.dim
    if not hgn.config.tied:
        left, right = factors(knn, dim)
        size = left[:, :dim].norm(dim=0)
        vectors = left[:, :dim] * (10 / size).sqrt(), right[:dim].T * (10 * size).sqrt()
        for weight, vector in zip((hgn.item_in, hgn.item_out), vectors, strict=True):
            weight.data[1:] = vector[1:]
        return
    part, n = knn.similarity, knn.sizes.num_items + 1
    table = sp.csr_matrix((part.value.numpy(), part.column.numpy(), part.start.numpy()), shape=(n, n))
    table = (table + table.T) / 2
    basis = table @ np.random.default_rng(0).standard_normal((n, dim + 28)).astype(np.float32)
    for _ in range(3):
        basis = table @ np.linalg.qr(basis)[0]
    basis = np.linalg.qr(basis)[0]
    value, vector = np.linalg.eigh(basis.T @ (table @ basis))
    best = np.argsort(-value)[:dim]
    found = torch.from_numpy(basis @ vector[:, best] * np.sqrt(np.maximum(value[best], 0))).float()
    hgn.item_out.data[1:] = (found * (hgn.item_out.norm(dim=1).mean() / found.norm(dim=1).mean()))[1:]


def train_hgn(split: Split, knn: SeqKNN, arguments: argparse.Namespace) -> None:
    """Train HGN, started from the counts or at random, and print what it reaches as it goes."""
    settings, epochs, every = (SWEPT, 40, 10) if arguments.hgn == "bpr" else (SOFTMAX, 16, 4)
    torch.manual_seed(0)
    hgn = HGN(HGN.configure({**settings, "epochs": epochs}), knn.sizes)
    if not arguments.random:
        start_from_counts(hgn, knn)
    told("before", hgn, split)

    def validate(model: Model) -> float:
        told("trained", model, split)
        return float(measure(PROTOCOL.rank(model, split, "valid"), "ndcg@10").mean())

    fit(hgn, split.train, validate=validate, eval_every=every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", choices=("age", "item", "content"), default="age")
    parser.add_argument("--counts", choices=("all", "others", "older"), default="others")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--share", type=float, default=1.0, help="share of the users that an epoch asks")
    parser.add_argument("--hgn", choices=("bpr", "sampled-ce"), help="train HGN instead, with this loss")
    parser.add_argument("--random", action="store_true", help="start HGN at random, not from the counts")
    arguments = parser.parse_args()
    log = catalog.load_log("hgn-cds")
    split = PROTOCOL.split(log)
    knn = SeqKNN(SeqKNN.configure(), Sizes(log.num_users, log.num_items))
    knn.fit(split.train)
    (train_hgn if arguments.hgn else learn_gate)(split, knn, arguments)


if __name__ == "__main__":
    main()

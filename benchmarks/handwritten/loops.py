"""The loops that numba compiles, each beside its plain form.

Each function makes two runs of the same work, with the loop and without it, at a realistic size.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.handwritten.part import Run
from segue.data import synthetic
from segue.models.base.model import DirectModel, Sizes
from segue.models.registry import find
from segue.nn.compiled.loop import CompiledLoop, training_size
from segue.nn.compiled.loops import best_columns, pairwise_sgd, row_sums, session_step
from segue.nn.pairwise_sgd import sgd_epoch
from segue.nn.sparse import SparseMatrix
from segue.nn.topk import topk
from segue.training.loop import training_step

SESSIONS = {
    "bptt": "one",
    "window": None,
    "optimizer": "adagrad",
    "lr": 0.05,
    "embedding_dim": 100,
    "batch_size": 64,
    "num_negatives": 2048,
    "input_embedding": "tied",
    "loss": "sampled-ce",
    "logq_correction": False,
}


def both_forms(loop: CompiledLoop, compute: Callable[[], Tensor]) -> tuple[Run, Run]:
    """What computes something with a compiled loop, and with its plain form."""

    def compiled() -> Tensor:
        with loop.always():
            return compute()

    def plain() -> Tensor:
        with loop.never():
            return compute()

    return compiled, plain


def compiled_topk_layer() -> tuple[Run, Run]:
    """The 20 best of 35,136 items for a block of evaluation."""
    scores = torch.rand(148, 35_136)
    return both_forms(best_columns, lambda: topk(scores, 20)[0])


def row_sums_layer() -> tuple[Run, Run]:
    """A block of histories scored by a table of similarities: 20,000 items with 300 similar ones each."""
    count, similar = 20_000, 300
    matrix = SparseMatrix((count, count))
    matrix.indptr = torch.arange(0, count * similar + 1, similar)
    matrix.indices = torch.randint(count, (count, similar), dtype=torch.int32).sort().values.view(-1)
    matrix.values = torch.rand(count * similar)
    rows, weights = torch.randint(count, (256, 50)), torch.rand(256, 50)
    return both_forms(row_sums, lambda: matrix.weighted_row_sums(rows, weights))


def row_sums_gradient_layer() -> tuple[Run, Run]:
    """The gradient of a step of learnt counts: 16 histories of 50 of 1,700 items with 500 neighbours each."""
    count, near = 1_700, 500
    matrix = SparseMatrix((count, count))
    matrix.indptr = torch.arange(0, count * near + 1, near)
    matrix.indices = torch.rand(count, count).argsort(1)[:, :near].sort().values.to(torch.int32).view(-1)
    matrix.values = torch.rand(count * near)
    rows, weights = torch.randint(count, (16, 50)), torch.rand(16, 50, requires_grad=True)

    def plain() -> Tensor:
        place, column, value = matrix.entries(rows.flatten())
        cell = place // rows.shape[1] * count + column
        sums = torch.zeros(len(rows) * count).index_add(0, cell, weights.flatten()[place] * value)
        return torch.autograd.grad(sums.square().sum(), weights)[0]

    def written() -> Tensor:
        sums = matrix.differentiable_row_sums(rows, weights)
        return torch.autograd.grad(sums.square().sum(), weights)[0]

    return written, plain


def fit_layer(kind: type[DirectModel], loop: CompiledLoop) -> tuple[Run, Run]:
    """Fitting a model on 600 users with 120 events each, with a compiled loop and without it."""
    log = synthetic.random(num_users=600, num_items=3000, length=120, seed=0)
    model = kind(kind.configure({}), Sizes(log.num_users, log.num_items))

    def fitted() -> Tensor:
        model.fit(log)
        return torch.cat([values.flatten() for values in model.state_dict().values()])

    return both_forms(loop, fitted)


def training_loop_layer(settings: dict[str, Any], loop: CompiledLoop) -> tuple[Run, Run]:
    """A forward and a backward pass of HGN on a batch of Amazon CDs, with a compiled loop and without it."""
    log = synthetic.random(num_users=2000, num_items=35_118, length=22, seed=0)
    kind = find("hgn")
    model = kind(kind.configure(settings, "paper"), Sizes(log.num_users, log.num_items))
    batch = next(iter(model.batches(log, np.random.default_rng(0))))
    leaves = [weight for weight in model.parameters() if weight.requires_grad]
    for leaf in leaves:
        leaf.grad = torch.zeros_like(leaf)

    def loss_and_gradients() -> Tensor:
        loss = model(batch)
        loss.backward()
        return loss.detach()

    return both_forms(loop, loss_and_gradients)


def session_step_layer() -> tuple[Run, Run]:
    """Ten steps of GRU4Rec on 64 sessions."""
    log = synthetic.random(num_users=256, num_items=3416, length=60, seed=0)
    kind = find("gru4rec")
    untrained = kind(kind.configure(SESSIONS), Sizes(log.num_users, log.num_items))
    batches = list(itertools.islice(untrained.batches(log, np.random.default_rng(0)), 10))

    def steps() -> Tensor:
        model = copy.deepcopy(untrained)
        with training_size(1):
            step = training_step(model, model.optimizer(), torch.device("cpu"))
            return torch.stack([step(batch) for batch in batches]).detach()

    return both_forms(session_step, steps)


def pairwise_sgd_layer() -> tuple[Run, Run]:
    """20,000 steps of SGD on users and items as many as those of ml-1m."""
    rng = np.random.default_rng(0)
    triples = rng.integers([1, 1, 1854], [6041, 1854, 3707], (20_000, 3)).astype(np.int32)
    tables = [(0.1 * rng.normal(size=shape)).astype(np.float32) for shape in ((6041, 64), (3707, 65))]

    def steps() -> Tensor:
        users, items = (table.copy() for table in tables)
        sgd_epoch(triples, users, items, lr=0.01, l2=0.001)
        return torch.from_numpy(items)

    return both_forms(pairwise_sgd, steps)

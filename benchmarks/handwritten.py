"""Every hand-written part of segue against the plain way: `python -m benchmarks.handwritten [PART ...]`.

A part is a layer, a loss, an optimiser or a loop whose code or gradient is written by hand although torch or scipy has
a plain way to compute the same. It stays hand-written only while a training step, or the loop, takes more than a
quarter longer the plain way, or while the reason named in its docstring holds. Each part is measured twice, in turns
with the plain way:

    layer   forward and backward pass alone, at a realistic size
    step    whole training steps of a model that uses it, with the part replaced inside segue by the plain way

Figures are medians of CPU seconds with one thread. A ratio above 1 says how many times longer the plain way takes.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.plain_layers import (
    plain_attention,
    plain_convolution,
    plain_cross_entropy,
    plain_embedding,
    plain_hcrnn,
    plain_sampled_loss,
)
from benchmarks.report import handwritten_table
from segue.data import synthetic
from segue.models.base import ranking
from segue.models.base.model import DirectModel, Sizes
from segue.models.factorization import bprmf
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.neighbours.seq_knn import SeqKNN
from segue.models.registry import find
from segue.models.sequential import narm, sasrec
from segue.models.sequential.hcrnn import model as hcrnn
from segue.models.sequential.hcrnn.cell import Weights, run_cell
from segue.nn import losses
from segue.nn.attention import additive_attention, causal_attention_mask
from segue.nn.compiled.loop import CompiledLoop, training_size
from segue.nn.compiled.loops import (
    best_columns,
    gated_queries,
    neighbours,
    pair_counts,
    pairwise_sgd,
    row_sums,
    session_step,
    target_loss,
)
from segue.nn.convolution import CausalConv1d
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding
from segue.nn.matmul import fast_matmul
from segue.nn.pairwise_sgd import sgd_epoch
from segue.nn.sampled_loss import sampled_loss
from segue.nn.softmax_loss import all_items_cross_entropy
from segue.nn.sparse import SparseMatrix
from segue.nn.topk import plain_topk, topk
from segue.training.loop import fit, training_step

Run = Callable[[], Tensor | None]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A hand-written part.

    Attributes:
        module: where it is.
        plain: the plain way, in words.
        layer: makes two functions, segue's and the plain one, each of which runs the part once at a realistic size.
        model: name, settings and number of items of a model whose training steps use it; None if there is no step.
        replaced: what is replaced by the plain way in those steps: an object, the name of its attribute, the plain way.
        loop: the compiled loop that is the part. It is used in all steps of segue's way, and in none of the plain way.
    """

    module: str
    plain: str
    layer: Callable[[], tuple[Run, Run]]
    model: tuple[str, dict[str, Any], int] | None = None
    replaced: tuple[tuple[Any, str, Any], ...] = ()
    loop: CompiledLoop | None = None


def _backward(loss: Callable[[], Tensor], *leaves: Tensor) -> Run:
    """A run of a forward and a backward pass; returns the loss."""

    def run() -> Tensor:
        for leaf in leaves:
            leaf.grad = None
        value = loss()
        value.backward()
        return value.detach()

    return run


def _leaf(*shape: int) -> Tensor:
    return (torch.randn(*shape) * shape[-1] ** -0.5).requires_grad_()


def _softmax_layer() -> tuple[Run, Run]:
    query, items, target = _leaf(2048, 100), _leaf(17_746, 100), torch.randint(1, 17_746, (2048,))
    one, two = (partial(way, query, items, target) for way in (all_items_cross_entropy, plain_cross_entropy))
    return _backward(one, query, items), _backward(two, query, items)


def _sampled_layer(name: str, loss: Callable[..., Tensor]) -> tuple[Run, Run]:
    query, positive, negative = _leaf(512, 100), _leaf(512, 100), _leaf(2048, 100)
    ids = torch.randint(1, 17_745, (512,)), torch.randint(1, 17_745, (2048,))
    arguments = query, positive, negative, ids, losses.GRADIENTS[name]
    one, two = partial(sampled_loss, *arguments), partial(plain_sampled_loss, loss, *arguments)
    return _backward(one, *arguments[:3]), _backward(two, *arguments[:3])


def _attention_layer() -> tuple[Run, Run]:
    query, key, v = _leaf(41, 50, 100), _leaf(41, 50, 100), _leaf(100)
    valid = torch.arange(50) >= torch.arange(41).unsqueeze(1)
    mask = causal_attention_mask(valid, 50)
    ways = (additive_attention, plain_attention)
    one, two = (_backward(lambda way=way: way(query, key, v, mask).square().sum(), query, key, v) for way in ways)
    return one, two


def _embedding_layer() -> tuple[Run, Run]:
    """Three look-ups in one table, as HGN makes of histories, targets and negatives."""
    table = _leaf(35_119, 50)
    ids = [torch.randint(1, 35_119, shape) for shape in ((1024, 8), (1024, 6), (1024, 4, 3, 1))]
    probes = [torch.randn(*part.shape, 50) for part in ids]

    def loss(way: Callable[..., Tensor]) -> Tensor:
        return torch.stack([(way(table, part) * probe).sum() for part, probe in zip(ids, probes, strict=True)]).sum()

    return _backward(partial(loss, embedding), table), _backward(partial(loss, plain_embedding), table)


def _dropout_layer() -> tuple[Run, Run]:
    values = _leaf(128, 50, 64)
    ways = (dropout, F.dropout)
    one, two = (_backward(lambda way=way: way(values, 0.5, True).square().sum(), values) for way in ways)
    return one, two


def _convolution_layer() -> tuple[Run, Run]:
    layer, x = CausalConv1d(64, 3, 1), _leaf(41, 50, 64)
    one = _backward(lambda: layer(x).square().sum(), x, *layer.parameters())
    two = _backward(lambda: plain_convolution(layer, x).square().sum(), x, *layer.parameters())
    return one, two


def _hcrnn_layer() -> tuple[Run, Run]:
    count, dim, hidden = 50, 100, 100
    batch_sizes = [128] * 30 + [64] * 30 + [32] * 30
    total = sum(batch_sizes)
    shapes = [(count, dim), (count, hidden), (hidden,), (hidden, dim + 3 * hidden), (dim, dim), (dim, hidden)]
    weights = Weights(*(_leaf(*shape) for shape in (*shapes, (dim, hidden), (hidden, hidden), (hidden,))))
    item, projected = _leaf(total, dim), _leaf(total, dim + 3 * hidden)
    theta = torch.randn(128, count).softmax(1).requires_grad_()
    leaves = [item, projected, theta, *(weight for weight in weights if weight is not None)]

    def loss(way: Callable[..., tuple[Tensor, Tensor]]) -> Tensor:
        state, local = way(batch_sizes, item, projected, theta=theta, weights=weights, reset_input="product")
        return state.square().sum() + local.square().sum()

    return _backward(partial(loss, run_cell), *leaves), _backward(partial(loss, plain_hcrnn), *leaves)


def _topk_layer() -> tuple[Run, Run]:
    scores = torch.rand(148, 35_136)  # a block of evaluation
    return lambda: plain_topk(scores, 20)[0], lambda: scores.topk(20)[0]


def _both_forms(loop: CompiledLoop, compute: Callable[[], Tensor]) -> tuple[Run, Run]:
    """What computes something with a compiled loop, and with its plain form."""

    def compiled() -> Tensor:
        with loop.always():
            return compute()

    def plain() -> Tensor:
        with loop.never():
            return compute()

    return compiled, plain


def _compiled_topk_layer() -> tuple[Run, Run]:
    scores = torch.rand(148, 35_136)
    return _both_forms(best_columns, lambda: topk(scores, 20)[0])


def _row_sums_layer() -> tuple[Run, Run]:
    """A block of histories scored by a table of similarities: 20,000 items with 300 similar ones each."""
    count, similar = 20_000, 300
    matrix = SparseMatrix((count, count))
    matrix.indptr = torch.arange(0, count * similar + 1, similar)
    matrix.indices = torch.randint(count, (count, similar), dtype=torch.int32).sort().values.view(-1)
    matrix.values = torch.rand(count * similar)
    rows, weights = torch.randint(count, (256, 50)), torch.rand(256, 50)
    return _both_forms(row_sums, lambda: matrix.weighted_row_sums(rows, weights))


def _fit_layer(kind: type[DirectModel], loop: CompiledLoop) -> tuple[Run, Run]:
    """Fitting a model on 600 users with 120 events each, with a compiled loop and without it."""
    log = synthetic.random(num_users=600, num_items=3000, length=120, seed=0)
    model = kind(kind.configure({}), Sizes(log.num_users, log.num_items))

    def fitted() -> Tensor:
        model.fit(log)
        return torch.cat([values.flatten() for values in model.state_dict().values()])

    return _both_forms(loop, fitted)


def _training_loop_layer(settings: dict[str, Any], loop: CompiledLoop) -> tuple[Run, Run]:
    """A forward and a backward pass of HGN on a batch of Amazon CDs, with a compiled loop and without it."""
    log = synthetic.random(num_users=2000, num_items=35_118, length=22, seed=0)
    kind = find("hgn")
    model = kind(kind.configure({"loss": "bpr", "embedding_dim": 50, **settings}), Sizes(log.num_users, log.num_items))
    batch = next(iter(model.batches(log, np.random.default_rng(0))))
    leaves = [weight for weight in model.parameters() if weight.requires_grad]
    for leaf in leaves:
        leaf.grad = torch.zeros_like(leaf)

    def loss_and_gradients() -> Tensor:
        loss = model(batch)
        loss.backward()
        return loss.detach()

    return _both_forms(loop, loss_and_gradients)


def _session_step_layer() -> tuple[Run, Run]:
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

    return _both_forms(session_step, steps)


def _pairwise_sgd_layer() -> tuple[Run, Run]:
    """20,000 steps of SGD on users and items as many as those of ml-1m."""
    rng = np.random.default_rng(0)
    triples = rng.integers([1, 1, 1854], [6041, 1854, 3707], (20_000, 3)).astype(np.int32)
    tables = [(0.1 * rng.normal(size=shape)).astype(np.float32) for shape in ((6041, 64), (3707, 65))]

    def steps() -> Tensor:
        users, items = (table.copy() for table in tables)
        sgd_epoch(triples, users, items, lr=0.01, l2=0.001)
        return torch.from_numpy(items)

    return _both_forms(pairwise_sgd, steps)


def _adam_import() -> tuple[Run, Run]:
    """Processes that make an optimiser; their CPU seconds count as those of this process."""
    way = "import torch; from {} import Adam; Adam([torch.ones(1, requires_grad=True)], lr=0.1).step()"

    def run(module: str) -> None:
        subprocess.run([sys.executable, "-c", way.format(module)], check=True)

    return partial(run, "segue.nn.optim"), partial(run, "torch.optim")


LARGE = {"bptt": "full", "window": 50, "optimizer": "adam", "num_negatives": 2048, "activation": "linear"}
SAMPLED = {"top1": losses.top1, "bpr-max": losses.bpr_max, "sampled-ce": losses.sampled_cross_entropy}
SESSIONS = {
    "embedding_dim": 100,
    "batch_size": 64,
    "num_negatives": 2048,
    "input_embedding": "tied",
    "loss": "sampled-ce",
    "logq_correction": False,
}
NEXTITNET = {"embedding_dim": 64, "window": 50, "dilations": (1, 4), "num_repeats": 5, "batch_size": 41}

PARTS: dict[str, Part] = {
    "softmax-loss": Part(
        module="segue.nn.softmax_loss",
        plain="cross_entropy(query @ items.T, target)",
        layer=_softmax_layer,
        model=("gru", {"loss": "ce", "layer_norm": "none", "window": 50, "batch_size": 41}, 17_745),
        replaced=((ranking, "all_items_cross_entropy", plain_cross_entropy),),
    ),
    **{
        f"sampled-loss-{name}": Part(
            module="segue.nn.sampled_loss",
            plain="loss(query . positive, query @ negative.T)",
            layer=partial(_sampled_layer, name, loss),
            model=("gru4rec", {**LARGE, "loss": name, "logq_correction": False, "batch_size": 64}, 3416),
            replaced=((ranking, "sampled_loss", partial(plain_sampled_loss, loss)),),
        )
        for name, loss in SAMPLED.items()
    },
    "additive-attention": Part(
        module="segue.nn.attention",
        plain="sigmoid(query[:, :, None] + key[:, None]) @ v",
        layer=_attention_layer,
        model=("narm", {"batch_size": 41}, 1682),
        replaced=((narm, "additive_attention", plain_attention),),
    ),
    "hcrnn-cell": Part(
        module="segue.models.sequential.hcrnn.cell",
        plain="a loop over the steps under autograd",
        layer=_hcrnn_layer,
        model=("hcrnn", {"batch_size": 512, "window": 60}, 1682),
        replaced=((hcrnn, "run_cell", plain_hcrnn),),
    ),
    "embedding": Part(
        module="segue.nn.embedding",
        plain="torch.nn.functional.embedding",
        layer=_embedding_layer,
        model=("bprmf", {}, 35_118),
        replaced=((bprmf, "embedding", plain_embedding),),
    ),
    "dropout": Part(
        module="segue.nn.dropout",
        plain="torch.nn.functional.dropout",
        layer=_dropout_layer,
        model=("sasrec", {"loss": "bce", "window": 50, "batch_size": 128, "dropout": 0.5}, 3416),
        replaced=((sasrec, "dropout", F.dropout),),
    ),
    "causal-conv1d": Part(
        module="segue.nn.convolution",
        plain="torch.nn.Conv1d, padded on the left",
        layer=_convolution_layer,
        model=("nextitnet", NEXTITNET, 3416),
        replaced=((CausalConv1d, "forward", plain_convolution),),
    ),
    "topk": Part(module="segue.nn.topk", plain="torch.topk (ties in any order)", layer=_topk_layer),
    "compiled-topk": Part(module="segue.nn.compiled.topk", plain="the same in torch", layer=_compiled_topk_layer),
    "sparse-row-sums": Part(
        module="segue.nn.compiled.row_sums", plain="a product of sparse matrices in scipy", layer=_row_sums_layer
    ),
    "pair-counts": Part(
        module="segue.nn.compiled.pair_counts",
        plain="all pairs in numpy, and a product of sparse matrices",
        layer=partial(_fit_layer, SeqKNN, pair_counts),
    ),
    "neighbours": Part(
        module="segue.nn.compiled.neighbours",
        plain="a product of sparse matrices, and its sorted entries",
        layer=partial(_fit_layer, ItemKNN, neighbours),
    ),
    "gates": Part(
        module="segue.nn.compiled.gates",
        plain="the equations of HGN in torch, under autograd",
        layer=partial(_training_loop_layer, {"batch_size": 4096}, gated_queries),
        model=("hgn", {"loss": "bpr", "batch_size": 4096}, 3416),
        loop=gated_queries,
    ),
    "target-loss": Part(
        module="segue.nn.compiled.target_loss",
        plain="logsigmoid(query . target - query . negative)",
        layer=partial(_training_loop_layer, {"batch_size": 4096, "window_encoder": "none"}, target_loss),
        model=("hgn", {"loss": "bpr", "batch_size": 4096, "window_encoder": "none"}, 3416),
        loop=target_loss,
    ),
    "session-step": Part(
        module="segue.nn.compiled.session_step",
        plain="the equations of GRU4Rec in torch, under autograd",
        layer=_session_step_layer,
        model=("gru4rec", SESSIONS, 3416),
        loop=session_step,
    ),
    "pairwise-sgd": Part(
        module="segue.nn.compiled.pairwise_sgd",
        plain="a loop over the triples in numpy",
        layer=_pairwise_sgd_layer,
    ),
    "adam-import": Part(module="segue.nn.optim", plain="import and make torch.optim.Adam", layer=_adam_import),
}


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of a call, its child processes included."""
    before = os.times()
    begin = time.process_time()
    run()
    own, after = time.process_time() - begin, os.times()
    return own + after.children_user - before.children_user + after.children_system - before.children_system


def compare(runs: tuple[Callable[[], object], Callable[[], object]], repeat: int) -> dict[str, float]:
    """Median CPU seconds of segue's way and of the plain way, measured in turns after a warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeat + 1):
        for part, run in zip(times, runs, strict=True):
            seconds = cpu_seconds(run)
            if turn:
                part.append(seconds)
    segue, plain = map(median, times)
    return {"segue_s": segue, "plain_s": plain, "ratio": plain / segue}


@contextlib.contextmanager
def replaced_by_plain(part: Part) -> Iterator[None]:
    """Inside the block, segue uses the plain way."""
    with contextlib.ExitStack() as stack:
        for owner, name, plain in part.replaced:
            stack.enter_context(patch.object(owner, name, plain))
        if part.loop is not None:
            stack.enter_context(part.loop.never())
        yield


def training_steps(part: Part) -> tuple[Run, Run]:
    """An epoch of few batches, with segue's way and with the plain way."""
    assert part.model is not None
    name, settings, num_items = part.model
    kind = find(name)
    log = synthetic.random(num_users=256, num_items=num_items, length=60, seed=0)
    torch.manual_seed(0)
    model = kind(kind.configure({**settings, "epochs": 1}), Sizes(log.num_users, log.num_items))

    def plain() -> None:
        with replaced_by_plain(part):
            fit(model, log)

    def segue() -> None:
        with part.loop.always() if part.loop else contextlib.nullcontext():
            fit(model, log)

    return segue, plain


def measure(names: list[str], repeat: int, *, steps: bool = True) -> dict[str, dict[str, Any]]:
    """What each of some parts replaces, and the times of its layer and, with `steps`, its step."""
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        part = PARTS[name]
        torch.manual_seed(0)
        with fast_matmul():
            results[name] = {"plain": part.plain, "layer": compare(part.layer(), repeat)}
        if steps and part.model is not None:
            results[name]["step"] = compare(training_steps(part), max(1, repeat // 3))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeat", type=int, default=15, help="measurements of each layer; a third of it for steps")
    args = parser.parse_args()
    for name in args.parts:
        if name not in PARTS:
            parser.error(f"no part {name!r}; there are: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    print(handwritten_table(measure(args.parts or list(PARTS), args.repeat)))


if __name__ == "__main__":
    main()

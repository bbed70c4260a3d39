"""The layers, losses and optimisers that are written by hand in torch, each beside the plain way.

Each function makes two runs of the same work, segue's and the plain one, at a realistic size.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.handwritten.part import Run, backward, leaf
from benchmarks.handwritten.plain_layers import (
    plain_attention,
    plain_convolution,
    plain_cross_entropy,
    plain_embedding,
    plain_hcrnn,
    plain_sampled_loss,
)
from segue.models.sequential.hcrnn.cell import Weights, run_cell
from segue.nn import losses
from segue.nn.attention import additive_attention, causal_attention_mask
from segue.nn.convolution import CausalConv1d
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding
from segue.nn.sampled_loss import sampled_loss
from segue.nn.softmax_loss import all_items_cross_entropy
from segue.nn.topk import plain_topk


def softmax_layer() -> tuple[Run, Run]:
    """Cross-entropy of 2,048 queries over 17,745 items."""
    query, items, target = leaf(2048, 100), leaf(17_746, 100), torch.randint(1, 17_746, (2048,))
    one, two = (partial(way, query, items, target) for way in (all_items_cross_entropy, plain_cross_entropy))
    return backward(one, query, items), backward(two, query, items)


def sampled_layer(name: str, loss: Callable[..., Tensor]) -> tuple[Run, Run]:
    """A loss of 512 queries with 2,048 shared negatives."""
    query, positive, negative = leaf(512, 100), leaf(512, 100), leaf(2048, 100)
    ids = torch.randint(1, 17_745, (512,)), torch.randint(1, 17_745, (2048,))
    arguments = query, positive, negative, ids, losses.GRADIENTS[name]
    one, two = partial(sampled_loss, *arguments), partial(plain_sampled_loss, loss, *arguments)
    return backward(one, *arguments[:3]), backward(two, *arguments[:3])


def attention_layer() -> tuple[Run, Run]:
    """Causal additive attention of 41 histories of 50 items."""
    query, key, v = leaf(41, 50, 100), leaf(41, 50, 100), leaf(100)
    valid = torch.arange(50) >= torch.arange(41).unsqueeze(1)
    mask = causal_attention_mask(valid, 50)
    ways = (additive_attention, plain_attention)
    one, two = (backward(lambda way=way: way(query, key, v, mask).square().sum(), query, key, v) for way in ways)
    return one, two


def embedding_layer() -> tuple[Run, Run]:
    """Three look-ups in one table, as HGN makes of histories, targets and negatives."""
    table = leaf(35_119, 50)
    ids = [torch.randint(1, 35_119, shape) for shape in ((1024, 8), (1024, 6), (1024, 4, 3, 1))]
    probes = [torch.randn(*part.shape, 50) for part in ids]

    def loss(way: Callable[..., Tensor]) -> Tensor:
        return torch.stack([(way(table, part) * probe).sum() for part, probe in zip(ids, probes, strict=True)]).sum()

    return backward(partial(loss, embedding), table), backward(partial(loss, plain_embedding), table)


def dropout_layer() -> tuple[Run, Run]:
    """Dropout of 128 sequences of 50 vectors."""
    values = leaf(128, 50, 64)
    ways = (dropout, F.dropout)
    one, two = (backward(lambda way=way: way(values, 0.5, True).square().sum(), values) for way in ways)
    return one, two


def convolution_layer() -> tuple[Run, Run]:
    """A causal convolution of 41 sequences of 50 vectors."""
    layer, x = CausalConv1d(64, 3, 1), leaf(41, 50, 64)
    one = backward(lambda: layer(x).square().sum(), x, *layer.parameters())
    two = backward(lambda: plain_convolution(layer, x).square().sum(), x, *layer.parameters())
    return one, two


def hcrnn_layer() -> tuple[Run, Run]:
    """The cell of HCRNN on 128 packed sequences of up to 90 steps."""
    count, dim, hidden = 50, 100, 100
    batch_sizes = [128] * 30 + [64] * 30 + [32] * 30
    total = sum(batch_sizes)
    shapes = [(count, dim), (count, hidden), (hidden,), (hidden, dim + 3 * hidden), (dim, dim), (dim, hidden)]
    weights = Weights(*(leaf(*shape) for shape in (*shapes, (dim, hidden), (hidden, hidden), (hidden,))))
    item, projected = leaf(total, dim), leaf(total, dim + 3 * hidden)
    theta = torch.randn(128, count).softmax(1).requires_grad_()
    leaves = [item, projected, theta, *(weight for weight in weights if weight is not None)]

    def loss(way: Callable[..., tuple[Tensor, Tensor]]) -> Tensor:
        state, local = way(batch_sizes, item, projected, theta=theta, weights=weights, reset_input="product")
        return state.square().sum() + local.square().sum()

    return backward(partial(loss, run_cell), *leaves), backward(partial(loss, plain_hcrnn), *leaves)


def topk_layer() -> tuple[Run, Run]:
    """The 20 best of 35,136 items for a block of evaluation."""
    scores = torch.rand(148, 35_136)
    return lambda: plain_topk(scores, 20)[0], lambda: scores.topk(20)[0]


def adam_import() -> tuple[Run, Run]:
    """Processes that make an optimiser; their CPU seconds count as those of this process."""
    way = "import torch; from {} import Adam; Adam([torch.ones(1, requires_grad=True)], lr=0.1).step()"

    def run(module: str) -> None:
        subprocess.run([sys.executable, "-c", way.format(module)], check=True)

    return partial(run, "segue.nn.optim"), partial(run, "torch.optim")

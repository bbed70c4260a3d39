"""What segue computes by hand, in plain torch under autograd: the other side of `benchmarks.handwritten`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.models.sequential.hcrnn.cell import Weights, step_slices
from segue.nn.convolution import CausalConv1d


def plain_cross_entropy(
    query: Tensor, item_embeddings: Tensor, target: Tensor, *, sigmoid_scores: bool = False
) -> Tensor:
    """`all_items_cross_entropy` with a matrix of all scores."""
    scores = query @ item_embeddings[1:].T
    return F.cross_entropy(scores.sigmoid() if sigmoid_scores else scores, target - 1, reduction="sum")


def plain_sampled_loss(
    loss: Callable[..., Tensor], query: Tensor, positive: Tensor | None, negative: Tensor, ids: Any, _with_grad: Any
) -> Tensor:
    """`sampled_loss` under autograd."""
    positive = negative[: len(query)] if positive is None else positive
    return loss((query * positive).sum(1), query @ negative.T, ids[0].unsqueeze(1) != ids[1]).sum()


def plain_attention(query: Tensor, key: Tensor, v: Tensor, mask: Tensor, *, hard: bool = False) -> Tensor:
    """`additive_attention` with all sigmoids at once."""
    total = query[:, :, None] + key[:, None]
    return ((total / 5 + 0.5).clamp(0, 1) if hard else total.sigmoid()) @ v * mask


def plain_embedding(table: Tensor, ids: Tensor, *, sparse: bool = False) -> Tensor:
    """`embedding` by torch."""
    return F.embedding(ids, table, padding_idx=0, sparse=sparse)


def plain_convolution(self: CausalConv1d, x: Tensor) -> Tensor:
    """`CausalConv1d` by torch's convolution."""
    return nn.Conv1d.forward(self, F.pad(x.transpose(1, 2), (self.left_padding, 0))).transpose(1, 2)


def plain_hcrnn(
    batch_sizes: list[int], item: Tensor, projected: Tensor, *, theta: Tensor, weights: Weights, reset_input: str
) -> tuple[Tensor, Tensor]:
    """The cell of HCRNN as a loop under autograd."""
    hidden, dim = weights.state.shape[0], item.shape[1]
    state, local = item.new_zeros(batch_sizes[0], hidden), item.new_zeros(batch_sizes[0], dim)
    inputs, states, locals_ = projected.split([dim, hidden, hidden, hidden], 1), [], []
    for part in step_slices(batch_sizes):
        size = part.stop - part.start
        state, local, x = state[:size], local[:size], item[part]
        from_state = (state @ weights.state).split([hidden, dim, hidden, hidden], 1)
        contexts = (theta[part] if len(theta) == len(item) else theta[:size])[:, :, None] * weights.projected
        alpha = torch.softmax(torch.sigmoid(from_state[0][:, None] + contexts) @ weights.attention, 1)
        gate = torch.sigmoid(inputs[0][part] + from_state[1] + local @ weights.local)
        new_local = torch.lerp(local, alpha @ weights.memory, gate)
        update = torch.sigmoid(inputs[1][part] + from_state[2] + new_local @ weights.update)
        y = {"now": new_local, "before": local, "product": x * new_local}[reset_input] @ weights.reset
        reset = inputs[2][part] + from_state[3]
        if weights.drift is None:
            reset = torch.sigmoid(reset + y)
        else:
            reset = torch.sigmoid(reset) * torch.sigmoid(y + weights.drift)
        state = torch.lerp(state, torch.tanh((reset * state) @ weights.new + inputs[3][part]), update)
        local = new_local
        states.append(state)
        locals_.append(local)
    return torch.cat(states), torch.cat(locals_)

"""The queries of HGN and their gradients.

`gated_queries` computes what `segue.models.sequential.hgn` writes in torch, for rows of C windows of L items:

    gate_p    = sigma(W1 s_p + W2 u + b)        at each position p of a row         (1)
    weight_cl = sigma(w3 . (s_p * gate_p) + u . W4[:, l])    at p = c + l             (2)
    query_c   = u + sum over l of  weight_cl / total_c  s_p * gate_p  +  s_p

The loops go once over the positions, forwards and backwards, and keep those of one row in the cache; torch goes over
all of them in each of thirty operations. W1 s is the same wherever an item occurs in the batch, so each distinct item
is multiplied once, and gradients are added up for each item before they are multiplied. Matrix products and the many
sigmoids of (1) stay in torch, whose kernels use the processor's vector instructions. A training step takes 1.7 times as
long the plain way (benchmark row `handwritten`, part `gates`).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from segue.nn.compiled.gate_loops import distinct_items, for_dtype
from segue.nn.compiled.jit import arrays

ROWS = 1024  # numbers of distinct items are rounded up to it: oneDNN makes a kernel for each shape of a product


def gated_queries(
    user: Float[Tensor, "B d"],
    table: Float[Tensor, "I d"],
    history: Int[Tensor, "B P"],
    *,
    feature_gate: tuple[Float[Tensor, "d d"], Float[Tensor, "d d"], Float[Tensor, "d"]],
    instance_gate: tuple[Float[Tensor, "d"], Float[Tensor, "d L"]],
    weighted_mean: bool,
    item_item_product: bool,
) -> Float[Tensor, "B C d"]:
    """u + s + sum of s_l of each window, with the gradients of all arguments; that of `table` is added in place.

    Args:
        user: U of the users of the rows.
        table: E, a leaf; row 0 is padding.
        history: the items of the rows; 0 is padding. C = P - L + 1.
        feature_gate: W1, W2, b.
        instance_gate: w3, W4.
        weighted_mean: whether total_c is the sum of the instance gates instead of the number of items.
        item_item_product: whether the last term s_p is added.
    """
    item_weight, user_weight, bias = feature_gate
    instance_item, instance_user = instance_gate
    window = instance_user.shape[1]
    # what both gates add for the user, in one product
    user_logit = torch.addmm(pad(bias, (0, window)), user, torch.cat([user_weight.T, instance_user], 1))  # (B, d + L)
    options = weighted_mean, item_item_product
    queries: Tensor = _GatedQueries.apply(user, user_logit, item_weight, instance_item, table, history, options)
    return queries


class _GatedQueries(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        user: Tensor,
        user_logit: Tensor,
        item_weight: Tensor,
        instance_item: Tensor,
        table: Tensor,
        history: Tensor,
        options: tuple[bool, bool],
    ) -> Tensor:
        (rows, dim), positions, loop = user.shape, history.shape[1], for_dtype(user.dtype)
        window = user_logit.shape[1] - dim
        place = torch.empty(history.shape, dtype=torch.int32)
        items = torch.from_numpy(distinct_items(history.contiguous().numpy(), len(table), place.numpy(), ROWS))
        vectors = user.new_empty(2 * len(items), dim)  # E and W1 E of the distinct items, in turns
        loop.gather_rows(*arrays(table, items, vectors))
        torch.mm(vectors[::2], item_weight.T, out=vectors[1::2])

        gate = user.new_empty(rows * positions, dim)
        loop.add_logits(*arrays(place, vectors, user_logit, gate))
        gate.sigmoid_()
        weight = user.new_empty(rows, positions - window + 1, window)
        query = user.new_empty(weight.shape[:2].numel(), dim)
        inputs = place, vectors, gate, instance_item.unsqueeze(0)
        loop.pool(*arrays(*inputs, user_logit, user), tuple(arrays(weight, query)), options)
        ctx.save_for_backward(item_weight)
        ctx.kept, ctx.options = (table, items, weight, inputs), options
        return query.view(*weight.shape[:2], dim)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (item_weight,) = ctx.saved_tensors
        table, items, weight, inputs = ctx.kept
        vectors, rows, window = inputs[1], len(weight), weight.shape[2]
        grads = [grad.new_zeros(shape) for shape in (vectors.shape, (rows, grad.shape[2] + window), (1, grad.shape[2]))]
        queries = grad.flatten(0, 1).contiguous()
        for_dtype(grad.dtype).pool_backward(*arrays(*inputs, weight, queries), tuple(arrays(*grads)), ctx.options)
        grad_vectors, grad_logit, grad_instance = grads
        grad_vectors[::2].addmm_(grad_vectors[1::2], item_weight)
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        for_dtype(grad.dtype).add_rows(*arrays(grad_vectors, items, table.grad))
        return grad.sum(1), grad_logit, grad_vectors[1::2].T @ vectors[::2], grad_instance[0], None, None, None

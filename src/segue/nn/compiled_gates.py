"""The queries of HGN and their gradients as loops that numba compiles (the extra `fast`).

`gated_queries` computes what `segue.models.sequential.hgn` writes in torch, for rows of C windows of L items:

    gate_p    = sigma(W1 s_p + W2 u + b)        at each position p of a row         (1)
    weight_cl = sigma(w3 . (s_p * gate_p) + u . W4[:, l])    at p = c + l             (2)
    query_c   = u + sum over l of  weight_cl / total_c  s_p * gate_p  +  s_p

The loops go once over the positions, forwards and backwards, and keep those of one row in the cache; torch goes over
all of them in each of thirty operations. W1 s is the same wherever an item occurs in the batch, so each distinct item
is multiplied once, and gradients are added up for each item before they are multiplied. Matrix products and the many
sigmoids of (1) stay in torch, whose kernels use the processor's vector instructions. A training step takes 1.7 times as
long the plain way (benchmark row `handwritten`, part `gates`).

As `segue.nn.compiled_row_sums`: importing this module compiles the loops or loads them from numba's cache.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from segue.nn.compile_loop import Array, Loop, add, arrays, compile_loop, dot, inner_loop

ROWS = 1024  # numbers of distinct items are rounded up to it: oneDNN makes a kernel for each shape of a product
TINY = 1e-12


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
        (rows, dim), positions, loop = user.shape, history.shape[1], loops(user.dtype)
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
        loops(grad.dtype).pool_backward(*arrays(*inputs, weight, queries), tuple(arrays(*grads)), ctx.options)
        grad_vectors, grad_logit, grad_instance = grads
        grad_vectors[::2].addmm_(grad_vectors[1::2], item_weight)
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        loops(grad.dtype).add_rows(*arrays(grad_vectors, items, table.grad))
        return grad.sum(1), grad_logit, grad_vectors[1::2].T @ vectors[::2], grad_instance[0], None, None, None


@no_type_check  # a function that numba can compile has no other decorator; the signatures below check
def _distinct_items(history: Array, num_ids: int, place: Array, multiple: int) -> Array:
    """The distinct items of a batch, ascending from 0 on and filled up with 0; `place` becomes the place of each."""
    place_of = np.zeros(num_ids, np.int32)
    place_of[0] = 1
    for b in range(history.shape[0]):
        for p in range(history.shape[1]):
            place_of[np.uint64(history[b, p])] = 1
    count = place_of.sum()
    items = np.zeros(-(-count // multiple) * multiple, np.int64)
    count = 0
    for item in range(num_ids):
        if place_of[item]:
            place_of[item], items[count] = count, item
            count += 1
    for b in range(history.shape[0]):
        for p in range(history.shape[1]):
            place[b, p] = place_of[np.uint64(history[b, p])]
    return items


@no_type_check
def _multiply(out: Array, i: int, x: Array, j: int, y: Array, k: int) -> None:
    for column in range(out.shape[1]):
        out[i, column] = x[j, column] * y[k, column]


@no_type_check
def _through_feature_gate(of_item: Array, of_gated: Array, gated: Array, p: int, gate: Array, i: int) -> None:
    """From the gradient of s_p * gate_p: add that of s_p to `of_item`, and replace it by that of W1 s_p + W2 u + b."""
    for k in range(gate.shape[1]):
        of_item[0, k] += of_gated[0, k] * gate[i, k]
    for k in range(gate.shape[1]):
        of_gated[0, k] *= gated[p, k] * (gate.dtype.type(1) - gate[i, k])


multiply, through_feature_gate = inner_loop(_multiply), inner_loop(_through_feature_gate)


@no_type_check
def _gather_rows(table: Array, items: Array, vectors: Array) -> None:
    """Copy rows of `table` to the even rows of `vectors`."""
    for n in range(len(items)):
        item = np.uint64(items[n])  # unsigned: no test for negative ones
        for k in range(table.shape[1]):
            vectors[2 * n, k] = table[item, k]


@no_type_check
def _add_rows(vectors: Array, items: Array, grad: Array) -> None:
    """Add the even rows of `vectors` to rows of `grad`; row 0, the padding, gets no gradient."""
    for n in range(len(items)):
        item = np.uint64(items[n])
        if item:
            for k in range(grad.shape[1]):
                grad[item, k] += vectors[2 * n, k]


@no_type_check
def _add_logits(place: Array, vectors: Array, user_logit: Array, logit: Array) -> None:
    """W1 s_p + W2 u + b of all positions."""
    rows, positions = place.shape
    for b in range(rows):
        for p in range(positions):
            n = np.uint32(place[b, p])
            for k in range(logit.shape[1]):
                logit[b * positions + p, k] = vectors[2 * n + 1, k] + user_logit[b, k]


@no_type_check
def _pool(
    place: Array,
    vectors: Array,
    gate: Array,
    instance_item: Array,
    user_logit: Array,
    user: Array,
    results: tuple[Array, Array],
    options: tuple[bool, bool],
) -> None:
    """Write the instance gates (B, C, L), 0 at padding, and the queries (B C, d)."""
    (rows, positions), (weight, query), (weighted_mean, item_item_product) = place.shape, results, options
    (queries, window), dim, one = weight.shape[1:], user.shape[1], user.dtype.type(1)
    gated, logit = np.empty((positions, dim), user.dtype), np.empty(positions, user.dtype)
    for b in range(rows):
        for p in range(positions):
            multiply(gated, p, vectors, 2 * np.uint32(place[b, p]), gate, b * positions + p)
            logit[p] = dot(gated, p, instance_item, 0)
        for c in range(queries):
            total = user.dtype.type(0)
            for l in range(window):
                weight[b, c, l] = 0
                if place[b, c + l]:
                    weight[b, c, l] = one / (one + np.exp(-logit[c + l] - user_logit[b, dim + l]))
                    total += weight[b, c, l] if weighted_mean else one
            total = max(total, user.dtype.type(TINY))
            for k in range(dim):
                query[b * queries + c, k] = user[b, k]
            for l in range(window):
                add(query, b * queries + c, weight[b, c, l] / total, gated, c + l)
                if item_item_product:
                    add(query, b * queries + c, one, vectors, 2 * np.uint32(place[b, c + l]))


@no_type_check
def _instance_gradients(
    b: int,
    place: Array,
    gated: Array,
    weight: Array,
    grad: Array,
    share: Array,
    grad_gate: Array,
    weighted_mean: bool,
) -> None:
    """The share of each item in a query of row b, and the gradient of its instance gate before the sigmoid: (C, L)."""
    queries, window = share.shape
    for c in range(queries):
        total = mean = grad.dtype.type(0)
        for l in range(window):
            share[c, l] = dot(grad, b * queries + c, gated, c + l)  # the gradient of the share for now
            mean += weight[b, c, l] * share[c, l]
            if place[b, c + l]:
                total += weight[b, c, l] if weighted_mean else grad.dtype.type(1)
        is_constant = not weighted_mean or total < TINY
        total = max(total, grad.dtype.type(TINY))
        mean = grad.dtype.type(0) if is_constant else mean / total
        for l in range(window):
            gate = weight[b, c, l]
            grad_gate[c, l] = (share[c, l] - mean) * gate * (1 - gate) / total
            share[c, l] = gate / total


instance_gradients = inner_loop(_instance_gradients)


@no_type_check
def _pool_backward(
    place: Array,
    vectors: Array,
    gate: Array,
    instance_item: Array,
    weight: Array,
    grad: Array,
    grads: tuple[Array, Array, Array],
    options: tuple[bool, bool],
) -> float:
    """Add up the gradients of `vectors`, of `user_logit` and of `instance_item`."""
    (rows, positions), (grad_vectors, grad_logit, grad_instance) = place.shape, grads
    (queries, window), dim, kind = weight.shape[1:], gate.shape[1], gate.dtype
    gated, of_gated, of_item = np.empty((positions, dim), kind), np.empty((1, dim), kind), np.empty((1, dim), kind)
    share, grad_gate = np.empty((queries, window), kind), np.empty((queries, window), kind)
    one, loaded = kind.type(1), kind.type(0)
    for b in range(rows):
        for p in range(positions):
            n = np.uint32(place[b, p])
            for k in range(0, dim, 16):  # loads the lines that are added to below, so that nothing waits for them
                loaded += grad_vectors[2 * n, k] + grad_vectors[2 * n + 1, k]
            multiply(gated, p, vectors, 2 * n, gate, b * positions + p)
        instance_gradients(b, place, gated, weight, grad, share, grad_gate, options[0])
        for p in range(positions):
            n = np.uint32(place[b, p])
            if n == 0:
                continue
            of_logit = kind.type(0)  # of w3 . (s_p * gate_p)
            for k in range(dim):
                of_gated[0, k] = of_item[0, k] = 0
            for c in range(max(0, p - window + 1), min(queries, p + 1)):
                of_logit += grad_gate[c, p - c]
                grad_logit[b, dim + p - c] += grad_gate[c, p - c]
                add(of_gated, 0, share[c, p - c], grad, b * queries + c)
                if options[1]:
                    add(of_item, 0, one, grad, b * queries + c)
            add(grad_instance, 0, of_logit, gated, p)
            add(of_gated, 0, of_logit, instance_item, 0)
            through_feature_gate(of_item, of_gated, gated, p, gate, b * positions + p)
            add(grad_vectors, 2 * n, one, of_item, 0)
            add(grad_vectors, 2 * n + 1, one, of_gated, 0)
            add(grad_logit, b, one, of_gated, 0)
    return loaded


class GateLoops(NamedTuple):
    """The loops for arrays of one type."""

    gather_rows: Loop
    add_logits: Loop
    pool: Loop
    pool_backward: Loop
    add_rows: Loop


@cache
def loops(dtype: torch.dtype) -> GateLoops:
    """The loops for arrays of `dtype`."""
    place, rows, weight, flags = "i4[:, ::1]", "F[:, ::1]", "F[:, :, ::1]", "UniTuple(b1, 2)"
    inputs = f"{place}, {rows}, {rows}, {rows}"
    signatures = {
        _gather_rows: f"void({rows}, i8[::1], {rows})",
        _add_logits: f"void({inputs})",
        _pool: f"void({inputs}, {rows}, {rows}, Tuple(({weight}, {rows})), {flags})",
        _pool_backward: f"F({inputs}, {weight}, {rows}, UniTuple({rows}, 3), {flags})",
        _add_rows: f"void({rows}, i8[::1], {rows})",
    }
    return GateLoops(*(compile_loop(loop, signature, dtype) for loop, signature in signatures.items()))


distinct_items = compile_loop(_distinct_items, "i8[::1](i8[:, ::1], i8, i4[:, ::1], i8)", torch.float32)
loops(torch.float32)

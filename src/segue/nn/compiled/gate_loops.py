"""The loops of `segue.nn.compiled.gates`, whose equations have the numbers (1) and (2).

Letters: b a row of the batch, p a position in it, c a window, l a position in a window, k a column. For the n-th of the
distinct items, `vectors[2 n]` is s, its embedding, and `vectors[2 n + 1]` is W1 s.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, no_type_check

import numpy as np
import torch

from segue.nn.compiled.jit import Array, Loop, add, compile_loop, dot, inner_loop

TINY = 1e-12


@no_type_check
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
def for_dtype(dtype: torch.dtype) -> GateLoops:
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


distinct_items = compile_loop(_distinct_items, "i8[::1](i8[:, ::1], i8, i4[:, ::1], i8)")
for_dtype(torch.float32)

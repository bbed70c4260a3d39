"""The rows of a table that a training step uses, each of them once, and their update.

`TableRows` replaces a sparse gradient and `segue.nn.optim.Adagrad`: equal rows have one place, where their gradients
add up without a sort. It is used in `segue.nn.compiled.session_step`, whose benchmark row justifies it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from torch import Tensor

from segue.nn.compiled.jit import Array, Loop, arrays, compile_loop
from segue.nn.optim import Adagrad


class TableRows:
    """The rows of a table that a step uses, each of them once, and their gradients."""

    def __init__(self, table: Tensor, optimizer: Adagrad) -> None:
        index = next(index for index, weight in enumerate(optimizer.parameters) if weight is table)
        self.table, self.loops = table.detach(), for_dtype(table.dtype)
        self.state = optimizer.sum[index], optimizer.momentum_buffer[index]
        self.place_of = torch.full((len(table),), -1)
        self.items, self.gradient, self.size = torch.zeros(0, dtype=torch.int64), self.table[:0], 0

    def find(self, ids: Tensor, multiple: int = 1) -> tuple[Tensor, Tensor]:
        """The place of each id among the rows, and how often each row was drawn.

        The number of rows is rounded up to a multiple by adding row 0, which counts as never drawn.
        """
        need = self.size + len(ids) + multiple
        if need > len(self.items):
            self.items = torch.cat([self.items, self.items.new_zeros(need)])
            self.gradient = torch.cat([self.gradient, self.gradient.new_zeros(need, self.table.shape[1])])
        place, drawn = torch.empty_like(ids), self.table.new_zeros(need)
        self.size = self.loops.find(*arrays(ids, place, self.place_of, self.items, drawn), self.size, multiple)
        return place, drawn[: self.size]

    def gather(self, size: int, dim: int) -> tuple[Tensor, Tensor]:
        """The vectors (size, dim) of the first rows, and their biases (size,), which are 0 if items have none."""
        vectors, bias = self.table.new_empty(size, dim), self.table.new_zeros(size)
        self.loops.gather(*arrays(self.table, self.items, vectors, bias))
        return vectors, bias

    def add_gradients(self, ids: Tensor, gradient: Tensor) -> None:
        """Add gradients (n, x) to those of the rows of `ids`, which are 0 for rows that were not found before."""
        known = self.size
        place, _ = self.find(ids)
        self.gradient[known : self.size] = 0
        self.loops.add_rows(*arrays(place, gradient, self.gradient))

    def update(self, optimizer: Adagrad) -> None:
        """A step of Adagrad for the rows, which are forgotten."""
        factors = optimizer.lr, optimizer.momentum, optimizer.weight_decay
        used = self.items[: self.size], self.gradient, self.place_of, self.table, *self.state
        self.loops.update(*arrays(*used), factors)
        self.size = 0


@no_type_check
def _find(ids: Array, place: Array, place_of: Array, items: Array, drawn: Array, size: int, multiple: int) -> int:
    for n in range(len(ids)):
        item = np.uint64(ids[n])  # unsigned: no test for negative ones
        if place_of[item] < 0:
            place_of[item], items[size] = size, item
            size += 1
        place[n] = place_of[item]
        drawn[place[n]] += 1
    while size % multiple:
        items[size] = 0
        size += 1
    return size


@no_type_check
def _gather(table: Array, items: Array, vectors: Array, bias: Array) -> None:
    dim = vectors.shape[1]
    for n in range(len(vectors)):
        item = np.uint64(items[n])
        for k in range(dim):
            vectors[n, k] = table[item, k]
        if table.shape[1] > dim:
            bias[n] = table[item, dim]


@no_type_check
def _add_rows(place: Array, rows: Array, out: Array) -> None:
    for n in range(len(place)):
        for k in range(rows.shape[1]):
            out[place[n], k] += rows[n, k]


@no_type_check
def _update(
    items: Array,
    gradient: Array,
    place_of: Array,
    table: Array,
    total: Array,
    moved: Array,
    factors: tuple[float, float, float],
) -> None:
    """A step of `segue.nn.optim.Adagrad` for distinct rows of a table; row 0 stays as it is."""
    kind = table.dtype.type
    lr, momentum, weight_decay = kind(factors[0]), kind(factors[1]), kind(factors[2])
    for n in range(len(items)):
        item = np.uint64(items[n])
        place_of[item] = -1
        if item == 0:
            continue
        for k in range(table.shape[1]):
            g = gradient[n, k] + weight_decay * table[item, k]
            total[item, k] += g * g
            gradient[n, k] = lr * np.divide(g, np.sqrt(total[item, k]))  # `/` would test for 0, one entry at a time
        if len(moved):
            for k in range(table.shape[1]):
                moved[item, k] = momentum * moved[item, k] - gradient[n, k]
                table[item, k] += moved[item, k]
        else:
            for k in range(table.shape[1]):
                table[item, k] -= gradient[n, k]


class RowLoops(NamedTuple):
    """The loops for arrays of one type."""

    find: Loop
    gather: Loop
    add_rows: Loop
    update: Loop


@cache
def for_dtype(dtype: torch.dtype) -> RowLoops:
    """The loops for arrays of `dtype`."""
    rows, numbers, ids = "F[:, ::1]", "F[::1]", "i8[::1]"
    signatures = {
        _find: f"i8({ids}, {ids}, {ids}, {ids}, {numbers}, i8, i8)",
        _gather: f"void({rows}, {ids}, {rows}, {numbers})",
        _add_rows: f"void({ids}, {rows}, {rows})",
        _update: f"void({ids}, {rows}, {ids}, {rows}, {rows}, {rows}, UniTuple(f8, 3))",
    }
    return RowLoops(*(compile_loop(loop, signature, dtype) for loop, signature in signatures.items()))


for_dtype(torch.float32)

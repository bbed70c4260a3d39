"""A training step of GRU4Rec on parallel sessions.

`SessionStep` computes what `segue.models.sequential.gru4rec` writes in torch, with the same random numbers:

    x, h  ->  r, z, n  ->  h'  ->  scores of the distinct items  ->  loss  ->  all gradients  ->  Adagrad

A step is small: 64 sessions of 100 units. torch needs some 700 operations for it, most of which take longer to start
than to compute. Here a step has nine matrix products and some forty operations in torch, and loops between them. Shared
negatives are drawn with replacement, and the same item has the same score each time. So scores and gradients are
computed once for each distinct item, weighted by how often it was drawn. A training step takes 1.8 times as long the
plain way (benchmark row `handwritten`, part `session-step`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple, no_type_check

import torch
from torch import Tensor

from segue.batches.batch import SequenceBatch
from segue.nn.compiled import table_rows, weighted_losses
from segue.nn.compiled.jit import Array, Loop, arrays, compile_loop
from segue.nn.compiled.table_rows import TableRows
from segue.nn.compiled.weighted_losses import Negatives, WeightedLoss, bpr_max, sampled_cross_entropy, top1
from segue.nn.dropout import dropout
from segue.nn.optim import Adagrad
from segue.nn.recurrent.gru import GRUCell

COLUMNS = 16  # numbers of distinct items are rounded up to it, for vector instructions

Activation = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]
"""The activation of scores; (activated scores, their gradient) -> the gradient of the scores."""


class SessionStep:
    """A step of all sessions, which keeps their states from one batch to the next.

    Args:
        tables: the output embeddings (I, d), or (I, d + 1) with a bias in the last column; and the input embeddings,
            the same tensor if they are tied.
        cell: the weights of the GRU.
        optimizer: whose state is updated, and with it the weights.
        loss: top1, bpr-max or sampled-ce.
        bpreg: the weight of the penalty of bpr-max.
        logq_correction: whether sampled-ce corrects the scores of negatives.
        activation: None if the scores are not activated.
        dropout: the dropout rates of the inputs and of the states.
        mean: whether the gradient is that of the sum of the losses divided by the number of slots, or of the sum.
    """

    def __init__(  # noqa: PLR0913  one keyword for each setting
        self,
        tables: tuple[Tensor, Tensor],
        cell: GRUCell,
        optimizer: Adagrad,
        *,
        loss: str,
        bpreg: float,
        logq_correction: bool,
        activation: Activation | None,
        dropout: tuple[float, float],
        mean: bool,
    ) -> None:
        self.cell, self.optimizer, self.activation = cell, optimizer, activation
        self.dropout, self.mean, self.cell_backward = dropout, mean, for_dtype(tables[0].dtype)
        losses: dict[str, WeightedLoss] = {
            "top1": top1,
            "bpr-max": partial(bpr_max, bpreg=bpreg),
            "sampled-ce": sampled_cross_entropy,
        }
        self.loss = losses[loss]
        self.is_corrected = loss == "sampled-ce" and logq_correction
        self.output = TableRows(tables[0], optimizer)
        self.input = self.output if tables[0] is tables[1] else TableRows(tables[1], optimizer)
        self.input_dim = len(cell.bias_ih) if cell.weight_ih is None else cell.output_dim
        self.state = tables[0].new_zeros(0, cell.output_dim)

    @torch.no_grad()
    def __call__(self, batch: SequenceBatch) -> Tensor:
        """Train on a batch; return the mean loss of a target."""
        assert batch.shared_negatives is not None
        target, (previous, current) = batch.target[:, 0], batch.history.unbind(1)  # (B,) each
        if len(self.state) != len(target):
            self.state = self.state.new_zeros(len(target), self.cell.output_dim)
        place, drawn = self.output.find(batch.shared_negatives, COLUMNS)
        has_target = target > 0
        count, column = int(has_target.count_nonzero()), place[: len(target)]
        if count < len(target):
            column = torch.full_like(target, -1)
            column[has_target] = place[:count]
        expected = batch.log_expected_count if self.is_corrected else None
        if expected is not None:
            expected = expected[self.output.items[: len(drawn)]].to(drawn.dtype)

        step = self._advance(previous, current.contiguous())
        self.state = step.after
        loss, grad_after = self._gradients_of_scores(step.after, Negatives(drawn, column, expected))
        self._update(step, grad_after)
        return torch.tensor(loss / count)

    def _advance(self, previous: Tensor, current: Tensor) -> _Advance:
        """The states after the current items."""
        dim, (weight_ih, weight_hh, bias_ih, bias_hh) = self.cell.output_dim, self.cell
        state = self.state * (previous > 0).unsqueeze(1)
        inputs = self.input.table.index_select(0, current)[:, : self.input_dim]
        masks = tuple(map(_mask, (inputs, state), self.dropout))
        inputs = _masked(inputs, masks[0])
        x = inputs + bias_ih if weight_ih is None else torch.addmm(bias_ih, inputs, weight_ih.T)  # (B, 3 d)
        h = torch.addmm(bias_hh, state, weight_hh.T)
        gates = (x[:, : 2 * dim] + h[:, : 2 * dim]).sigmoid_()  # (B, 2 d)
        new = torch.addcmul(x[:, 2 * dim :], gates[:, :dim], h[:, 2 * dim :]).tanh_()
        after = _masked(torch.lerp(new, state, gates[:, dim:]), masks[1])
        return _Advance(current, inputs, state, h, gates, new, after, masks)

    def _gradients_of_scores(self, query: Tensor, negatives: Negatives) -> tuple[float, Tensor]:
        """The loss and the gradient of `query`; that of the output embeddings is written to `self.output`."""
        size, dim, factor = len(negatives.drawn), query.shape[1], 1 / len(query) if self.mean else 1.0
        vectors, bias = self.output.gather(size, dim)
        score = torch.addmm(bias, query, vectors.T)  # (B, n)
        if self.activation:
            score = self.activation[0](score)
        loss, grad = self.loss(score, negatives)
        if self.activation:
            grad = self.activation[1](score, grad)
        torch.mm(grad.T, query * factor, out=self.output.gradient[:size, :dim])
        if self.output.gradient.shape[1] > dim:
            torch.mul(grad.sum(0), factor, out=self.output.gradient[:size, dim])
        return loss, torch.mm(grad, vectors).mul_(factor)

    def _update(self, step: _Advance, grad_after: Tensor) -> None:
        """Go back through the GRU, and make a step of Adagrad."""
        _, inputs, state, h, gates, new, _, masks = step
        weight_ih, weight_hh, bias_ih, bias_hh = self.cell
        grad_x, grad_h = torch.empty_like(h), torch.empty_like(h)
        self.cell_backward(*arrays(_masked(grad_after, masks[1]), gates, new, h, state, grad_x, grad_h))
        grad_inputs = _masked(grad_x if weight_ih is None else grad_x @ weight_ih, masks[0])
        self.input.add_gradients(step.current, grad_inputs)
        self.input.update(self.optimizer)
        if self.output is not self.input:
            self.output.update(self.optimizer)
        if weight_ih is not None:
            weight_ih.grad = grad_x.T @ inputs
        weight_hh.grad, bias_ih.grad, bias_hh.grad = grad_h.T @ state, grad_x.sum(0), grad_h.sum(0)
        self.optimizer.step()  # of these weights; the tables have no gradient here


class _Advance(NamedTuple):
    """What the way back needs: items and inputs (B, x), states before and after (B, d), and the parts of the GRU."""

    current: Tensor
    inputs: Tensor
    state: Tensor
    h: Tensor
    gates: Tensor
    new: Tensor
    after: Tensor
    masks: tuple[Tensor | None, ...]


def _mask(values: Tensor, rate: float) -> Tensor | None:
    """What `dropout` multiplies the values by; None if it drops nothing."""
    return dropout(torch.ones_like(values), rate, True) if rate else None


def _masked(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask


@no_type_check
def _cell_backward(
    grad: Array, gates: Array, new: Array, from_state: Array, state: Array, grad_x: Array, grad_h: Array
) -> None:
    """The gradients of W x + b and of U h + c, from that of the state after a step."""
    dim, one = new.shape[1], new.dtype.type(1)
    for b in range(len(new)):
        for k in range(dim):
            reset, update = gates[b, k], gates[b, dim + k]
            of_new = grad[b, k] * (one - update) * (one - new[b, k] * new[b, k])
            grad_x[b, k] = grad_h[b, k] = of_new * from_state[b, 2 * dim + k] * reset * (one - reset)
            of_update = grad[b, k] * (state[b, k] - new[b, k]) * update * (one - update)
            grad_x[b, dim + k] = grad_h[b, dim + k] = of_update
            grad_x[b, 2 * dim + k] = of_new
            grad_h[b, 2 * dim + k] = of_new * reset


@cache
def for_dtype(dtype: torch.dtype) -> Loop:
    """The loop of the GRU for arrays of `dtype`; those of the other parts of a step are compiled with it."""
    table_rows.for_dtype(dtype)
    weighted_losses.for_dtype(dtype)
    rows = "F[:, ::1]"
    return compile_loop(_cell_backward, f"void({', '.join([rows] * 7)})", dtype)


for_dtype(torch.float32)

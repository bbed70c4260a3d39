"""The cell of HCRNN (Song, Cha and Moon, AAAI 2019) over packed sequences, with its gradient.

x is the vector of the current item, h the temporary context, c the local context; M holds the K global contexts, and
theta their proportions:

    alpha   = softmax_k v . sigma(h W_h + (theta_k M_k) W_theta)                      (13)
    c~      = sum_k alpha_k M_k                                                       (14)
    G       = sigma(x W_xl + h W_hl + c W_cl + b_l),  c' = (1 - G) * c + G * c~       (15, 16)
    z       = sigma(x W_xz + h W_hz + c' W_cz + b_z)                                  (17)
    r       = sigma(x W_xr + h W_hr + y W_y + b_r)           y = c', c, or x * c'     (18, 21)
    G_d     = sigma(y W_y + b_d), and no y in r              with a drift gate        (22, 23)
    h~      = (r * G_d * h) W_hh + x W_xh + b_h,  h' = (1 - z) * h + z * tanh(h~)     (19, 20, 24)

(13) needs K x H sigmoids a step: see `attention_kernel`. Where theta is constant in a sequence, so is
(theta_k M_k) W_theta. The gradient is written out. It replaces a loop under autograd, which stores every sigmoid of
(13), 20 KB a step with K = 50 and H = 100: a training step takes 1.5 times as long the plain way (benchmark row
`handwritten`, part `hcrnn-cell`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.models.sequential.hcrnn.attention_kernel import attention_scores, attention_scores_grad, exp_neg
from segue.nn.hard_sigmoid import sigmoid_grad

ResetInput = Literal["now", "before", "product"]
"""y: the local context c' of this step, c of the step before, or the product x * c' with the item."""


class Weights(NamedTuple):
    """M, M W_theta, v, [W_h W_hl W_hz W_hr], W_cl, W_cz, W_y, W_hh and b_d (None: there is no drift gate)."""

    memory: Float[Tensor, "K D"]
    projected: Float[Tensor, "K H"]
    attention: Float[Tensor, "H"]
    state: Float[Tensor, "H g"]
    local: Float[Tensor, "D D"]
    update: Float[Tensor, "D H"]
    reset: Float[Tensor, "D H"]
    new: Float[Tensor, "H H"]
    drift: Float[Tensor, "H"] | None


class Activations(NamedTuple):
    """The values of all n steps: h, c, alpha, c~, [G z r], G_d (1 where there is no drift gate) and tanh(h~)."""

    state: Float[Tensor, "n H"]
    local: Float[Tensor, "n D"]
    alpha: Float[Tensor, "n K"]
    candidate: Float[Tensor, "n D"]
    gates: Float[Tensor, "n g"]
    drift: Float[Tensor, "n H"]
    new: Float[Tensor, "n H"]


class Contexts(NamedTuple):
    """The temporary context h and the local context c."""

    state: Float[Tensor, "B H"]
    local: Float[Tensor, "B D"]


def run_cell(
    batch_sizes: list[int],
    item: Float[Tensor, "n D"],
    projected: Float[Tensor, "n g"],
    *,
    theta: Float[Tensor, "m K"],
    weights: Weights,
    reset_input: ResetInput,
) -> tuple[Float[Tensor, "n H"], Float[Tensor, "n D"]]:
    """h and c after every step.

    Args:
        batch_sizes: how many sequences take the first step, the second, and so on; see `segue.nn.recurrent.packing`.
        item: x of each step.
        projected: [x W_xl + b_l, x W_xz + b_z, x W_xr + b_r, x W_xh + b_h] of each step.
        theta: the proportions of each sequence (m = `batch_sizes[0]`), or of each step (m = n).
        weights: the weights of the cell.
        reset_input: what y is.
    """
    state, local = _HCRNNCell.apply(batch_sizes, reset_input, item, projected, theta, *weights)
    return state, local


@torch.no_grad()
def cell_activations(
    batch_sizes: list[int],
    item: Tensor,
    projected: Tensor,
    *,
    theta: Tensor,
    weights: Weights,
    reset_input: ResetInput,
    initial: Contexts | None = None,
) -> Activations:
    """All values of the steps of `run_cell`, without a gradient, from `initial` or from zeros."""
    count, (hidden, dim) = len(item), weights.state.shape[:1] + item.shape[1:]
    sizes = (hidden, dim, theta.shape[1], dim, dim + 2 * hidden, hidden, hidden)
    values = Activations(*(item.new_empty(count, size) for size in sizes))
    values.gates.copy_(projected[:, : dim + 2 * hidden])
    values.new.copy_(projected[:, dim + 2 * hidden :])
    if weights.drift is None:
        values.drift.fill_(1.0)
    constant = None if len(theta) == count else _exponentials(theta, weights.projected)  # (K, H, B)
    rows = max(batch_sizes, default=0)
    state, local = initial or Contexts(item.new_zeros(rows, hidden), item.new_zeros(rows, dim))
    for part in step_slices(batch_sizes):
        size = part.stop - part.start
        state, local, step = state[:size], local[:size], Activations(*(entry[part] for entry in values))
        from_state = state @ weights.state  # (b, H + D + 2 H)
        exp_theta = _exponentials(theta[part], weights.projected) if constant is None else constant
        scores = attention_scores(exp_neg(from_state[:, :hidden].T), exp_theta, weights.attention)  # (K, b)
        torch.softmax(scores.T, 1, out=step.alpha)
        torch.mm(step.alpha, weights.memory, out=step.candidate)
        gates = step.gates.add_(from_state[:, hidden:])
        gate = gates[:, :dim].addmm_(local, weights.local).sigmoid_()
        new_local = torch.lerp(local, step.candidate, gate, out=step.local)
        gates[:, dim : dim + hidden].addmm_(new_local, weights.update)
        y = {"now": new_local, "before": local}.get(reset_input)
        y = new_local * item[part] if y is None else y
        if weights.drift is None:
            gates[:, dim + hidden :].addmm_(y, weights.reset)
        else:
            torch.addmm(weights.drift, y, weights.reset, out=step.drift).sigmoid_()
        update, reset = gates[:, dim:].sigmoid_().split(hidden, 1)
        step.new.addmm_(reset * step.drift * state, weights.new).tanh_()
        state, local = torch.lerp(state, step.new, update, out=step.state), new_local
    return values


def step_slices(batch_sizes: list[int]) -> Iterator[slice]:
    """The slice of each step in the packed data."""
    begin = 0
    for size in batch_sizes:
        yield slice(begin, begin + size)
        begin += size


class _HCRNNCell(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        batch_sizes: list[int],
        reset_input: ResetInput,
        item: Tensor,
        projected: Tensor,
        theta: Tensor,
        *weights: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        cell = Weights(*weights)  # type: ignore[arg-type]  # the last may be None
        values = cell_activations(batch_sizes, item, projected, theta=theta, weights=cell, reset_input=reset_input)
        ctx.batch_sizes, ctx.reset_input = batch_sizes, reset_input
        ctx.save_for_backward(item, theta, *values, *weights)
        return values.state, values.local

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        item, theta, *saved = ctx.saved_tensors
        size = len(Activations._fields)
        values, weights = Activations(*saved[:size]), Weights(*saved[size:])
        backward = _Backward(ctx.batch_sizes, ctx.reset_input, item, theta, values, weights)
        return None, None, *backward.run(*gradients)


class _Backward:
    """The gradient, from the last step to the first; products that need no order are computed once at the end."""

    def __init__(
        self,
        batch_sizes: list[int],
        reset_input: ResetInput,
        item: Tensor,
        theta: Tensor,
        values: Activations,
        weights: Weights,
    ) -> None:
        self.batch_sizes, self.reset_input, self.item, self.theta = batch_sizes, reset_input, item, theta
        self.values, self.weights = values, weights
        self.hidden, self.dim = values.state.shape[1], item.shape[1]
        self.before = Contexts(_previous(values.state, batch_sizes), _previous(values.local, batch_sizes))
        self.query = self.before.state @ weights.state[:, : self.hidden]  # h W_h, (n, H)
        # the gradient of [h W_h, and the arguments of G, z and r]
        self.grad_from_state = item.new_empty(len(item), self.dim + 3 * self.hidden)
        self.grad_new, self.grad_drift = torch.empty_like(values.new), torch.empty_like(values.drift)
        self.grad_y, self.grad_candidate = torch.empty_like(values.local), torch.empty_like(values.local)
        self.grad_attention = torch.zeros_like(weights.attention)
        self.grad_projected = torch.zeros_like(weights.projected)
        self.grad_theta = torch.empty_like(theta)

    def run(self, grad_state: Tensor, grad_local: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of item, projected inputs, theta and weights from those of all h and all c."""
        weights, values, hidden, dim = self.weights, self.values, self.hidden, self.dim
        theta_per_step = len(self.theta) == len(self.item)
        constant = None if theta_per_step else _exponentials(self.theta, weights.projected)  # (K, H, B)
        constant_grad = None if constant is None else torch.zeros_like(constant)
        carry = Contexts(*(torch.zeros_like(entry[: max(self.batch_sizes, default=0)]) for entry in self.before))
        for part in reversed(list(step_slices(self.batch_sizes))):
            size = part.stop - part.start
            grad = Contexts(carry.state[:size].add_(grad_state[part]), carry.local[:size].add_(grad_local[part]))
            grad_scores = self._cell_grad(part, grad)
            exp_theta = _exponentials(self.theta[part], weights.projected) if constant is None else constant
            theta_grad = torch.zeros_like(exp_theta) if constant_grad is None else constant_grad
            self._attention_grad(part, grad_scores, exp_theta, theta_grad)
            grad.state.addmm_(self.grad_from_state[part], weights.state.T)
            if constant_grad is None:
                self._theta_grad(theta_grad, part)
        if constant_grad is not None:
            self._theta_grad(constant_grad, slice(None))
        y = {"now": values.local, "before": self.before.local}.get(self.reset_input)
        grad_item = None
        if y is None:
            y, grad_item = values.local * self.item, self.grad_y * values.local
        grad_reset = self.grad_from_state[:, dim + 2 * hidden :] if weights.drift is None else self.grad_drift
        reset_state = values.gates[:, dim + hidden :] * values.drift * self.before.state
        return (
            grad_item,
            torch.cat([self.grad_from_state[:, hidden:], self.grad_new], 1),
            self.grad_theta,
            values.alpha.T @ self.grad_candidate,
            self.grad_projected,
            self.grad_attention,
            self.before.state.T @ self.grad_from_state,
            self.before.local.T @ self.grad_from_state[:, hidden : hidden + dim],
            values.local.T @ self.grad_from_state[:, hidden + dim : 2 * hidden + dim],
            y.T @ grad_reset,
            reset_state.T @ self.grad_new,
            None if weights.drift is None else self.grad_drift.sum(0),
        )

    def _cell_grad(self, part: slice, grad: Contexts) -> Float[Tensor, "b K"]:
        """The gradient of the scores of (13).

        `grad` turns from the gradient of h' and c' into that of h and c, except for what flows through h W.
        """
        weights, hidden, dim = self.weights, self.hidden, self.dim
        values, before = Activations(*(v[part] for v in self.values)), Contexts(*(v[part] for v in self.before))
        local, update, reset = values.gates.split([dim, hidden, hidden], 1)
        grad_local, grad_update, grad_reset = self.grad_from_state[part, hidden:].split([dim, hidden, hidden], 1)
        moved = grad.state * update
        grad_new = torch.addcmul(moved, moved, values.new.square(), value=-1, out=self.grad_new[part])
        torch.mul(grad.state, values.new - before.state, out=grad_update).mul_(sigmoid_grad(update, False))
        grad_product = grad_new @ weights.new.T  # of r * G_d * h
        grad.state.sub_(moved).add_(grad_product * reset * values.drift)
        grad_product.mul_(before.state)
        torch.mul(grad_product, values.drift, out=grad_reset).mul_(sigmoid_grad(reset, False))
        grad_sum = grad_reset
        if weights.drift is not None:
            grad_sum = torch.mul(grad_product, reset, out=self.grad_drift[part])
            grad_sum.mul_(sigmoid_grad(values.drift, False))
        grad_y = torch.mm(grad_sum, weights.reset.T, out=self.grad_y[part])
        grad.local.addmm_(grad_update, weights.update.T)
        if self.reset_input == "product":
            grad.local.addcmul_(grad_y, self.item[part])
        elif self.reset_input == "now":
            grad.local.add_(grad_y)
        grad_candidate = torch.mul(grad.local, local, out=self.grad_candidate[part])
        torch.mul(grad.local, values.candidate - before.local, out=grad_local).mul_(sigmoid_grad(local, False))
        grad.local.sub_(grad_candidate).addmm_(grad_local, weights.local.T)
        if self.reset_input == "before":
            grad.local.add_(grad_y)
        grad_alpha = grad_candidate @ weights.memory.T
        return values.alpha * (grad_alpha - (values.alpha * grad_alpha).sum(1, keepdim=True))

    def _attention_grad(self, part: slice, grad_scores: Tensor, exp_theta: Tensor, theta_grad: Tensor) -> None:
        """From the scores of (13) to h W_h; the part of theta and M W_theta is added to `theta_grad` (K, H, B)."""
        exp_query = exp_neg(self.query[part].T)  # (H, b)
        grad_v, grad_query = attention_scores_grad(exp_query, exp_theta, grad_scores.T.contiguous(), theta_grad)
        self.grad_attention += grad_v.sum(1)
        torch.mul(grad_query.T, self.weights.attention, out=self.grad_from_state[part, : self.hidden])

    def _theta_grad(self, theta_grad: Float[Tensor, "K H b"], rows: slice) -> None:
        """From `theta_grad` to theta of `rows` and M W_theta."""
        attention, projected = self.weights.attention, self.weights.projected
        self.grad_theta[rows] = (theta_grad * (attention * projected)[:, :, None]).sum(1).T
        self.grad_projected += (theta_grad * self.theta[rows].T[:, None]).sum(2) * attention


def _previous(after: Float[Tensor, "n d"], batch_sizes: list[int]) -> Float[Tensor, "n d"]:
    """The value before each step, from those after each step; zeros before the first."""
    before = torch.zeros_like(after)
    last = slice(0, 0)
    for part in step_slices(batch_sizes):
        if last.stop:
            before[part] = after[last][: part.stop - part.start]
        last = part
    return before


def _exponentials(theta: Float[Tensor, "B K"], projected: Float[Tensor, "K H"]) -> Float[Tensor, "K H B"]:
    """e^-((theta_k M_k) W_theta)."""
    return exp_neg(projected[:, :, None] * theta.T[:, None])

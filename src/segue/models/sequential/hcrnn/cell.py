"""The cell of HCRNN (Song, Cha and Moon, AAAI 2019), through many histories side by side, with its gradient.

x is the vector of the item now, h the temporary context, c the local one; M the K global contexts, theta their shares:

    alpha   = softmax_k v . sigma(h W_h + (theta_k M_k) W_theta)                      (13)
    c~      = sum_k alpha_k M_k                                                       (14)
    G       = sigma(x W_xl + h W_hl + c W_cl + b_l),  c' = (1 - G) * c + G * c~       (15, 16)
    z       = sigma(x W_xz + h W_hz + c' W_cz + b_z)                                  (17)
    r       = sigma(x W_xr + h W_hr + y W_y + b_r)           y = c', c, or x * c'     (18, 21)
    G_d     = sigma(y W_y + b_d), and no y in r              where there is a drift gate (22, 23)
    h~      = (r * G_d * h) W_hh + x W_xh + b_h,  h' = (1 - z) * h + z * tanh(h~)     (19, 20, 24)

Rows are laid out step by step, longest first: those of all rows, then of the `alive[1]` that go on, ...

(13) is K x H sigmoids a step: see `layers.sigmoids`. Where theta stays through a row, so does (theta_k M_k) W_theta.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.models.sequential.hcrnn.attention_kernel import attention_scores, exp_neg, scores_grad

ResetInput = Literal["now", "before", "likeness"]
"""y: the local context c' of now, c of before, or its likeness x * c' with the item."""


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
    """What the cell did at each of n steps: h, c, alpha, c~, [G z r], G_d (where there is none: 1) and tanh(h~)."""

    state: Float[Tensor, "n H"]
    local: Float[Tensor, "n D"]
    alpha: Float[Tensor, "n K"]
    candidate: Float[Tensor, "n D"]
    gates: Float[Tensor, "n g"]
    drift: Float[Tensor, "n H"]
    new: Float[Tensor, "n H"]


class Contexts(NamedTuple):
    """h and c before the first step."""

    state: Float[Tensor, "B H"]
    local: Float[Tensor, "B D"]


def run_cell(
    alive: list[int],
    item: Float[Tensor, "n D"],
    read: Float[Tensor, "n g"],
    *,
    theta: Float[Tensor, "m K"],
    weights: Weights,
    reset_input: ResetInput,
) -> tuple[Float[Tensor, "n H"], Float[Tensor, "n D"]]:
    """h and c after every step.

    Args:
        alive: how many rows have a first step, a second, and so on.
        item: x of each step.
        read: [x W_xl + b_l, x W_xz + b_z, x W_xr + b_r, x W_xh + b_h] of each step.
        theta: of each row (m = `alive[0]`), or of each step (m = n).
        weights: of the cell.
        reset_input: what y is.
    """
    state, local = _Walk.apply(alive, reset_input, item, read, theta, *weights)
    return state, local


@torch.no_grad()
def cell_activations(
    alive: list[int],
    item: Tensor,
    read: Tensor,
    *,
    theta: Tensor,
    weights: Weights,
    reset_input: ResetInput,
    initial: Contexts | None = None,
) -> Activations:
    """What `run_cell` goes through, without a gradient, from `initial` or from zeros."""
    count, (hidden, dim) = len(item), weights.state.shape[:1] + item.shape[1:]
    sizes = (hidden, dim, theta.shape[1], dim, dim + 2 * hidden, hidden, hidden)
    done = Activations(*(item.new_empty(count, size) for size in sizes))
    done.gates.copy_(read[:, : dim + 2 * hidden])
    done.new.copy_(read[:, dim + 2 * hidden :])
    if weights.drift is None:
        done.drift.fill_(1.0)
    shared = None if len(theta) == count else _exponentials(theta, weights.projected)
    rows = max(alive, default=0)
    state, local = initial or Contexts(item.new_zeros(rows, hidden), item.new_zeros(rows, dim))
    for part in parts(alive):
        size = part.stop - part.start
        state, local, step = state[:size], local[:size], Activations(*(entry[part] for entry in done))
        ours = state @ weights.state
        held = _exponentials(theta[part], weights.projected) if shared is None else shared
        torch.softmax(attention_scores(exp_neg(ours[:, :hidden].T), held, weights.attention).T, 1, out=step.alpha)
        torch.mm(step.alpha, weights.memory, out=step.candidate)
        gates = step.gates.add_(ours[:, hidden:])
        gate = gates[:, :dim].addmm_(local, weights.local).sigmoid_()
        now = torch.lerp(local, step.candidate, gate, out=step.local)
        gates[:, dim : dim + hidden].addmm_(now, weights.update)
        compared = {"now": now, "before": local}.get(reset_input)
        compared = now * item[part] if compared is None else compared
        if weights.drift is None:
            gates[:, dim + hidden :].addmm_(compared, weights.reset)
        else:
            torch.addmm(weights.drift, compared, weights.reset, out=step.drift).sigmoid_()
        update, reset = gates[:, dim:].sigmoid_().split(hidden, 1)
        step.new.addmm_(reset * step.drift * state, weights.new).tanh_()
        state, local = torch.lerp(state, step.new, update, out=step.state), now
    return done


def parts(alive: list[int]) -> Iterator[slice]:
    """Where each step lies."""
    at = 0
    for size in alive:
        yield slice(at, at + size)
        at += size


class _Walk(torch.autograd.Function):
    """Written out: autograd would hold every sigmoid of (13), 20 KB a step for K = 50 and H = 100."""

    @staticmethod
    def forward(
        ctx: Any,
        alive: list[int],
        reset_input: ResetInput,
        item: Tensor,
        read: Tensor,
        theta: Tensor,
        *weights: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        cell = Weights(*weights)  # type: ignore[arg-type]  # the last may be None
        done = cell_activations(alive, item, read, theta=theta, weights=cell, reset_input=reset_input)
        ctx.alive, ctx.reset_input = alive, reset_input
        ctx.save_for_backward(item, theta, *done, *weights)
        return done.state, done.local

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        item, theta, *saved = ctx.saved_tensors
        size = len(Activations._fields)
        back = _Backward(ctx.alive, ctx.reset_input, item, theta, Activations(*saved[:size]), Weights(*saved[size:]))
        return None, None, *back.run(*gradients)


class _Backward:
    """The gradient, from the last step to the first; what needs no order is multiplied out at the end."""

    def __init__(
        self,
        alive: list[int],
        reset_input: ResetInput,
        item: Tensor,
        theta: Tensor,
        done: Activations,
        weights: Weights,
    ) -> None:
        self.alive, self.reset_input, self.item, self.theta, self.done, self.weights = (
            alive,
            reset_input,
            item,
            theta,
            done,
            weights,
        )
        self.hidden, self.dim = done.state.shape[1], item.shape[1]
        self.before = Contexts(_before(done.state, alive), _before(done.local, alive))
        self.asked = self.before.state @ weights.state[:, : self.hidden]
        self.by_ours = item.new_empty(len(item), self.dim + 3 * self.hidden)  # of [h W_h, and what G z r are made of]
        self.by_new, self.by_drift = torch.empty_like(done.new), torch.empty_like(done.drift)
        self.by_compared, self.by_candidate = torch.empty_like(done.local), torch.empty_like(done.local)
        self.by_attention = torch.zeros_like(weights.attention)
        self.by_projected = torch.zeros_like(weights.projected)
        self.by_theta = torch.empty_like(theta)

    def run(self, by_state: Tensor, by_local: Tensor) -> tuple[Tensor | None, ...]:
        weights, done, hidden, dim = self.weights, self.done, self.hidden, self.dim
        each = len(self.theta) == len(self.item)
        shared = None if each else _exponentials(self.theta, weights.projected)
        slope = None if shared is None else torch.zeros_like(shared)
        flow = Contexts(*(torch.zeros_like(entry[: max(self.alive, default=0)]) for entry in self.before))
        for part in reversed(list(parts(self.alive))):
            size = part.stop - part.start
            some = Contexts(flow.state[:size].add_(by_state[part]), flow.local[:size].add_(by_local[part]))
            by_scores = self._cell(part, some)
            held = _exponentials(self.theta[part], weights.projected) if shared is None else shared
            steep = torch.zeros_like(held) if slope is None else slope
            self._attention(part, by_scores, held, steep)
            some.state.addmm_(self.by_ours[part], weights.state.T)
            if slope is None:
                self._shares(steep, part)
        if slope is not None:
            self._shares(slope, slice(None))
        by_read = torch.cat([self.by_ours[:, hidden:], self.by_new], 1)
        compared = {"now": done.local, "before": self.before.local}.get(self.reset_input)
        by_item = None
        if compared is None:
            compared, by_item = done.local * self.item, self.by_compared * done.local
        by_reset = self.by_ours[:, dim + 2 * hidden :] if weights.drift is None else self.by_drift
        kept = done.gates[:, dim + hidden :] * done.drift * self.before.state
        return (
            by_item,
            by_read,
            self.by_theta,
            done.alpha.T @ self.by_candidate,
            self.by_projected,
            self.by_attention,
            self.before.state.T @ self.by_ours,
            self.before.local.T @ self.by_ours[:, hidden : hidden + dim],
            done.local.T @ self.by_ours[:, hidden + dim : 2 * hidden + dim],
            compared.T @ by_reset,
            kept.T @ self.by_new,
            None if weights.drift is None else self.by_drift.sum(0),
        )

    def _cell(self, part: slice, flow: Contexts) -> Float[Tensor, "B K"]:
        """The gradient by the scores of (13); `flow` becomes that by h and c before, but for what went through h W."""
        weights, hidden, dim = self.weights, self.hidden, self.dim
        done, before = (
            Activations(*(entry[part] for entry in self.done)),
            Contexts(*(entry[part] for entry in self.before)),
        )
        local, update, reset = done.gates.split([dim, hidden, hidden], 1)
        by_local, by_update, by_reset = self.by_ours[part, hidden:].split([dim, hidden, hidden], 1)
        moved = flow.state * update
        by_new = torch.addcmul(moved, moved, done.new.square(), value=-1, out=self.by_new[part])
        torch.mul(flow.state, done.new - before.state, out=by_update).mul_(_steepness(update))
        by_kept = by_new @ weights.new.T
        flow.state.sub_(moved).add_(by_kept * reset * done.drift)
        by_kept.mul_(before.state)
        torch.mul(by_kept, done.drift, out=by_reset).mul_(_steepness(reset))
        by_sum = by_reset
        if weights.drift is not None:
            by_sum = torch.mul(by_kept, reset, out=self.by_drift[part]).mul_(_steepness(done.drift))
        by_compared = torch.mm(by_sum, weights.reset.T, out=self.by_compared[part])
        flow.local.addmm_(by_update, weights.update.T)
        if self.reset_input == "likeness":
            flow.local.addcmul_(by_compared, self.item[part])
        elif self.reset_input == "now":
            flow.local.add_(by_compared)
        by_candidate = torch.mul(flow.local, local, out=self.by_candidate[part])
        torch.mul(flow.local, done.candidate - before.local, out=by_local).mul_(_steepness(local))
        flow.local.sub_(by_candidate).addmm_(by_local, weights.local.T)
        if self.reset_input == "before":
            flow.local.add_(by_compared)
        by_alpha = by_candidate @ weights.memory.T
        return done.alpha * (by_alpha - (done.alpha * by_alpha).sum(1, keepdim=True))

    def _attention(self, part: slice, by_scores: Tensor, held: Tensor, steep: Tensor) -> None:
        """From the scores of (13) to h W_h; what goes on to theta and M W_theta is added to `steep`."""
        ours = exp_neg(self.asked[part].T)
        by_attention, by_ours = scores_grad(ours, held, by_scores.T.contiguous(), steep)
        self.by_attention += by_attention.sum(1)
        torch.mul(by_ours.T, self.weights.attention, out=self.by_ours[part, : self.hidden])

    def _shares(self, slope: Tensor, rows: slice) -> None:
        """From `slope` to theta of `rows` and M W_theta."""
        attention, projected = self.weights.attention, self.weights.projected
        self.by_theta[rows] = (slope * (attention * projected)[:, :, None]).sum(1).T
        self.by_projected += (slope * self.theta[rows].T[:, None]).sum(2) * attention


def _before(after: Float[Tensor, "n d"], alive: list[int]) -> Float[Tensor, "n d"]:
    """What each step began with."""
    before = torch.zeros_like(after)
    last = slice(0, 0)
    for part in parts(alive):
        if last.stop:
            before[part] = after[last][: part.stop - part.start]
        last = part
    return before


def _steepness(sigmoid: Tensor) -> Tensor:
    return torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1)


def _exponentials(theta: Float[Tensor, "B K"], projected: Float[Tensor, "K H"]) -> Float[Tensor, "K H B"]:
    return exp_neg(projected[:, :, None] * theta.T[:, None])

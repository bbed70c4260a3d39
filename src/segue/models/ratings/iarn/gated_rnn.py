"""A recurrent layer with a scalar gate at every step: that of TAGM and IARN; a plain RNN where all gates are 1.

    c_t = g(x_t + W h_{t-1})                    h_0 = 0;  g is ReLU, or softplus(5 y) / 5
    h_t = (1 - a_t) h_{t-1} + a_t c_t           a_t = 0 leaves the state unchanged, as padding must

The gradient is written out, from the last step to the first; d y denotes the gradient of y:

    d (x_t + W h_{t-1}) = a_t g' d h_t
    d h_{t-1} = (1 - a_t) d h_t + W^T d (x_t + W h_{t-1})     plus what comes from other uses of h_{t-1}
    d a_t = <c_t - h_{t-1}, d h_t>                            the gates and W: all steps at once, at the end

Under autograd each step of a batch of 50 histories costs more in bookkeeping than in arithmetic.

Sources: Pei et al., "Temporal attention-gated model", CVPR 2017, (3); IARN, CIKM 2017, (3)-(5).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

StateActivation = Literal["relu", "softplus"]
BETA = 5.0  # of the softplus


def run_gated(
    inputs: Float[Tensor, "T B h"],
    gate: Float[Tensor, "T B"],
    weight: Float[Tensor, "h h"],
    activation: StateActivation,
) -> Float[Tensor, "T B h"]:
    """The state after every step.

    Args:
        inputs: x_t, the projected inputs.
        gate: a_t.
        weight: W.
        activation: g.
    """
    states: Tensor = _GatedRecurrence.apply(inputs, gate, weight, activation)
    return states


class _GatedRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, gate: Tensor, weight: Tensor, activation: StateActivation) -> Tensor:
        states, candidates = (inputs.new_empty(inputs.shape) for _ in range(2))
        state = inputs.new_zeros(inputs.shape[1:])
        steps = zip(inputs, gate.unsqueeze(2), candidates, states, strict=True)  # (B, h), (B, 1), (B, h), (B, h)
        for x, a, candidate, next_state in steps:
            torch.addmm(x, state, weight.T, out=candidate)
            _activate(candidate, activation)
            state = torch.lerp(state, candidate, a, out=next_state)
        ctx.save_for_backward(gate, weight, candidates, states)
        ctx.activation = activation
        return states

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None]:
        gate, weight, candidates, states = ctx.saved_tensors
        gate = gate.unsqueeze(2)  # (T, B, 1)
        from_state = gate * _slope(candidates, ctx.activation)  # d (x_t + W h_{t-1}) / d h_t
        grads, grad_inputs = (grad_states.new_empty(grad_states.shape) for _ in range(2))
        carry = grad_states.new_zeros(grad_states.shape[1:])  # d h_t as far as later steps have it
        steps = zip(grad_states, 1 - gate, from_state, grads, grad_inputs, strict=True)
        for grad_state, keep, slope, grad, grad_input in reversed(list(steps)):
            torch.add(carry, grad_state, out=grad)
            torch.mul(grad, slope, out=grad_input)
            torch.mul(grad, keep, out=carry).addmm_(grad_input, weight)
        before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])  # h_{t-1}
        grad_gate = ((candidates - before) * grads).sum(2) if ctx.needs_input_grad[1] else None
        return grad_inputs, grad_gate, grad_inputs.flatten(0, 1).T @ before.flatten(0, 1), None


def _activate(values: Tensor, activation: StateActivation) -> None:
    """g(y), in place. torch's own softplus is linear for 5 y > 20, and then off by 4e-10."""
    if activation == "relu":
        values.relu_()
    else:
        values.copy_(torch.logaddexp(BETA * values, values.new_zeros(())) / BETA)


def _slope(candidates: Tensor, activation: StateActivation) -> Tensor:
    """g'(y), from g(y)."""
    if activation == "relu":
        return (candidates > 0).to(candidates)
    return -torch.expm1(-BETA * candidates)


class GatedRNN(nn.Module):
    """The weights of one recurrence: of its inputs, and of the state before.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of the state.
        num_gates: blocks of `hidden_dim` rows in each weight; 4 for an LSTM.
    """

    def __init__(self, input_dim: int, hidden_dim: int, num_gates: int = 1) -> None:
        super().__init__()
        self.input = nn.Linear(input_dim, num_gates * hidden_dim)
        self.state = nn.Linear(hidden_dim, num_gates * hidden_dim)

    def project(self, x: Float[Tensor, "T B e"]) -> Float[Tensor, "T B n"]:
        """All of a step that does not depend on the state."""
        projected: Tensor = self.input(x) + self.state.bias
        return projected

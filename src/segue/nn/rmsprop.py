"""`RMSprop` (Tieleman and Hinton, 2012), with exact updates of only those rows of a table that have a gradient."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.rmsprop import rmsprop

from segue.nn.optim import Schedule, constant_lr, copy_into, numbered

EPSILON = 1e-8


class RMSprop:
    """RMSprop: each weight moves by its gradient divided by the root of the running average of its square.

        square_avg <- alpha * square_avg + (1 - alpha) * gradient^2
        weight     <- weight - lr * gradient / (sqrt(square_avg) + 1e-8)

    A gradient of zero moves no weight; the average only decays. The rows of a sparse gradient therefore catch up on the
    decay when they are next used: alpha^k for the last k steps. This gives the weights of a dense update, without
    passing over tables of which a batch uses a few rows.

    Args:
        parameters: leaves that require a gradient.
        lr: learning rate, or a schedule of it.
        weight_decay: L2 penalty, added to the gradient.
        alpha: decay rate of the running average.
        clip: entries of the gradient are clipped to [-clip, clip]; None for no clipping.
        sparse: those of `parameters` with sparse gradients, as `segue.nn.embedding` makes them. A dense gradient, as
            the sum over several processes is, stands for its nonzero rows.

    Raises:
        ValueError: there is weight decay, which moves all rows, and a sparse gradient.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float | Schedule,
        weight_decay: float = 0.0,
        alpha: float = 0.95,
        clip: float | None = None,
        sparse: Iterable[Tensor] = (),
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.sparse = {id(p) for p in sparse}
        if weight_decay and self.sparse:
            raise ValueError("weight decay moves all rows of a table: its gradient cannot be sparse")
        self.schedule = lr if callable(lr) else constant_lr(lr)
        self.weight_decay, self.alpha, self.clip = weight_decay, alpha, clip
        self.square_avg = [torch.zeros_like(p) for p in self.parameters]
        # of the rows of a sparse parameter, the step of their last update
        self.last_step = [p.new_zeros(len(p) if id(p) in self.sparse else 0) for p in self.parameters]
        self.num_steps = torch.zeros((), dtype=torch.int64)

    def zero_grad(self) -> None:
        """Set the gradients to zero, in place; drop those of sparse parameters."""
        for parameter in self.parameters:
            if id(parameter) in self.sparse:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        lr, dense = self.schedule(int(self.num_steps)), []
        self.num_steps += 1
        for weight, square_avg, last_step in zip(self.parameters, self.square_avg, self.last_step, strict=True):
            gradient = weight.grad
            if gradient is None:
                continue
            if id(weight) in self.sparse:
                rows = gradient if gradient.is_sparse else gradient.to_sparse(1)
                self._update_rows(rows.coalesce(), weight, square_avg, last_step, lr)
            else:
                dense.append((weight, gradient, square_avg))
        if dense:
            weights, gradients, square_avgs = (list(tensors) for tensors in zip(*dense, strict=True))
            self._update(weights, gradients, square_avgs, lr)

    def _update(self, weights: list[Tensor], gradients: list[Tensor], square_avgs: list[Tensor], lr: float) -> None:
        if self.clip is not None:
            torch._foreach_clamp_min_(gradients, -self.clip)
            torch._foreach_clamp_max_(gradients, self.clip)
        rmsprop(
            weights,
            gradients,
            square_avgs,
            [],
            [],
            [torch.zeros(()) for _ in weights],
            lr=lr,
            alpha=self.alpha,
            eps=EPSILON,
            weight_decay=self.weight_decay,
            momentum=0.0,
            centered=False,
        )

    def _update_rows(self, gradient: Tensor, weight: Tensor, square_avg: Tensor, last_step: Tensor, lr: float) -> None:
        """Update the rows of a coalesced sparse gradient."""
        row, values = gradient.indices()[0], gradient.values()  # (n,), (n, ...)
        if self.clip is not None:
            values = values.clamp(-self.clip, self.clip)
        decay = self.alpha ** (int(self.num_steps) - last_step[row])  # (n,)
        average = square_avg[row].mul_(decay.view(-1, *[1] * (values.ndim - 1)))
        average.addcmul_(values, values, value=1 - self.alpha)
        weight.index_add_(0, row, values / average.sqrt().add_(EPSILON), alpha=-lr)
        square_avg.index_copy_(0, row, average)
        last_step.index_fill_(0, row, int(self.num_steps))

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""
        return numbered(square_avg=self.square_avg, last_step=self.last_step, step=[self.num_steps])

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `state_dict` returned."""
        copy_into(self.state_dict(), state)

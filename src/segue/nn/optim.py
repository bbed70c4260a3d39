"""Optimisers and learning-rate schedules. The state of an optimiser survives an interrupted run.

Adam (Kingma and Ba, ICLR 2015) calls torch's fused kernel through `torch.optim.adam.adam`. Making a `torch.optim.Adam`
also imports torch's compiler: 1.0 s and 78 MB, as much as a small model needs to train. A process that only makes the
optimiser takes 1.9 times as long with it (benchmark row `handwritten`, part `adam-import`). Adagrad (Duchi, Hazan and
Singer, JMLR 2011) calls torch's functional form for the same reason. It adds momentum, as the program of GRU4Rec does,
and supports sparse gradients: only the rows of an embedding table that a batch looked up are updated. RMSprop is in
`segue.nn.rmsprop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam

Tensors = Sequence[Tensor]
Schedule = Callable[[int], float]
"""The learning rate of each step, from step 0: a function, so that a resumed run only needs the number of the step."""


def constant_lr(lr: float) -> Schedule:
    """The same learning rate at every step."""
    return lambda step: lr


def halving_lr(lr: float, constant_steps: int) -> Schedule:
    """`lr` for `constant_steps` steps; afterwards it halves every `constant_steps` / 10 steps."""
    return lambda step: lr * 0.5 ** (10 * max(0, step - constant_steps) / constant_steps)


def polynomial_lr(lr: float, final_lr: float, steps: int, power: float) -> Schedule:
    """From `lr` to `final_lr` in `steps` steps:  (lr - final_lr) (1 - step / steps)^power + final_lr, then constant."""
    return lambda step: (lr - final_lr) * (1 - min(step, steps) / steps) ** power + final_lr


@runtime_checkable
class Optimizer(Protocol):
    """What the training loop needs of an optimiser."""

    def zero_grad(self) -> None:
        """Reset the gradients."""

    def step(self) -> None:
        """Update every parameter."""

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `state_dict` returned."""


class Adam:
    """Adam over `parameters`, all of which are updated at each step; a missing gradient counts as zero.

    Args:
        parameters: leaves that require a gradient.
        lr: learning rate, or a schedule of it.
        weight_decay: L2 penalty, added to the gradient.
        betas: decay rates of the running averages of the gradient and of its square.
        nonnegative: those of `parameters` whose negative entries are set to 0 after each step.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float | Schedule,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        nonnegative: Sequence[Tensor] = (),
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.schedule = lr if callable(lr) else constant_lr(lr)
        self.weight_decay, self.betas = weight_decay, betas
        self.nonnegative, self.num_steps = nonnegative, 0
        self.exp_avg = [torch.zeros_like(p) for p in self.parameters]
        self.exp_avg_sq = [torch.zeros_like(p) for p in self.parameters]
        self.state_steps = [torch.zeros((), device=p.device) for p in self.parameters]
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)

    def zero_grad(self) -> None:
        """Set the gradients to zero, in place."""
        torch._foreach_zero_(self._gradients())

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.schedule(self.num_steps)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter."""
        adam(
            self.parameters,
            self._gradients(),
            self.exp_avg,
            self.exp_avg_sq,
            [],
            self.state_steps,
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
        for weight in self.nonnegative:
            weight.clamp_(min=0)
        self.num_steps += 1

    def _gradients(self) -> list[Tensor]:
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [p.grad for p in self.parameters if p.grad is not None]

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""
        return numbered(exp_avg=self.exp_avg, exp_avg_sq=self.exp_avg_sq, step=self.state_steps)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `state_dict` returned."""
        copy_into(self.state_dict(), state)
        self.num_steps = int(self.state_steps[0])


class Adagrad:
    """Adagrad with momentum: the more a weight has moved, the smaller its step.

        sum      <- sum + gradient^2                                        from 1e-6
        momentum <- `momentum` * momentum - lr * gradient / sqrt(sum)
        weight   <- weight + momentum

    Args:
        parameters: leaves that require a gradient.
        lr: learning rate, or a schedule of it.
        momentum: how much of its last update each step repeats.
        weight_decay: L2 penalty, added to the gradient.
        sparse: those of `parameters` with sparse gradients, as `segue.nn.embedding` makes them: a step updates the rows
            that have a gradient, momentum and penalty included, and no others. A dense gradient, as the sum over
            several processes is, stands for its nonzero rows.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float | Schedule,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        sparse: Iterable[Tensor] = (),
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.sparse = {id(p) for p in sparse}
        self.schedule = lr if callable(lr) else constant_lr(lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.num_steps = torch.zeros(1)
        self.sum = [torch.full_like(p, 1e-6) for p in self.parameters]
        self.momentum_buffer = [torch.zeros_like(p if momentum else p[:0]) for p in self.parameters]

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.schedule(int(self.num_steps))

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        dense = []
        for weight, *state in zip(self.parameters, self.sum, self.momentum_buffer, strict=True):
            gradient = weight.grad
            if gradient is None:
                continue
            if id(weight) in self.sparse:
                self._update_rows(gradient if gradient.is_sparse else gradient.to_sparse(1), weight, *state)
            else:
                dense.append((weight, gradient, *state))
        if dense:
            self._update(*zip(*dense, strict=True))
        self.num_steps += 1

    def _update_rows(self, gradient: Tensor, *tables: Tensor) -> None:
        """Update the rows of a weight, of its sum and of its momentum that have a gradient."""
        if 4 * gradient._nnz() > len(tables[0]) and not (self.momentum or self.weight_decay):
            # updating the whole table is cheaper, and a gradient of zero moves nothing
            self._update((tables[0],), (gradient.to_dense(),), (tables[1],), ())
            return
        gradient = gradient.coalesce()
        row, used = gradient.indices()[0], tables if self.momentum else tables[:2]
        weight, total, *momentum = (table.index_select(0, row) for table in used)  # (rows, d)
        self._update((weight,), (gradient.values(),), (total,), momentum)
        for table, part in zip(used, (weight, total, *momentum), strict=True):
            table.index_copy_(0, row, part)

    def _update(self, weights: Tensors, gradients: Tensors, sums: Tensors, momenta: Tensors) -> None:
        if not self.momentum:
            adagrad(
                list(weights),
                list(gradients),
                list(sums),
                [torch.zeros(()) for _ in weights],
                fused=True,
                lr=self.lr,
                weight_decay=self.weight_decay,
                lr_decay=0.0,
                eps=0.0,
                maximize=False,
            )
            return
        for weight, gradient, total, momentum in zip(weights, gradients, sums, momenta, strict=True):
            if self.weight_decay:
                gradient.add_(weight, alpha=self.weight_decay)
            total.addcmul_(gradient, gradient)
            weight.add_(momentum.mul_(self.momentum).addcmul_(gradient, total.rsqrt(), value=-self.lr))

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""
        return numbered(sum=self.sum, momentum_buffer=self.momentum_buffer, step=[self.num_steps])

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `state_dict` returned."""
        copy_into(self.state_dict(), state)


def numbered(**tensors: list[Tensor]) -> dict[str, Tensor]:
    """Names for the tensors of an optimiser's state: sum.0, sum.1, ..."""
    return {f"{name}.{index}": tensor for name, part in tensors.items() for index, tensor in enumerate(part)}


def copy_into(state: dict[str, Tensor], saved: dict[str, Tensor]) -> None:
    """Copy the saved tensors into those of the same names; a `ValueError` if shapes differ."""
    for name, tensor in state.items():
        if saved[name].shape != tensor.shape:  # which copy_ would repeat
            raise ValueError(f"{name} of the optimiser has shape {tuple(saved[name].shape)}, not {tuple(tensor.shape)}")
        tensor.copy_(saved[name])

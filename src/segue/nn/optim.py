"""Optimisers, with dense state that survives a resumed run.

Adam (Kingma and Ba, ICLR 2015) is one fused kernel a tensor. `torch.optim.Adam` computes the same, but making one
imports torch's compiler: 1.0 s and 78 MB, as much as a small model needs to train. This calls the functional form of
the same kernel.

RMSprop is what IARN's paper trains with.

Adagrad (Duchi, Hazan and Singer, JMLR 2011) with momentum is what GRU4Rec's program follows. Of an embedding table it
moves the rows that a batch looked up, and no others.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam

from segue import distributed

Tensors = Sequence[Tensor]
Schedule = Callable[[int], float]
"""The learning rate of each step, from step 0 on: a function, so that a resumed run needs to know only where it is."""


def constant(lr: float) -> Schedule:
    """`lr` throughout."""
    return lambda step: lr


def halving(lr: float, steady: int) -> Schedule:
    """`lr` for `steady` steps; then it halves every tenth as many."""
    return lambda step: lr * 0.5 ** (10 * max(0, step - steady) / steady)


def polynomial(lr: float, end: float, steps: int, power: float) -> Schedule:
    """From `lr` to `end` in so many steps, and there it stays:  (lr - end) (1 - step / steps)^power + end."""
    return lambda step: (lr - end) * (1 - min(step, steps) / steps) ** power + end


@runtime_checkable
class Optimizer(Protocol):
    """What training asks of an optimiser; its state survives an interrupted run."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def step(self) -> None:
        """Move every parameter."""

    def state(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up where `state` was saved."""


class Adam:
    """Adam over `parameters`, all of which take a step each time; a missing gradient counts as zero.

    Args:
        parameters: leaves that require a gradient.
        lr: learning rate, or a schedule of it.
        weight_decay: L2 penalty, added to the gradient.
        betas: how much of the running mean, and of the running square, each step keeps.
        nonnegative: those of `parameters` of which a step sets what became negative to 0.
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
        self.schedule = lr if callable(lr) else constant(lr)
        self.weight_decay, self.betas = weight_decay, betas
        self.nonnegative, self.taken = nonnegative, 0
        self.mean = [torch.zeros_like(p) for p in self.parameters]
        self.square = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)

    def zero_grad(self) -> None:
        """Forget the gradients, in place."""
        torch._foreach_zero_(self._gradients())

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.schedule(self.taken)

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter."""
        adam(
            self.parameters,
            self._gradients(),
            self.mean,
            self.square,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
        for weight in self.nonnegative:
            weight.clamp_(min=0)
        self.taken += 1

    def _gradients(self) -> list[Tensor]:
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [p.grad for p in self.parameters if p.grad is not None]

    def state(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""
        kinds = {"mean": self.mean, "square": self.square, "steps": self.steps}
        return {f"{kind}.{index}": t for kind, tensors in kinds.items() for index, t in enumerate(tensors)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up where `state` was saved."""
        for key, tensor in self.state().items():
            tensor.copy_(state[key])
        self.taken = int(self.steps[0])


class RMSprop:
    """RMSprop (Tieleman and Hinton, 2012): each weight moves by its gradient over the running root of its square.

        square <- alpha * square + (1 - alpha) * gradient^2
        weight <- weight - lr * gradient / (sqrt(square) + 1e-8)

    Args:
        parameters: leaves that require a gradient.
        lr: learning rate, or a schedule of it.
        weight_decay: L2 penalty, added to the gradient.
        alpha: how much of the running square each step keeps.
        clip: entries of the gradient are cut off beyond this; None for none.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float | Schedule,
        weight_decay: float = 0.0,
        alpha: float = 0.95,
        clip: float | None = None,
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.schedule = lr if callable(lr) else constant(lr)
        self.weight_decay, self.alpha, self.clip = weight_decay, alpha, clip
        self.square = [torch.zeros_like(p) for p in self.parameters]
        self.taken = torch.zeros((), dtype=torch.int64)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        rate = self.schedule(int(self.taken))
        for weight, square in zip(self.parameters, self.square, strict=True):
            if weight.grad is None:
                continue
            gradient = weight.grad if self.clip is None else weight.grad.clamp_(-self.clip, self.clip)
            if self.weight_decay:
                gradient.add_(weight, alpha=self.weight_decay)
            square.mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
            weight.addcdiv_(gradient, square.sqrt().add_(1e-8), value=-rate)
        self.taken += 1

    def state(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""
        return {"taken": self.taken, **{f"square.{index}": t for index, t in enumerate(self.square)}}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up where `state` was saved."""
        for key, tensor in self.state().items():
            tensor.copy_(state[key])


class Pieces(list[tuple[Tensor, Tensor]]):
    """(ids, gradient) of each look-up in one table: see `segue.nn.embedding`."""


class Adagrad:
    """Adagrad with momentum: every weight has a step of its own, the smaller the more it has moved.

        square   <- square + gradient^2                                         from 1e-6 on
        momentum <- `momentum` * momentum - lr * gradient / sqrt(square)
        weight   <- weight + momentum

    Args:
        parameters: leaves that require a gradient.
        lr: learning rate, or a schedule of it.
        momentum: how much of its last step each step repeats.
        weight_decay: L2 penalty, added to the gradient.
        tables: those of `parameters` that are looked up through `layers.table.rows` alone, row 0 of them padding: only
            the rows that were looked up move.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float | Schedule,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        tables: Iterable[Tensor] = (),
    ) -> None:
        every = [p for p in parameters if p.requires_grad]
        self.tables = [p for p in tables if p.requires_grad]
        self.others = [p for p in every if all(p is not table for table in self.tables)]
        self.schedule = lr if callable(lr) else constant(lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.taken = torch.zeros(1)
        self.square = [torch.full_like(p, 1e-6) for p in self.tables + self.others]
        self.moved = [torch.zeros_like(p if momentum else p[:0]) for p in self.tables + self.others]
        self.pieces = [Pieces() for _ in self.tables]
        if distributed.world_size() == 1:  # several processes add their gradients up, which then are dense
            for table, pieces in zip(self.tables, self.pieces, strict=True):
                table.pieces = weakref.ref(pieces)  # type: ignore[attr-defined]

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.schedule(int(self.taken))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for pieces in self.pieces:
            pieces.clear()
        for parameter in self.tables + self.others:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        count = len(self.tables)
        states = list(zip(self.square, self.moved, strict=True))
        whole = [
            (p, p.grad, *state) for p, state in zip(self.others, states[count:], strict=True) if p.grad is not None
        ]
        for table, pieces, state in zip(self.tables, self.pieces, states[:count], strict=True):
            if table.grad is not None:
                row = table.grad.any(1).nonzero().squeeze(1)
                self._move_rows(row, table.grad[row], table, *state)
            elif pieces and not self._many(pieces, table):
                self._move_rows(*coalesce(pieces), table, *state)
            elif pieces:
                whole.append((table, spread(pieces, table), *state))
        if whole:
            self._move(*zip(*whole, strict=True))
        for table in self.tables:
            table[0].zero_()
        self.taken += 1

    def _many(self, pieces: Pieces, table: Tensor) -> bool:
        """Whether it is cheaper to go through the whole table; rows without a gradient then stay where they are."""
        return not (self.momentum or self.weight_decay) and 4 * sum(len(ids) for ids, _ in pieces) > len(table)

    def _move_rows(self, row: Tensor, gradient: Tensor, *tables: Tensor) -> None:
        """Move the rows `row`, all different, of a table, its squares and its momentum."""
        kept = tables if self.momentum else tables[:2]
        weight, square, *moved = (table.index_select(0, row) for table in kept)
        self._move((weight,), (gradient,), (square,), moved)
        for table, part in zip(kept, (weight, square, *moved), strict=True):
            table.index_copy_(0, row, part)

    def _move(self, weights: Tensors, gradients: Tensors, squares: Tensors, moved: Tensors) -> None:
        if not self.momentum:
            adagrad(
                list(weights),
                list(gradients),
                list(squares),
                [torch.zeros(()) for _ in weights],
                fused=True,
                lr=self.rate,
                weight_decay=self.weight_decay,
                lr_decay=0.0,
                eps=0.0,
                maximize=False,
            )
            return
        for weight, gradient, square, momentum in zip(weights, gradients, squares, moved, strict=True):
            if self.weight_decay:
                gradient.add_(weight, alpha=self.weight_decay)
            square.addcmul_(gradient, gradient)
            weight.add_(momentum.mul_(self.momentum).addcmul_(gradient, square.rsqrt(), value=-self.rate))

    def state(self) -> dict[str, Tensor]:
        """The tensors that a resumed run needs."""
        kinds = {"square": self.square, "moved": self.moved, "taken": [self.taken]}
        return {f"{kind}.{index}": t for kind, tensors in kinds.items() for index, t in enumerate(tensors)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up where `state` was saved."""
        for key, tensor in self.state().items():
            tensor.copy_(state[key])


def coalesce(pieces: Pieces) -> tuple[Tensor, Tensor]:
    """(rows, gradients): each row that was looked up once, with all of its gradients added up."""
    row, place = torch.unique(torch.cat([ids for ids, _ in pieces]), return_inverse=True)
    gradient = pieces[0][1].new_zeros(len(row), pieces[0][1].shape[1])
    begin = 0
    for ids, part in pieces:
        gradient.index_add_(0, place[begin : begin + len(ids)], part)
        begin += len(ids)
    return row, gradient


def spread(pieces: Pieces, table: Tensor) -> Tensor:
    """The gradient of the whole table."""
    gradient = torch.zeros_like(table)
    for ids, part in pieces:
        gradient.index_add_(0, ids, part)
    return gradient

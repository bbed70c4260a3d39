"""Adam (Kingma and Ba, ICLR 2015), one fused kernel a tensor, with dense state that survives a resumed run.

`torch.optim.Adam` computes the same, but making one imports torch's compiler: 1.0 s and 78 MB, as much as a small model
needs to train. This calls the functional form of the same kernel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.optim.adam import adam


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
        lr: learning rate.
        weight_decay: L2 penalty, added to the gradient.
        betas: how much of the running mean, and of the running square, each step keeps.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.lr, self.weight_decay, self.betas = lr, weight_decay, betas
        self.mean = [torch.zeros_like(p) for p in self.parameters]
        self.square = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)

    def zero_grad(self) -> None:
        """Forget the gradients, in place."""
        torch._foreach_zero_(self._gradients())

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
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )

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

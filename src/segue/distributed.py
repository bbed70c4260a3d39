"""Data-parallel training with several processes: `torchrun --nproc-per-node 2 -m segue run ...`.

Every process draws the same batch from the same seed and works on its share of the rows. The gradients are summed over
the processes (torch.distributed), so two processes take the same steps as one (law 11). With a single process all of
these functions do nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor
from torch import distributed as dist

from segue.errors import ConfigError

NUMBERS = ("WORLD_SIZE", "RANK", "MASTER_PORT")
VARIABLES = (*NUMBERS, "MASTER_ADDR")  # that torchrun sets


def init() -> None:
    """Join the process group if torchrun has started several processes.

    Raises:
        ConfigError: only some of the variables that torchrun sets are there, or a number is none.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1" or dist.is_initialized():
        return
    missing = [name for name in VARIABLES if name not in os.environ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE={size} is set, but not {' and '.join(missing)}: start several processes with torchrun, or "
            "unset WORLD_SIZE"
        )
    for name in NUMBERS:
        if not os.environ[name].isdecimal():
            raise ConfigError(f"{name}={os.environ[name]} is no whole number; start the processes with torchrun")
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def process_rank() -> int:
    """The number of this process, from 0. Process 0 writes files and messages."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def all_reduce(tensor: Tensor) -> Tensor:
    """Replace `tensor`, in place, by its sum over all processes, and return it."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def all_reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its sum over all processes; a missing gradient counts as zero."""
    if world_size() > 1:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            elif parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
            dist.all_reduce(parameter.grad)


def any_process(condition: bool) -> bool:
    """Whether the condition holds in any process; the answer is the same in all of them."""
    return condition if world_size() == 1 else bool(all_reduce(torch.tensor(float(condition))) > 0)

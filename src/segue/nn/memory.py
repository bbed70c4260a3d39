"""`keep_freed_memory`: fewer page faults where large tensors are made and freed again and again."""

from __future__ import annotations

import torch


def keep_freed_memory() -> None:
    """Make glibc keep the memory that the tensors of a batch free.

    By default it returns large freed blocks to the operating system, and every batch has to fetch them again. Once a
    block of this size (31 MiB) has been freed, it keeps blocks up to that size, until the process ends.
    """
    torch.empty(31 << 20, dtype=torch.uint8)

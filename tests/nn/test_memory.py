"""`keep_freed_memory` frees a block of the size that glibc looks at."""

from __future__ import annotations

import pytest
import torch

from segue.nn.memory import keep_freed_memory


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_freed_block_has_the_same_size_whatever_the_default_type(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    empty = torch.empty

    def recorded(*args: object, **options: object) -> torch.Tensor:
        tensor = empty(*args, **options)
        sizes.append(tensor.nbytes)
        return tensor

    monkeypatch.setattr(torch, "empty", recorded)
    torch.set_default_dtype(dtype)
    try:
        keep_freed_memory()
    finally:
        torch.set_default_dtype(torch.float32)
    assert sizes == [31 << 20], "glibc's largest limit is 32 MiB"

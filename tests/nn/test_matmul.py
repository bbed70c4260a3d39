"""Fast products are exact to 32 bits or not used; the precision is restored afterwards."""

from __future__ import annotations

import pytest
import torch

from segue.nn import matmul
from segue.nn.matmul import fast_matmul


@pytest.fixture(autouse=True)
def clear_cache() -> None:
    matmul._is_exact.cache_clear()


def test_fast_products_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "_is_intel", lambda: False)
    torch.manual_seed(1)
    left, right = torch.randn(300, 200), torch.randn(400, 200)
    with fast_matmul():
        product = left @ right.T
    exact = left.double() @ right.double().T
    assert float((product - exact).abs().max()) < 1e-4, "16 bits would be off by a tenth"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("intel", [True, False])
def test_the_precision_is_restored(exact: bool, intel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "_is_exact", lambda: exact)
    monkeypatch.setattr(matmul, "_is_intel", lambda: intel)
    before = torch.get_float32_matmul_precision()
    seen = []

    def fails() -> None:
        with fast_matmul():
            seen.append(torch.get_float32_matmul_precision())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen == ["medium" if exact and not intel else before]
    assert torch.get_float32_matmul_precision() == before

"""Quick products are exact to 32 bits, or not taken; what was set before is set again."""

from __future__ import annotations

import pytest
import torch

from segue.nn import matmul as products
from segue.nn.matmul import fast_matmul


@pytest.fixture(autouse=True)
def found_out_anew() -> None:
    products._exact.cache_clear()


def test_they_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_intel", lambda: False)
    torch.manual_seed(1)
    left, right = torch.randn(300, 200), torch.randn(400, 200)
    with fast_matmul():
        found = left @ right.T
    exact = left.double() @ right.double().T
    assert float((found - exact).abs().max()) < 1e-4, "16 bits would be off by a tenth"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("intel", [True, False])
def test_the_setting_is_left_as_it_was(exact: bool, intel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_exact", lambda: exact)
    monkeypatch.setattr(products, "_intel", lambda: intel)
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

"""Causal convolutions over time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.nn.convolution import CausalConv1d


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 12))
def test_outputs_are_sums_over_earlier_positions(kernel_size: int, dilation: int) -> None:
    """Also where the kernel reaches farther back than there are positions."""
    torch.manual_seed(0)
    layer, x = CausalConv1d(2, kernel_size, dilation).double(), torch.randn(2, 5, 2, dtype=torch.double)
    output = layer(x)
    for t in range(5):
        expected = layer.bias.expand(2, 2)
        for tap, weight in enumerate(layer.weight.unbind(2)):
            past = t - (kernel_size - 1 - tap) * dilation
            if past >= 0:
                expected = expected + x[:, past] @ weight.T
        torch.testing.assert_close(output[:, t], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (2, 4), (4, 12)])
def test_gradients(kernel_size: int, dilation: int) -> None:
    layer = CausalConv1d(2, kernel_size, dilation).double()
    x = torch.arange(12.0, dtype=torch.double).sin().view(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)

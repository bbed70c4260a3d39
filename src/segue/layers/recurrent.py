"""`WindowGRU`: a gated recurrent unit that reads each window of a row, oldest item first.

    r = sigma(W_r x + b_r + U_r h + c_r)        h starts at zero, and stays there until the window's first item
    z = sigma(W_z x + b_z + U_z h + c_z)
    n = tanh(W_n x + b_n + r * (U_n h + c_n))
    h <- (1 - z) * n + z * h

Cho et al., EMNLP 2014, as torch writes it: blocks r, z, n, each with two biases.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class WindowGRU(nn.Module):
    """The last state of a GRU for each of the C windows of a row."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(dim, dim)

    def forward(self, item: Float[Tensor, "B P d"], real: Float[Tensor, "B C L"]) -> Float[Tensor, "B C d"]:
        """`real` is 1 where a window holds an item, 0 where it holds padding."""
        cell, count = self.cell, real.shape[1]
        read = nn.functional.linear(item, cell.weight_ih, cell.bias_ih)  # B P 3d: neighbouring windows share it
        state = item.new_zeros(len(item), count, item.shape[2])
        for place in range(real.shape[2]):
            ours = nn.functional.linear(state, cell.weight_hh, cell.bias_hh).chunk(3, 2)
            reset, update, new = read[:, place : place + count].chunk(3, 2)
            new = torch.tanh(new + torch.sigmoid(reset + ours[0]) * ours[2])
            keep = torch.sigmoid(update + ours[1])
            state = torch.lerp(state, new + keep * (state - new), real[:, :, place, None])
        return state

"""Neighbouring windows in one row: what each of them has to do with the row's positions, without a copy of any.

row  a b c d        L = 2, C = 3:  windows  a b,  b c,  c d
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


def windows_to_positions(weight: Float[Tensor, "B C L"]) -> Float[Tensor, "B C P"]:
    """Weights over each window as weights over the P = L + C - 1 positions: row c moved right by c.

    >>> import torch
    >>> windows_to_positions(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 2., 0.],
             [0., 3., 4.]]])
    """
    rows, count, window = weight.shape
    if count == 1:
        return weight
    positions = window + count - 1
    return nn.functional.pad(weight, (0, count)).reshape(rows, -1)[:, : count * positions].view(rows, count, positions)


def positions_to_windows(table: Float[Tensor, "B C P"]) -> Float[Tensor, "B C L"]:
    """What each window finds at its own L = P - C + 1 positions: row c from column c on.

    >>> import torch
    >>> positions_to_windows(torch.tensor([[[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]]))
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    rows, count, positions = table.shape
    moved = nn.functional.pad(table.reshape(rows, -1), (0, count)).view(rows, count, positions + 1)
    return moved[:, :, : positions - count + 1]

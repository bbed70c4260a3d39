"""Weights of sliding windows as weights of the positions of a row, and back, without copying the windows.

row  a b c d        L = 2, C = 3:  windows  a b,  b c,  c d
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad


def windows_to_positions(weight: Float[Tensor, "B C L"]) -> Float[Tensor, "B C P"]:
    """Weights over each window as weights over the P = L + C - 1 positions: row c is shifted right by c.

    >>> import torch
    >>> windows_to_positions(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 2., 0.],
             [0., 3., 4.]]])
    """
    rows, num_windows, window = weight.shape
    if num_windows == 1:
        return weight
    positions = window + num_windows - 1
    flat = pad(weight, (0, num_windows)).reshape(rows, -1)  # (B, C (L + C)): rows shifted by one more each
    return flat[:, : num_windows * positions].view(rows, num_windows, positions)


def positions_to_windows(values: Float[Tensor, "B C P"]) -> Float[Tensor, "B C L"]:
    """The values of each window at its own L = P - C + 1 positions: row c from column c on.

    >>> import torch
    >>> positions_to_windows(torch.tensor([[[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]]))
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    rows, num_windows, positions = values.shape
    shifted = pad(values.reshape(rows, -1), (0, num_windows)).view(rows, num_windows, positions + 1)
    return shifted[:, :, : positions - num_windows + 1]

"""`WindowConvolutions`: Caser's filters over each window of a row (Tang and Wang, WSDM 2018, section 3.2).

A window of L items is a picture of L rows and d columns. With * for the product of element by element, then summed:

    horizontal, n_h of each height h = 1..L:  the highest  ReLU(F * rows i..i + h - 1 + b)  over i      n_h L features
    vertical, n_v:                            the sum over rows l of  w_l row_l, plus b                 n_v d features
    z = ReLU(W [vertical; horizontal] + c)                                                              d

What a horizontal filter finds at a position of a row is the same for every window that holds the position.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.nn.dropout import dropout
from segue.nn.sliding_windows import windows_to_positions


class WindowConvolutions(nn.Module):
    """z for each of the C windows of a row.

    Args:
        dim: d, size of the item vectors.
        window: L.
        vertical: n_v.
        horizontal: n_h.
        dropout: share of the features that training leaves out of z.
    """

    def __init__(self, dim: int, window: int, *, vertical: int = 4, horizontal: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.window, self.dropout = window, dropout
        self.vertical = nn.Linear(window, vertical)
        self.horizontal = nn.ModuleList(nn.Conv1d(dim, horizontal, height) for height in range(1, window + 1))
        self.dense = nn.Linear(vertical * dim + horizontal * window, dim)

    def forward(self, item: Float[Tensor, "B P d"]) -> Float[Tensor, "B C d"]:
        """Padding has to be zeros."""
        columns = item.transpose(1, 2)  # B d P
        count = item.shape[1] - self.window + 1
        features = [self._vertical(columns, count)]
        for height, convolution in enumerate(self.horizontal, 1):
            found = nn.functional.max_pool1d(convolution(columns), self.window - height + 1, 1)  # B n_h C
            features.append(found.relu().transpose(1, 2))
        kept = dropout(torch.cat(features, 2), self.dropout, self.training)
        return self.dense(kept).relu()

    def _vertical(self, columns: Tensor, count: int) -> Float[Tensor, "B C n"]:
        filters, window = self.vertical.weight.shape
        weight = windows_to_positions(self.vertical.weight.unsqueeze(1).expand(filters, count, window)).flatten(
            0, 1
        )  # n_v C, P
        # folded by hand: left to itself, matmul sums in another order where no gradient is asked for
        found = (columns.flatten(0, 1) @ weight.T).view(*columns.shape[:2], filters, count)  # B d n_v C
        return (found + self.vertical.bias[:, None]).permute(0, 3, 2, 1).flatten(2)

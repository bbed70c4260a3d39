"""Convolutions over sequences of items: causal ones over time, and those of Caser over windows."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, max_pool1d, pad

from segue.nn.dropout import dropout
from segue.nn.sliding_windows import windows_to_positions


class CausalConv1d(nn.Conv1d):
    """A dilated convolution over time whose output at a position depends on that and earlier positions only.

    Args:
        dim: number of input and of output channels.
        kernel_size: number of positions that an output depends on.
        dilation: distance between these positions.
    """

    def __init__(self, dim: int, kernel_size: int, dilation: int) -> None:
        super().__init__(dim, dim, kernel_size, dilation=dilation)
        self.left_padding = dilation * (kernel_size - 1)

    def reset_parameters(self) -> None:
        """Initialise as nn.Conv1d does, but draw the random numbers of one kernel position after the other.

        A seed thereby gives the same weights as in earlier versions.
        """
        super().reset_parameters()
        dim, _, kernel_size = self.weight.shape
        with torch.no_grad():
            self.weight.copy_(self.weight.clone().view(dim, kernel_size, dim).transpose(1, 2))

    def forward(self, x: Float[Tensor, "B T d"]) -> Float[Tensor, "B T d"]:
        """One matrix product over the positions side by side.

        It replaces the convolution of `nn.Conv1d`, with which a training step of NextItNet takes 1.15 times as long
        (benchmark row `handwritten`, part `causal-conv1d`).
        """
        (kernel_size,), (dilation,), length = self.kernel_size, self.dilation, x.shape[1]
        padded = pad(x, (0, 0, self.left_padding, 0))  # (B, left_padding + T, d)
        taps = [padded[:, tap * dilation : tap * dilation + length] for tap in range(kernel_size)]
        weight = self.weight.transpose(1, 2).flatten(1)  # (d, kernel_size d)
        return linear(torch.cat(taps, 2), weight, self.bias)


class WindowConvolutions(nn.Module):
    """The convolutions of Caser for each of the C sliding windows of a row (Tang and Wang, WSDM 2018, section 3.2).

    A window of L items is an image with L rows and d columns. With * for the sum of the elementwise product:

        horizontal, n_h of each height h = 1..L:  max over i of  ReLU(F * rows i..i + h - 1 + b)         n_h L features
        vertical, n_v:                            the sum over rows l of  w_l row_l, plus b              n_v d features
        z = ReLU(W [vertical; horizontal] + c)                                                           d

    A horizontal filter has the same value at a position for all windows that contain the position: it is computed once.

    Args:
        dim: d, size of the item vectors.
        window: L.
        num_vertical_filters: n_v.
        num_horizontal_filters: n_h.
        dropout: dropout rate of the features.
    """

    def __init__(
        self,
        dim: int,
        window: int,
        *,
        num_vertical_filters: int = 4,
        num_horizontal_filters: int = 16,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.window, self.dropout = window, dropout
        self.vertical = nn.Linear(window, num_vertical_filters)
        self.horizontal = nn.ModuleList(
            nn.Conv1d(dim, num_horizontal_filters, height) for height in range(1, window + 1)
        )
        self.dense = nn.Linear(num_vertical_filters * dim + num_horizontal_filters * window, dim)

    def forward(self, item: Float[Tensor, "B P d"]) -> Float[Tensor, "B C d"]:
        """z of each window. The vectors of padding must be zero."""
        columns = item.transpose(1, 2)  # (B, d, P)
        num_windows = item.shape[1] - self.window + 1
        features = [self._vertical(columns, num_windows)]  # (B, C, n_v d)
        for height, convolution in enumerate(self.horizontal, 1):
            pooled = max_pool1d(convolution(columns), self.window - height + 1, 1)  # (B, n_h, C)
            features.append(pooled.relu().transpose(1, 2))
        return self.dense(dropout(torch.cat(features, 2), self.dropout, self.training)).relu()

    def _vertical(self, columns: Float[Tensor, "B d P"], num_windows: int) -> Float[Tensor, "B C n"]:
        num_filters, window = self.vertical.weight.shape
        weight = self.vertical.weight.unsqueeze(1).expand(num_filters, num_windows, window)
        weight = windows_to_positions(weight).flatten(0, 1)  # (n_v C, P)
        # flattened by hand: for 3-d inputs, matmul chooses another order of summation where no gradient is needed
        product = columns.flatten(0, 1) @ weight.T  # (B d, n_v C)
        product = product.view(*columns.shape[:2], num_filters, num_windows)
        return (product + self.vertical.bias[:, None]).permute(0, 3, 2, 1).flatten(2)

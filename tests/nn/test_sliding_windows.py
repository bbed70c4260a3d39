"""Layers over sliding windows: overlapping windows of a row, and padding."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from segue.nn.convolution import WindowConvolutions
from segue.nn.recurrent.gru import WindowGRU
from segue.nn.sliding_windows import positions_to_windows, windows_to_positions

DIM, WINDOW = 3, 4


def items(rows: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(rows, WINDOW + count - 1, DIM, dtype=torch.double, generator=generator)


def windows(item: Tensor) -> Tensor:
    """Each window as a row of its own."""
    return item.unfold(1, WINDOW, 1).transpose(2, 3).flatten(0, 1)


def test_windows_to_positions_shifts_each_window_by_one() -> None:
    weight = torch.arange(1.0, 13.0).view(2, 3, 2)
    expected = torch.zeros(2, 3, 4)
    for row, count, position in itertools.product(range(2), range(3), range(2)):
        expected[row, count, count + position] = weight[row, count, position]
    assert torch.equal(windows_to_positions(weight), expected)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("window", [1, 3])
def test_positions_to_windows_is_the_inverse(count: int, window: int) -> None:
    table = torch.arange(2.0 * count * (count + window - 1)).view(2, count, -1)
    expected = torch.stack([table[:, row, row : row + window] for row in range(count)], 1)
    assert torch.equal(positions_to_windows(table), expected)
    assert torch.equal(positions_to_windows(windows_to_positions(expected)), expected)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_window_gru_equals_the_gru_of_torch(count: int) -> None:
    layer, item = WindowGRU(DIM).double(), items(6, count)
    whole = nn.GRU(DIM, DIM, batch_first=True).double()
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            whole.get_parameter(f"{name}_l0").copy_(layer.cell.get_parameter(name))
    output = layer(item, torch.ones(6, count, WINDOW, dtype=torch.double))
    torch.testing.assert_close(output.flatten(0, 1), whole(windows(item))[1][0])


@pytest.mark.parametrize("padding", range(WINDOW + 1))
def test_window_gru_ignores_padding(padding: int) -> None:
    layer, item = WindowGRU(DIM).double(), items(2, 1)
    item[:, :padding] = 0
    mask = torch.ones(2, 1, WINDOW, dtype=torch.double)
    mask[:, :, :padding] = 0
    state = torch.zeros(2, DIM, dtype=torch.double)
    for position in range(padding, WINDOW):
        state = layer.cell(item[:, position], state)
    torch.testing.assert_close(layer(item, mask)[:, 0], state)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_overlapping_windows_have_the_convolutions_of_single_windows(count: int) -> None:
    layer, item = (
        WindowConvolutions(DIM, WINDOW, num_vertical_filters=2, num_horizontal_filters=5).double().eval(),
        items(6, count),
    )
    torch.testing.assert_close(layer(item).flatten(0, 1), layer(windows(item))[:, 0])


def test_window_convolutions_equal_two_dimensional_convolutions() -> None:
    """Filters as two-dimensional convolutions over L x d images with one channel, as in the authors' program."""
    layer, item = (
        WindowConvolutions(DIM, WINDOW, num_vertical_filters=2, num_horizontal_filters=5).double().eval(),
        items(6, 1),
    )
    image = item.unsqueeze(1)  # B 1 L d
    vertical = nn.functional.conv2d(image, layer.vertical.weight[:, None, :, None], layer.vertical.bias)
    features = [vertical.flatten(1)]
    for convolution in layer.horizontal:
        output = nn.functional.conv2d(image, convolution.weight.transpose(1, 2).unsqueeze(1), convolution.bias)
        features.append(output.relu().amax((2, 3)))
    z = layer.dense(torch.cat(features, 1)).relu()
    torch.testing.assert_close(layer(item)[:, 0], z)


def test_dropout_in_training_only() -> None:
    layer, item = WindowConvolutions(DIM, WINDOW, dropout=0.5), items(6, 2).float()
    torch.manual_seed(0)
    assert not torch.equal(layer(item), layer(item))
    layer.eval()
    assert torch.equal(layer(item), layer(item))

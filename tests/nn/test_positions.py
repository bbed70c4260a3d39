"""Rotary positions: queries and keys that are turned by their positions."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.nn.positions import ROTARY_BASE, rotate


def vectors(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4))
def test_each_pair_is_a_complex_number_times_a_power_of_i(seed: int, count: int, pairs: int) -> None:
    x = vectors(seed, 2, 3, count, 2 * pairs)
    positions = torch.arange(-count, 0, dtype=torch.float64)
    frequencies = torch.tensor([ROTARY_BASE ** (-pair / pairs) for pair in range(pairs)], dtype=torch.float64)
    turns = torch.polar(torch.ones(count, pairs, dtype=torch.float64), torch.outer(positions, frequencies))
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(3, (pairs, 2))) * turns).flatten(3)
    torch.testing.assert_close(rotate(x), expected, rtol=0, atol=1e-12)


@given(st.integers(0, 10**6), st.integers(0, 9), st.integers(1, 40))
def test_scores_depend_on_the_distance_alone(seed: int, distance: int, shift: int) -> None:
    query, key = vectors(seed, 2, 1, 1, 8), vectors(seed + 1, 2, 1, 1, 8)

    def score(newest: int) -> torch.Tensor:
        length = newest + distance + 1
        turned = [rotate(x.expand(-1, -1, length, -1)) for x in (query, key)]
        return (turned[0][:, :, distance] * turned[1][:, :, 0]).sum(2)

    torch.testing.assert_close(score(0), score(shift), rtol=0, atol=1e-12)
    assert torch.allclose(score(0), (query * key).sum(3)[..., 0]) == (distance == 0)


def test_older_padding_changes_no_bit() -> None:
    x = vectors(0, 1, 2, 7, 4)
    assert torch.equal(rotate(x)[:, :, 3:], rotate(x[:, :, 3:]))

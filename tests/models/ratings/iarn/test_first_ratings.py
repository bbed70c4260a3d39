"""`FirstRatings` against a dense table of the first ratings."""

from __future__ import annotations

import numpy as np
import torch

from segue.models.ratings.iarn.first_ratings import FirstRatings

USER, ITEM = np.array([1, 1, 1, 2, 3, 3]), np.array([2, 4, 2, 1, 4, 3])
RATING = np.array([5.0, 0.0, 1.0, 3.0, 2.0, 4.0])


def fitted() -> FirstRatings:
    table = FirstRatings(4).double()
    table.fit(USER, ITEM, RATING)
    return table


def test_lookup_returns_the_first_rating_of_each_pair() -> None:
    dense = np.full((4, 5), np.nan)
    for user, item, rating in zip(USER[::-1], ITEM[::-1], RATING[::-1], strict=True):
        dense[user, item] = rating
    user, item = (torch.from_numpy(index.copy()) for index in np.indices(dense.shape))
    rating, known = fitted().lookup(user, item)
    assert np.array_equal(known.numpy(), ~np.isnan(dense))
    assert np.array_equal(rating.numpy(), np.nan_to_num(dense))


def test_lookup_in_an_empty_table_finds_no_rating() -> None:
    rating, known = FirstRatings(4).lookup(torch.tensor([[1, 2]]), torch.tensor([[0, 3]]))
    assert not rating.any()
    assert not known.any()


def test_state_dict_of_another_size_is_loaded() -> None:
    table = FirstRatings(4).double()
    table.load_state_dict(fitted().state_dict())
    assert torch.equal(table.rating, fitted().rating)

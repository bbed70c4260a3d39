"""`topk` agrees with a stable sort: exact, and of equal scores the lower column first, in both of its forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segue.nn.compiled.loops import best_columns
from segue.nn.topk import GROUP, SORTED, topk

FORMS = {"compiled": best_columns.always, "plain": best_columns.never}


def find(scores: Tensor, k: int, form: str) -> tuple[Tensor, Tensor]:
    with FORMS[form]():
        return topk(scores, k)


@settings(max_examples=200)
@given(st.data(), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]), st.sampled_from(list(FORMS)))
def test_topk_equals_a_stable_sort(data: st.DataObject, dtype: torch.dtype, form: str) -> None:
    rows, groups = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 9))
    width = groups * GROUP - data.draw(st.sampled_from([0, 0, 0, 7]))
    k = min(width, data.draw(st.one_of(st.integers(1, 4), st.integers(1, SORTED + 1))))
    levels = data.draw(st.sampled_from([1, 2, 5, 1000]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scores = torch.from_numpy(rng.integers(0, levels, (rows, width))).to(dtype)
    if data.draw(st.booleans()):
        scores[torch.from_numpy(rng.random((rows, width)) < data.draw(st.sampled_from([0, 0.5, 0.995])))] = -torch.inf
    if data.draw(st.booleans()):
        scores = scores.sort(dim=1).values  # each column is better than those before it
    values, ids = find(scores, k, form)
    expected = scores.sort(dim=1, descending=True, stable=True)
    assert values.dtype == dtype
    assert torch.equal(values, expected.values[:, :k])
    assert torch.equal(ids, expected.indices[:, :k])


@pytest.mark.parametrize("column", [0, 63, 64, 1290])
def test_a_nan_is_found_with_both_forms(column: int) -> None:
    scores = torch.randn(3, 1344)
    scores[1, column] = torch.nan
    (plain, plain_ids), (values, ids) = (find(scores, 5, form) for form in ("plain", "compiled"))
    assert values[1].isnan().any()
    assert torch.equal(plain.nan_to_num(9), values.nan_to_num(9))
    assert torch.equal(plain_ids, ids)


def test_scores_that_do_not_lie_in_order_are_read_right() -> None:
    scores = torch.randn(640, 4).T
    assert torch.equal(find(scores, 3, "compiled")[1], scores.contiguous().argsort(1, descending=True)[:, :3])

"""`topk` agrees with a stable sort: exact, and of equal scores the lower column first."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.nn.topk import GROUP, topk


@settings(max_examples=150)
@given(st.data(), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_topk_equals_a_stable_sort(data: st.DataObject, dtype: torch.dtype) -> None:
    rows, groups, k = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))
    width = groups * GROUP - data.draw(st.sampled_from([0, 0, 0, 7]))
    levels = data.draw(st.sampled_from([1, 2, 5, 1000]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scores = torch.from_numpy(rng.integers(0, levels, (rows, width))).to(dtype)
    if data.draw(st.booleans()):
        scores[torch.from_numpy(rng.random((rows, width)) < data.draw(st.sampled_from([0, 0.5, 0.995])))] = -torch.inf
    values, ids = topk(scores, k)
    expected = scores.sort(dim=1, descending=True, stable=True)
    assert torch.equal(values, expected.values[:, :k])
    assert torch.equal(ids, expected.indices[:, :k])

"""Pairs of items: blocks of whole groups, and the most similar ones of each item."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.models.base.item_pairs import group_blocks, nearest_entries


@settings(max_examples=100)
@given(rows=st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=5), k=st.integers(1, 4))
def test_the_most_similar_items_of_each_item_are_kept(rows: list[list[int]], k: int) -> None:
    pairs = [(item, other, float(value)) for item, row in enumerate(rows) for other, value in enumerate(row)]
    item, other, value = (
        np.array([pair[place] for pair in pairs], kind) for place, kind in enumerate((int, int, float))
    )
    kept = list(zip(*(column.tolist() for column in nearest_entries((item, other, value), k)), strict=True))
    for one in range(len(rows)):
        own = sorted((pair for pair in pairs if pair[0] == one), key=lambda pair: (-pair[2], pair[1]))
        assert [pair for pair in kept if pair[0] == one] == sorted(own[:k])
    assert list(zip(*nearest_entries((item, other, value), None), strict=True)) == pairs


@settings(max_examples=100)
@given(sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), max_size=8), max_work=st.integers(1, 12))
def test_blocks_are_whole_groups_or_parts_of_one(sizes: list[tuple[int, int]], max_work: int) -> None:
    group = np.repeat(np.arange(len(sizes)), [size for size, _ in sizes])
    each = np.repeat(np.array([work for _, work in sizes], np.int64), [size for size, _ in sizes])
    blocks = list(group_blocks(group, np.cumsum(each), max_work))
    order = np.arange(len(group))
    assert [index for parts in blocks for part in parts for index in order[part]] == list(order)
    for parts in blocks:
        groups = np.unique(np.concatenate([group[part] for part in parts]))
        assert np.isin(group, groups).sum() == sum(len(group[part]) for part in parts)  # no group is divided
        if len(parts) == 1:
            assert each[parts[0]].sum() <= max_work or parts[0].stop - parts[0].start == 1
        else:
            assert len(groups) == 1
            assert each[group == groups[0]].sum() > max_work
            assert all(each[part].sum() < max_work + each[part].max() for part in parts)

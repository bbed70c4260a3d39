"""Attention of queries over the steps of ragged sequences in packed layout, without padding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.recurrent.packing import Packing


class AttentionPairs(NamedTuple):
    """One entry for each pair of a query and a step that it attends to.

    Attributes:
        query: the number of the query.
        position: the position of the step in its sequence, from 0.
        step: the index of the step in the packed data.
    """

    query: Int[Tensor, "p"]
    position: Int[Tensor, "p"]
    step: Int[Tensor, "p"]


def attention_pairs(
    packing: Packing, sequences: Int[Tensor, "Q"], length: Int[Tensor, "Q"]
) -> tuple[Int[Tensor, "Q"], AttentionPairs]:
    """The last step of each query, and the pairs of queries with all steps up to it.

    Args:
        packing: the layout of the sequences.
        sequences: the sequence of each query.
        length: how many steps of that sequence the query attends to.

    Returns:
        The index of the `length`-th step of each query's sequence in the packed data, and the pairs.
    """
    row = packing.unsorted_indices[sequences]
    query = torch.arange(len(sequences), device=length.device).repeat_interleave(length)  # (p,)
    position = torch.arange(len(query), device=length.device) - (length.cumsum(0) - length)[query]
    return packing.offsets[length - 1] + row, AttentionPairs(query, position, packing.offsets[position] + row[query])


def ragged_attention(
    scores: Float[Tensor, "p"], values: Float[Tensor, "p H"], pairs: AttentionPairs, num_queries: int
) -> tuple[Float[Tensor, "Q H"], Float[Tensor, "Q P"]]:
    """The sum of each query's values, weighted by the softmax of their scores; and these weights by position."""
    longest = int(pairs.position.max()) + 1 if len(scores) else 1
    weights = scores.new_full((num_queries, longest), -torch.inf)
    weights = weights.index_put((pairs.query, pairs.position), scores).softmax(1)  # (Q, P)
    weighted = weights[pairs.query, pairs.position].unsqueeze(1) * values  # (p, H)
    return values.new_zeros(num_queries, values.shape[1]).index_add(0, pairs.query, weighted), weights

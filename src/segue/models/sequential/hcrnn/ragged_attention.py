"""Attention of questions to the steps of walks: which steps each looks at, and what it sees of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.nn.recurrent.layout import Packing


class AttentionPairs(NamedTuple):
    """One entry for each pair of a question and a step that it attends to.

    Attributes:
        question: its number.
        place: which of the question's steps it is, from 0.
        step: where the step lies.
    """

    question: Int[Tensor, "p"]
    place: Int[Tensor, "p"]
    step: Int[Tensor, "p"]


def attention_pairs(
    steps: Packing, walks: Int[Tensor, "Q"], length: Int[Tensor, "Q"]
) -> tuple[Int[Tensor, "Q"], AttentionPairs]:
    """Where the `length`-th step of each of `walks` lies, and the pairs of questions there with all steps up to it."""
    rank = steps.rank[walks]
    question = torch.arange(len(walks), device=length.device).repeat_interleave(length)
    place = torch.arange(len(question), device=length.device) - (length.cumsum(0) - length)[question]
    return steps.begin[length - 1] + rank, AttentionPairs(question, place, steps.begin[place] + rank[question])


def ragged_attention(
    scores: Float[Tensor, "p"], values: Float[Tensor, "p H"], pairs: AttentionPairs, questions: int
) -> tuple[Float[Tensor, "Q H"], Float[Tensor, "Q P"]]:
    """The values of each question's steps, weighed by the softmax of their scores; and the weights, at their places."""
    table = scores.new_full((questions, int(pairs.place.max()) + 1 if len(scores) else 1), -torch.inf)
    table = table.index_put((pairs.question, pairs.place), scores).softmax(1)
    weighed = table[pairs.question, pairs.place].unsqueeze(1) * values
    return values.new_zeros(questions, values.shape[1]).index_add(0, pairs.question, weighed), table

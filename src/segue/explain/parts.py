"""`part_opinions`: how each part of a combined model ranks the items that the whole recommends.

                 recommendation
part     share   1st    2nd    3rd
counts     61%     1      4     19       its place in the ranking of the part alone
network    39%     3      1      2
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.models.base.model import Model
from segue.models.base.score_buffer import evaluation_mode
from segue.nn.topk import places


@dataclass(frozen=True)
class PartOpinion:
    """What one part of a model says of the recommended items.

    Attributes:
        name: of the part; parts of one name are numbered.
        share: how much it counts for this history, from 0 to 1; None where the parts have no shares.
        places: the rank of each recommended item in the part's own ranking.
    """

    name: str
    share: float | None
    places: list[int]


def part_opinions(model: Model, batch: Batch, ids: Int[Tensor, "K"], excluded: Int[Tensor, "E"]) -> list[PartOpinion]:
    """What the parts of a model say of some items; nothing for a model without parts.

    Args:
        model: the model.
        batch: one user and the whole history.
        ids: the items.
        excluded: ids of items that are not recommended, and have no place.
    """
    if not model.parts:
        return []
    with evaluation_mode(model), torch.inference_mode():
        shares = model.part_shares(batch)
        scores = [part.score(part.readable(batch)) for part in model.parts]
    scores = [one.clone() for one in scores]
    for one in scores:
        one[:, excluded] = -torch.inf
    names, number = [part.name for part in model.parts], Counter[str]()
    opinions = []
    for k, (name, one) in enumerate(zip(names, scores, strict=True)):
        number[name] += 1
        title = f"{name} {number[name]}" if names.count(name) > 1 else name
        share = None if shares is None else float(shares[0, k])
        opinions.append(PartOpinion(title, share, (1 + places(one, ids)[0]).tolist()))
    return opinions

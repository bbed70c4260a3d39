"""`rank`: the ranks of the targets of all evaluation instances among all items, computed exactly.

    scores of one instance     item   0    1    2    3    4    5    6    7
                                     -inf  .9   .4  -inf  .7   .7   .1   .2
                                      └ padding      └ seen before

    targets 5 and 6:  5 ties with 4 and is ranked behind it: rank 3.  6 is behind 1, 4, 5, 2 and 7: rank 6.

The instances are processed in blocks; of each instance only the `depth` best items that are not targets are kept. That
is enough: the rank of a target is 1 + the better targets + the other items that score at least as high, and with
`depth` of the latter the rank is below `depth` anyway.

The lists (`Ranks.top`) are those that `segue.serving.recommend` returns: of equal scores the lower id comes first, for
targets as for all other items. The tie rule is about ranks alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.data.log import Ids, distinct, ranges
from segue.data.splits import EvalInstances
from segue.errors import DataError, require
from segue.evaluation.ranks import NextSteps, Ranks, Ties
from segue.models.base.model import Model
from segue.models.base.score_buffer import ScoreBuffer, check_no_nan, evaluation_mode
from segue.nn.topk import topk


def rank(
    model: Model,
    instances: EvalInstances,
    *,
    exclude_seen: bool,
    ties: Ties = "conservative",
    depth: int = 20,
    horizon: int = 1,
    block: int | None = None,
    after: Callable[[EvalInstances], object] | None = None,
) -> Ranks:
    """Rank the targets of every instance among all items of the log, exactly.

    A target that occurs twice counts once. With `exclude_seen`, no item of the user's rows before the instance is a
    candidate, and targets among them are left out; an instance without targets is dropped. `Ranks.dropped` counts all
    of this. An item that the model scores -inf is never recommended.

    Args:
        model: evaluated in evaluation mode on the device of its weights; its mode is restored afterwards.
        instances: the evaluation instances.
        exclude_seen: whether items that the user has already had are left out of the ranking.
        ties: "conservative" ranks a target behind all other items of the same score, "optimistic" before them.
        depth: ranks below this depth are not distinguished; the largest cut-off of the metrics.
        horizon: number of next items that are targets; above 1 each of them is also ranked alone (`Ranks.next_steps`).
        block: instances whose scores are held at a time; None for about 20 MB of scores.
        after: called with the instances of each block once they are ranked, and before the next ones are scored.

    Raises:
        TrainingError: a score is NaN.
        DataError: no instance is left.
        SegueError: the model does not return one score for each item 0..I.
    """
    require(depth >= 1, f"depth={depth}: must be at least 1")
    require(block is None or block >= 1, f"block={block}: must be at least 1")
    require(ties in ("conservative", "optimistic"), f"ties={ties!r}: must be conservative or optimistic")
    require(horizon == 1 or not exclude_seen, f"horizon={horizon}: needs exclude_seen=False")
    blocks = []
    with evaluation_mode(model), torch.inference_mode():
        buffer = ScoreBuffer(model, instances.log.num_items + 1)
        rows = block or buffer.block_rows
        for part, scores in buffer.blocks(instances, rows):
            index = _FlatIndex.of(part, stride=buffer.stride, exclude_seen=exclude_seen)
            blocks.append(_rank_block(buffer, part, scores, index, ties=ties, depth=depth, horizon=horizon))
            if after is not None:
                after(part)
    return _join(blocks, instances, depth)


@dataclass(frozen=True)
class _FlatIndex:
    """Positions in the flattened scores of a block: instance * stride + item.

    Attributes:
        all_targets: (m,) the targets in their order, repeated ones included.
        target: (n,) the targets that are ranked, ascending and distinct.
        past: the items of the users before the instances; empty if they stay candidates.
        num_repeated: number of targets left out because the instance has them already.
        num_seen: number of targets left out because the user had them before.
    """

    all_targets: Ids
    target: Ids
    past: Ids
    num_repeated: int
    num_seen: int

    @classmethod
    def of(cls, instances: EvalInstances, *, stride: int, exclude_seen: bool) -> _FlatIndex:
        line = np.arange(len(instances)) * stride
        all_targets = np.repeat(line, instances.num_targets) + instances.targets()
        target = distinct(all_targets)
        num_repeated = len(all_targets) - len(target)
        if not exclude_seen:
            return cls(all_targets, target, target[:0], num_repeated, 0)
        first = instances.log.start[instances.user]
        past = np.repeat(line, instances.row - first) + instances.log.item[ranges(first, instances.row)]
        is_past = np.zeros(len(instances) * stride, np.bool_)  # `np.isin` would sort the past
        is_past[past] = True
        new = target[~is_past[target]]
        return cls(all_targets, new, past, num_repeated, len(target) - len(new))


@dataclass(frozen=True)
class _BlockRanks:
    """`Ranks` of one block, with numbers of targets instead of offsets; instances without a target are still there."""

    num_targets: Ids
    rank: Ids
    rank_other_ties: Ids
    next_steps: NextSteps | None
    top: np.ndarray[Any, np.dtype[np.int32]]
    num_repeated: int
    num_seen: int


def _rank_block(
    buffer: ScoreBuffer,
    instances: EvalInstances,
    scores: Tensor,
    index: _FlatIndex,
    *,
    ties: Ties,
    depth: int,
    horizon: int,
) -> _BlockRanks:
    """Rank the targets of one block of instances, whose scores are (B, stride)."""
    flat, target = scores.view(-1), torch.from_numpy(index.target).to(scores.device)
    target_scores = flat[target]  # (n,)
    flat[target] = -torch.inf
    flat[torch.from_numpy(index.past).to(scores.device)] = -torch.inf
    best, ids = topk(scores, min(depth, buffer.stride))  # (B, depth) of the items that are not targets
    check_no_nan(buffer.model, best, target_scores)
    instance, item = np.divmod(index.target, buffer.stride)
    score, best_score = target_scores.double().cpu().numpy(), best.double().cpu().numpy()
    order = np.lexsort((-score, instance))  # within an instance by score, of equal scores the lower id first
    score, item = score[order], item[order]

    others = best_score[instance]  # (n, depth)
    num_better, num_better_flipped = (others >= score[:, None]).sum(1), (others > score[:, None]).sum(1)
    if ties == "optimistic":
        num_better, num_better_flipped = num_better_flipped, num_better
    num_targets = np.bincount(instance, minlength=len(instances))
    targets_before = np.arange(len(instance)) - np.repeat(np.cumsum(num_targets) - num_targets, num_targets)

    def rank_after(num_before: Ids) -> Ids:
        return np.where(score == -np.inf, depth + 1, np.minimum(1 + num_before, depth + 1))

    ranks = rank_after(targets_before + num_better)
    other_ids = np.where(best_score == -np.inf, 0, ids.cpu().numpy())
    lower_id = (others == score[:, None]) & (other_ids[instance] < item[:, None])
    place = rank_after(targets_before + (others > score[:, None]).sum(1) + lower_id.sum(1))
    listed = place <= depth
    width = min(depth, buffer.width - 1)  # no list is longer than the catalogue
    top = _merge_lists(other_ids, instance[listed], place[listed], item[listed], width)
    next_steps = None
    if horizon > 1:
        alone = np.empty_like(ranks)
        alone[order] = rank_after(_targets_before_alone(targets_before, instance, score, ties) + num_better)
        next_steps = _next_steps(index, alone, instances.num_targets, horizon)
    other_ties = rank_after(targets_before + num_better_flipped)
    return _BlockRanks(num_targets, ranks, other_ties, next_steps, top, index.num_repeated, index.num_seen)


def _targets_before_alone(
    targets_before: Ids, instance: Ids, score: np.ndarray[Any, np.dtype[np.float64]], ties: Ties
) -> Ids:
    """(n,) the other targets that rank before each target if it is the only one: tied ones count by the tie rule."""
    change = np.ones(len(instance) + 1, np.bool_)
    change[1:-1] = (instance[1:] != instance[:-1]) | (score[1:] != score[:-1])
    start = np.flatnonzero(change)
    first, length = start[:-1], np.diff(start)
    return targets_before[np.repeat(first + (length - 1 if ties == "conservative" else 0), length)]


def _next_steps(index: _FlatIndex, alone: Ids, num_targets: Ids, horizon: int) -> NextSteps:
    new = np.zeros(len(index.all_targets), np.bool_)
    new[np.unique(index.all_targets, return_index=True)[1]] = True
    rank = alone[np.searchsorted(index.target, index.all_targets)]
    return NextSteps(rank, new, np.concatenate([[0], np.cumsum(num_targets)]), horizon)


def _merge_lists(others: Ids, instance: Ids, place: Ids, item: Ids, width: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """(B, width) the recommended lists: the targets `item` at their places, the other items in order between them."""
    is_target = np.zeros((len(others), width), bool)
    is_target[instance, place - 1] = True
    number = np.arange(width) - np.cumsum(is_target, axis=1)  # which of the other items is at a free position
    top = np.take_along_axis(others, np.clip(number, 0, others.shape[1] - 1), axis=1).astype(np.int32)
    top[instance, place - 1] = item
    return top


def _join(blocks: list[_BlockRanks], instances: EvalInstances, depth: int) -> Ranks:
    num_targets = np.concatenate([block.num_targets for block in blocks]) if blocks else np.zeros(0, np.int64)
    has_target = num_targets > 0
    counts = {
        "repeated targets": sum(block.num_repeated for block in blocks),
        "targets seen before": sum(block.num_seen for block in blocks),
        "instances left without a target": int((~has_target).sum()),
    }
    dropped = {**instances.dropped, **{reason: n for reason, n in counts.items() if n}}
    if not has_target.any():
        why = "; ".join(f"{n:,} {reason}" for reason, n in dropped.items()) or "the log is empty"
        raise DataError(
            f"{instances.log.name}: no evaluation instance is left ({why}); choose another split or protocol"
        )
    return Ranks(
        user=instances.user[has_target],
        rank=np.concatenate([block.rank for block in blocks]),
        offsets=np.concatenate([[0], np.cumsum(num_targets[has_target])]),
        top=np.concatenate([block.top for block in blocks])[has_target],
        depth=depth,
        dropped=dropped,
        row=instances.row[has_target],
        rank_other_ties=np.concatenate([block.rank_other_ties for block in blocks]),
        next_steps=NextSteps.join([block.next_steps for block in blocks if block.next_steps]),
    )

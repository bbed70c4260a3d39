"""`rank`: put every question of `EvalInstances` to a model, and find where it ranks the targets among all items.

    scores of one question    item   0    1    2    3    4    5    6    7
                                   -inf  .9   .4  -inf  .7   .7   .1   .2
                                    └ nothing      └ seen before

    targets 5 and 6:  5 ties with 4 and stands behind it: rank 3.  6 is behind 1, 4, 5, 2 and 7: rank 6.

The questions stream through in blocks; of each only the `depth` best items that are not targets are kept. That is
enough: a target's rank is 1 + the targets before it + the others at least as good, and if there are `depth` of the
latter, it is ranked below `depth`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.log import Ids, distinct, ranges
from segue.data.splits import EvalInstances
from segue.errors import DataError, SegueError, TrainingError, require
from segue.evaluation.ranks import NextSteps, Ranks
from segue.models.base.model import DotProductModel, Model
from segue.nn.topk import GROUP, topk

Ties = Literal["conservative", "optimistic"]

BLOCK_BYTES = 20_000_000  # of scores at a time: they stay in a usual last-level cache


def rank(
    model: Model,
    cases: EvalInstances,
    *,
    exclude_seen: bool,
    ties: Ties = "conservative",
    depth: int = 20,
    steps: int = 1,
    block: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Ranks:
    """Rank the targets of every case among all items of the log, exactly.

    A repeated target counts once. With `exclude_seen` no item of the user's rows before the case is a candidate,
    however far back, so a target among them is left out too; a case that is left without targets is dropped. All of
    this is counted in `Ranks.dropped`. An item that the model scores -inf is never recommended.

    Args:
        model: asked in evaluation mode, on the device of its weights; its mode is restored afterwards.
        cases: the questions.
        exclude_seen: whether what the user has had before may not be recommended again.
        ties: "conservative" puts a target behind all others of the same score, "optimistic" before them.
        depth: how far down ranks are told apart: the largest cut-off of a metric.
        steps: how many steps ahead the targets reach; above 1 they are ranked one by one as well (`Ranks.ahead`).
        block: questions at a time; None chooses about 20 MB of scores.
        progress: called with the number of questions of each block when it is done.

    Raises:
        TrainingError: a score is NaN.
        DataError: no question is left to ask.
        SegueError: the model's scores do not have one column for each item 0..I.
    """
    require(depth >= 1, f"depth={depth}: must be at least 1")
    require(block is None or block >= 1, f"block={block}: must be at least 1")
    require(ties in ("conservative", "optimistic"), f"ties={ties!r}: must be conservative or optimistic")
    require(
        steps == 1 or not exclude_seen, "steps are ranked one by one only where nothing is left out: exclude_seen=False"
    )
    parts = []
    with asked(model), torch.inference_mode():
        scores = Scores(model, cases.log.num_items + 1)
        rows = block or min(max(BLOCK_BYTES // (4 * scores.stride), 32), 1024)
        for first in range(0, len(cases), rows):
            some = cases.take(slice(first, first + rows))
            parts.append(_ask(scores, some, exclude_seen=exclude_seen, ties=ties, depth=depth, steps=steps))
            if progress is not None:
                progress(len(some))
    return _join(parts, cases, depth)


def next_rank(
    scores: Float[Tensor, "B K"],
    target: Int[Tensor, "B"],
    ties: Literal["conservative", "optimistic", "median"] = "conservative",
) -> Float[Tensor, "B"]:
    """The full rank, from 1, of one target a row among K candidates; `target` is its column.

    "conservative" counts the candidates that score at least as high (the target among them), "optimistic" one more
    than those that score higher, "median" is the mean of the two.
    """
    own = scores.gather(1, target[:, None])
    higher, level = (scores > own).sum(1).double(), (scores == own).sum(1).double()
    return higher + {"conservative": level, "optimistic": torch.ones_like(level), "median": (1 + level) / 2}[ties]


@contextmanager
def asked(model: Model) -> Iterator[None]:
    """The model in evaluation mode; every part of it is in its former mode afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def question(model: Model, cases: EvalInstances) -> Batch:
    """What `model` is shown of the cases, on the device of its weights."""
    return Batch(torch.from_numpy(cases.user), torch.from_numpy(cases.histories(model.window))).to(device_of(model))


def device_of(model: Model) -> torch.device:
    """Where the weights of `model` are."""
    return next(model.parameters(), next(model.buffers(), torch.empty(0))).device


class Scores:
    """What a model says of every item, block after block.

    One buffer (rows, stride) for the scores of every block: a fresh one each time would cost more than the sums.

    `stride` is the number of items, rounded up to whole groups; the columns beyond the last item stay -inf.
    """

    def __init__(self, model: Model, width: int) -> None:
        self.model, self.width = model, width
        self.stride = -(-width // GROUP) * GROUP
        # a retriever that scores in its own way is asked like any other model
        plain = isinstance(model, DotProductModel) and type(model).score is DotProductModel.score
        self.retriever = model if isinstance(model, DotProductModel) and plain else None
        self.vectors = self.retriever.item_vectors() if self.retriever else torch.empty(0)
        self.buffer = torch.empty(0, self.stride)

    def of(self, cases: EvalInstances) -> Tensor:
        """(B, stride) the scores of a block; to be used, and overwritten, before the next."""
        batch = question(self.model, cases)
        rows = len(batch)
        if self.retriever:
            self._expect((rows, len(self.vectors)), rows)
            self._room(rows, self.vectors)
            torch.matmul(self.retriever.query(batch), self.vectors.T, out=self.buffer[:rows, : self.width])
        else:
            scores = self.model.score(batch)
            self._expect(tuple(scores.shape), rows)
            self._room(rows, scores if scores.is_floating_point() else scores.double())
            self.buffer[:rows, : self.width] = scores
        self.buffer[:rows, 0] = -torch.inf
        return self.buffer[:rows]

    def _room(self, rows: int, like: Tensor) -> None:
        if len(self.buffer) < rows or self.buffer.dtype != like.dtype:
            self.buffer = like.new_full((rows, self.stride), -torch.inf)

    def _expect(self, shape: tuple[int, ...], rows: int) -> None:
        if shape != (rows, self.width):
            raise SegueError(
                f"{type(self.model).__name__} gave scores of shape {shape} for {rows} questions about a log of "
                f"{self.width - 1} items; one score for each item 0..{self.width - 1} is needed: {(rows, self.width)}"
            )


@dataclass(frozen=True)
class _Places:
    """Where things are in a block of scores laid out flat: case * stride + item.

    Attributes:
        named: (m,) the targets as they come, repeated ones too.
        target: (n,) ascending and distinct.
        past: what each user had before the case; empty where that may be recommended again.
        repeated: how many targets were left out because the case has them already.
        seen: how many because the user had them before.
    """

    named: Ids
    target: Ids
    past: Ids
    repeated: int
    seen: int

    @classmethod
    def of(cls, cases: EvalInstances, *, stride: int, exclude_seen: bool) -> _Places:
        line = np.arange(len(cases)) * stride
        named = np.repeat(line, cases.sizes) + cases.targets()
        target = distinct(named)
        if not exclude_seen:
            return cls(named, target, target[:0], len(named) - len(target), 0)
        first = cases.log.start[cases.user]
        past = np.repeat(line, cases.row - first) + cases.log.item[ranges(first, cases.row)]
        new = target[~np.isin(target, past)]
        return cls(named, new, past, len(named) - len(target), len(target) - len(new))


@dataclass(frozen=True)
class _Part:
    """`Ranks` of one block, with sizes in place of offsets and all its cases still there."""

    sizes: Ids
    rank: Ids
    other: Ids
    ahead: NextSteps | None
    top: np.ndarray[Any, np.dtype[np.int32]]
    repeated: int
    seen: int


def _ask(scores: Scores, cases: EvalInstances, *, exclude_seen: bool, ties: Ties, depth: int, steps: int) -> _Part:
    """Rank the targets of one block of cases."""
    places = _Places.of(cases, stride=scores.stride, exclude_seen=exclude_seen)
    grid = scores.of(cases)
    flat, target = grid.view(-1), torch.from_numpy(places.target).to(grid.device)
    own = flat[target]
    flat[target] = -torch.inf
    flat[torch.from_numpy(places.past).to(grid.device)] = -torch.inf
    best, ids = topk(grid, min(depth, scores.stride))
    if bool(best.isnan().any() | own.isnan().any()):
        name = type(scores.model).__name__
        raise TrainingError(f"{name} scores NaN: its training went wrong; train it again, with a smaller lr")
    case, item = np.divmod(places.target, scores.stride)
    own_score, best_score = own.double().cpu().numpy(), best.double().cpu().numpy()
    order = np.lexsort((-own_score, case))  # within a case by score, of equals the lower id first
    own_score, item = own_score[order], item[order]

    listed = best_score[case]
    others, flipped = (listed >= own_score[:, None]).sum(1), (listed > own_score[:, None]).sum(1)
    if ties == "optimistic":
        others, flipped = flipped, others
    sizes = np.bincount(case, minlength=len(cases))
    before = np.arange(len(case)) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    def place(ahead: Ids) -> Ids:
        return np.where(own_score == -np.inf, depth + 1, np.minimum(1 + ahead, depth + 1))

    rank = place(before + others)
    listed = rank <= depth
    others_ids = np.where(best_score == -np.inf, 0, ids.cpu().numpy())
    top = _list(others_ids, case[listed], rank[listed], item[listed], depth)
    ahead = None
    if steps > 1:
        alone = np.empty_like(rank)
        alone[order] = place(_end_of_ties(before, case, own_score, ties) + others)
        ahead = _step_by_step(places, alone, cases.sizes, steps)
    return _Part(sizes, rank, place(before + flipped), ahead, top, places.repeated, places.seen)


def _end_of_ties(before: Ids, case: Ids, score: np.ndarray[Any, np.dtype[np.float64]], ties: Ties) -> Ids:
    """(n,) the targets ahead of each one if it alone were asked for: those that tie with it too, or none of them."""
    change = np.ones(len(case) + 1, np.bool_)
    change[1:-1] = (case[1:] != case[:-1]) | (score[1:] != score[:-1])
    start = np.flatnonzero(change)
    first, length = start[:-1], np.diff(start)
    return before[np.repeat(first + (length - 1 if ties == "conservative" else 0), length)]


def _step_by_step(places: _Places, alone: Ids, sizes: Ids, steps: int) -> NextSteps:
    new = np.zeros(len(places.named), np.bool_)
    new[np.unique(places.named, return_index=True)[1]] = True
    rank = alone[np.searchsorted(places.target, places.named)]
    return NextSteps(rank, new, np.concatenate([[0], np.cumsum(sizes)]), steps)


def _list(others: Ids, case: Ids, place: Ids, item: Ids, depth: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """(B, depth) what is recommended: the targets `item` at their places, the other items in order between them."""
    taken = np.zeros((len(others), depth), bool)
    taken[case, place - 1] = True
    number = np.arange(depth) - np.cumsum(taken, axis=1)  # of the others, which one stands in a free place
    top = np.take_along_axis(others, np.clip(number, 0, others.shape[1] - 1), axis=1).astype(np.int32)
    top[case, place - 1] = item
    return top


def _join(parts: list[_Part], cases: EvalInstances, depth: int) -> Ranks:
    sizes = np.concatenate([part.sizes for part in parts]) if parts else np.zeros(0, np.int64)
    asked = sizes > 0
    counts = {
        "repeated targets": sum(part.repeated for part in parts),
        "targets seen before": sum(part.seen for part in parts),
        "questions left without a target": int((~asked).sum()),
    }
    dropped = {**cases.dropped, **{reason: n for reason, n in counts.items() if n}}
    if not asked.any():
        why = "; ".join(f"{n:,} {reason}" for reason, n in dropped.items()) or "the log is empty"
        raise DataError(f"{cases.log.name}: no question is left to ask ({why}); choose another split or protocol")
    return Ranks(
        user=cases.user[asked],
        rank=np.concatenate([part.rank for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(sizes[asked])]),
        top=np.concatenate([part.top for part in parts])[asked],
        depth=depth,
        dropped=dropped,
        row=cases.row[asked],
        other=np.concatenate([part.other for part in parts]),
        ahead=NextSteps.join([part.ahead for part in parts if part.ahead]),
    )

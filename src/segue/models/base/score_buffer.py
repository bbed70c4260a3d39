"""`ScoreBuffer`: a model's scores of all items, one block of instances after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.splits import EvalInstances
from segue.errors import SegueError, TrainingError
from segue.models.base.model import DotProductModel, Model
from segue.models.base.remedy import remedy
from segue.nn.matmul import fast_matmul
from segue.nn.memory import keep_freed_memory
from segue.nn.topk import GROUP

BLOCK_BYTES = 20_000_000  # of scores at a time, which fit into a usual last-level cache
MAX_ROWS = 1024  # instances whose histories are read at a time
MANY_ROWS = 512  # whose scores take less time if the item vectors are first copied, transposed; it pays from 230 on


@contextmanager
def evaluation_mode(model: Model) -> Iterator[None]:
    """Put a model into evaluation mode; the mode of every module is restored afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def instance_batch(model: Model, instances: EvalInstances) -> Batch:
    """The users and histories of some instances, on the device of the model; the model reads its window of them.

    Raises:
        DataError: the model reads times, and the log has none.
    """
    user, history = torch.from_numpy(instances.user), torch.from_numpy(instances.histories(model.window))
    times = torch.from_numpy(instances.times(model.window)) if model.reads_times else None
    types = torch.from_numpy(instances.event_types(model.window)) if model.reads_event_types else None
    features = torch.from_numpy(instances.event_features(model.window)) if model.reads_event_features else None
    rule = model.session_rule
    sessions = torch.from_numpy(instances.sessions(rule, model.window)) if rule else None
    time = torch.from_numpy(instances.request_times()) if model.reads_request_time else None
    batch = Batch(user, history, times=times, types=types, features=features, sessions=sessions, time=time)
    return batch.to(device_of(model))


def device_of(model: Model) -> torch.device:
    """The device of the weights of a model."""
    return next(model.parameters(), next(model.buffers(), torch.empty(0))).device


def check_no_nan(model: Model, *scores: Tensor) -> None:
    """Check the scores that decide a ranking.

    Raises:
        TrainingError: a score is NaN.
    """
    if any(bool(values.isnan().any()) for values in scores):
        name = type(model).__name__
        raise TrainingError(f"{name} scores NaN: its training went wrong; train it again, and {remedy(model)}")


class ScoreBuffer:
    """The scores of all items, block after block, in one buffer (rows, stride).

    Allocating a new tensor for every block would take longer than computing its scores. `stride` is the number of items
    rounded up to whole groups of the top-k; the columns after the last item stay -inf.
    """

    def __init__(self, model: Model, width: int) -> None:
        self.model, self.width = model, width
        self.stride = -(-width // GROUP) * GROUP
        # item vectors are computed once for all blocks, unless the model overrides `score`
        is_dot_product = isinstance(model, DotProductModel) and type(model).score is DotProductModel.score
        self.dot_product_model = model if isinstance(model, DotProductModel) and is_dot_product else None
        self.vectors = self.dot_product_model.item_vectors() if self.dot_product_model else torch.empty(0)
        self.transposed: Tensor | None = None  # the vectors, copied for many instances
        self.buffer = torch.empty(0, self.stride)

    @property
    def block_rows(self) -> int:
        """The number of instances of a block whose scores take about `BLOCK_BYTES`."""
        return min(max(BLOCK_BYTES // (4 * self.stride), 32), MAX_ROWS)

    def blocks(self, instances: EvalInstances, rows: int) -> Iterator[tuple[EvalInstances, Tensor]]:
        """The instances in blocks of `rows`, each with its scores, as `score_batch` returns them.

        The queries of several small blocks are computed at once.
        """
        keep_freed_memory()
        model = self.dot_product_model
        if model is not None and self.transposed is None and len(instances) >= MANY_ROWS:
            self.transposed = self.vectors.T.contiguous()
        at_a_time = max(1, MAX_ROWS // rows) * rows if model else rows
        for first in range(0, len(instances), at_a_time):
            part = instances.take(slice(first, first + at_a_time))
            batch = instance_batch(self.model, part)
            query = model.query(batch) if model else None
            for begin in range(0, len(part), rows):
                block = slice(begin, begin + rows)
                scores = self.score_batch(batch) if query is None else self.score_queries(query[block])
                yield part.take(block), scores

    def score_batch(self, batch: Batch) -> Tensor:
        """(B, stride) the scores of users with histories, which are on the device of the model.

        They may be changed in place, and the next call overwrites them.
        """
        if self.dot_product_model:
            return self.score_queries(self.dot_product_model.query(batch))
        rows = len(batch)
        scores = self.model.score(batch)
        self._check_shape(tuple(scores.shape), rows)
        self._reserve(rows, scores if scores.is_floating_point() else scores.double())
        self.buffer[:rows, : self.width] = scores
        self.buffer[:rows, 0] = -torch.inf
        return self.buffer[:rows]

    def score_queries(self, query: Float[Tensor, "B d"]) -> Tensor:
        """As `score_batch`, of the query vectors of a `dot_product_model`."""
        rows = len(query)
        self._check_shape((rows, len(self.vectors)), rows)
        self._reserve(rows, self.vectors)
        scores = self.buffer[:rows, : self.width]
        if self.transposed is None:
            torch.matmul(query, self.vectors.T, out=scores)
        else:
            with fast_matmul():
                torch.matmul(query, self.transposed, out=scores)
        self.buffer[:rows, 0] = -torch.inf
        return self.buffer[:rows]

    def _reserve(self, rows: int, like: Tensor) -> None:
        if len(self.buffer) < rows or self.buffer.dtype != like.dtype:
            self.buffer = like.new_full((rows, self.stride), -torch.inf)

    def _check_shape(self, shape: tuple[int, ...], rows: int) -> None:
        if shape != (rows, self.width):
            raise SegueError(
                f"{type(self.model).__name__} returned scores of shape {shape} for {rows} users and a log of "
                f"{self.width - 1} items; one score for each item 0..{self.width - 1} is needed: {(rows, self.width)}"
            )

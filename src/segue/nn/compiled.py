"""`CompiledLoop`: a loop that numba compiles, loaded once it pays.

numba is the extra `fast`. To import it and to load a loop from its cache takes .4 to .6 s of CPU time and 120 MB. The
first process also compiles the loop: it takes .8 to 4.3 s in all, least for `row_sums` and most for `gated_queries`.
Its cache serves all later ones, so their time decides when a loop pays. The plain form of a small piece of work is
faster than that. So a process works the plain way until it has about as much to do as would take that time. Work is
counted, not timed, so that a program always loads the loop at the same place. A service loads it before the first
request: see `CompiledLoop.load_at_first_use`.

Loops that train models round otherwise than their plain form. Whether they are used depends on the size of the whole
training alone (`training`): one that is resumed by another process ends with the same weights. Where only one of the
two has a loop, the training is not resumed (`same_loops`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from segue.errors import ConfigError

logger = logging.getLogger("segue")

DAMAGED = (
    "; a file of numba's cache is damaged: delete the files *.nbi and *.nbc in "
    f"{Path(__file__).parent / '__pycache__'}, or where NUMBA_CACHE_DIR says"
)

_TRAINING_WORK = ContextVar("training_work", default=0)
_USED: ContextVar[dict[str, bool] | None] = ContextVar("used", default=None)
_REPEATS = ContextVar("repeats", default=1)


@contextmanager
def training(work: int) -> Iterator[None]:
    """Inside the block a model is trained, on `work` events in all epochs together."""
    token = _TRAINING_WORK.set(work)
    try:
        yield
    finally:
        _TRAINING_WORK.reset(token)


@contextmanager
def same_loops(used: dict[str, bool]) -> Iterator[None]:
    """Inside the block, loops that round differently compute only what they computed before, in whatever process.

    Args:
        used: for the name of each loop that a training asked for, whether it was there; new ones are added.

    Raises:
        ConfigError: inside the block, where a loop is there and was not, or was there and is not.
    """
    token = _USED.set(used)
    try:
        yield
    finally:
        _USED.reset(token)


@contextmanager
def repeated(times: int) -> Iterator[None]:
    """Inside the block, work is a sample of what a process does `times` times, and counts as that much."""
    token = _REPEATS.set(times)
    try:
        yield
    finally:
        _REPEATS.reset(token)


def overrides(model: object, owner: type, *names: str) -> bool:
    """Whether the class of `model` has another version of one of these methods of `owner`, which a loop would skip."""
    return any(getattr(type(model), name) is not getattr(owner, name) for name in names)


class CompiledLoop:
    """A function of a module that imports numba.

    Args:
        module: imported when the loop is loaded.
        function: its name in the module.
        worth: the amount of work whose plain form takes as long as loading the loop.
        exact: whether it gives the bits of its plain form; a loop used in training rounds differently.
    """

    def __init__(self, module: str, function: str, worth: int, *, exact: bool = True) -> None:
        self.module, self.name, self.worth, self.exact = module, function, worth, exact
        self._work_left = worth
        self._compiles: dict[torch.dtype, bool] = {}

    def load_at_first_use(self) -> None:
        """Count no work: this process has much of it, or has to answer fast."""
        self._work_left = 0

    def get(self, work: int) -> Callable[..., Any] | None:
        """The loop for a piece of work; None if the plain form is to do it."""
        if self._work_left > 0:
            self._work_left -= work * _REPEATS.get()
        return None if self._work_left > 0 else self._as_before(self.function)

    def in_training(self, table: Tensor) -> Callable[..., Any] | None:
        """The loop that computes gradients, with some of the rows of `table`, in a training that is large enough.

        None if the plain form is to do it.
        """
        is_leaf = torch.is_grad_enabled() and table.requires_grad and table.is_leaf
        is_array = table.device.type == "cpu" and table.dtype in (torch.float32, torch.float64)
        if not is_leaf or not is_array or _TRAINING_WORK.get() < self.worth:
            return None
        return self._as_before(self._of(table.dtype))

    def _as_before(self, loop: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """`loop`, after a check that an interrupted training goes on as it began: see `same_loops`."""
        used, is_there = _USED.get(), loop is not None
        if used is None or self.exact or used.setdefault(self.name, is_there) == is_there:
            return loop
        began, goes_on = ("without", "with") if is_there else ("with", "without")
        remedy = "uninstall it" if is_there else "install it again"
        raise ConfigError(
            f"the interrupted training began {began} the extra fast (numba) and would go on {goes_on} it, which rounds "
            f"differently: {remedy}, or delete the state of the training to start anew"
        )

    @cached_property
    def function(self) -> Callable[..., Any] | None:
        """The loop; None without numba, and with one that does not work here, of which a log line tells."""
        loaded = self._attempt(self._import)
        if loaded is not None:
            logger.info("numba computes %s", self.name)
        return loaded

    def _import(self) -> Callable[..., Any]:
        loaded: Callable[..., Any] = getattr(import_module(self.module), self.name)
        numba = sys.modules.get("numba")
        if numba is not None and numba.config.DISABLE_JIT:
            raise RuntimeError("NUMBA_DISABLE_JIT is set, so that nothing would be compiled")
        return loaded

    def _of(self, dtype: torch.dtype) -> Callable[..., Any] | None:
        """The loop if it can be compiled for arrays of `dtype`, by the function `loops` of its module."""
        if self.function is not None and dtype not in self._compiles:
            loops = self._attempt(lambda: import_module(self.module).loops(dtype))
            self._compiles[dtype] = loops is not None
        return self.function if self._compiles.get(dtype) else None

    def _attempt(self, load: Callable[[], Any]) -> Any:
        """What `load` returns; None where numba is missing or fails."""
        try:
            return load()
        except Exception as error:  # numba refuses this NumPy, finds no folder for its cache, ...
            if not (isinstance(error, ModuleNotFoundError) and error.name == "numba"):
                results = "the same results" if self.exact else "results that are the same but for rounding"
                why = f"{error}{DAMAGED}" if isinstance(error, (EOFError, UnpicklingError)) else error
                logger.warning("the extra fast does not work here: slower, with %s (%s)", results, why)
            return None


row_sums = CompiledLoop("segue.nn.compiled_row_sums", "add_weighted_rows", worth=50_000_000)
"""Adds weighted rows of a sparse matrix. Its work is the entries to be added; scipy takes 2 to 12 ns for each."""

pair_counts = CompiledLoop("segue.nn.compiled_pair_counts", "count_pairs", worth=25_000_000)
"""Counts pairs of events for seq-knn. Its work is the number of pairs; numpy and scipy take 20 ns for each."""

neighbours = CompiledLoop("segue.nn.compiled_neighbours", "find_neighbours", worth=5_000_000)
"""Finds neighbours for item-knn. Its work is the pairs to be compared; numpy and scipy take 100 ns for each."""

best_columns = CompiledLoop("segue.nn.compiled_topk", "best_columns", worth=25_000)
"""Finds the best columns of each row of scores. Its work is the rows; torch takes 20 us longer for each."""

gated_queries = CompiledLoop("segue.nn.compiled_gates", "gated_queries", worth=1_000_000, exact=False)
"""The queries of HGN. Its work is the events of a training, all epochs together; torch takes 1 us more for each."""

target_loss = CompiledLoop("segue.nn.compiled_target_loss", "target_loss", worth=1_000_000, exact=False)
"""The loss of targets and their own negatives. Its work is as that of `gated_queries`."""

session_step = CompiledLoop("segue.nn.compiled_session_step", "SessionStep", worth=50_000, exact=False)
"""The training step of GRU4Rec. Its work is as that of `gated_queries`; torch takes 30 us more for each event."""

pairwise_sgd = CompiledLoop("segue.nn.compiled_pairwise_sgd", "descend", worth=1, exact=False)
"""Trains bprmf by SGD. It is loaded at once, so that a resumed training computes as one that was not interrupted."""

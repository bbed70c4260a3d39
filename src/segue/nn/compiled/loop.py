"""`CompiledLoop`: a loop that numba compiles, loaded once it pays.

numba is the extra `fast`. To import it and to load a loop from its cache takes .4 to .6 s of CPU time and 120 MB. The
first process also compiles the loop: it takes .8 to 4.3 s in all, least for `row_sums` and most for `gated_queries`.
Its cache serves all later ones, so their time decides when a loop pays. The plain form of a small piece of work is
faster than that. So a process works the plain way until it has about as much to do as would take that time. Work is
counted, not timed, so that a program always loads the loop at the same place. A service loads it before the first
request: see `CompiledLoop.load_at_first_use`.

Loops that train models round otherwise than their plain form. Whether they are used depends on the size of the whole
training alone (`training_size`): one that is resumed by another process ends with the same weights. Where only one of
the two has a loop, the training is not resumed (`same_loops`).
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
from typing import Any

import torch
from torch import Tensor

from segue.errors import ConfigError

logger = logging.getLogger("segue")

DAMAGED = (
    "; if it worked before, a file of numba's cache may be damaged: delete the files *.nbi and *.nbc in "
    f"{Path(__file__).parent / '__pycache__'}, or where NUMBA_CACHE_DIR says"
)

_TRAINING_SIZE = ContextVar("training_size", default=0)
_USED: ContextVar[tuple[dict[str, bool], str]] = ContextVar("used", default=({}, ""))
_REPEATS = ContextVar("repeats", default=1)


@contextmanager
def training_size(events: int) -> Iterator[None]:
    """Inside the block a model is trained, on so many events in all epochs together."""
    token = _TRAINING_SIZE.set(events)
    try:
        yield
    finally:
        _TRAINING_SIZE.reset(token)


@contextmanager
def same_loops(used: dict[str, bool], state: str = "the state of the training") -> Iterator[None]:
    """Inside the block, loops that round differently compute only what they computed before, in whatever process.

    Args:
        used: for the name of each loop that a training asked for, whether it was there; new ones are added.
        state: what to delete for the training to start anew.

    Raises:
        ConfigError: inside the block, where a loop is there and was not, or was there and is not.
    """
    token = _USED.set((used, state))
    try:
        yield
    finally:
        _USED.reset(token)


@contextmanager
def repeated_work(times: int) -> Iterator[None]:
    """Inside the block, work is a sample of what a process does `times` times, and counts as that much."""
    token = _REPEATS.set(times)
    try:
        yield
    finally:
        _REPEATS.reset(token)


def overrides(model: object, owner: type, *names: str) -> bool:
    """Whether the class of `model` has another version of one of these methods of `owner`, which a loop would skip."""
    return any(getattr(type(model), name) is not getattr(owner, name) for name in names)


class NoCompiler(RuntimeError):
    """numba is there, but is told to compile nothing."""


class CompiledLoop:
    """A function of a module that imports numba.

    Args:
        module: imported when the loop is loaded.
        function: its name in the module.
        min_work: the amount of work whose plain form takes as long as loading the loop.
        exact: whether it gives the bits of its plain form; a loop used in training rounds differently.
    """

    def __init__(self, module: str, function: str, min_work: int, *, exact: bool = True) -> None:
        self.module, self.name, self.min_work, self.exact = module, function, min_work, exact
        self._work_left = min_work
        self._is_missing = False
        self._compiles: dict[torch.dtype, bool] = {}

    def load_at_first_use(self) -> None:
        """Count no work: this process has much of it, or has to answer fast."""
        self._work_left = 0

    def for_work(self, work: int) -> Callable[..., Any] | None:
        """The loop for a piece of work, which is counted; None if the plain form is to do it."""
        if self._work_left > 0 and not self._is_missing:
            self._work_left -= work * _REPEATS.get()
        return None if self._work_left > 0 else self._as_before(self.function)

    def for_training(self, table: Tensor) -> Callable[..., Any] | None:
        """The loop for a step of training; None if the plain form is to do it, or if the training is small.

        Args:
            table: the embedding table whose gradient, or whose next weights, the loop computes in place.
        """
        is_leaf = torch.is_grad_enabled() and table.requires_grad and table.is_leaf
        is_array = table.device.type == "cpu" and table.dtype in (torch.float32, torch.float64)
        if not is_leaf or not is_array or _TRAINING_SIZE.get() < self.min_work:
            return None
        return self._as_before(self._of(table.dtype))

    def _as_before(self, loop: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """`loop`, after a check that an interrupted training goes on as it began: see `same_loops`."""
        (used, state), is_there = _USED.get(), loop is not None
        if not state or self.exact or used.setdefault(self.name, is_there) == is_there:
            return loop
        began, goes_on = ("without", "with") if is_there else ("with", "without")
        remedy = "uninstall it" if is_there else "install it again, or mend what a warning says of it"
        raise ConfigError(
            f"the interrupted training began {began} the extra fast (numba) and would go on {goes_on} it, which rounds "
            f"differently: {remedy}, or delete {state} to start anew"
        )

    @contextmanager
    def always(self) -> Iterator[None]:
        """Inside the block the loop, if there is one, does all work, however little it is. For tests and benchmarks."""
        with self._changed(min_work=0, _work_left=0):
            yield

    @contextmanager
    def never(self) -> Iterator[None]:
        """Inside the block the loop is missing, as without numba, and work is not counted. For tests and benchmarks."""
        with self._changed(_is_missing=True):
            yield

    @contextmanager
    def _changed(self, **attributes: object) -> Iterator[None]:
        before = {name: vars(self)[name] for name in attributes}
        vars(self).update(attributes)
        try:
            yield
        finally:
            vars(self).update(before)

    @property
    def function(self) -> Callable[..., Any] | None:
        """The loop; None without numba, and with one that does not work here, of which a log line tells."""
        return None if self._is_missing else self._loaded

    @cached_property
    def _loaded(self) -> Callable[..., Any] | None:
        loaded = self._attempt(self._import)
        if loaded is not None:
            logger.info("numba computes %s", self.name)
        return loaded

    def _import(self) -> Callable[..., Any]:
        loaded: Callable[..., Any] = getattr(import_module(self.module), self.name)
        numba = sys.modules.get("numba")
        if numba is not None and numba.config.DISABLE_JIT:
            raise NoCompiler("NUMBA_DISABLE_JIT is set, so that nothing would be compiled")
        return loaded

    def _of(self, dtype: torch.dtype) -> Callable[..., Any] | None:
        """The loop if it can be compiled for arrays of `dtype`, by the function `for_dtype` of its module."""
        if self.function is not None and dtype not in self._compiles:
            loops = self._attempt(lambda: import_module(self.module).for_dtype(dtype))
            self._compiles[dtype] = loops is not None
        return self.function if self._compiles.get(dtype) else None

    def _attempt(self, load: Callable[[], Any]) -> Any:
        """What `load` returns; None where numba is missing or fails."""
        try:
            return load()
        except Exception as error:  # numba refuses this NumPy, finds no folder for its cache, ...
            if not (isinstance(error, ModuleNotFoundError) and error.name == "numba"):
                results = "the same results" if self.exact else "results that are the same but for rounding"
                why = " ".join(str(error).split()) + ("" if isinstance(error, (ImportError, NoCompiler)) else DAMAGED)
                logger.warning("the extra fast does not work here: slower, with %s (%s)", results, why)
            return None

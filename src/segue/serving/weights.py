"""Loads the weights of a saved model, after a check that the model is no larger than their file.

The settings and sizes of a saved model may claim anything. The model is therefore built without memory first (on
torch's device "meta"), and its tables are counted while they are made. Only then is it built in memory and filled.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from segue.errors import ArtefactError, ConfigError
from segue.expansion import Expansion
from segue.io import reason
from segue.nn.buffers import CheckedBuffers

# of tables in memory from the file of weights: a table may have two names, and some, such as masks, are not stored
BUILT = Expansion(ratio=2, spare=64 * 2**20)
MODULES_PER_TENSOR, SPARE_MODULES = 100, 1000
SET_VALUES = (Tensor.normal_, Tensor.div_, Tensor.clamp_, nn.init.normal_)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def load_weights(path: Path, *, repair: str) -> dict[str, Tensor]:
    """The tensors of a file.

    Args:
        path: the safetensors file.
        repair: what the user can do about a damaged file, the end of the error message.

    Raises:
        ArtefactError: the file is damaged, or holds what cannot be weights.
    """
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({reason(error)}); {repair}") from error
    problem = weights_problem(weights)
    if problem:
        raise ArtefactError(f"{path}: {problem}; train and save the model anew")
    return weights


def check_size(path: Path, build: Callable[[], nn.Module], *, repair: str) -> None:
    """Build a model without memory, to compare its tables with the file of its weights.

    Raises:
        ArtefactError: the model has more tables than the file, or larger ones; or the file is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            num_tensors = len(file.keys())
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({reason(error)}); {repair}") from error
    num_bytes = BUILT.limit(path)
    num_modules = MODULES_PER_TENSOR * num_tensors + SPARE_MODULES
    message = f"{path}: too small for a model of the settings and sizes in model.json; {repair}"
    with limited_tables(num_bytes, num_modules, message), torch.device("meta"), _WithoutValues():
        build()


class _WithoutValues(TorchFunctionMode):
    """Sets no values of new tables. Without memory there are none, and to check these calls torch loads a compiler."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in SET_VALUES:
            return args[0] if args else kwargs["tensor"]  # nn.init names it
        return (torch.empty if function is torch.randn else function)(*args, **kwargs)


@contextmanager
def limited_tables(num_bytes: int, num_modules: int, message: str) -> Iterator[None]:
    """Raise `ArtefactError` when this thread registers more modules, or larger parameters and buffers, than allowed."""
    thread = threading.get_ident()
    left = {"bytes": num_bytes, "modules": num_modules}

    def use(kind: str, amount: int) -> None:
        if threading.get_ident() != thread:
            return
        left[kind] -= amount
        if left[kind] < 0:
            raise ArtefactError(message)

    def count_table(module: nn.Module, name: str, table: Tensor | None) -> None:
        if table is not None:
            use("bytes", table.numel() * table.element_size())

    def count_module(module: nn.Module, name: str, child: nn.Module | None) -> None:
        use("modules", 1)

    registered = (
        hooks.register_module_parameter_registration_hook(count_table),
        hooks.register_module_buffer_registration_hook(count_table),
        hooks.register_module_module_registration_hook(count_module),
    )
    try:
        yield
    finally:
        for handle in registered:
            handle.remove()


def weights_problem(weights: dict[str, Tensor]) -> str:
    """What makes tensors useless as weights, in words; empty if nothing does."""
    for name, values in weights.items():
        if values.is_complex() or (values.is_floating_point() and values.dtype not in FLOATS):
            return f"{name} has numbers of the type {values.dtype}, which are no weights"
        # `aminmax` passes NaN on; `isfinite` would make tables of the size of the weights
        if values.is_floating_point() and values.numel() and not all(map(math.isfinite, values.aminmax())):
            return f"{name} has numbers that are not finite, which cannot rank items"
    return ""


def load_into(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights into a model, in their precision.

    Raises:
        ConfigError: a whole number is stored where the model has none or the reverse, or ids are out of range.
        RuntimeError: the model has other tables.
    """
    model.to(next((table.dtype for table in weights.values() if table.is_floating_point()), torch.float32))
    for name, table in model.state_dict().items():
        if name in weights and weights[name].dtype != table.dtype and not _both_float(weights[name], table):
            raise ConfigError(f"{name} is of the type {weights[name].dtype}, expected {table.dtype}")
    model.load_state_dict(weights)
    for module in model.modules():
        if isinstance(module, CheckedBuffers):
            module.check_buffers()


def _both_float(one: Tensor, other: Tensor) -> bool:
    return one.is_floating_point() and other.is_floating_point()

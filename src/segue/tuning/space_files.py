"""A search space: which values of which settings are worth trying.

    space = {"dim": Choice(32, 64, 128), "lr": LogUniform(1e-4, 1e-2), "dropout": Uniform(0.0, 0.5)}

Each model declares one of its own (`Model.space`); `read` takes another from a file, in TOML or in RecBole's lines:

    lr = { loguniform = [1e-4, 1e-2] }            learning_rate loguniform -9.2,-4.6
    dim = [32, 64, 128]                           embedding_size choice [32, 64, 128]
    dropout = { uniform = [0.0, 0.5, 0.1] }       dropout_prob quniform 0.0,0.5,0.1
"""

from __future__ import annotations

import ast
import math
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from segue.errors import ConfigError
from segue.models.base.search_space import (
    Choice,
    Domain,
    LogUniform,
    Uniform,
)

# What RecBole calls a setting, and what the models here call it: the first name that a model has is meant.
RECBOLE: Mapping[str, tuple[str, ...]] = {
    "learning_rate": ("lr",),
    "train_batch_size": ("batch_size",),
    "embedding_size": ("dim",),
    "hidden_size": ("hidden", "dim"),
    "inner_size": ("inner",),
    "MAX_ITEM_LIST_LENGTH": ("window",),
    "pooling_type": ("pooling",),
    "loss_type": ("loss",),
    "hidden_act": ("activation",),
    "dropout_prob": ("dropout",),
    "hidden_dropout_prob": ("dropout",),
    "n_layers": ("blocks",),
    "n_heads": ("heads",),
    "kernel_size": ("kernel",),
    "block_num": ("repeats",),
    "nv": ("vertical",),
    "nh": ("horizontal",),
    "k": ("neighbours",),
    "shrink": ("shrinkage",),
}
RECBOLE_VALUES = {"average": "avg", "BPR": "bpr", "CE": "ce", "TOP1": "top1"}
LINE = "a line says name, kind and values, such as: learning_rate choice [0.01, 0.001]"


def read(path: str | Path, known: Collection[str]) -> dict[str, Domain]:
    """The space that a file describes: TOML where its name ends so, otherwise RecBole's lines.

    Args:
        path: of the file.
        known: the settings that the model has; RecBole's names for them are understood.

    Raises:
        ConfigError: the file cannot be read, or a line of it is no setting with values.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as a search space: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; a search space is TOML or lines of text") from None
    space: dict[str, Domain] = {}
    for where, name, domain in (_toml if path.suffix == ".toml" else _lines)(path, text):
        ours = next((own for own in RECBOLE.get(name, ()) if own in known and name not in known), name)
        if ours in space:
            raise ConfigError(f"{where}: {ours} is there twice; keep one")
        space[ours] = domain
    if not space:
        raise ConfigError(f"{path}: no setting in it; {LINE}")
    return space


def _toml(path: Path, text: str) -> Iterator[tuple[str, str, Domain]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error
    for name, value in content.items():
        where = f"{path}, {name}"
        kind, values = ("choice", value)
        if isinstance(value, dict):
            if len(value) != 1:
                raise ConfigError(f"{where}: needs one kind of values, such as {{ uniform = [0.0, 0.5] }}")
            ((kind, values),) = value.items()
        elif not isinstance(value, list):
            values = [value]
        yield where, name, _domain(where, kind, values, {"loguniform": LogUniform, "uniform": Uniform})


def _lines(path: Path, text: str) -> Iterator[tuple[str, str, Domain]]:
    """RecBole's format: what it gives to hyperopt, so the ends of `loguniform` are natural logarithms."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(" #")[0].split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        where = f"{path}, line {number}"
        if len(words) < 3:
            raise ConfigError(f"{where}: {line.strip()!r} is no setting with values; {LINE}")
        name, kind, rest = words
        try:
            values = ast.literal_eval(rest)
        except (ValueError, SyntaxError):
            raise ConfigError(f"{where}: cannot read the values {rest!r}; {LINE}") from None
        ranges: dict[str, Callable[..., Domain]] = {"uniform": Uniform, "loguniform": _exp, "quniform": _rounded}
        yield where, name, _domain(where, kind, values, ranges)


def _domain(where: str, kind: str, values: Any, ranges: Mapping[str, Callable[..., Domain]]) -> Domain:
    if kind != "choice" and kind not in ranges:
        raise ConfigError(f"{where}: unknown kind {kind!r}; known: choice, {', '.join(ranges)}")
    if not isinstance(values, (list, tuple)):
        raise ConfigError(f"{where}: {kind} needs several values, not {values!r} alone")
    if kind == "choice":
        return _made(where, Choice, tuple(dict.fromkeys(_choice(where, value) for value in values)))
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise ConfigError(f"{where}: {kind} needs numbers, not {values!r}")
    return _made(where, ranges[kind], values)


def _choice(where: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_choice(where, part) for part in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return RECBOLE_VALUES.get(value, value) if isinstance(value, str) else value
    raise ConfigError(f"{where}: {value!r} cannot be a setting; give numbers, text, true or false, or lists of numbers")


def _made(where: str, kind: Callable[..., Domain], values: Collection[Any]) -> Domain:
    try:
        return kind(*values)
    except TypeError:
        raise ConfigError(
            f"{where}: {tuple(values)} is no range; give its two ends, and a step where it has one"
        ) from None
    except OverflowError:
        raise ConfigError(f"{where}: exp of {tuple(values)} is no number; give natural logarithms") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _exp(low: float, high: float) -> LogUniform:
    return LogUniform(math.exp(low), math.exp(high))


def _rounded(low: float, high: float, step: float) -> Uniform:
    """Multiples of `step`, the ends rounded to them."""
    if step <= 0:
        raise ConfigError(f"quniform: step={step} must be above 0")
    return Uniform(round(low / step) * step, round(high / step) * step, step)

"""Reads a search space, the values of settings to be tried, from a file.

    space = {"embedding_dim": Choice(32, 64, 128), "lr": LogUniform(1e-4, 1e-2), "dropout": Uniform(0.0, 0.5)}

Each model declares a space of its own (`Model.space`). `read_space` reads another one in TOML (left) or in RecBole's
format (right):

    lr = { loguniform = [1e-4, 1e-2] }            learning_rate loguniform -9.2,-4.6
    embedding_dim = [32, 64, 128]                 embedding_size choice [32, 64, 128]
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
from segue.io import check_regular_file, reason
from segue.models.base.recbole import own_name, own_value
from segue.models.base.search_space import Choice, Domain, LogUniform, Uniform

LINE_FORMAT = "a line has a name, a kind and values, such as: learning_rate choice [0.01, 0.001]"


def read_space(path: str | Path, known: Collection[str]) -> dict[str, Domain]:
    """The search space of a file: TOML if its name ends with .toml, otherwise RecBole's format.

    Args:
        path: of the file.
        known: the names of the model's settings; RecBole's names for them are translated.

    Raises:
        ConfigError: the file cannot be read, or a line is not a setting with values.
    """
    path = Path(path)
    try:
        check_regular_file(path)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as a search space: {reason(error)}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; a search space is TOML or lines of text") from None
    space: dict[str, Domain] = {}
    for where, name, domain in (_read_toml if path.suffix == ".toml" else _read_recbole)(path, text):
        setting = own_name(name, known)
        if setting in space:
            raise ConfigError(f"{where}: {setting} is there twice; keep one")
        space[setting] = _own_values(name, domain)
    if not space:
        raise ConfigError(f"{path}: contains no setting; {LINE_FORMAT}")
    return space


def _read_toml(path: Path, text: str) -> Iterator[tuple[str, str, Domain]]:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: a whole number may be too long
        raise ConfigError(f"{path}: not TOML ({reason(error)})") from error
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


def _read_recbole(path: Path, text: str) -> Iterator[tuple[str, str, Domain]]:
    """RecBole passes its lines to hyperopt, so the ends of `loguniform` are natural logarithms."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(" #")[0].split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        where = f"{path}, line {number}"
        if len(words) < 3:
            raise ConfigError(f"{where}: {line.strip()!r} is not a setting with values; {LINE_FORMAT}")
        name, kind, rest = words
        try:
            values = ast.literal_eval(rest)
        except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last two of brackets in brackets
            raise ConfigError(f"{where}: cannot read the values {rest!r}; {LINE_FORMAT}") from None
        ranges: dict[str, Callable[..., Domain]] = {
            "uniform": Uniform,
            "loguniform": _log_uniform_of_exponents,
            "quniform": _uniform_rounded,
        }
        yield where, name, _domain(where, kind, values, ranges)


def _domain(where: str, kind: str, values: Any, ranges: Mapping[str, Callable[..., Domain]]) -> Domain:
    if kind != "choice" and kind not in ranges:
        raise ConfigError(f"{where}: unknown kind {kind!r}; known: choice, {', '.join(ranges)}")
    if not isinstance(values, (list, tuple)):
        raise ConfigError(f"{where}: {kind} needs several values, not {values!r} alone")
    if kind == "choice":
        return _make_domain(where, Choice, tuple(_choice_value(where, value) for value in values))
    if not all(_is_number(value) for value in values):
        raise ConfigError(f"{where}: {kind} needs numbers, not {values!r}")
    return _make_domain(where, ranges[kind], values)


def _own_values(name: str, domain: Domain) -> Domain:
    """A domain as the models here call its values, each of them once."""
    if not isinstance(domain, Choice):
        return domain
    return Choice(*dict.fromkeys(own_value(name, value) for value in domain.values))


def _is_number(value: Any) -> bool:
    """Whether a value is a number that fits in 64 bits."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63


def _choice_value(where: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_choice_value(where, part) for part in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(f"{where}: {value!r} cannot be a setting; give numbers, text, true or false, or lists of numbers")


def _make_domain(where: str, kind: Callable[..., Domain], values: Collection[Any]) -> Domain:
    try:
        return kind(*values)
    except TypeError:
        raise ConfigError(
            f"{where}: {tuple(values)} is not a range; give its two ends, and a step where it has one"
        ) from None
    except OverflowError:
        raise ConfigError(f"{where}: exp of {tuple(values)} is not a number; give natural logarithms") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _log_uniform_of_exponents(low: float, high: float) -> LogUniform:
    return LogUniform(math.exp(low), math.exp(high))


def _uniform_rounded(low: float, high: float, step: float) -> Uniform:
    """hyperopt's `quniform`: multiples of `step`, with both ends rounded to them."""
    if step <= 0:
        raise ConfigError(f"quniform: step={step} must be above 0")
    return Uniform(round(low / step) * step, round(high / step) * step, step)

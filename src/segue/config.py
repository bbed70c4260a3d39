"""Settings of a model: typed fields, read from plain values or from text."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from segue.errors import ConfigError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a model. Subclasses add fields, each documented; an unknown key is an error."""

    @classmethod
    def make(cls, settings: dict[str, Any]) -> Any:
        """A config from plain values, as they come from the command line or JSON; text is read as the field's type."""
        hints = typing.get_type_hints(cls)
        for key in settings:
            if key not in hints:
                known = ", ".join(sorted(hints)) or "none"
                raise ConfigError(f"unknown setting {key!r}{did_you_mean(key, hints)}; known: {known}")
        values = {key: _read(key, value, hints[key]) for key, value in settings.items()}
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)


def _read(key: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint`, or a `ConfigError` that says what was expected."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if (value is None or str(value).lower() == "none") and type(None) in args:
            return None
        return _read(key, value, next(a for a in args if a is not type(None)))
    if origin is Literal:
        match = [a for a in args if str(a) == str(value)]
        if not match:
            raise ConfigError(f"{key}={value!r}: must be one of {', '.join(map(str, args))}")
        return match[0]
    if origin is tuple:
        parts = value if isinstance(value, (list, tuple)) else str(value).strip("()[], ").split(",")
        if args[1:] == (...,):
            args = args[:1] * len(parts)
        if len(parts) != len(args):
            raise ConfigError(f"{key}={value!r}: must be {len(args)} numbers, such as {key}=0.001,0.00001")
        return tuple(_read(key, part, arg) for part, arg in zip(parts, args, strict=True))
    return _number(key, value, hint)


def _number(key: str, value: Any, kind: type) -> Any:
    if kind is bool:
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if str(value).lower() not in words:
            raise ConfigError(f"{key}={value!r}: must be true or false")
        return words[str(value).lower()]
    try:
        number = kind(str(value).strip()) if kind in (int, float) else kind(value)
    except ValueError:
        expected = {int: "a whole number", float: "a number"}.get(kind, f"of type {kind.__name__}")
        raise ConfigError(f"{key}={value!r}: must be {expected}") from None
    if kind is int and abs(number) >= 2**63:
        raise ConfigError(f"{key}={value}: does not fit in 64 bits")
    if kind is float and not np.isfinite(number):
        raise ConfigError(f"{key}={value!r}: must be a finite number")
    return number

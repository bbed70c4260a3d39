"""`Config`: the settings of a model, each declared once with its default, its range and its description.

    class MyConfig(Config):
        embedding_dim: int = Field(64, ge=1, description="Size of the embeddings.")

The declaration is the only source of the command line's help, the tables of the documentation, the JSON schema, the
bounds of a search space, and the message for a bad value. A subclass that changes only a default writes only the
default (`lr: float = 0.01`); the range and the description stay those of the parent.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from segue.errors import ConfigError, did_you_mean

__all__ = ["Config", "Field", "Setting", "bounds", "range_text", "unknown_setting"]

LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class Setting(NamedTuple):
    """A row of a settings table.

    Attributes:
        name: the setting.
        type: its type in words, or the values it may take.
        default: its default as the command line accepts it; "required" where there is none.
        range: the allowed values in words, such as "at least 1"; empty where all are.
        description: what it does.
    """

    name: str
    type: str
    default: str
    range: str
    description: str


class Config(BaseModel):
    """Settings of a model: immutable, checked when made.

    Class attributes:
        renamed: earlier names of settings, each with its present name, for error messages.
        renamed_values: for each setting, its earlier values with the value of today, for error messages.
        removed: settings that are not there any more, or in another library only, each with the reason, for error
            messages.
        later: settings that files of earlier versions do not have; `as_dict` leaves them out where they have their
            default.

    Raises:
        ConfigError: a setting is unknown, has a value of another type, or one out of its range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    renamed: ClassVar[dict[str, str]] = {}
    renamed_values: ClassVar[dict[str, dict[str, str]]] = {}
    removed: ClassVar[dict[str, str]] = {}
    later: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a subclass that changes a default keep the range and the description of its parent's setting."""
        for name in inspect.get_annotations(cls):
            value, inherited = cls.__dict__.get(name), _inherited(cls, name)
            if inherited is None or name not in cls.__dict__:
                continue
            own = value if isinstance(value, FieldInfo) else FieldInfo(default=value)
            text = own.description or inherited.description
            setattr(cls, name, Field(own.default, description=text, **(_limits(own) or _limits(inherited))))
        super().__init_subclass__(**options)

    def __init__(self, **settings: Any) -> None:
        fields = type(self).model_fields
        for name in settings:
            if name not in fields:
                raise ConfigError(unknown_setting(type(self), name, fields))
        try:
            super().__init__(**{name: _read(value, fields[name].annotation) for name, value in settings.items()})
        except ValidationError as error:
            raise ConfigError(_message(type(self), settings, error)) from None
        for name, value in self:
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ConfigError(f"{name}={value}: does not fit in 64 bits")
        self.check()

    def check(self) -> None:
        """Raise `ConfigError` if settings do not fit together; ranges of single settings are checked before."""

    @classmethod
    def make(cls, settings: dict[str, Any]) -> Self:
        """A config from plain values or text, as they come from the command line or from JSON."""
        return cls(**settings)

    @classmethod
    def known_settings(cls, given: Mapping[str, Any]) -> Mapping[str, FieldInfo]:
        """The declarations of all settings that can be given beside some others, by name.

        Args:
            given: the others. They matter where a setting chooses a part with settings of its own.

        Raises:
            ConfigError: the part that they choose does not exist.
        """
        return cls.model_fields

    def setting(self, name: str) -> Any:
        """The value of a setting by its name."""
        return getattr(self, name)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        later = {name for base in type(self).__mro__ for name in vars(base).get("later", ())}
        fields = type(self).model_fields
        values = self.model_dump()
        return {name: value for name, value in values.items() if name not in later or value != fields[name].default}

    @classmethod
    def settings(cls) -> Iterator[Setting]:
        """One row for each setting, in the order of declaration."""
        for name, field in cls.model_fields.items():
            default = "required" if field.is_required() else _text(field.default).strip("'")
            yield Setting(name, _type_text(field.annotation), default, range_text(field), field.description or "")


def bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """The lowest and the highest value that the declaration of a setting allows; None where there is no bound."""
    limit = _limits(field)
    return limit.get("ge", limit.get("gt")), limit.get("le", limit.get("lt"))


def range_text(field: FieldInfo) -> str:
    """The range of a setting in words, such as "between 0 and 1"; empty where there is none."""
    limit = _limits(field)
    if "ge" in limit and "le" in limit:
        return f"between {limit['ge']:g} and {limit['le']:g}"
    text = " and ".join(f"{LIMITS[name]} {value:g}" for name, value in limit.items())
    return f"{text}, or none" if text and _optional(field.annotation) else text


def _limits(field: FieldInfo) -> dict[str, Any]:
    """The limits of a declaration by pydantic's names, such as {"ge": 1}."""
    return {name: getattr(entry, name) for entry in field.metadata for name in LIMITS if hasattr(entry, name)}


def _inherited(cls: type[Config], name: str) -> FieldInfo | None:
    """The declaration of a setting in the nearest base class that has it."""
    bases = (base for base in cls.__mro__[1:] if issubclass(base, Config))
    return next((base.model_fields[name] for base in bases if name in base.model_fields), None)


def _optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _read(value: Any, annotation: Any) -> Any:
    """Parse a command-line string: 'none', one of several values, or a comma-separated tuple."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        if isinstance(value, str) and value.strip().lower() == "none":
            return None
        return value if value is None else _read(value, next(a for a in args if a is not type(None)))
    if origin is Literal:
        return next((choice for choice in args if str(choice) == str(value)), value)
    if origin is tuple and isinstance(value, str):
        value = tuple(part.strip() for part in value.strip("()[], ").split(","))
    elif origin is tuple and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = (value,)
    if annotation in (int, float) and isinstance(value, bool):
        return str(value)  # true is not a number
    return value.strip() if isinstance(value, str) else value


def unknown_setting(cls: type[Config], key: str, known: Collection[str], knows: str = "known") -> str:
    """The message for a setting that a class does not have: what became of it, or the known ones.

    Args:
        cls: the class.
        key: the name of the setting.
        known: all names that could be given.
        knows: what comes before them.
    """
    renamed = {old: new for base in cls.__mro__ for old, new in getattr(base, "renamed", {}).items()}
    if renamed.get(key) in cls.model_fields:
        return f"unknown setting {key!r}: it is now called {renamed[key]!r}"
    removed = {old: why for base in cls.__mro__ for old, why in getattr(base, "removed", {}).items()}
    if key in removed:
        return f"unknown setting {key!r}: {removed[key]}"
    return f"unknown setting {key!r}{did_you_mean(key, known)}; {knows}: {', '.join(sorted(known)) or 'none'}"


def _message(cls: type[Config], settings: dict[str, Any], error: ValidationError) -> str:
    """The first problem as one line: the setting, its value, and what the value must be."""
    problem = error.errors(include_url=False)[0]
    if not problem["loc"]:
        return str(problem["msg"])
    name = str(problem["loc"][0])
    if name not in settings:
        return f"{name}: is required"
    expected = _expected(name, cls.model_fields[name], problem["type"])
    renamed = {
        old: new for base in cls.__mro__ for old, new in vars(base).get("renamed_values", {}).get(name, {}).items()
    }
    value = renamed.get(str(settings[name]))
    hint = "" if value is None else f"; it is now called {value!r}"
    return f"{name}={_text(settings[name])}: must be {expected}{hint}"


def _expected(name: str, field: FieldInfo, problem: str) -> str:
    """What a value must be, in words."""
    if problem in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        return range_text(field)
    if problem == "finite_number":
        return "a finite number"
    annotation = field.annotation
    if typing.get_origin(annotation) is tuple:
        args = typing.get_args(annotation)
        if args[1:] == (...,):
            return _type_text(annotation)
        numbers = "whole numbers" if args[0] is int else "numbers"
        return f"{len(args)} {numbers}, such as {name}=0.001,0.00001"
    return _type_text(annotation)


def _type_text(annotation: Any) -> str:
    """A type in words."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in args if a is not type(None))
        return f"{_type_text(inner)}, or none"
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin is dict:
        return "names with values"
    if origin is tuple:
        parts = {int: "whole numbers", str: "names"}.get(args[0], "numbers")
        return f"{parts}, separated by commas" if args[1:] == (...,) else f"{len(args)} {parts}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _text(value: Any) -> str:
    """A value as the command line accepts it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return repr(value) if isinstance(value, str) else str(value)

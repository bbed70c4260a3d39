"""Model classes from outside segue: of a Python file, of an importable module, or of an installed package.

    ./fmc.py:FMC             a class in a file
    package.module:Class     a class in an importable module
    fmc                      an entry point in the group `segue.models`, which an installed package declares

Code is imported only when one of these references is given. In particular, a saved model never imports its class.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from segue.config import Config
from segue.errors import ConfigError, did_you_mean
from segue.models.base.model import Model

ENTRY_POINT_GROUP = "segue.models"
FORMS = "./FILE.py:CLASS or package.module:CLASS"

_files: dict[tuple[Path, int], ModuleType] = {}  # by path and time of the last change
_references: dict[type[Model], str] = {}


def is_reference(name: str) -> bool:
    """Whether `name` has the form of a file or module with a class, rather than that of a model's name."""
    return ":" in name or name.endswith(".py")


def load_model_class(reference: str, reserved: Collection[str] = ()) -> type[Model]:
    """The model class of a file or of an importable module; the file or module is imported.

    Args:
        reference: `./FILE.py:CLASS` or `package.module:CLASS`.
        reserved: names that the model may not have, such as those of the built-in models.

    Raises:
        ConfigError: there is no such file, module or class; it cannot be imported; or it is not a complete model.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        missing = reference.strip(":")
        raise ConfigError(f"{reference}: name the class too, such as {missing}:MyModel")
    is_file = place.endswith(".py") or "/" in place or os.sep in place
    module = _import_file(place) if is_file else _import_module(place)
    if not hasattr(module, name):
        own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
        models = [key for key, value in own.items() if _is_model(value)]
        known = ", ".join(models) or "none"
        raise ConfigError(f"{place}: has no class {name!r}{did_you_mean(name, models)}; its models are: {known}")
    return _checked(getattr(module, name), reference, reserved)


def installed() -> dict[str, list[EntryPoint]]:
    """The entry points of installed packages by the name of their model. None of them is imported."""
    by_name: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        by_name.setdefault(entry.name, []).append(entry)
    return by_name


def load_installed(name: str, reserved: Collection[str] = ()) -> type[Model] | None:
    """The model class of the entry point called `name`; None where no installed package declares one.

    Raises:
        ConfigError: the entry point cannot be imported, is declared by two packages, or is not a complete model.
    """
    entries = installed().get(name, [])
    if not entries:
        return None
    packages = [package_of(entry) for entry in entries]
    if len(entries) > 1:
        raise ConfigError(
            f"model {name!r} is declared by {' and by '.join(packages)}; choose one: "
            + " or ".join(entry.value for entry in entries)
        )
    described = f"model {name!r} of the package {packages[0]}"
    try:
        loaded = entries[0].load()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{described}: cannot be imported: {type(error).__name__}: {_first_line(error)}") from error
    kind = _checked(loaded, described, reserved)
    if kind.name != name:
        raise ConfigError(f"{described}: its class is called {kind.name!r}; the two names must be the same")
    _references[kind] = name
    return kind


def package_of(entry: EntryPoint) -> str:
    """The installed package that declares an entry point."""
    return entry.dist.name if entry.dist else entry.module


def reference_of(kind: type[Model]) -> str:
    """How a class can be named on the command line: as it was given, else as `package.module:Class`."""
    return _references.get(kind, f"{kind.__module__}:{kind.__qualname__}")


def _import_file(place: str) -> ModuleType:
    """A file as a module. The same file is executed again only after it has changed."""
    path = Path(place)
    if not path.is_file():
        raise ConfigError(f"{place}: no such file; a model from outside segue is given as {FORMS}")
    path = path.resolve()
    key = path, path.stat().st_mtime_ns
    if key in _files:
        return _files[key]
    module = ModuleType(f"{path.stem}@{path}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and type hints are resolved there
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ConfigError(f"{place}: cannot be imported: {_line(error, path)}{_first_line(error)}") from error
    _files[key] = module
    return module


def _import_module(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):  # a module that `place` imports
            raise ConfigError(f"{place}: cannot be imported: {_first_line(error)}") from error
        raise ConfigError(f"{place}: no such module is installed; a file is given as ./FILE.py:CLASS") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{place}: cannot be imported: {type(error).__name__}: {_first_line(error)}") from error


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Model)


def _checked(kind: Any, reference: str, reserved: Collection[str]) -> type[Model]:
    """`kind` if it is a complete model class with a name of its own."""
    if not _is_model(kind):
        raise ConfigError(f"{reference}: is not a model; derive the class from segue.Model or one of its subclasses")
    model: type[Model] = kind
    for attribute, example in (("name", '"my-model"'), ("Config", "MyConfig")):
        if not hasattr(model, attribute):
            raise ConfigError(f"{reference}: the class needs the attribute {attribute} = {example}")
    if not (isinstance(model.Config, type) and issubclass(model.Config, Config)):
        raise ConfigError(f"{reference}: its Config must derive from segue.config.Config or one of its subclasses")
    if inspect.isabstract(model):
        raise ConfigError(f"{reference}: the class does not define {', '.join(sorted(model.__abstractmethods__))}")
    if model.name in reserved:
        raise ConfigError(f"{reference}: segue has a model called {model.name!r}; give the class another name")
    _references[model] = reference
    return model


def _line(error: BaseException, path: Path) -> str:
    """The line of the file where an import failed, and the type of the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else (lines or [None])[-1]
    return f"line {line}: {type(error).__name__}: " if line else f"{type(error).__name__}: "


def _first_line(error: BaseException) -> str:
    return (error.msg if isinstance(error, SyntaxError) else str(error)).partition("\n")[0]

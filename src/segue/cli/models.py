"""`segue models`: the models, and the settings of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.output import JsonFile, grid, show, write_json_output
from segue.cli.saved_model_facts import show_saved_model
from segue.folders import is_folder_of

if TYPE_CHECKING:
    from segue.models.base.model import Model
    from segue.models.base.search_space import Domain


def models(model: str | None = None, *, json: JsonFile = None) -> None:
    """List the models, or show the settings of one: defaults, ranges, descriptions, presets and search space.

    For the folder of a saved model, show what it was trained on and its measured figures. With --json, the settings of
    a model are written as a JSON schema, or everything that a saved model says about itself.

    Args:
        model: Name of a model; a class of your own: ./FILE.py:CLASS or package.module:CLASS; or the folder of a saved
            model.
    """
    from segue.models.registry import find

    check_outputs({"--json": json}, inputs=source_files(model or ""))
    if model is None:
        rows = list_models()
        show(grid(rows, "Models; `segue models MODEL` shows the settings of one"))
        write_json_output(json, {"models": rows})
        return
    if is_folder_of("saved model", model):
        show_saved_model(Path(model), json)
        return
    kind = find(model)
    show(*settings_tables(kind))
    write_json_output(json, {"model": kind.name, **kind.Config.model_json_schema(), "presets": kind.presets})


def list_models() -> list[dict[str, Any]]:
    """One row for each built-in and each installed model: name, what it predicts, and its description."""
    from segue.errors import ConfigError
    from segue.models.external import installed, package_of
    from segue.models.registry import MODELS, find

    rows = [_row(kind) for kind in MODELS.values()]
    for name, entries in installed().items():
        package = " and ".join(package_of(entry) for entry in entries)
        try:
            row = _row(find(name))
            if name in MODELS:
                row = {"model": name, "predicts": "", "description": "not used: segue has a model of this name"}
        except ConfigError as error:
            row = {"model": name, "predicts": "", "description": str(error)}
        rows.append({**row, "package": package})
    return [{"package": "", **row} for row in rows] if any("package" in row for row in rows) else rows


def _row(kind: type[Model]) -> dict[str, Any]:
    from segue.evaluation.protocols import TASKS

    return {"model": kind.name, "predicts": TASKS[kind.task].predicts, "description": first_sentence(kind)}


def first_sentence(kind: type[Model]) -> str:
    """The first paragraph of a model's docstring as one line."""
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())


def settings_tables(kind: type[Model]) -> list[Any]:
    """The settings of a model, its presets and its search space, as tables."""
    settings = [setting._asdict() for setting in kind.Config.settings()]
    tables: list[Any] = [f"{kind.name}: {first_sentence(kind)}"]
    if not settings:
        return [*tables, "It has no settings."]
    tables.append(grid(settings, "Settings, for --set NAME=VALUE"))
    if kind.presets:
        presets = [
            {"preset": name, "settings": " ".join(f"{key}={_text(value)}" for key, value in changed.items()) or "–"}
            for name, changed in kind.presets.items()
        ]
        tables.append(grid(presets, "Presets, for --preset"))
    if domains := kind.space_for(kind.configure()):
        space = [{"setting": name, "values": describe(domain)} for name, domain in domains.items()]
        tables.append(grid(space, "Search space of `segue search` and `segue compare`"))
    return tables


def describe(domain: Domain) -> str:
    """The values of a search space, such as "32, 64, 128" or "0.0005 to 0.01, log scale"."""
    from segue.models.base.search_space import Choice, LogUniform

    if isinstance(domain, Choice):
        return ", ".join(map(_text, domain.values))
    interval = f"{domain.low:g} to {domain.high:g}"
    if isinstance(domain, LogUniform):
        return f"{interval}, log scale"
    return f"{interval} in steps of {domain.step:g}" if domain.step else interval


def _text(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_text, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)

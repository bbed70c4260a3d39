"""The last line of a command that saves a model: where it is, what it was trained on, and the next command."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from segue.errors import ArtefactError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.models.base.model import Model

UNMEASURED = "it was not measured"
MEASURED_WITHOUT_TEST = "the figures are of the model trained without the test part"


def say_next(
    folder: Path,
    log: Log,
    about: Mapping[str, Any],
    *,
    classes: Iterable[str] = (),
    verb: str = "saved to",
    remarks: Iterable[object] = (),
    command: str | None = None,
) -> None:
    """Say where a model is saved, what it was trained on, and how it recommends items to the first user of the log.

    Args:
        folder: of the saved model.
        log: the log whose histories it was saved with.
        about: what is stored with the model.
        classes: the models that it consists of; those from outside segue are needed to load it.
        verb: what was done with the folder.
        remarks: what else is to be said about the model.
        command: the next command, if it is another one.
    """
    extent = describe_extent(about, len(log))
    following = command or recommend_command(folder, log, classes)
    say(f"{verb} {folder}{extent}{''.join(f'; {remark}' for remark in remarks)}; next: {following}")


def replaced_model(folder: Path, model: Model, log: Log) -> list[str]:
    """A remark for `say_next`, made before saving: the model that is replaced, if its log or its kind is another."""
    from segue.serving.saved_model import read_facts

    try:
        facts = read_facts(folder)
    except ArtefactError:
        return []
    before = facts["log"]
    if (facts["model"], before["fingerprint"]) == (model.name, log.fingerprint):
        return []
    return [f"replaced a model there ({facts['model']} of the log {before['name']}, {before['fingerprint']})"]


def describe_extent(about: Mapping[str, Any], total: int) -> str:
    """What a saved model was trained on, in brackets; empty if it does not say.

    Args:
        about: what is stored with the model.
        total: number of events of its log.
    """
    from segue.data.extent import Extent

    if "trained_on" not in about:
        return ""
    trained = f"trained on {Extent(**about['trained_on']).describe(total)}"
    if "results" not in about:
        return f" ({trained}; {UNMEASURED})"
    is_measured = about["trained_on"] == about.get("tested_model_trained_on")
    return f" ({trained})" if is_measured else f" ({trained}; {MEASURED_WITHOUT_TEST})"


def recommend_command(folder: Path, log: Log, classes: Iterable[str]) -> str:
    """The command that recommends items to the first user of the log."""
    from segue.models.registry import MODELS

    external = [reference for reference in dict.fromkeys(classes) if reference not in MODELS]
    options = "".join(f" --model-class {shlex.quote(reference)}" for reference in external)
    user = shlex.quote(str(log.users.names([1])[0]))
    return f"segue recommend {shlex.quote(str(folder))} --user {user}{options}"


def run_command(model: str, data: str, *options: object) -> str:
    """The command that trains another model on the same data, under the same protocol."""
    return shlex.join(["segue", "run", model, data, *(word for group in options for word in option_words(group))])


def option_words(options: Any) -> list[str]:
    """The words of a command line that give a group of options, as far as they are not the defaults."""
    words: list[str] = []
    hints = get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        marks = getattr(hints[field.name], "__metadata__", ())
        option = next((mark.name[0] for mark in marks if mark.name), f"--{field.name.replace('_', '-')}")
        if isinstance(value, bool):
            negative = next((mark.negative[0] for mark in marks if mark.negative), option.replace("--", "--no-", 1))
            words.append(option if value else negative)
            continue
        texts = list(map(str, value if isinstance(value, (list, tuple)) else [value]))
        if any(mark.consume_multiple for mark in marks) and not any(text.startswith("-") for text in texts):
            words += [option, *texts]
            continue
        for text in texts:  # a word that begins with - would be read as an option
            words += [f"{option}={text}"] if text.startswith("-") else [option, text]
    return words

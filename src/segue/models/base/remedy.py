"""`remedy`: what to try after a training that went wrong: the setting that is furthest from its usual values."""

from __future__ import annotations

import math
from collections.abc import Iterator

from segue.config import Config
from segue.models.base.model import Model

FAR = 30.0  # times the default, or its inverse
USUAL = 1e-9, FAR  # where the default is 0


def remedy(model: Model) -> str:
    """What to try, in words: another value of the setting that is furthest from its default, or a smaller lr."""
    found = max(_unusual(model), default=None)
    if found is not None:
        _, change, name, value = found
        return f"try a {change} {name} (now {value:g})"
    lr = getattr(model.config, "lr", None)
    return "check its settings" if lr is None else f"try a smaller lr (now {lr:g})"


def _unusual(model: Model) -> Iterator[tuple[float, str, str, float]]:
    """How far, what change it needs, its name and value, of each fraction that is far from its default; parts, too."""
    for part in model.parts:
        yield from _unusual(part)
    if not isinstance(model.config, Config):
        return
    for name, field in type(model.config).model_fields.items():
        value, default = getattr(model.config, name), field.default
        if not (isinstance(value, float) and isinstance(default, float) and value > 0):
            continue
        low, high = (default / FAR, default * FAR) if default > 0 else USUAL
        if value > high:
            yield math.log(value / high), "smaller", name, value
        elif value < low:
            yield math.log(low / value), "larger", name, value

"""The order in which models are compared: the cheap ones first, so that a short budget goes to as many as possible."""

from __future__ import annotations

from collections.abc import Mapping

from segue.errors import require
from segue.models.registry import find

COSTS = ("low", "medium", "high")


def run_order(references: Mapping[str, str]) -> list[str]:
    """The names of models, those that are fitted in one step first, and of each kind by their `training_cost`.

    Args:
        references: the name of each model's class, mapped to what `find` takes; its order decides between equals.

    Raises:
        ConfigError: a model declares another cost.
    """

    def cost(name: str) -> tuple[bool, int]:
        kind = find(references[name])
        declared = kind.training_cost
        require(declared in COSTS, f"{name}: training_cost is {declared!r}; it must be one of {', '.join(COSTS)}")
        return kind.trained_by_gradient, COSTS.index(declared)

    return sorted(references, key=cost)

"""The order in which models are compared: the cheap ones first, so that a short budget goes to as many as possible."""

from __future__ import annotations

from collections.abc import Mapping

from segue.models.registry import find

# by the seconds of a first trial of one epoch on MovieLens 100K with the default settings
CHEAPEST_FIRST = (
    *("pop", "recent-pop", "s-pop", "seq-knn", "item-knn", "vs-knn"),
    *("bprmf", "item2vec", "mp2vec", "hgn", "gru4rec", "coevent-mf", "sasrec", "nextitnet", "neumf", "narm", "stamp"),
    *("gru", "gru4rec+", "lstm4rec", "hm-lstm", "caser", "hcrnn-running", "hcrnn"),
)
UNKNOWN = CHEAPEST_FIRST.index("gru4rec")  # where a gradient-trained model of unknown cost stands


def run_order(references: Mapping[str, str]) -> list[str]:
    """The names of models, those without gradient training first, and of each kind the cheapest first.

    Args:
        references: the name of each model's class, mapped to what `find` takes.
    """

    def cost(name: str) -> tuple[bool, int]:
        known = CHEAPEST_FIRST.index(name) if name in CHEAPEST_FIRST else UNKNOWN
        return find(references[name]).trained_by_gradient, known

    return sorted(references, key=cost)

"""The list of what departs from a paper: for each method of a table, from its own settings.

| method           | log            | departs from the paper in                      | the paper leaves open |
| IARN; IARN-Plain | MovieLens 100K | embedding_dim 16 (paper 25), bias true (false) | epochs 10, patience 3 |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segue.models.registry import find
from segue.papers.methods import BlendedMethod, Method
from segue.papers.reproduction import DEPARTURE_COLUMNS

Texts = tuple[str, str]  # what departs, and what is open


def departures(methods: Mapping[str, Sequence[Method | BlendedMethod]]) -> tuple[dict[str, str], ...]:
    """One entry for all methods whose settings depart in the same way, with the keys of `DEPARTURE_COLUMNS`.

    Args:
        methods: by the title of the part of the table; those that the paper does not report have no entry.
    """
    parts: dict[tuple[str, Texts], list[str]] = {}
    for part, of_part in methods.items():
        names: dict[Texts, list[str]] = {}
        for method in of_part:
            if isinstance(method, Method) and method.printed is not None:
                names.setdefault(_texts(method), []).append(method.name)
        for texts, of_texts in names.items():
            parts.setdefault(("; ".join(of_texts), texts), []).append(part)
    return tuple(
        dict(zip(DEPARTURE_COLUMNS, (names, "; ".join(of_names), *texts), strict=True))
        for (names, texts), of_names in parts.items()
    )


def _texts(method: Method) -> Texts:
    comparison = method.comparison
    assert comparison is not None
    defaults = find(method.experiment.model).configure().as_dict()
    return comparison.describe() or "nothing that it prints", comparison.describe_open(defaults)

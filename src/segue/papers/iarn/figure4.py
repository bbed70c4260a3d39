"""IARN's Figure 4: the error with and without the encoder of item features.

The paper reports 1.19% less with features, on average over its logs, and prints no figures.
"""

from __future__ import annotations

from segue.papers.iarn.common import PLACES, Place, about, hurried, lead, sentence
from segue.papers.methods import Method
from segue.papers.reproduction import Picture, Reproduction
from segue.papers.run_cache import RunCache


def methods(place: Place) -> tuple[Method, ...]:
    """IARN without features and with them, as in Table 2."""
    recipes = {
        "IARN-Plain": place.network_recipe(),
        "IARN": place.network_recipe(feature_encoder="flat", **place.features),
    }
    return tuple(place.method(name, recipe, seeds=place.seeds) for name, recipe in recipes.items())


METHODS = methods(PLACES[0])  # every log has the same


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Train with the encoder, and without."""
    lines = {place.title: place.lines(methods(place), runs, quick=quick) for place in PLACES}
    rows = [row for place in PLACES for row in place.rows(lines[place.title])]
    tests = [{**lead(encoded, plain), "part": title} for title, (plain, encoded) in lines.items()]
    errors = [row for row in rows if row.metric == "rmse"]
    bars = tuple({"log": row.part, "RMSE": row.mean, "encoder": row.method} for row in errors)
    encoding = {"x": "RMSE", "y": "log", "by": "encoder", "title": "With and without the feature encoder"}
    return Reproduction(
        title="IARN (CIKM 2017), Figure 4: with and without the feature encoder",
        rows=tuple(rows),
        notes=(
            *hurried(quick),
            "The paper reports 1.19% less error with features, on average over its logs, and prints no figures.",
            *(f"{place.title}: {place.protocol.describe()}" for place in PLACES),
            *(sentence(test["part"], test) for test in tests),
        ),
        pictures=(Picture(name="iarn-figure4", kind="bar", rows=bars, encoding=encoding),),
        details={**about(lines, quick=quick), "tests": tests},
    )
